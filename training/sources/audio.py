"""This module reads FMA and AudioSet, the music and sound events of paper Table 9.

Neither describes its clips in sentences.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.sources.base import PUBLISHED_SPLITS, ClipSource, Item, SourceError

FMA_SIZES = ('fma_full', 'fma_large', 'fma_medium', 'fma_small')  # the first is whole tracks, the others 30 s of them
SOUND_FILES = ('.wav', '.flac', '.mp3', '.ogg', '.opus')


def read_fma(folder: Path) -> Iterator[Item]:
    """Yield the tracks of FMA: fma_metadata/tracks.csv, with its two rows of headings, and fma_<size>/000/000002.mp3.

    The publisher's split keeps artists apart. A track's own licence and credit go with it; its genre is the category.
    Raises SourceError for a table that lacks a column.
    """
    table = folder / 'fma_metadata' / 'tracks.csv'
    sizes = [folder / size for size in FMA_SIZES if (folder / size).is_dir()]
    with table.open(newline='', encoding='utf-8') as file:
        rows = csv.reader(file)
        headings = list(zip(next(rows, []), next(rows, []), strict=False))
        wanted = [
            ('set', 'split'),
            ('track', 'genre_top'),
            ('track', 'title'),
            ('track', 'license'),
            ('artist', 'id'),
            ('artist', 'name'),
        ]
        missing = [heading for heading in wanted if heading not in headings]
        if missing:
            raise SourceError(f"'{table}' lacks the columns {missing}; expected two rows of headings, as published")
        places = [headings.index(heading) for heading in wanted]
        for row in rows:
            if not row[0].isdigit():  # the name of the index has a row of its own
                continue
            split, genre, title, licence, artist_id, artist = (row[place] for place in places)
            name = f'{int(row[0]):06d}'
            paths = [size / name[:3] / f'{name}.mp3' for size in sizes]
            yield Item(
                audio=next((path for path in paths if path.is_file()), paths[0]),
                source_id=name,
                recording=f'fma:artist:{artist_id}',
                category=genre.lower() or 'music',
                split=PUBLISHED_SPLITS[split],
                licence=licence or None,
                attribution=f'"{title}" by {artist}, Free Music Archive track {int(row[0])}',
            )


class Ontology:
    """An `Ontology` reads AudioSet's ontology.json: the names of sounds, and which of several labels say the most."""

    def __init__(self, path: Path) -> None:
        nodes = json.loads(path.read_text(encoding='utf-8'))
        self._names: dict[str, str] = {node['id']: node['name'] for node in nodes}
        self._children: dict[str, list[str]] = {node['id']: node['child_ids'] for node in nodes}

    def name(self, label: str) -> str:
        """Return the name of a label in lower case; the label itself if the ontology does not have it."""
        return self._names.get(label, label).lower()

    def most_specific(self, labels: Iterable[str]) -> list[str]:
        """Return the labels, in the same order, without those that another of them implies."""
        labels = list(labels)
        return [label for label in labels if not self._below(label) & set(labels)]

    def _below(self, label: str) -> set[str]:
        below: set[str] = set()
        pending = list(self._children.get(label, ()))
        while pending:
            child = pending.pop()
            if child not in below:
                below.add(child)
                pending += self._children.get(child, ())
        return below


def read_audioset(folder: Path) -> Iterator[Item]:
    """Yield the segments of AudioSet: *_segments.csv, ontology.json, and the sound that was downloaded.

    The publisher gives no sound. Assumed of it, since no two downloaders agree: a file is one segment, named
    <YTID>_<start> (30, 30.000 or 30000) or <YTID>, in audio/ or in audio/<name of the csv>/. The category is the first
    of the most specific labels; the names of all are in `custom` as `labels`. The evaluation set is the test side, all
    else is for training.
    """
    ontology = Ontology(folder / 'ontology.json')
    for table in sorted(folder.glob('*_segments.csv')):
        folders = [path for path in (folder / 'audio' / table.stem, folder / 'audio') if path.is_dir()]
        with table.open(newline='', encoding='utf-8') as file:
            for row in csv.reader(file, skipinitialspace=True):
                if not row or row[0].startswith('#'):
                    continue
                video, start_s, end_s, labels = row[0], float(row[1]), float(row[2]), row[3].split(',')
                yield Item(
                    audio=_segment_file(folders, video, start_s),
                    source_id=f'{video}_{start_s:g}',
                    recording=f'youtube:{video}',
                    category=ontology.name(ontology.most_specific(labels)[0]),
                    split='test' if table.stem.startswith('eval') else 'train',
                    attribution=f'YouTube video {video}, {start_s:g} to {end_s:g} s; labels from AudioSet (Google)',
                    more={'labels': [ontology.name(label) for label in labels]},
                )


def _segment_file(folders: Iterable[Path], video: str, start_s: float) -> Path:
    names = (f'{video}_{start_s:g}', f'{video}_{start_s:.3f}', f'{video}_{start_s * 1000:.0f}', video)
    candidates = [folder / f'{name}{ending}' for folder in folders for name in names for ending in SOUND_FILES]
    return next((path for path in candidates if path.is_file()), candidates[-1])


SOURCES = (
    ClipSource(
        name='fma',
        title='FMA',
        family='audio',
        licence='CC-BY-4.0 (metadata); each track has its own',
        attribution='FMA: A Dataset for Music Analysis, by M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson',
        homepage='https://github.com/mdeff/fma',
        layout=('fma_metadata/tracks.csv', 'fma_*/*/*.mp3'),
        read=read_fma,
    ),
    ClipSource(
        name='audioset',
        title='AudioSet',
        family='acoustic event',
        licence="CC-BY-4.0 (labels); the sound stays its uploaders'",
        attribution='AudioSet by J. F. Gemmeke et al., Google',
        homepage='https://research.google.com/audioset',
        layout=('ontology.json', '*_segments.csv', 'audio/*'),
        read=read_audioset,
    ),
)
