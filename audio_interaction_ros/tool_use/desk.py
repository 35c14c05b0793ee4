"""What becomes of calls: refused, asked about, begun, done, failed. It knows no ROS and no clock.

Callbacks hand over what came; `due` says what is to be begun, and what was waited for in vain.
"""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from audio_interaction_ros.tool_use.declared import CONFIRM, Call, Tools, object_of
from audio_interaction_ros.tool_use.errors import CallError

_KNOWN = 1_000  # ids of calls that came, so that none counts twice
_MAX_ID = 200  # characters
_HEARD_AFTER_S = 0.8  # of the question: two chunks, so that a yes was not written before anybody could say it
_WORDS = re.compile(r'[^\W\d_]+')
_YES = {'yes', 'yeah', 'yep', 'sure', 'ok', 'okay', 'please', 'confirm', 'confirmed', 'ja', 'oui', 'si', 'sí', 'sim'}
_NO = {'no', 'nope', 'not', 'don', 'dont', 'never', 'stop', 'cancel', 'nein', 'nicht', 'non', 'não', 'nao'}
_CHINESE_YES, _CHINESE_NO = ('好', '是', '可以', '行', '确认'), ('不', '别', '没', '取消', '停')


class Outcome(IntEnum):
    """An `Outcome` is what became of a call, numbered as in msg/ToolResult.msg."""

    ASKED = 0
    DONE = 1
    FAILED = 2
    REFUSED = 3


@dataclass(frozen=True)
class Result:
    """A `Result` is what is told of a call; `kind` is under which name a refusal or a failure is counted."""

    id: str
    tool: str
    outcome: Outcome
    text: str
    kind: str = ''


@dataclass
class Case:
    """A `Case` is a call that was taken, until its result; times are in seconds."""

    id: str
    call: Call
    came_s: float
    response_id: str = ''
    begun_s: float | None = None
    asked_s: float | None = None

    @property
    def timeout_s(self) -> float:
        """Return how long its tool may take."""
        return self.call.tool.timeout_s


@dataclass
class Due:
    """A `Due` holds what is to be begun now, and what is to be told."""

    begin: list[Case] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


class ToolDesk:
    """A `ToolDesk` takes calls, keeps at most `queue_max` of them, and lets none through that is not as declared.

    At most one waits for a yes at a time, so that a yes can mean nothing else. `counts` says how many were refused or
    failed, by kind, and how many were `done`.
    """

    def __init__(
        self, tools: Tools, queue_max: int, confirm_within_s: float, repeat_after_s: float, by_voice: bool = True
    ) -> None:
        """A call like one that came less than `repeat_after_s` before is refused.

        `by_voice`: the model may say that it heard a yes.
        """
        self._tools, self._queue_max, self._by_voice = tools, queue_max, by_voice
        self.confirm_within_s, self.repeat_after_s = confirm_within_s, repeat_after_s
        self.counts: Counter[str] = Counter()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lately: dict[str, float] = {}
        self._open: dict[str, Case] = {}
        self._waiting: Case | None = None  # for a yes

    @property
    def open(self) -> int:
        """Return how many calls are neither done, failed nor refused."""
        return len(self._open)

    @property
    def waiting(self) -> Case | None:
        """Return the call that waits for a yes."""
        return self._waiting

    def case(self, id: str) -> Case | None:
        """Return the open call of an id."""
        return self._open.get(id)

    def take(self, id: str, tool: str, arguments: str, response_id: str, now_s: float) -> Due:
        """Take a call as it came, its arguments as JSON; what is wrong with it is its result."""
        # What comes again has no result of its own: that of its id is of the call that came first.
        known = id in self._known or id in self._open
        try:
            if known:
                raise CallError('repeated', 'a call with this id came before; give every call an id of its own')
            return self._taken(id, tool, arguments, response_id, now_s)
        except CallError as error:
            shown = '' if known else id[:_MAX_ID]
            return Due(results=[self._over(shown, tool[:_MAX_ID], Outcome.REFUSED, str(error), error.kind)])

    def confirm(self, id: str, answer: str, now_s: float) -> tuple[bool, str, Due]:
        """Take somebody's words as the answer for the call that waits, whose `id` may be given.

        Return whether they are one, why not or what follows, and what is due.
        """
        case = self._waiting
        if case is None or (id and id != case.id):
            return False, 'no such call waits for a yes; it may be too late', Due()
        yes = is_yes(answer)
        if yes is None:
            return False, 'the answer is neither a yes nor a no; say one of the two', Due()
        due = self._answered(case, yes, now_s)
        return True, f"'{case.call.tool.name}' is {'begun' if yes else 'not done'}", due

    def due(self, now_s: float) -> Due:
        """Return what was waited for in vain."""
        due = Due()
        case = self._waiting
        if case is not None and case.asked_s is not None and now_s - case.asked_s >= self.confirm_within_s:
            text = f"nobody said yes to '{case.call.tool.name}' within {self.confirm_within_s:g} s, so it was not done"
            due.results.append(self._over(case.id, case.call.tool.name, Outcome.REFUSED, text, 'unconfirmed'))
        for case in list(self._open.values()):
            if case.begun_s is not None and now_s - case.begun_s >= case.timeout_s:
                text = f"the tool '{case.call.tool.name}' did not answer within {case.timeout_s:g} s"
                due.results.append(self._over(case.id, case.call.tool.name, Outcome.FAILED, text, 'timed_out'))
        return due

    def done(self, id: str, text: str) -> Result | None:
        """Return the result of a call that was carried out; None where it is over already."""
        case = self._open.get(id)
        return self._over(id, case.call.tool.name, Outcome.DONE, text, 'done') if case else None

    def failed(self, id: str, text: str) -> Result | None:
        """Return the result of a call that failed; None where it is over already."""
        case = self._open.get(id)
        if case is None:
            return None
        self._lately.pop(_key(case.call), None)  # it may be tried again at once
        return self._over(id, case.call.tool.name, Outcome.FAILED, text, 'failed')

    def close(self) -> list[Result]:
        """Refuse whatever is open."""
        return [
            self._over(case.id, case.call.tool.name, Outcome.REFUSED, 'the tools were switched off', 'closed')
            for case in list(self._open.values())
        ]

    def _taken(self, id: str, tool: str, arguments: str, response_id: str, now_s: float) -> Due:
        if not id or len(id) > _MAX_ID:
            raise CallError('malformed', f'a call has an id of {len(id)} characters, 1 to {_MAX_ID} expected; give one')
        self._known[id] = None
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        call = self._tools.call(tool, object_of(arguments))
        if tool == CONFIRM:
            return self._heard(str(call.arguments['answer']), response_id, now_s)
        key = _key(call)
        self._lately = {each: when for each, when in self._lately.items() if now_s - when < self.repeat_after_s}
        same = any((one.call.tool.name, one.call.arguments) == (tool, call.arguments) for one in self._open.values())
        if same or key in self._lately:
            self._lately[key] = now_s
            raise CallError('repeated', f"'{tool}' was called so just now; wait, or give other arguments")
        if len(self._open) >= self._queue_max:
            raise CallError('queue_full', f'{len(self._open)} calls are open already; call it later')
        case = Case(id, call, now_s, response_id)
        if not call.tool.needs_confirmation(call.arguments):
            self._open[id], self._lately[key], case.begun_s = case, now_s, now_s
            return Due(begin=[case])
        if self._waiting is not None:
            waiting = self._waiting.call.tool.name
            raise CallError('queue_full', f"'{waiting}' waits for a yes already; answer that first")
        self._open[id], self._lately[key] = case, now_s
        self._waiting, case.asked_s = case, now_s
        question = question_of(call)
        return Due(results=[Result(id, tool, Outcome.ASKED, question)])

    def _heard(self, answer: str, response_id: str, now_s: float) -> Due:
        """The model says that it heard a yes or a no: never in the response that made the call, nor at once."""
        case = self._waiting
        if case is None or case.asked_s is None:
            raise CallError('unconfirmed', 'no call waits for a yes; call a tool first')
        if not self._by_voice:
            raise CallError('unconfirmed', 'the model may not confirm a call itself; use the service ai/tool_confirm')
        if response_id == case.response_id or now_s - case.asked_s < _HEARD_AFTER_S:
            raise CallError('unconfirmed', 'nobody can have answered so soon; wait for a yes')
        return self._answered(case, answer == 'yes', now_s)

    def _answered(self, case: Case, yes: bool, now_s: float) -> Due:
        self._waiting = None
        if yes:
            case.begun_s = now_s
            return Due(begin=[case])
        text = f"somebody said no to '{case.call.tool.name}', so it was not done"
        return Due(results=[self._over(case.id, case.call.tool.name, Outcome.REFUSED, text, 'declined')])

    def _over(self, id: str, tool: str, outcome: Outcome, text: str, kind: str) -> Result:
        case = self._open.pop(id, None)
        if case is not None and case is self._waiting:
            self._waiting = None
        self.counts[kind] += 1
        return Result(id, tool, outcome, text, kind)


def _key(call: Call) -> str:
    """Return what two calls of the same have in common."""
    return f'{call.tool.name} {json.dumps(call.arguments, sort_keys=True)}'


def question_of(call: Call) -> str:
    """Return what somebody is asked before a call is carried out."""
    tool = call.tool
    if tool.question:
        return filled(tool.question, call.arguments)
    given = ', '.join(f'{name} {value}' for name, value in call.arguments.items())
    return f'Shall I do this: {tool.name.replace("_", " ")}{f" ({given})" if given else ""}?'


def filled(text: str, arguments: Mapping[str, Any]) -> str:
    """Return a text with `${name}` replaced by the argument of that name, by nothing where it was not given."""
    return re.sub(r'\$\{(\w+)\}', lambda match: _said(arguments.get(match[1], '')), text)


def is_yes(answer: str) -> bool | None:
    """Return whether words are a yes or a no; None where they are neither, or say both."""
    words = set(_WORDS.findall(answer[:_MAX_ID].lower()))
    no = bool(words & _NO) or any(each in answer for each in _CHINESE_NO)
    yes = bool(words & _YES) or any(each in answer for each in _CHINESE_YES)
    # 'No, yes' and 'not sure' are not a yes.
    return None if yes == no else yes


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
