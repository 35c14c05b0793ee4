"""The package chatterbot-corpus: conversations by topic, of which those that any robot could have are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from training.texts import TextsError
from training.texts.collect import Origin

ORIGIN = Origin('ChatterBot corpus', 'BSD-3-Clause', 'ChatterBot Language Training Corpus by G. Cox and contributors')
# Of the others some are about the robot itself, some about who should be hated, and some ask back or break off.
TOPICS = (
    'conversations', 'food', 'greetings', 'health', 'history', 'literature', 'movies', 'science', 'sports', 'trivia',
)  # fmt: skip
MOST_TURNS = 6


def conversations(folder: Path) -> Iterator[list[str]]:
    """Yield conversations in turns, each of which is answered. Raises TextsError if the folder is another."""
    paths = [folder / f'{topic}.yml' for topic in TOPICS if (folder / f'{topic}.yml').is_file()]
    if not paths:
        raise TextsError(
            f"'{folder}' has no file such as {TOPICS[0]}.yml; give the folder data/english of the package "
            'chatterbot-corpus'
        )
    for path in paths:
        try:
            rows = yaml.safe_load(path.read_text(encoding='utf-8'))['conversations']
            turns = [[str(turn) for turn in row] for row in rows]
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise TextsError(f"'{path}' is no list of conversations ({error}); install the package again") from None
        for row in turns:
            if len(row) > 1:
                yield row[: min(MOST_TURNS, len(row) // 2 * 2)]
