"""This module reads any folder with a manifest.csv in our own clip format.

So it also reads what the sound generators of Table 9 wrote.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.sources.base import ClipSource, Item, SourceError, split_of
from training.sources.clip_library import Clip, ClipLibraryError, load_library, named_in
from training.splits import Split


def is_library(name: str) -> bool:
    """Return True for the name of a source that is a clip library: 'clips', or 'clips-2' … for further ones."""
    return re.fullmatch(r'clips(-[1-9]\d*)?', name) is not None


def library_name(number: int) -> str:
    """Return the name of clip library `number`, counted from 0, among the sources of a corpus."""
    return f'clips-{number + 1}' if number else 'clips'


def check_sides(folders: Iterable[Path]) -> None:
    """Raise SourceError if two of these clip libraries have a recording on different sides of the split."""
    sides: dict[str, tuple[Split, Path, Path]] = {}
    for folder in folders:
        for clip in _load(folder):
            side = _split(clip) or split_of(clip.recording)
            for name in {clip.recording, clip.source_id}:
                first, path, library = sides.setdefault(name, (side, clip.path, folder))
                if side != first and library != folder:
                    raise SourceError(
                        f"recording '{name}' is on the {first} side in '{path}' and on the {side} side in "
                        f"'{clip.path}'; give it the same fold or family in both manifests, or remove one of its rows"
                    )


def _load(folder: Path) -> list[Clip]:
    try:
        return load_library(folder)
    except ClipLibraryError as error:
        raise SourceError(str(error)) from error


def _split(clip: Clip) -> Split | None:
    """Return the side of an ESC-10 clip: folds 1–3 train, fold 4 is halved by recording.

    It is None for a clip without a fold, which goes by recording.
    """
    if not clip.fold:
        return None
    if not clip.validation:
        return 'train'
    return 'validation' if hashlib.sha256(clip.recording.encode()).digest()[0] % 2 else 'test'


def read_clip_folder(folder: Path) -> Iterator[Item]:
    """Yield the rows of a folder's manifest.csv, each with its own source, licence and attribution.

    Raises SourceError if the folder is no clip library.
    """
    for clip in _load(folder):
        yield Item(
            audio=clip.path,
            source=clip.source,
            id=named_in(folder, clip.path),  # one recording can give several clips
            source_id=clip.source_id,
            recording=clip.recording,
            category=clip.category,
            split=_split(clip),
            caption=clip.caption,
            respond=clip.respond,
            licence=clip.licence,
            attribution=clip.attribution,
        )


SOURCES = (
    ClipSource(
        name='clips',
        title='clip library',
        family='acoustic event',
        licence='as each row of manifest.csv states',
        attribution='as each row of manifest.csv states',
        homepage='a folder of your own, one row a clip (path, category, source_id, respond …)',
        layout=('manifest.csv',),
        read=read_clip_folder,
    ),
)
