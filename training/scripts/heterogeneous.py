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
from training.streams import Role

MOST_ROUNDS_OF_ONE = 3
_TRIES = 20  # for a script that is asked for aloud: half of them are
_LEAST_LEFT_S = 6.0  # of a stream, for another ability to begin in
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
    scripts = [generator(*first)(shelf, rng)]
    lines: list[Line] = []
    abilities: list[Ability] = []
    while True:
        script = scripts[-1]
        abilities.append(Ability(category=script.category, task=script.task, line=len(lines)))
        most = min(MOST_ROUNDS_OF_ONE, max(1, wanted - count_rounds(lines) - (len(scripts) == 1)))
        lines += _beginning(script, int(rng.integers(1, most + 1)))
        used_s = sum(line_s(line) for line in lines if line.role is Role.FOREGROUND)
        if len(scripts) > 1 and (count_rounds(lines) >= wanted or used_s > longest_s - _LEAST_LEFT_S):
            break
        if stands(script.task):
            end = pick(rng, texts()['enough'])
            say = (Say(text=end['answer']),)
            lines.append(Line(hear=Speech(text=end['say']), say=say, gap_s=pause_s(rng, 0.6, 1.5)))
        scripts.append(_another(script.category, shelf, draw, rng))
    return Script(
        category=first[0],
        task=first[1],
        lines=tuple(lines),
        instruction=scripts[0].instruction,
        aloud=all(script.aloud for script in scripts),
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


def _another(before: str, shelf: Shelf, draw: Draw, rng: np.random.Generator) -> Script:
    """Return a script of another ability, without the text prefix that only the beginning of a stream can have."""
    drawn = [(category, task) for category, task in (draw(rng) for _ in range(_TRIES)) if category != before]
    others = drawn or [(category, task) for category, task in all_tasks() if category != before]
    script = None
    for category, task in others:
        try:
            script = generator(category, task)(shelf, rng)
        except ClipStoreError as error:  # another will do
            lacking = error
            continue
        if not script.instruction:
            return script
    if script is None:
        raise lacking
    # What chance had written down each time is said aloud.
    confirmed = (Say(text='All right.'),)
    request = Line(hear=Speech(text=script.instruction), say=confirmed, gap_s=pause_s(rng, 0.6, 1.5))
    return script.model_copy(update={'instruction': '', 'lines': (request, *script.lines)})


def _beginning(script: Script, rounds: int) -> list[Line]:
    """Return a script up to the end of one of its rounds, with the spoken request that may come before the first.

    Of a script in which nothing is answered, some lines.
    """
    request = stands(script.task) and not script.instruction
    answered = [index for index, line in enumerate(script.lines) if line.say][request:]
    if answered:
        return list(script.lines[: answered[:rounds][-1] + 1])
    return list(script.lines[: _LINES_OF_SILENCE + request])
