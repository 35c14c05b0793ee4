"""What is said next: urgent first and at once, chatty last, nothing twice, nothing stale. It knows no clock.

Callbacks tell it what there is to say and return at once; one thread takes a clause at a time, and says it.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from enum import IntEnum

from audio_interaction_ros.voice.clauses import MAX_TEXT_CHARACTERS, ClauseSplitter, speakable

_KNOWN = 1_000  # utterances that are over and are still known, so that they are not said again
_PATIENCE_S = 1.0  # for the next clause of what is being said; then something else may be said
_ABANDONED_S = 30.0  # no text came any more and the utterance was never final: its writer has died


class Urgency(IntEnum):
    """An `Urgency` says when something is said; the values are those of the message `Speaking`."""

    CHATTY = 0
    NORMAL = 1
    URGENT = 2


class RefusedError(ValueError):
    """A `RefusedError` says why a text will not be said."""


@dataclass(eq=False)
class Utterance:
    """An `Utterance` is one response, or one text of another node, with what of it is said and still to be said."""

    id: str
    urgency: Urgency
    emotion: str
    arrived_s: float
    age_s: float  # of what it answers, when it arrived
    order: int
    splitter: ClauseSplitter = field(default_factory=ClauseSplitter)
    clauses: deque[tuple[str, float]] = field(default_factory=deque)
    said: list[str] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)
    touched_s: float = 0.0
    final: bool = False
    begun: bool = False
    over: bool = False  # nothing more of it is said
    broken_off: bool = False


@dataclass(frozen=True)
class Clause:
    """A `Clause` is what is to be said now, with the time at which its text came.

    `interrupted` is set as soon as it is to be said no longer.
    """

    text: str
    written_s: float
    utterance: Utterance

    @property
    def interrupted(self) -> threading.Event:
        """Return the event that ends it at once."""
        return self.utterance.interrupted


class Mouth:
    """A `Mouth` keeps what there is to say, in order, and bounded. From any thread; times are in seconds, of one clock.

    `counts` says how many utterances were not said to their end, by cause: `stale`, `queue_full`, `quiet_hours`,
    `preempted`, `cancelled`, `barged_in`; and of how many the end was left out (`too_long`).
    """

    def __init__(self, queue_max: int, stale_after_s: float) -> None:
        """Keep at most `queue_max` utterances that wait, each for at most `stale_after_s`."""
        self.queue_max, self.stale_after_s = queue_max, stale_after_s
        self.counts: Counter[str] = Counter()
        self.changed = threading.Event()  # there may be something new to say
        self._lock = threading.Lock()
        self._order = itertools.count(1)
        self._known: OrderedDict[str, Utterance] = OrderedDict()
        self._open: list[Utterance] = []
        self._current: Utterance | None = None  # what was begun last
        self._saying: Clause | None = None  # what is being said just now

    def respond(
        self,
        id: str,
        text: str,
        now_s: float,
        *,
        urgent: bool = False,
        emotion: str = '',
        final: bool = False,
        cancelled: bool = False,
        age_s: float = 0.0,
    ) -> None:
        """Take a response's whole text so far; with `cancelled`, end it at once.

        What is over is not begun again, whatever comes for it. `age_s` is how long ago what it answers was heard.
        """
        with self._lock:
            utterance = self._known.get(id)
            if utterance is None:
                urgency = Urgency.URGENT if urgent else Urgency.NORMAL
                utterance = Utterance(id, urgency, emotion, now_s, age_s, next(self._order))
                if cancelled:
                    self._remember(utterance)
                    utterance.over = True
                    return
                self._admit(utterance)
            if utterance.over:
                return
            if cancelled:
                self._break_off(utterance, 'cancelled')
            else:
                self._add(utterance, text, final, now_s)

    def say(self, text: str, urgency: int, now_s: float, emotion: str = '', quiet: bool = False) -> str:
        """Take a text of another node and return its id.

        Raises RefusedError for one that is too long, that has nothing to pronounce in it, that is not urgent while it
        is `quiet`, or that is the least urgent while as many wait as may.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise RefusedError(
                f'the text has {len(text)} characters, at most {MAX_TEXT_CHARACTERS} expected; say it in parts'
            )
        if not speakable(text):
            raise RefusedError('the text has nothing in it to pronounce; give words')
        if urgency not in tuple(Urgency):
            raise RefusedError(f'urgency is {urgency}; give CHATTY (0), NORMAL (1) or URGENT (2)')
        if quiet and urgency < Urgency.URGENT:
            raise RefusedError('these are quiet hours, in which only what is urgent is said; say it later')
        with self._lock:
            waiting = self._waiting()
            if len(waiting) >= self.queue_max and min(one.urgency for one in waiting) > urgency:
                raise RefusedError(f'{len(waiting)} texts wait already, all more urgent; say it later')
            number = next(self._order)
            utterance = Utterance(f'say-{number}', Urgency(urgency), emotion, now_s, 0.0, number)
            self._admit(utterance)
            self._add(utterance, text, True, now_s)
            return utterance.id

    def cancel(self, id: str = '') -> int:
        """End what is being said or waits, of this id or, without one, all of it; return how many that were."""
        with self._lock:
            found = [utterance for utterance in self._open if id in ('', utterance.id)]
            for utterance in found:
                self._break_off(utterance, 'cancelled')
            return len(found)

    def barge_in(self, but: str = '') -> int:
        """End what was begun, because somebody talks over it; return how many that were.

        What is urgent goes on, and so does what has the id `but`.
        """
        with self._lock:
            found = [one for one in self._open if one.begun and one.urgency < Urgency.URGENT and one.id != but]
            for utterance in found:
                self._break_off(utterance, 'barged_in')
            return len(found)

    def next(self, now_s: float, quiet: bool = False, listens: bool = False) -> Clause | None:
        """Return what is to be said now; None where that is nothing. While it is `quiet`, only what is urgent.

        While it `listens` to somebody, all else waits too. Until `done` it is being said.
        """
        with self._lock:
            for utterance in self._waiting():
                if now_s - utterance.arrived_s + utterance.age_s > self.stale_after_s:
                    self._break_off(utterance, 'stale')
                elif quiet and utterance.urgency < Urgency.URGENT:
                    self._break_off(utterance, 'quiet_hours')
            for utterance in list(self._open):
                if not utterance.clauses and now_s - utterance.touched_s > _ABANDONED_S:
                    self._break_off(utterance, 'stale')
            chosen = self._chosen(now_s)
            if chosen is None or not chosen.clauses or (listens and chosen.urgency < Urgency.URGENT):
                return None
            chosen.begun = True
            self._current = chosen
            self._saying = Clause(*chosen.clauses.popleft(), chosen)
            return self._saying

    def done(self, clause: Clause, now_s: float, said: str) -> None:
        """Note that a clause is over, and what of it was `said`: '' where the engine failed."""
        utterance = clause.utterance
        with self._lock:
            self._saying = None
            if said:
                utterance.said.append(said)
            if utterance.over:
                return
            utterance.touched_s = now_s
            self._end_if_said(utterance)

    @property
    def waiting(self) -> int:
        """Return how many utterances wait to be begun."""
        with self._lock:
            return len(self._waiting())

    def _waiting(self) -> list[Utterance]:
        return [utterance for utterance in self._open if not utterance.begun]

    def _chosen(self, now_s: float) -> Utterance | None:
        """What is begun is gone on with, and waited for a little, unless something urgent has come meanwhile."""
        current = self._current
        ready = [utterance for utterance in self._open if utterance.clauses]
        if current is not None and not current.over and (
            current.clauses or now_s - current.touched_s < _PATIENCE_S
        ):  # fmt: skip
            ready = [one for one in ready if one.urgency == Urgency.URGENT > current.urgency] or [current]
        return max(ready, key=lambda one: (one.urgency, one.begun, -one.order), default=None)

    def _admit(self, utterance: Utterance) -> None:
        """Put it in its place: at the limit what is least urgent, and of that the oldest, is dropped."""
        self._remember(utterance)
        self._open.append(utterance)
        waiting = self._waiting()
        if len(waiting) > self.queue_max:
            self._break_off(min(waiting, key=lambda one: (one.urgency, one.order)), 'queue_full')
        if utterance.urgency == Urgency.URGENT:
            for other in list(self._open):
                if other.begun and other.urgency < Urgency.URGENT:
                    self._break_off(other, 'preempted')

    def _add(self, utterance: Utterance, text: str, final: bool, now_s: float) -> None:
        was_cut = utterance.splitter.cut
        utterance.clauses += [(clause, now_s) for clause in utterance.splitter.push(text, final)]
        self.counts['too_long'] += utterance.splitter.cut and not was_cut
        utterance.touched_s = now_s
        utterance.final = utterance.final or final
        self._end_if_said(utterance)
        self.changed.set()

    def _end_if_said(self, utterance: Utterance) -> None:
        # The clause that is being said is no longer among those to be said, and not yet among those that were.
        being_said = self._saying is not None and self._saying.utterance is utterance
        if utterance.final and not utterance.clauses and not being_said:
            self._close(utterance)

    def _break_off(self, utterance: Utterance, cause: str) -> None:
        self.counts[cause] += 1
        utterance.broken_off = True
        self._close(utterance)
        utterance.interrupted.set()
        self.changed.set()

    def _close(self, utterance: Utterance) -> None:
        utterance.over = True
        utterance.clauses.clear()
        self._open.remove(utterance)

    def _remember(self, utterance: Utterance) -> None:
        self._known[utterance.id] = utterance
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
