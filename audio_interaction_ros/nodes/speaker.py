"""speaker: responses, and texts of other nodes, as speech: through a loudspeaker or on ai/speech; off by default.

Callbacks only hand over text. One thread takes a clause at a time, has it made into sound and plays it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Event

from std_msgs.msg import Bool

from audio_interaction_ros.audio.devices import DeviceError
from audio_interaction_ros.msg import Decision, Response, SafetyAlert, Speaking
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.echo import VOICE_TOPIC, ReferencePublisher
from audio_interaction_ros.nodes.lifecycle import ManagedNode, run
from audio_interaction_ros.nodes.messages import nanoseconds_of, response_id, wire_text
from audio_interaction_ros.nodes.parameters import SpeakerParameters
from audio_interaction_ros.nodes.speech_messages import SpeechMessages
from audio_interaction_ros.srv import CancelSpeech, Say
from audio_interaction_ros.voice.engines import Engine, EngineError, EspeakEngine, PiperEngine
from audio_interaction_ros.voice.kokoro import KokoroEngine
from audio_interaction_ros.voice.loudspeaker import Loudspeaker, Output
from audio_interaction_ros.voice.manner import manner_of
from audio_interaction_ros.voice.mouth import Clause, Mouth, RefusedError, Utterance
from audio_interaction_ros.voice.pace import Pace
from audio_interaction_ros.voice.quiet_hours import QuietHours
from audio_interaction_ros.voice.speech_server import SpeechServerEngine

_POLL_S = 0.1
_TRY_AGAIN_S = 2.0  # for a loudspeaker that was lost
_LISTENS_AT_MOST_S = 10.0  # to somebody who talks: a radio, or a detector that has died, must not silence it for ever


class SpeakerNode(ManagedNode[SpeakerParameters]):
    """A `SpeakerNode` says each response once, clause by clause while it is written, what is urgent at once."""

    NAME = 'speaker'

    def setup(self) -> None:
        """Try the engine, find the loudspeaker, and make topics and services."""
        given = self.parameters
        self._lost, self._first_sound_ms = '', 0.0
        self._listens_until_s, self._pace = 0.0, Pace()
        self._mouth = Mouth(given.queue_max_texts, given.stale_after_s)
        self._engine = _engine_of(given)
        if isinstance(self._engine, SpeechServerEngine):
            self.get_logger().warning(
                f"what is said goes to '{self._engine.host}' as text, to be spoken there; take another engine where it "
                'must not'
            )
        self._reference = ReferencePublisher(self)
        self._output = self._find_output()
        self._speaking = self.create_publisher(Speaking, 'ai/speaking', qos.SWITCH)
        self._utterance: Utterance | None = None  # that was begun last
        self._tell(Speaking())
        self.create_subscription(Response, 'ai/response', self._on_response, qos.EVENTS)
        self.create_subscription(SafetyAlert, 'ai/safety_alert', self._on_alert, qos.ALERTS)
        self.create_subscription(Decision, 'ai/decision', self._on_decision, qos.EVENTS)
        self.create_subscription(Bool, VOICE_TOPIC, self._on_voice, qos.EVENTS)
        self.create_service(Say, 'ai/say', self._on_say)
        self.create_service(CancelSpeech, 'ai/say/cancel', self._on_cancel)
        self.apply()

    def teardown(self) -> None:
        """Let go of engine and loudspeaker."""
        if engine := getattr(self, '_engine', None):
            engine.close()
        self.let_go('_engine', '_output')

    def start(self) -> None:
        """Open the loudspeaker, with nothing to say yet."""
        self._mouth = Mouth(self.parameters.queue_max_texts, self.parameters.stale_after_s)
        self._reported: dict[str, int] = {}
        self._output.open()
        self.work(self._speak_until)

    def stop(self) -> None:
        """Close the loudspeaker; what was to be said is forgotten."""
        self._lost = ''
        self._output.close()
        if self._utterance is not None and not self._utterance.over:
            self._mouth.cancel()
        self._tell_end()

    def apply(self) -> None:
        """Take the live parameters, from the next clause on."""
        self._quiet_hours = QuietHours.parse(self.parameters.quiet_hours)
        self._mouth.stale_after_s = self.parameters.stale_after_s

    def measurements(self) -> Mapping[str, object]:
        """Return how many texts wait, how many were not said by cause, and how soon the last one began."""
        return {
            'queue_depth': self._mouth.waiting,
            'speaking': self._told.speaking,
            'quiet': self._quiet,
            'first_sound_ms': f'{self._first_sound_ms:.0f}',
            **{cause: self._mouth.counts[cause] for cause in ('preempted', 'cancelled', 'barged_in', 'quiet_hours')},
        }

    def problem(self) -> str:
        """Return why nothing can be heard; empty while it can."""
        return self._lost

    def hardware_id(self) -> str:
        """Return the loudspeaker's name; 'none' where messages are published."""
        return self._output.device.name if isinstance(self._output, Loudspeaker) else 'none'

    @property
    def _quiet(self) -> bool:
        return self._quiet_hours is not None and self._quiet_hours.at(datetime.now().time())

    def _find_output(self) -> Output:
        given = self.parameters
        if given.output == 'messages':
            return SpeechMessages(self, self._engine.rate_hz, given.frame_id, self._reference.plays)
        found = Loudspeaker(given.device, self._engine.rate_hz, self._reference.plays)
        self.get_logger().info(f"speaks through loudspeaker {found.device}, device '{found.word}'")
        return found

    def _on_response(self, response: Response) -> None:
        stamp_ns = nanoseconds_of(response.header.stamp)
        age_s = (self.get_clock().now().nanoseconds - stamp_ns) * 1e-9 if stamp_ns else 0.0
        self._mouth.respond(
            response.id,
            response.text,
            time.monotonic(),
            urgent=response.urgent,
            emotion=response.emotion,
            final=response.final,
            cancelled=response.cancelled,
            age_s=max(0.0, age_s),
        )

    def _on_alert(self, alert: SafetyAlert) -> None:
        """Say an alert that no response says, and any again when it is escalated, until somebody knows or it is over.

        The id has each said once.
        """
        by_response = alert.heard_by in (SafetyAlert.MODEL, SafetyAlert.BOTH)
        if alert.severity == SafetyAlert.INFO or (by_response and not alert.escalations):
            return
        self._mouth.respond(
            f'alert-{alert.id}-{alert.escalations}',
            alert.message.partition(';')[0],  # what to do about it is for those who read
            time.monotonic(),
            urgent=True,
            emotion='urgent',
            final=True,
            cancelled=alert.state == SafetyAlert.CLEARED or alert.acknowledged,
        )

    def _on_decision(self, decision: Decision) -> None:
        """The model's next answer ends the one before it, where it is to judge who may be interrupted."""
        if self.parameters.barge_in == 'model' and decision.decision == Decision.RESPONSE:
            self._mouth.barge_in(but=response_id(decision.stream_id, decision.chunk_index))

    def _on_voice(self, talks: Bool) -> None:
        """Somebody begins, or ends, to talk while this speaks."""
        if self.parameters.barge_in != 'voice':
            return
        self._listens_until_s = time.monotonic() + _LISTENS_AT_MOST_S if talks.data else 0.0
        if talks.data:
            self._mouth.barge_in()
        else:
            self._mouth.changed.set()

    def _on_say(self, request: Say.Request, response: Say.Response) -> Say.Response:
        if not self.active:
            response.message = 'speaker is not active, so nothing is said; activate it'
            return response
        try:
            response.id = self._mouth.say(request.text, request.urgency, time.monotonic(), request.emotion, self._quiet)
        except RefusedError as error:
            response.message = str(error)
        else:
            response.success, response.message = True, 'it is said in its turn'
        return response

    def _on_cancel(self, request: CancelSpeech.Request, response: CancelSpeech.Response) -> CancelSpeech.Response:
        cancelled = self._mouth.cancel(request.id)
        response.success = bool(cancelled)
        response.message = f'{cancelled} cancelled' if cancelled else 'there is no such text, or it was said already'
        return response

    def _speak_until(self, stop: Event) -> None:
        """Say one clause after the other; between two of one utterance the sound does not break off."""
        while not stop.is_set():
            if self._lost and not self._find_again(stop):
                continue
            self._mouth.changed.clear()
            now_s = time.monotonic()
            clause = self._mouth.next(now_s, self._quiet, listens=now_s < self._listens_until_s)
            self._report_unsaid()
            try:
                if clause is not None:
                    self._say(clause, stop)
                    continue
                self._end(stop)
            except DeviceError as error:
                self._lose(error)
            self._mouth.changed.wait(_POLL_S)

    def _say(self, clause: Clause, stop: Event) -> None:
        """Raises DeviceError where the loudspeaker is gone."""
        given, utterance = self.parameters, clause.utterance
        said, given_s = '', 0.0

        def unwanted() -> bool:
            return clause.interrupted.is_set() or stop.is_set()

        if utterance is not self._utterance:
            self._tell_end()
        self._utterance = utterance
        self._tell(
            Speaking(
                speaking=True, id=wire_text(utterance.id), text=wire_text(clause.text),
                said=wire_text(' '.join(utterance.said)), urgency=int(utterance.urgency),
            )
        )  # fmt: skip
        try:
            began = bool(utterance.said)
            for samples in self._engine.say(clause.text, manner_of(utterance.emotion, given.rate), unwanted):
                given_s += len(samples) / self._engine.rate_hz
                self._output.play(samples * given.volume, unwanted)
                if not began:
                    self._first_sound_ms = 1e3 * (time.monotonic() - clause.written_s)
                    began = True
                if unwanted():
                    break
            if unwanted():
                said = self._pace.part(clause.text, given_s - self._output.unplayed_s)
            else:
                said = clause.text
                self._pace.learn(clause.text, given_s)
        except EngineError as error:
            self.diagnostics.trouble('engine_failures', str(error))
        finally:
            if unwanted():
                self._output.drop()
            self._mouth.done(clause, time.monotonic(), said)
            if utterance.broken_off:
                self._tell_end()

    def _end(self, stop: Event) -> None:
        """Tell that the last utterance is over when its sound is; raises DeviceError."""
        utterance = self._utterance
        if utterance is None or not utterance.over or not self._told.speaking:
            return
        if utterance.broken_off:
            self._output.drop()
        else:
            self._output.finish(lambda: stop.is_set() or self._mouth.changed.is_set())
        if not self._mouth.changed.is_set():  # else the next is said first
            self._tell_end()

    def _tell_end(self) -> None:
        if self._utterance is not None and self._told.speaking:
            self._tell(
                Speaking(
                    id=self._told.id, said=wire_text(' '.join(self._utterance.said)), urgency=self._told.urgency,
                    broken_off=self._utterance.broken_off,
                )
            )  # fmt: skip

    def _tell(self, message: Speaking) -> None:
        self._told = message
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self.parameters.frame_id
        self._speaking.publish(message)

    def _report_unsaid(self) -> None:
        trouble = self.diagnostics.trouble
        if stale := self._more('stale'):
            trouble(
                'stale',
                'a text was too old to be said, or what it answers was; start with use_sim_time where sound comes from '
                'a bag, let other nodes say less, or raise stale_after_s',
                stale,
            )
        if dropped := self._more('queue_full'):
            trouble(
                'queue_full',
                'more texts than queue_max_texts waited, and the least urgent and oldest was dropped; let other nodes '
                'say less, or raise queue_max_texts',
                dropped,
            )
        if cut := self._more('too_long'):
            trouble(
                'too_long',
                'a response has more than 1000 characters, and its end is not said; lower max_response_tokens of the '
                'decoder',
                cut,
            )

    def _more(self, cause: str) -> int:
        """Return how many more there are by this cause than when it was asked last."""
        before, self._reported[cause] = self._reported.get(cause, 0), self._mouth.counts[cause]
        return self._reported[cause] - before

    def _lose(self, error: DeviceError) -> None:
        self._lost = str(error)
        self.get_logger().error(self._lost)
        self._output.close()

    def _find_again(self, stop: Event) -> bool:
        """Open the same loudspeaker anew, if it is there again; what is to be said meanwhile grows stale."""
        output = self._output
        assert isinstance(output, Loudspeaker)
        try:
            again = Loudspeaker(output.word, self._engine.rate_hz, self._reference.plays)
            again.open()
        except DeviceError:
            stop.wait(_TRY_AGAIN_S)
            return False
        self._output, self._lost = again, ''
        self.get_logger().info(f'loudspeaker {again.device} is there again')
        return True


_ENGINES: dict[str, Callable[[str], Engine]] = {
    'espeak-ng': EspeakEngine,
    'piper': PiperEngine,
    'kokoro': KokoroEngine,
    'server': SpeechServerEngine,
}


def _engine_of(given: SpeakerParameters) -> Engine:
    """Raises EngineError."""
    return _ENGINES[given.engine](given.voice)


def main(args: list[str] | None = None) -> int:
    """Run the node and return the exit status."""
    return run(args, SpeakerNode)


if __name__ == '__main__':
    sys.exit(main())
