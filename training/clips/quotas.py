"""Quotas say how much of a source a corpus takes (paper Table 9), evenly over its categories (Appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.clips.ingest import SourceFolder, chosen_file
from training.clips.manifest import read_dialogues, read_manifest
from training.files import whole
from training.random_streams import Purpose, random_stream
from training.sources.base import Facts


@dataclass(frozen=True)
class QuotaPart:
    """A `QuotaPart` is a source of which at most `quota` clips or texts are taken."""

    source: SourceFolder
    quota: int
    seed: int


def choose_of_source(part: QuotaPart) -> int:
    """Write which rows of a source's manifest are taken, unless it is written; return how many."""
    path = chosen_file(part.source)
    if path.exists():
        return 0
    rng = random_stream(Purpose.QUOTA, part.seed, part.source.name)
    chosen = choose(_categories(part.source), part.quota, rng)
    with whole(path) as temporary, temporary.open('wb') as file:
        np.save(file, chosen)
    return int(chosen.sum())


def choose(categories: Iterable[str], quota: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which of some items to take, bool [n]: all, or `quota` of them.

    No category has more than another, except where the other has no more to give.
    """
    numbers: dict[str, int] = {}
    of = np.fromiter((numbers.setdefault(name, len(numbers)) for name in categories), np.int32)
    if len(of) <= quota:
        return np.ones(len(of), bool)
    # Each category in random order; all the first of them are taken, then all the second …
    order = rng.permutation(len(of))
    by_category = order[np.argsort(of[order], kind='stable')]
    counts = np.bincount(of)
    place = np.empty(len(of), np.int64)
    place[by_category] = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = order[np.argsort(place[order], kind='stable')][:quota]
    chosen = np.zeros(len(of), bool)
    chosen[taken] = True
    return chosen


def _categories(source: SourceFolder) -> Iterator[str]:
    if source.text:
        return (dialogue.source for dialogue in read_dialogues(source.manifest))
    return (Facts.of(cut.supervisions[0]).category for cut in read_manifest(source.manifest))


def count_taken(corpus: Path, name: str) -> int:
    """Return how many clips or texts of a source are in the library of a corpus, without altered copies."""
    library = corpus / 'library'
    texts = (library / 'dialogues').glob(f'{name}.*.npy')
    dialogues = sum(len(np.load(path, mmap_mode='r')) for path in texts)
    clips = 0
    for path in (library / 'clips').glob(f'{name}-{"[0-9]" * 6}.jsonl'):
        with path.open() as file:
            clips += sum('~' not in line.partition(',')[0] for line in file)
    return dialogues + clips
