"""Marks on a recording, made by keys one after another; what is marked is on the disk before the next key."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from audio_interaction_ros.labels import COLUMNS, LabelsError, read_labels, write_labels
from audio_interaction_ros.matching import SceneEvent

UNNAMED, SPEECH = 'unnamed', 'speech'
SHORTEST_S = 0.05
_BEGUN_S = 0.5  # what a mark lasts until its end is marked
_MOST_UNDOS = 1_000
_KINDS = {'e': (UNNAMED, True), 's': (UNNAMED, False), 'w': (SPEECH, False)}


@dataclass(frozen=True)
class _State:
    events: tuple[SceneEvent, ...]
    selected: SceneEvent | None
    open: bool


class Marks:
    """`Marks` are the labels of a recording of `duration_s` seconds, kept in the CSV file at `path`.

    `version` counts their changes, `problem` says why the last one is not on the disk; '' where it is. `asking` is what
    the page asks to be typed just now: 'category', 'words' or ''.
    """

    def __init__(self, path: Path, duration_s: float) -> None:
        """Open what was marked before. Raises LabelsError for a file that is no labels, or has columns of its own."""
        self.path, self.duration_s = path, duration_s
        self.version, self.problem, self.asking = 0, '', ''
        found: tuple[SceneEvent, ...] = ()
        if path.exists():
            found = tuple(read_labels(path, may_be_empty=True))
            with path.open(newline='', encoding='utf-8') as file:
                strange = sorted(set(next(csv.reader(file), [])) - set(COLUMNS))
            if strange:
                raise LabelsError(
                    f"'{path}' has a column '{strange[0]}', which would be lost; give another file with --labels"
                )
        self._now = _State(found, found[0] if found else None, False)
        self._before: list[_State] = []

    @property
    def events(self) -> tuple[SceneEvent, ...]:
        """Return the marks in order of their onset."""
        return self._now.events

    @property
    def selected(self) -> SceneEvent | None:
        """Return the mark that the keys are about."""
        return self._now.selected

    @property
    def is_open(self) -> bool:
        """Return whether the selected mark was begun and its end is still to come."""
        return self._now.open

    def press(self, key: str, at_s: float, text: str = '') -> None:
        """Do what a key means where the cursor is at `at_s` seconds; what means nothing changes nothing.

        `e`, `s`, `w` begin a mark (that deserves an answer, silence, words), and end it. `name` gives the selected one
        its category, or its words; `rename` asks for that. `[` and `]` put its onset and its end to the cursor, `r`
        changes whether it deserves an answer, `x` removes it, `n` and `p` select the next and the previous one, `u`
        undoes. With `keep` nothing is typed.
        """
        at_s = min(max(at_s, 0.0), self.duration_s)
        chosen = self._now.selected
        self.asking = ''
        if key in _KINDS:
            self._begin_or_end(key, at_s)
        elif key == 'u':
            if self._before:
                self._now = self._before.pop()
                self._save()
        elif chosen is None:
            return
        elif key in ('n', 'p'):
            place = self._place(chosen) + (1 if key == 'n' else -1)
            if 0 <= place < len(self._now.events):
                self._now = _State(self._now.events, self._now.events[place], False)
                self.version += 1
        elif key == 'rename':
            self._ask(chosen)
        elif key == 'name':
            said = ' '.join(text.split())
            changed = {'text': said} if chosen.category == SPEECH else {'category': said or chosen.category}
            self._change(chosen, chosen.model_copy(update=changed))
        elif key == 'r':
            self._change(chosen, chosen.model_copy(update={'hazard': not chosen.hazard}))
        elif key == '[':
            self._move(chosen, at_s, chosen.end_s)
        elif key == ']':
            self._move(chosen, chosen.onset_s, at_s)
        elif key == 'x':
            place = self._place(chosen)
            left = tuple(event for event in self._now.events if event is not chosen)
            self._become(_State(left, left[min(place, len(left) - 1)] if left else None, False))

    def retry(self) -> None:
        """Save again what could not be saved."""
        if self.problem:
            self._save()

    def _place(self, event: SceneEvent) -> int:
        """Two marks may be equal."""
        return next(place for place, one in enumerate(self._now.events) if one is event)

    def _begin_or_end(self, key: str, at_s: float) -> None:
        chosen = self._now.selected
        category, respond = _KINDS[key]
        if self._now.open and chosen is not None:
            self._move(chosen, chosen.onset_s, max(at_s, chosen.onset_s + SHORTEST_S))
            if (ended := self._now.selected) is not None:
                self._ask(ended)
            return
        onset_s = min(at_s, self.duration_s - SHORTEST_S)
        # Marked at once, with an end of its own: a page that is closed now has lost nothing.
        begun = SceneEvent(
            onset_s=onset_s, end_s=min(onset_s + _BEGUN_S, self.duration_s), category=category, hazard=respond
        )
        self._become(_State(_ordered((*self._now.events, begun)), begun, True))

    def _ask(self, event: SceneEvent) -> None:
        self.asking = 'words' if event.category == SPEECH else 'category'
        self.version += 1

    def _move(self, event: SceneEvent, onset_s: float, end_s: float) -> None:
        if end_s - onset_s >= SHORTEST_S - 1e-9:
            self._change(event, event.model_copy(update={'onset_s': onset_s, 'end_s': end_s}))

    def _change(self, event: SceneEvent, changed: SceneEvent) -> None:
        events = tuple(changed if one is event else one for one in self._now.events)
        self._become(_State(_ordered(events), changed, False))

    def _become(self, state: _State) -> None:
        self._before = [*self._before[-_MOST_UNDOS:], self._now]
        self._now = state
        self._save()

    def _save(self) -> None:
        self.version += 1
        try:
            write_labels(self.path, self._now.events)
            self.problem = ''
        except OSError as error:
            self.problem = f"'{self.path}' cannot be written ({error.strerror or error}); make room, or let me write"


def _ordered(events: tuple[SceneEvent, ...]) -> tuple[SceneEvent, ...]:
    return tuple(sorted(events, key=lambda event: (event.onset_s, event.end_s)))
