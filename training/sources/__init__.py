"""The sources read every corpus of paper Table 9 and Appendix C as its publisher lays it out, and are found by name.

AudioX and ElevenLabs are generators, not corpora: what they make is written as a clip folder and read as 'clips'.
"""

from __future__ import annotations

import dataclasses

from training.sources import audio, clip_folder, noise, speech, text
from training.sources.base import ClipSource, SourceError
from training.sources.text import TextSource

SOURCES: dict[str, ClipSource | TextSource] = {
    source.name: source
    for family in (speech.SOURCES, audio.SOURCES, noise.SOURCES, text.SOURCES, clip_folder.SOURCES)
    for source in family
}


def find_source(name: str) -> ClipSource | TextSource:
    """Return the source of that name. Raises SourceError, with the names there are, if it is unknown.

    Clip libraries beside the first, 'clips', are 'clips-2', 'clips-3' …
    """
    if clip_folder.is_library(name):
        return dataclasses.replace(SOURCES['clips'], name=name)  # which is in the id of every clip
    if name not in SOURCES:
        raise SourceError(f"no source '{name}'; expected one of {', '.join(SOURCES)}")
    return SOURCES[name]
