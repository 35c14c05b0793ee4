"""The clips that streams are made of, ready to mix: int16 at 16 kHz in memory-mapped files, with an index.

A library is written part by part, each part by one worker and moved into place when it is whole, so that any number of
workers can make one and a killed build loses at most what they had in hand. Reading costs no memory.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples, from_integers, to_int16
from training.errors import CorpusError
from training.files import json_lines, whole, write_whole

LIBRARY, ACCEPTED_SOUNDS = 'library/clips', 'library/accepted'  # folders of a corpus
QUOTED = 'quoted'  # tag of a voice whose text is what its caption quotes
_MOST_MAPPED = 256  # files at once, far below what a process may have open


class ClipStoreError(CorpusError):
    """The folder is no clip store, or the store lacks what is asked of it."""


class StoredClip(BaseModel):
    """A `StoredClip` is one clip of the store.

    `respond` is None where the context decides; `criterion` is the one of Figure 15's that it meets.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    id: str
    kind: str = Field(default='event', description='event, speech, music, noise or room (an impulse response)')
    category: str
    caption: str = ''
    respond: bool | None = False
    criterion: str = 'none'
    tags: tuple[str, ...] = ()
    cadence: bool = Field(default=False, description='its pauses carry meaning and must not be cut')
    split: str = 'train'
    recording: str = Field(description='what must stay on one side of a split')
    source: str = ''
    source_id: str = ''
    licence: str = ''
    attribution: str = ''
    language: str = ''
    text: str = Field(default='', description='recorded speech: what is said, where that is known')
    translation: str = Field(default='', description='of `text`, into Chinese from English and the other way round')
    words: tuple[tuple[str, float, float], ...] = Field(
        default=(), description='speech: word, start and end in seconds'
    )
    phones: tuple[tuple[str, float, float], ...] = Field(default=(), description='the same, where the engine tells')


@lru_cache(maxsize=_MOST_MAPPED)
def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode='r')


class ClipStore:
    """A `ClipStore` reads every part under one folder, or several. Raises ClipStoreError where there is none."""

    def __init__(self, folder: Path, *more: Path) -> None:
        self.clips: list[StoredClip] = []
        self._where: dict[str, tuple[int, int, int]] = {}
        self._parts: list[Path] = []
        for index in (path for each in (folder, *more) for path in sorted(each.glob('*.jsonl'))):
            self._parts.append(index.with_suffix('.npy'))
            with index.open() as file:
                for line in file:
                    row = json.loads(line)
                    at, length = row.pop('at'), row.pop('length')
                    clip = StoredClip.model_validate(row)
                    self._where[clip.id] = (len(self._parts) - 1, at, length)
                    self.clips.append(clip)
        self._noise: dict[tuple[str, str], list[StoredClip]] = defaultdict(list)
        self._rooms: dict[str, list[StoredClip]] = defaultdict(list)
        for clip in self.clips:
            if clip.kind == 'room':
                self._rooms[clip.split].append(clip)
            for tag in clip.tags if clip.kind == 'noise' else ():
                self._noise[clip.split, tag].append(clip)
        if not self.clips:
            raise ClipStoreError(f"no clips under '{folder}': make them with 'python -m training corpus build'")
        self._by_id = {clip.id: clip for clip in self.clips}

    def __getitem__(self, id_: str) -> StoredClip:
        try:
            return self._by_id[id_]
        except KeyError:
            raise ClipStoreError(
                f"the library has no clip '{id_}': it was made by other settings; make it again"
            ) from None

    def __contains__(self, id_: str) -> bool:
        return id_ in self._by_id

    def noise(self, split: str, sort: str) -> list[StoredClip]:
        """Return the noise tracks of one side and sort (`event` or `ambient`).

        Raises ClipStoreError where there are none.
        """
        if (split, sort) not in self._noise:
            raise ClipStoreError(f'the {split} side of the library has no {sort} noise; make the library again')
        return self._noise[split, sort]

    def rooms(self, split: str) -> list[StoredClip]:
        """Return the measured room impulse responses of one side; there may be none."""
        return self._rooms.get(split, [])

    def duration_s(self, id_: str) -> float:
        """Return a clip's length in seconds."""
        return self._where[id_][2] / SAMPLE_RATE_HZ

    def samples(self, id_: str) -> Samples:
        """Return a clip's samples, float32 [n] at 16 kHz mono."""
        self[id_]
        part, at, length = self._where[id_]
        return from_integers(_mapped(self._parts[part])[at : at + length])


def heard_clips(corpus: Path) -> ClipStore:
    """Return every clip that the streams of a corpus may hold besides rendered speech.

    They are the library's, and the sounds that were accepted for scenes as they are mixed. Raises ClipStoreError.
    """
    return ClipStore(corpus / LIBRARY, corpus / ACCEPTED_SOUNDS)


def write_part(path: Path, clips: Iterable[tuple[StoredClip, Samples]]) -> int:
    """Write `path`.jsonl and `path`.npy; return how many clips.

    The index comes last: a part without an index is not there.
    """
    rows: list[dict[str, object]] = []
    pieces: list[np.ndarray] = []
    at = 0
    for clip, samples in clips:
        pcm = to_int16(samples)
        rows.append(clip.model_dump() | {'at': at, 'length': len(pcm)})
        pieces.append(pcm)
        at += len(pcm)
    with whole(path.with_suffix('.npy')) as temporary, temporary.open('wb') as file:
        np.save(file, np.concatenate(pieces) if pieces else np.zeros(0, np.int16))
    write_whole(path.with_suffix('.jsonl'), json_lines(rows))
    return len(rows)


def part_done(path: Path) -> bool:
    """Return whether `write_part` finished."""
    return path.with_suffix('.jsonl').exists()


def of_split(clips: Sequence[StoredClip], split: str) -> list[StoredClip]:
    """Return the clips of one side of the split."""
    return [clip for clip in clips if clip.split == split]
