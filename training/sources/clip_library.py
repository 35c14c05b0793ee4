"""A clip library is a folder with manifest.csv and audio files, split by recording, never by file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audio_interaction_ros.audio.file_reader import Recording, read_recording
from training.sources.families import families

VALIDATION_FOLD = '4'


VALIDATION_SHARE = 0.2  # of the recordings that carry no fold
LONGEST_S = 600.0  # of a recording that is kept in memory


NO_EVENT = frozenset({'rir'})  # impulse responses are for convolution
PROCEDURAL = 'procedural'  # the source of what this package computes


class ClipLibraryError(ValueError):
    """A `ClipLibraryError` says that a folder is no clip library, or that a row of its manifest cannot be used."""


@dataclass(frozen=True)
class Clip:
    """A `Clip` is one row of manifest.csv; `respond` is None where the answer depends on the context."""

    path: Path
    category: str
    caption: str
    source: str
    source_id: str
    fold: str
    licence: str
    attribution: str
    respond: bool | None
    family: str = ''

    @property
    def recording(self) -> str:
        """Return what must stay on one side of a split.

        It is the recording, or the family of takes, home, speaker or contributor behind it.
        """
        if self.family:
            return self.family
        if self.source.startswith('Donate-a-cry'):
            return self.source_id[:36].lower()  # one app installation, so normally one home
        if self.source.startswith('Free Spoken Digit'):
            return self.source_id.rsplit('_', 1)[0].split('_')[-1]  # <digit>_<speaker>_<take>
        if self.source.startswith('Precise'):
            return self.source_id.split(':')[1] if ':' in self.source_id else self.source_id
        return self.source_id

    @property
    def validation(self) -> bool:
        """Return True for a clip of the held-out side.

        These are ESC-10 fold 4, and a fixed fifth of every other source's recordings.
        """
        if self.fold:
            return self.fold == VALIDATION_FOLD
        digest = hashlib.sha256(self.recording.encode()).digest()
        return int.from_bytes(digest[:4], 'big') / 2**32 < VALIDATION_SHARE

    def read(self) -> Recording:
        """Return the sound of the clip; of a very long one its first LONGEST_S. Raises AudioFormatError."""
        return read_recording(self.path, LONGEST_S)


_NEEDED = frozenset({'path', 'category', 'source_id', 'respond'})


def manifest_of(library: Path) -> Path:
    """Return the manifest of a clip library: `library` itself where it is a file, else the manifest.csv in it."""
    return library if library.is_file() else library / 'manifest.csv'


def named_in(folder: Path, path: Path) -> str:
    """Return a clip's path as the manifest in `folder` has it: relative, or absolute where it lies elsewhere."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def load_library(library: Path, needed: frozenset[str] = _NEEDED) -> list[Clip]:
    """Return every row of a manifest as a clip; `library` is a folder with a manifest.csv, or any such file.

    Paths are relative to the manifest's folder. `needed` are the columns that must be there; a recording without a
    `source_id` stands for itself. Raises ClipLibraryError, naming the file and what is missing.
    """
    manifest = manifest_of(library)
    folder = manifest.parent
    try:
        with manifest.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file, restval=''))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipLibraryError(
            f"no clip library at '{library}' ({error}); give a folder with a manifest.csv"
        ) from error
    if missing := needed - set(rows[0] if rows else ()):
        raise ClipLibraryError(
            f"'{manifest}' lacks the columns {sorted(missing)}; see 'Clip libraries' in docs/training.md"
        )
    if nameless := [number for number, row in enumerate(rows, 1) if not row['path']]:
        raise ClipLibraryError(f"'{manifest}' names no file in row {nameless[0]}; give its path, or remove the row")
    rows = [row | {'source_id': row.get('source_id') or row['path']} for row in rows]
    return [
        Clip(
            folder / row['path'],
            row['category'],
            row.get('caption', ''),
            row.get('source', ''),
            row['source_id'],
            row.get('fold', ''),
            row.get('licence', ''),
            row.get('attribution', ''),
            _respond(row.get('respond') or '', manifest),
            family,
        )
        for row, family in zip(rows, families(rows), strict=True)
    ]


def _respond(value: str, manifest: Path) -> bool | None:
    if value not in ('', '0', '1'):
        raise ClipLibraryError(f"'{manifest}' says respond = '{value}'; give 1, 0, or nothing where it depends")
    return None if value == '' else value == '1'


def split(clips: Iterable[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Return (training, validation) clips. Raises ClipLibraryError if a recording would lie on both sides."""
    clips = list(clips)
    training = [clip for clip in clips if not clip.validation]
    validation = [clip for clip in clips if clip.validation]
    leaked = {clip.recording for clip in training} & {clip.recording for clip in validation}
    if leaked:
        raise ClipLibraryError(f'recordings on both sides of the split: {sorted(leaked)[:5]}; give them one fold')
    return training, validation


class Credited(Protocol):
    """A `Credited` recording says where it comes from and whom to name for it."""

    @property
    def source(self) -> str:
        """Return the name of the corpus or program that the recording comes from."""

    @property
    def source_id(self) -> str:
        """Return the name of the recording within its source."""

    @property
    def licence(self) -> str:
        """Return the licence of the recording."""

    @property
    def attribution(self) -> str:
        """Return the credit line of the recording."""


def write_attributions(clips: Iterable[Credited], path: Path) -> None:
    """Write a CSV of source, licence and credit line of every recording that a checkpoint was trained on.

    What is computed by this package needs no credit and is left out.
    """
    recorded = (clip for clip in clips if clip.source != PROCEDURAL)
    rows = sorted({(clip.source, clip.source_id, clip.licence, clip.attribution) for clip in recorded})
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['source', 'source_id', 'licence', 'attribution'])
        writer.writerows(rows)
