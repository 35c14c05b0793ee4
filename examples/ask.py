"""Ask the assistant about what it has just heard, and print the answer as it is written; Ctrl-C cancels the question.

On a robot, in two terminals:

    ros2 launch audio_interaction_ros assistant.launch.py
    python3 examples/ask.py "What do you hear?" --seconds 8
    python3 examples/ask.py "Which is it?" --option "a dog" --option "a cat"

In a checkout: run `make demo`, and in another terminal `.venv/bin/python examples/ask.py "What do you hear?"` with the
settings that stand in the demo's line "listen along:".
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from audio_interaction_ros.msg import Answer
from audio_interaction_ros.srv import Ask, CancelQuestion

_FOUND_WITHIN_S, _SENT_WITHIN_S, _LOOK_EVERY_S = 10.0, 2.0, 0.2


class Asker(Node):
    """An `Asker` asks one question and prints its answer."""

    def __init__(self) -> None:
        super().__init__('ask')
        self.last: Answer | None = None  # of our question, once it has ended
        self._id = ''
        self._early: list[Answer] = []  # an answer may begin to come before we know its id
        # Before the clients: whoever answers a client has found what was made before it, so that no answer is missed.
        self.create_subscription(Answer, 'ai/answer', self._on_answer, 50)
        self._ask = self.create_client(Ask, 'ai/ask')
        self._cancel = self.create_client(CancelQuestion, 'ai/cancel_question')

    def ask(self, request: Ask.Request, ended: Sequence[int]) -> str:
        """Send the question and return why it was refused, '' if it was not, or if all is `ended` before it was."""
        found_by_s = time.monotonic() + _FOUND_WITHIN_S
        while not self._ask.service_is_ready():
            if ended:
                return ''
            if time.monotonic() > found_by_s:
                return 'ai/ask is not found; start the assistant, with the same ROS_DOMAIN_ID and namespace'
            rclpy.spin_once(self, timeout_sec=_LOOK_EVERY_S)
        asked = self._ask.call_async(request)
        while not asked.done() and not ended:
            rclpy.spin_once(self, timeout_sec=_LOOK_EVERY_S)
        rclpy.spin_until_future_complete(self, asked, timeout_sec=_SENT_WITHIN_S)  # its id is wanted to cancel it
        if not asked.done():
            return ''
        response = asked.result()
        if not response.accepted:
            return str(response.message)
        print(response.message, flush=True)
        self._id = response.id
        for answer in self._early:
            self._on_answer(answer)
        return ''

    def cancel(self) -> None:
        """End the question, if it was accepted."""
        if not self._id:
            return
        sent = self._cancel.call_async(CancelQuestion.Request(id=self._id))
        rclpy.spin_until_future_complete(self, sent, timeout_sec=_SENT_WITHIN_S)

    def _on_answer(self, answer: Answer) -> None:
        if not self._id:
            self._early.append(answer)
        elif answer.id == self._id:
            if answer.state == Answer.WRITING:
                print(f'  {answer.text} …', flush=True)
            else:
                self.last = answer


def main() -> int:
    """Ask and return the exit status: 0 for an answer, 1 where there is none."""
    parser = argparse.ArgumentParser(description='Ask the running assistant about what it has just heard.')
    parser.add_argument('question', help='what is asked, in text')
    parser.add_argument('--seconds', type=float, default=0.0, help='back from now (default: all that is kept)')
    parser.add_argument('--option', action='append', default=[], metavar='TEXT', help='an answer to choose from')
    parser.add_argument('--max-tokens', type=int, default=0, help='longest answer, in tokens (default: 64)')
    given = parser.parse_args(remove_ros_args(sys.argv)[1:])
    # Ctrl-C only says that it is to end. rclpy's own handler would leave ROS, and then nobody could cancel; Python's
    # exception comes in the middle of whatever rclpy is doing, which then fails with errors of its own.
    ended: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: ended.append(number))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    asker = Asker()
    request = Ask.Request(
        question=given.question, seconds=given.seconds, options=given.option, max_tokens=given.max_tokens
    )
    if refused := asker.ask(request, ended):
        print(f'refused: {refused}', file=sys.stderr)
        return 1
    while asker.last is None and not ended:
        rclpy.spin_once(asker, timeout_sec=_LOOK_EVERY_S)
    if asker.last is None:
        asker.cancel()
        print('cancelled', file=sys.stderr)
        return 1
    for option, probability in zip(asker.last.options, asker.last.probabilities, strict=True):
        print(f'  {probability:6.1%}  {option}')
    print(asker.last.reason or asker.last.text)
    return 0 if asker.last.state == Answer.FINAL else 1


if __name__ == '__main__':
    sys.exit(main())
