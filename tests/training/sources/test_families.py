"""Takes of one sound are one family, whatever they are called, and nobody moves what earlier figures rest on."""

from __future__ import annotations

import hashlib

import pytest

from tests.training.sources.test_clip_library import library, row
from training.sources.clip_library import load_library
from training.sources.families import SPLIT_BY_RECORDING, families

BY = 'Sound by {}, https://freesound.org/s/{}/ (CC0-1.0); from a game'


def freesound(number: int, author: str, **columns: str) -> dict[str, str]:
    facts = {'source_id': f'freesound:{number}', 'source': 'a game', 'attribution': BY.format(author, number)}
    return row(f'{number}.flac', **(facts | columns))


def game(source_id: str, source: str = 'a game', **columns: str) -> dict[str, str]:
    return row(f'{source_id}.flac', source_id=source_id, source=source, **columns)


@pytest.mark.parametrize(
    'relatives',
    [
        [freesound(7, 'ann'), freesound(7, 'ann', source='another game')],
        [freesound(7, 'ann'), freesound(9_000, 'Ann', source='another game')],
        [
            freesound(7, 'ann'),
            freesound(8, '', attribution='source https://freesound.org/people/ann/sounds/8/ (CC0-1.0); edited'),
        ],
        [game('deb:game:misc/dog'), game('deb:game:misc/dog2'), game('deb:game:animal/dog_03')],
        [game('deb:prompts:allison:vm-goodbye'), game('deb:prompts:allison:digits/7')],
        [game('deb:game:steps/grass', category='footsteps'), game('deb:game:steps/wood', category='footsteps')],
        [game('a', family='f'), game('b', 'another game', family='f')],
        [freesound(7, 'ann'), freesound(8, 'ann', source='x'), freesound(9, 'ann', source='y')],
    ],
)
def test_relatives_are_one_family(relatives):
    stranger = game('deb:other:misc/cat', 'other', category='footsteps')
    *found, other = families([*relatives, stranger])
    assert len(set(found)) == 1 and found[0] != other


@pytest.mark.parametrize(
    'strangers',
    [
        [freesound(7, 'ann'), freesound(8, 'bob')],
        [game('deb:game:misc/dog'), game('deb:game:misc/dog2', 'another game')],
        [game('deb:game:misc/dog'), game('deb:game:misc/doge')],
        [game('soundbible:277'), game('soundbible:278')],
        [game('steps/a', category='footsteps'), game('steps/b', 'another game', category='footsteps')],
        [freesound(7, 'ann', family='f'), freesound(8, 'ann')],
        [game('r1', ''), game('r2', '')],
    ],
)
def test_others_are_none(strangers):
    assert len(set(families(strangers))) == 2


def test_a_family_is_on_one_side_and_its_name_does_not_hang_on_the_order_of_rows(tmp_path):
    rows = [freesound(number, f'author {number % 40}') for number in range(1_000, 1_200)]
    clips = load_library(library(tmp_path, rows))
    sides = {(clip.recording, clip.validation) for clip in clips}
    assert len(sides) == 40 and len({validation for _, validation in sides}) == 2
    assert families(rows) == families(rows[::-1])[::-1]


def test_a_recording_without_relatives_keeps_its_side():
    assert families([freesound(7, 'ann')]) == ['freesound:7']


def test_recordings_that_earlier_figures_rest_on_keep_their_sides(tmp_path):
    rows = [freesound(number, 'ann', source='Minetest Game', category='footsteps') for number in range(100)]
    clips = load_library(library(tmp_path, rows))
    assert [clip.recording for clip in clips] == [f'freesound:{number}' for number in range(100)]
    digests = [hashlib.sha256(clip.recording.encode()).digest() for clip in clips]
    assert [clip.validation for clip in clips] == [int.from_bytes(each[:4], 'big') / 2**32 < 0.2 for each in digests]
    assert {'ESC-10', 'OpenSFX', 'Precise Community Data'} < SPLIT_BY_RECORDING
