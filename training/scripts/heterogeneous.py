"""A heterogeneous stream holds several abilities one after the other, some rounds of each (paper §4.1, Figure 6).

A round is something heard that is answered, with what is heard before it and not answered. A task that somebody asked
for ends in words before the next begins: nothing else would say that what follows is not dictated any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from training.clips.store import ClipStoreError
from training.scripts.sampler import all_tasks, generator
from training.scripts.script import Ability, Line, Say, Script, Speech, pause_s, pick, texts
from training.scripts.shelf import Shelf
from training.streams import Role, speaking_s

MOST_ROUNDS_OF_ONE = 3
_TRIES = 8  # for a script that fits into what is left
_FILLED = 0.8  # of a stream; what is mixed in needs room, too, and some speak slowly
_LEAST_LEFT_S = 5.0  # of a stream, for another ability to begin in
_LINES_OF_SILENCE = 3  # of an ability that calls for no answer

Draw = Callable[[np.random.Generator], tuple[str, str]]


def line_s(line: Line) -> float:
    """Return about how many seconds a line takes, with the pause before it."""
    said = len(line.hear.text) / 14.0 if isinstance(line.hear, Speech) else 0.8 * line.hear.longest_s
    return line.gap_s + said


def write_heterogeneous(
    first: tuple[str, str],
    shelf: Shelf,
    draw: Draw,
    rounds: tuple[int, int],
    longest_s: float,
    rng: np.random.Generator,
) -> Script:
    """Return a script of `rounds` (fewest, most) that begins with the sub-task `first`, a (category, sub-task).

    `draw` gives those that follow; no ability comes twice in a row. No further one begins where there is no time for it
    in `longest_s` (seconds), but there are always two. Raises ClipStoreError where clips are lacking.
    """
    wanted = int(rng.integers(rounds[0], rounds[1] + 1))
    room_s = _FILLED * longest_s
    scripts = [generator(*first)(shelf, rng)]
    lines: list[Line] = []
    abilities: list[Ability] = []
    while True:
        script = scripts[-1]
        abilities.append(Ability(category=script.category, task=script.task, line=len(lines)))
        most = min(MOST_ROUNDS_OF_ONE, max(1, wanted - count_rounds(lines) - (len(scripts) == 1)))
        # Half of it for the first, so that there is room for another.
        left_s = (room_s / 2 if len(scripts) == 1 else room_s) - _length_s(lines)
        lines += _beginning(script, int(rng.integers(1, most + 1)), left_s)
        if len(scripts) > 1 and (count_rounds(lines) >= wanted or _length_s(lines) > room_s - _LEAST_LEFT_S):
            break
        if stands(script.task):
            end = pick(rng, texts()['enough'])
            say = (Say(text=end['answer']),)
            lines.append(Line(hear=Speech(text=end['say']), say=say, gap_s=pause_s(rng, 0.6, 1.5)))
        scripts.append(_another(script.category, shelf, draw, room_s - _length_s(lines), rng))
    answers_s = sum(speaking_s(say.text, say.language) for line in lines for say in line.say)
    return Script(
        category=first[0],
        task=first[1],
        lines=tuple(lines),
        instruction=scripts[0].instruction,
        aloud=all(script.aloud for script in scripts) and _length_s(lines) + answers_s <= room_s,
        made_by=', '.join(dict.fromkeys(script.made_by for script in scripts)),
        notes=tuple(note for script in scripts for note in script.notes),
        abilities=tuple(abilities),
    )


def stands(task: str) -> bool:
    """Return whether a sub-task is asked for once and then stays in force."""
    return task in texts()['instructions']


def count_rounds(lines: Sequence[Line]) -> int:
    """Return how many of the lines are answered, however many words the answer is given in."""
    return sum(bool(line.say) for line in lines)


def _length_s(lines: Sequence[Line]) -> float:
    return sum(line_s(line) for line in lines if line.role is Role.FOREGROUND)


def _another(before: str, shelf: Shelf, draw: Draw, left_s: float, rng: np.random.Generator) -> Script:
    """Return a script of another ability of which a round takes no longer than `left_s`, or the shortest of some.

    It has no text prefix, which only the beginning of a stream can have.
    """
    drawn = [(category, task) for category, task in (draw(rng) for _ in range(_TRIES)) if category != before]
    others = drawn or [(category, task) for category, task in all_tasks() if category != before]
    shortest: tuple[float, Script] | None = None
    for category, task in others:
        try:
            script = _aloud(generator(category, task)(shelf, rng), rng)
        except ClipStoreError as error:  # another will do
            lacking = error
            continue
        length_s = _length_s(_beginning(script, 1, left_s))
        if length_s <= left_s:
            return script
        if shortest is None or length_s < shortest[0]:
            shortest = length_s, script
    if shortest is None:
        raise lacking
    return shortest[1]


def _aloud(script: Script, rng: np.random.Generator) -> Script:
    """Return a script whose instruction is said, where it was written."""
    if not script.instruction:
        return script
    confirmed = (Say(text='All right.'),)
    request = Line(hear=Speech(text=script.instruction), say=confirmed, gap_s=pause_s(rng, 0.6, 1.5))
    return script.model_copy(update={'instruction': '', 'lines': (request, *script.lines)})


def _beginning(script: Script, rounds: int, at_most_s: float) -> list[Line]:
    """Return a script up to the end of one of its rounds, with the spoken request that may come before the first.

    There are fewer `rounds` where they would take longer than `at_most_s` (seconds), but one at least. Of a script in
    which nothing is answered, some lines.
    """
    request = stands(script.task) and not script.instruction
    answered = [index for index, line in enumerate(script.lines) if line.say][request:]
    if not answered:
        return list(script.lines[: _LINES_OF_SILENCE + request])
    ends = [index + 1 for index in answered[:rounds]]
    fitting = [end for end in ends if _length_s(script.lines[:end]) <= at_most_s]
    return list(script.lines[: max(fitting, default=ends[0])])
