"""Families of takes: recordings that are close relatives, such as one game's footsteps, stay on one side of a split."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence

# Their recordings keep the sides that they have always had, because earlier figures depend on them.
SPLIT_BY_RECORDING = frozenset(
    {'ESC-10', 'Donate-a-cry corpus (cleaned version)', 'Free Spoken Digit Dataset', 'Precise Community Data'}
    | {'Minetest Game', 'OpenSFX', 'Homedecor modpack', 'Technic', 'Freedoom', 'Scaper test audio'}
    | {'SpeechBrain test samples', 'audiomentations demo audio', 'librosa example data', 'pyAudioAnalysis sample data'}
)
_STEPS = 'footsteps'
_DAY = re.compile(r'\d{4}-\d\d-\d\d$')
_AUTHOR = re.compile(r'freesound\.org/people/([^/]+)/|\bby ([^,()]+), https?://(?:www\.)?freesound\.org/s/')


def families(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the family of each row of a manifest (`source_id`, `source`, `category`, `attribution`, `family`).

    It is named after the first of its recordings; '' for a row of `SPLIT_BY_RECORDING`. Rows belong together if they
    share a recording, a Freesound author, a voice ('deb:asterisk-en:allison:…'), the takes of a source ('dog',
    'dog2', 'dog_3'), or the footsteps of a source. Of a row that names a `family`, that alone counts.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while (above := parent.setdefault(key, key)) != key:
            key = above
        return key

    kept = [row for row in rows if row.get('source') not in SPLIT_BY_RECORDING or row.get('family')]
    for row in kept:
        first, *others = _keys(row)
        for other in others:
            parent[root(other)] = root(first)
    members: dict[Hashable, set[str]] = defaultdict(set)
    for row in kept:
        members[root(next(_keys(row)))].add(row.get('family') or row['source_id'])
    names = {key: min(ids) for key, ids in members.items()}
    inside = {id(row) for row in kept}
    return [names[root(next(_keys(row)))] if id(row) in inside else '' for row in rows]


def _keys(row: Mapping[str, str]) -> Iterator[Hashable]:
    """Yield what a row has in common with its relatives."""
    if row.get('family'):
        yield 'family', row['family']
        return
    recording, source = row['source_id'], row.get('source', '')
    yield 'recording', recording
    if recording.startswith('freesound:'):
        if author := _AUTHOR.search(row.get('attribution', '')):
            yield 'author', (author[1] or author[2]).strip().lower()
    elif recording.count(':') >= 3:
        yield 'voice', recording.rpartition(':')[0]
    elif not _DAY.search(recording):  # the days of an event log are no takes of one thing
        take = re.sub(r'[\W_\d]+$', '', re.split(r'[:/]', recording)[-1]).lower()
        if take and source:  # else it is a number in somebody's catalogue
            yield 'take', (source, take)
    if row.get('category') == _STEPS and source:
        yield 'steps', source
