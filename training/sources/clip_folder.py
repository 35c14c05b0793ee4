"""This module reads any folder with a manifest.csv in our own clip format.

So it also reads what the sound generators of Table 9 wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from training.sources.base import ClipSource, Item, SourceError
from training.sources.clip_library import Clip, ClipLibraryError, load_library
from training.splits import Split


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
    try:
        clips = load_library(folder)
    except ClipLibraryError as error:
        raise SourceError(str(error)) from error
    for clip in clips:
        yield Item(
            audio=clip.path,
            source=clip.source,
            id=clip.path.relative_to(folder).as_posix(),  # one recording can give several clips
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
