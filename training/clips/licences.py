"""Which licences a corpus may have: patterns of a recipe against the licence of every clip and text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from training.files import write_whole


def permitted(licence: str, patterns: Sequence[str]) -> bool:
    """Return whether patterns such as ['CC0-*', 'MIT'] or ['!*GPL*'] allow a licence, an SPDX expression.

    It must match one of them, where there is one without '!', and none of those after a '!'. Of licences joined by OR
    one must be allowed, of those joined by AND each. No patterns allow everything.
    """
    wanted = [pattern for pattern in patterns if not pattern.startswith('!')]
    refused = [pattern[1:] for pattern in patterns if pattern.startswith('!')]

    def one(name: str) -> bool:
        return (not wanted or _matches(name, wanted)) and not _matches(name, refused)

    choices = licence.replace('(', '').replace(')', '').split(' OR ')
    return any(all(one(name.strip()) for name in choice.split(' AND ')) for choice in choices)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def write_left_out(corpus: Path, part: str, licences: Counter[str]) -> None:
    """Write how many clips or texts of a part of a corpus were left out, by licence; nothing if none were."""
    if licences:
        write_whole(corpus / 'left-out' / f'{part}.json', json.dumps(dict(sorted(licences.items()))).encode())


def count_left_out(corpus: Path) -> dict[str, int]:
    """Return how many clips and texts a corpus was denied, by licence."""
    total: Counter[str] = Counter()
    for path in (corpus / 'left-out').glob('*.json'):
        total.update(json.loads(path.read_text()))
    return dict(sorted(total.items()))
