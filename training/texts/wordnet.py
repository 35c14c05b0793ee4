"""WordNet 3: the examples of its glosses are sentences, and a common word with its first gloss is a question.

The files are `data.noun` … and `index.noun` …, as Debian's package wordnet-base has them in /usr/share/wordnet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from training.texts import TextsError
from training.texts.collect import Origin

ORIGIN = Origin(
    'WordNet 3.0', 'LicenseRef-WordNet-3.0', 'WordNet 3.0, copyright 2006 by Princeton University'
)  # permissive: use, copy, modify and distribute for any purpose, with the notice
_PARTS_OF_SPEECH = ('noun', 'verb', 'adj', 'adv')
# With who said it, where it is quoted from somebody.
_EXAMPLE = re.compile(r'"([^"]+)"(\s*(?:-|\()[^;]*)?')


def sentences(folder: Path) -> Iterator[list[str]]:
    """Yield the examples of all glosses, but those quoted from an author. Raises TextsError for another folder."""
    for part_of_speech in _PARTS_OF_SPEECH:
        for _, gloss in _glosses(folder, part_of_speech):
            for example, author in _EXAMPLE.findall(gloss):
                if not author.strip():
                    yield [example]


def definitions(folder: Path) -> Iterator[list[str]]:
    """Yield what every gloss says, to be written down: half a sentence often, with words that no example has."""
    for part_of_speech in _PARTS_OF_SPEECH:
        for _, gloss in _glosses(folder, part_of_speech):
            if said := _definition(gloss):
                yield [said]


def questions(folder: Path) -> Iterator[list[str]]:
    """Yield a question and its answer for each word that WordNet's own texts have, in the first of its senses."""
    for part_of_speech in _PARTS_OF_SPEECH[:3]:
        glosses = dict(_glosses(folder, part_of_speech))
        for word, offset in common_words(folder, part_of_speech):
            if said := _definition(glosses[offset]):
                yield [f'What does {word} mean?', said]


def common_words(folder: Path, part_of_speech: str = 'noun', senses_met: int = 1) -> Iterator[tuple[str, str]]:
    """Yield the words in small letters that were met in running text, and the offset of their first sense.

    `senses_met`: in so many senses at least; the more, the commoner is a word.
    """
    for line in _lines(folder / f'index.{part_of_speech}'):
        if line.startswith(' '):
            continue
        fields = line.split()
        senses, tagged = int(fields[2]), int(fields[-int(fields[2]) - 1])
        if tagged >= senses_met and re.fullmatch('[a-z]{3,}', fields[0]):
            yield fields[0], fields[-senses]


def _definition(gloss: str) -> str:
    """The gloss up to its first example or second meaning, without what stands in parentheses."""
    said = re.sub(r'\([^)]*\)', ' ', gloss.partition('"')[0].partition(';')[0])
    return ' '.join(said.split())


def _glosses(folder: Path, part_of_speech: str) -> Iterator[tuple[str, str]]:
    for line in _lines(folder / f'data.{part_of_speech}'):
        before, found, gloss = line.partition(' | ')
        if found and not line.startswith(' '):
            yield before.partition(' ')[0], gloss.strip()


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding='latin-1') as file:
            yield from file
    except OSError as error:
        raise TextsError(
            f"'{path}' cannot be read ({error.strerror}); give the folder of WordNet's files data.noun, index.noun …, "
            'such as /usr/share/wordnet of the package wordnet-base'
        ) from None
