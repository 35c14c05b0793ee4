"""What the model is told beside sound: an instruction and a digital context, changed at any time, by any thread."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from audio_interaction_ros.model.checkpoint import DecoderHalf
from audio_interaction_ros.model.plain_text import plain_ids
from audio_interaction_ros.streaming.context import DigitalContext, ToldError, require_plain

MAX_INSTRUCTION = 4_000  # characters: what is longer is refused before it is tokenised
MAX_RESULTS, MAX_RESULT, RESULT_S = 4, 1_000, 300.0  # results of tools that are known; characters; seconds for which


@dataclass(frozen=True)
class ToolResult:
    """A `ToolResult` is what became of a call; `outcome` says how: asks, done, failed or refused."""

    id: str
    tool: str
    outcome: str
    text: str
    expires_s: float

    def as_json(self) -> dict[str, str]:
        """Return it as the model reads it."""
        return {'tool': self.tool, self.outcome: self.text}


@dataclass(frozen=True)
class Wording:
    """A `Wording` is what the model is to be told: the instruction in force, and the context without what is stale.

    `instruction` is '' for the checkpoint's own; `by_topic`: it is not the parameter's. `tools`: the text of those
    that the model may call; `results`: what became of its calls.
    """

    instruction: str = ''
    by_topic: bool = False
    context: DigitalContext = field(default_factory=DigitalContext)
    tools: str = ''
    results: tuple[ToolResult, ...] = ()

    @property
    def behind(self) -> str:
        """Return what stands behind the context: the tools, and what became of calls."""
        shown = [result.as_json() for result in self.results]
        return self.tools + (f'\nTool results: {json.dumps(shown, ensure_ascii=False)}' if shown else '')

    @property
    def outline(self) -> str:
        """Return what it is made of in one line, without a word of what it says."""
        of = 'of the checkpoint'
        if self.instruction:
            of = f'{"by topic" if self.by_topic else "by parameter"} ({len(self.instruction)} characters)'
        tools = ', tools' if self.tools else ''
        tools += f', {len(self.results)} results of tools' if self.results else ''
        return f'instruction {of}, context: {self.context.outline}{tools}'


@dataclass(frozen=True)
class Telling:
    """A `Telling` is a `Wording` as the model reads it: the token ids that every stream starts with.

    `instructed`: the instruction is another than the checkpoint's own. `took_s`: how long it took to read the context
    anew, in seconds, once that was done.
    """

    wording: Wording
    prefix: tuple[int, ...]
    instructed: bool
    took_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return what is in force, for `ai/told`: the instruction, who gave it, and the context.

        `instruction` is '' for the checkpoint's own, `context` as the model reads it; `tokens`: how many it reads.
        `results`, where there are some, holds what became of calls of tools.
        """
        wording = self.wording
        by = 'topic' if wording.by_topic else 'parameter' if wording.instruction else 'checkpoint'
        context = json.loads(wording.context.text or '{}')
        told = {'instruction': wording.instruction, 'by': by, 'context': context, 'tokens': len(self.prefix)}
        results = [result.as_json() for result in wording.results]
        return told | ({'results': results} if results else {})


_ARTICLES = {'instruction': 'an instruction', 'context': 'a context', 'tools': 'tools', 'result': 'a result'}


class Told:
    """A `Told` keeps the newest instruction and context until a session may be told, and drops what is stale.

    Of what comes meanwhile the last counts. `due` and `done` are for the thread that runs the session, all else is for
    any thread.
    """

    def __init__(
        self,
        half: DecoderHalf,
        longest: int,
        instruction: str = '',
        now_s: Callable[[], float] = time.time,
        took_effect: Callable[[Telling], None] = lambda telling: None,
        tools: str = '',
    ) -> None:
        """Begin with the parameter's `instruction`, '' for the checkpoint's own, which the session was made with.

        `longest`: how many tokens the session takes. `now_s`: the time in seconds since 1970, by which entries expire.
        `took_effect` is called in the session's thread when it has been told. `tools`: the text of those that it may
        call, which it is told first. Raises ToldError as `instruct`, and for tools that do not fit.
        """
        self._half, self._longest, self._now_s, self._took_effect = half, longest, now_s, took_effect
        self._lock = threading.Lock()
        self._parameter, self._topic, self._context = _checked(instruction), '', DigitalContext()
        self._next_expiry_s = math.inf
        self._tools, self._results = '', tuple[ToolResult, ...]()
        self.in_force = self._next = self._telling(self._parameter, '', self._context, 'instruction')
        self._tools = tools
        self._next = self._telling(self._parameter, '', self._context, 'tools') if tools else self.in_force
        self.changes = self.coalesced = 0  # tellings that took effect; that another replaced before they could
        self.longest_s = 0.0  # that reading the context anew has taken

    def instruct(self, text: str) -> None:
        """Take another instruction; an empty one is the parameter's again.

        Raises ToldError for one that is too long or has a control character; nothing changes then.
        """
        text = _checked(text)
        with self._lock:
            self._prepare(self._fitted(self._parameter, text, self._context, 'instruction'))
            self._topic = text

    def instruct_by_parameter(self, text: str) -> None:
        """Take another instruction of the parameter's, '' for the checkpoint's own; raise as `instruct`."""
        text = _checked(text)
        with self._lock:
            self._prepare(self._fitted(text, self._topic, self._context, 'instruction'))
            self._parameter = text

    def require_fitting(self, text: str) -> None:
        """Raise ToldError where `instruct_by_parameter` would, were no other instruction in force."""
        text = _checked(text)
        with self._lock:
            self._telling(text, '', self._context, 'instruction')

    def give_context(self, text: str) -> None:
        """Take another context, JSON as in `DigitalContext`, in the place of all of the one before.

        Raises ToldError where it is none, or too long; nothing changes then.
        """
        context = DigitalContext.parse(text)
        with self._lock:
            self._prepare(self._fitted(self._parameter, self._topic, context, 'context'))
            self._context = context
            self._next_expiry_s = self._expiry_s(self._now_s())

    def give_result(self, id: str, tool: str, outcome: str, text: str) -> None:
        """Take what became of a call, in the place of what was known of it; the newest `MAX_RESULTS` are kept.

        Older ones are left out sooner where there is no room. Raises ToldError for a text that is too long, has a
        control character, or does not fit even alone; nothing changes then.
        """
        if max(len(text), len(id), len(tool)) > MAX_RESULT:
            raise ToldError(f'a result of {len(text)} characters found, at most {MAX_RESULT} expected; shorten it')
        require_plain(f'{id}{tool}{text}', 'the result')
        with self._lock:
            before, now_s = self._results, self._now_s()
            others = [result for result in before if result.id != id and result.expires_s > now_s]
            self._results = (*others, ToolResult(id, tool, outcome, text, now_s + RESULT_S))[-MAX_RESULTS:]
            try:
                self._prepare(self._fitted(self._parameter, self._topic, self._context, 'result'))
            except ToldError:
                self._results = before
                raise
            self._next_expiry_s = self._expiry_s(now_s)

    @property
    def known(self) -> DigitalContext:
        """Return the newest context without what is stale, also where the session has not been told it yet."""
        return self._context.at(self._now_s())

    def due(self) -> Telling | None:
        """Return what the session is to be told now; None where it has been told all."""
        if self._next is self.in_force and (math.isinf(self._next_expiry_s) or self._now_s() < self._next_expiry_s):
            return None
        with self._lock:
            now_s = self._now_s()
            if now_s >= self._next_expiry_s:
                self._results = tuple(result for result in self._results if result.expires_s > now_s)
                self._next_expiry_s = self._expiry_s(now_s)
                self._prepare(self._telling(self._parameter, self._topic, self._context, 'context'))
            return None if self._next is self.in_force else self._next

    def done(self, telling: Telling, took_s: float) -> None:
        """Note that the session has been told, which took so many seconds."""
        told = replace(telling, took_s=took_s)
        with self._lock:
            if self._next is telling:
                self._next = told
            self.in_force = told
            self.changes += 1
            self.longest_s = max(self.longest_s, took_s)
        self._took_effect(told)

    def _prepare(self, telling: Telling) -> None:
        """What is told already is not told again, and what was to be told next is told no more."""
        if telling.prefix == self._next.prefix:
            return
        self.coalesced += self._next is not self.in_force
        self._next = self.in_force if telling.prefix == self.in_force.prefix else telling

    def _expiry_s(self, now_s: float) -> float:
        """When next something of what the model is told is to be left out."""
        expiries = (result.expires_s for result in self._results)
        return min(self._context.next_expiry_s(now_s), *expiries, math.inf)

    def _fitted(self, parameter: str, topic: str, context: DigitalContext, new: str) -> Telling:
        """Leave out the oldest results, but for a new one, until all fits; raise ToldError where it never does."""
        before = self._results
        while True:
            try:
                return self._telling(parameter, topic, context, new)
            except ToldError:
                if len(self._results) <= (new == 'result'):
                    self._results = before
                    raise
                self._results = self._results[1:]

    def _telling(self, parameter: str, topic: str, context: DigitalContext, new: str) -> Telling:
        """Raises ToldError where it is too long, with the length of what is `new`."""
        wording = Wording(topic or parameter, bool(topic), context.at(self._now_s()), self._tools, self._results)
        own = self._half.config.streaming.instruction
        instruction = self._ids(wording.instruction or own)
        known = self._ids(wording.context.behind)
        behind = self._ids(wording.behind)
        prefix = self._half.protocol.prefix([*instruction, *known, *behind])
        if (excess := len(prefix) - self._longest) > 0:
            length = len({'instruction': instruction, 'context': known}.get(new, behind))
            raise ToldError(
                f'{_ARTICLES[new]} of {length} tokens found, at most '
                f'{max(0, length - excess)} fit into the context of this checkpoint beside what else it is told; '
                'shorten it'
            )
        return Telling(wording, tuple(prefix), bool(wording.instruction) and wording.instruction != own)

    def _ids(self, text: str) -> list[int]:
        try:
            return plain_ids(self._half.tokenizer, text, self._half.protocol.special_ids())
        except ValueError as error:
            raise ToldError(str(error)) from error


def _checked(instruction: str) -> str:
    """Return it without spaces around it."""
    if len(instruction) > MAX_INSTRUCTION:
        raise ToldError(
            f'an instruction of {len(instruction)} characters found, at most {MAX_INSTRUCTION} expected; shorten it'
        )
    require_plain(instruction, 'the instruction')
    return instruction.strip()
