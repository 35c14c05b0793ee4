"""This module cuts the text sources' dialogues to what can be said, and draws them one by one.

They are kept as lines of JSON, in one file for each side of the split and for short and long ones, beside the places
where the lines begin.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.clips.ingest import SourceFolder, chosen_file
from training.clips.licences import permitted, write_left_out
from training.clips.manifest import read_dialogues
from training.files import whole
from training.sources.text import OPEN_TEXTS, Dialogue, Turn
from training.splits import SPLITS

LONGEST_CHARACTERS = {'en': 160, 'zh': 50}  # of a turn: some ten seconds
MOST_ROUNDS = 3
_LENGTHS = ('single', 'several')  # rounds
SENTENCE, REMARK = 'sentence', 'remark'  # of open texts: what nobody answers, and what is said and is no question


@dataclass(frozen=True)
class DialoguesPart:
    """A `DialoguesPart` is all the dialogues of one text source whose licence fits the patterns `licences`.

    Where it is `limited`, those that were chosen (`chosen_file`) are all.
    """

    source: SourceFolder
    licences: tuple[str, ...] = ()
    limited: bool = False

    @property
    def done(self) -> Path:
        """Return the file that says that this source has been written."""
        return dialogues_folder(self.source.corpus) / f'{self.source.name}.done'


def dialogues_folder(corpus: Path) -> Path:
    """Return the folder of a corpus that holds the dialogues of its text sources."""
    return corpus / 'library' / 'dialogues'


def sayable(dialogue: Dialogue) -> Dialogue | None:
    """Return the first rounds of a dialogue, three at most, as far as they are short and of one line each.

    It is None if the first round is not, or in a language for which `LONGEST_CHARACTERS` gives no length. A sentence
    that nobody answers is returned as it is, or not.
    """
    longest = LONGEST_CHARACTERS.get(dialogue.language, 0)
    if len(dialogue.turns) == 1:
        (turn,) = dialogue.turns
        return dialogue if len(turn.text) <= longest and '\n' not in turn.text else None
    kept: tuple[Turn, ...] = ()
    for asked, answered in zip(dialogue.turns[0::2], dialogue.turns[1::2], strict=True):
        if any(len(turn.text) > longest or '\n' in turn.text for turn in (asked, answered)):
            break
        kept = (*kept, asked, answered)
    return dialogue.model_copy(update={'turns': kept[: 2 * MOST_ROUNDS]}) if kept else None


def make_dialogues(part: DialoguesPart) -> int:
    """Write what can be said of a source, unless it is there, in constant memory.

    Return how many dialogues were written.
    """
    if part.done.exists():
        return 0
    folder = dialogues_folder(part.source.corpus)
    folder.mkdir(parents=True, exist_ok=True)
    opened = part.source.name == OPEN_TEXTS
    sorts = [(split, sort) for split in SPLITS for sort in (*_LENGTHS, *((SENTENCE, REMARK) if opened else ()))]
    begins: dict[tuple[str, str], list[int]] = {sort: [] for sort in sorts}
    paths = {sort: folder / f'{part.source.name}.{".".join(sort)}.jsonl' for sort in sorts}
    left_out: Counter[str] = Counter()
    chosen = np.load(chosen_file(part.source), mmap_mode='r') if part.limited else None
    with ExitStack() as stack:
        files = {sort: stack.enter_context(stack.enter_context(whole(path)).open('wb')) for sort, path in paths.items()}
        for number, dialogue in enumerate(read_dialogues(part.source.manifest)):
            if chosen is not None and not chosen[number]:
                continue
            if not permitted(dialogue.licence, part.licences):
                left_out[dialogue.licence] += 1
            elif said := sayable(dialogue):
                sort = said.split, _sort_of(said, opened)
                begins[sort].append(files[sort].tell())
                files[sort].write(said.model_dump_json().encode() + b'\n')
    for sort, path in paths.items():
        np.save(path.with_suffix('.npy'), np.array(begins[sort], np.int64))
    write_left_out(part.source.corpus, part.source.name, left_out)
    part.done.touch()
    return sum(map(len, begins.values()))


def _sort_of(dialogue: Dialogue, opened: bool) -> str:
    if len(dialogue.turns) == 1:
        return SENTENCE
    if opened and len(dialogue.turns) == 2 and not dialogue.turns[0].text.endswith('?'):
        return REMARK
    return _LENGTHS[len(dialogue.turns) > 2]


class Dialogues:
    """`Dialogues` draws from the dialogues of one side of the split.

    It is empty where a corpus has no text source.
    """

    def __init__(self, corpus: Path, split: str) -> None:
        self._files: dict[str, list[tuple[Path, np.ndarray]]] = {}
        for sort in (*_LENGTHS, SENTENCE, REMARK):
            paths = sorted(dialogues_folder(corpus).glob(f'*.{split}.{sort}.jsonl'))
            self._files[sort] = [(path, np.load(path.with_suffix('.npy'), mmap_mode='r')) for path in paths]

    def count(self, several: bool) -> int:
        """Return how many dialogues have one round, or several."""
        return self.count_of(_LENGTHS[several])

    def count_of(self, sort: str) -> int:
        """Return how many texts there are of a sort: 'sentence', 'remark', or dialogues, 'single' or 'several'."""
        return sum(len(begins) for _, begins in self._files[sort])

    def draw(self, rng: np.random.Generator, several: bool) -> Dialogue:
        """Return one of the dialogues of one round, or of several, each as likely as another.

        Raises ValueError where there is none.
        """
        return self.draw_of(rng, _LENGTHS[several])

    def draw_of(self, rng: np.random.Generator, sort: str) -> Dialogue:
        """Return one of the texts of a sort, as `count_of` has them, each as likely as another.

        Raises ValueError where there is none.
        """
        number = int(rng.integers(self.count_of(sort)))
        for path, begins in self._files[sort]:
            if number < len(begins):
                with path.open('rb') as file:
                    file.seek(int(begins[number]))
                    return Dialogue.model_validate_json(file.readline())
            number -= len(begins)
        raise AssertionError('a number below the count is in one of the files')
