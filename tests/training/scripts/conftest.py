"""A library of real renders with the tags that scripts ask for, and its shelf."""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.clips.store import ClipStore, StoredClip, write_part
from training.procedural.registry import ALL_TYPES
from training.render.tfjp import tfjp
from training.scripts.shelf import Shelf

TYPES = [
    'smoke_alarm_t3',
    'siren_wail',
    'glass_pane',
    'coughing_fit',
    'thunder_close',
    'arcing',
    'car_horn',
    'footsteps',
    'knocks',
    'clock',
    'rain',
    'wind',
    'fan',
    'crowd_murmur',
    'typing',
    'door',
    'bird_chirps',
    'piano_in_tune',
    'piano_out_of_tune',
    'violin',
    'trumpet',
    'guitar_in_tune',
]


@pytest.fixture(scope='module')
def library(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Real renders with the tags that scripts ask for, all for training."""
    folder = tmp_path_factory.mktemp('library')
    rows = []
    for name in TYPES:
        kind = ALL_TYPES[name]
        music = kind.subcategory == 'Artistic' and not kind.respond
        tags = ['short', 'beat'] if name in ('knocks', 'clock') else []
        tags += ['steady'] if name in ('rain', 'wind', 'fan') else []
        tags += ['instrument'] if music else []
        tags += [word.replace('_', ' ') for word in ('in_tune', 'out_of_tune') if name.endswith(word)]
        clip = StoredClip(
            id=name,
            kind='music' if music else 'event',
            category=name.split('_')[0] if music else kind.category,
            caption=kind.caption,
            respond=kind.respond,
            criterion=kind.criterion,
            tags=tuple(tags),
            recording=name,
        )
        rows.append((clip, kind.render(np.random.default_rng(1))))
    hiss = np.random.default_rng(2).standard_normal(5 * SAMPLE_RATE_HZ).astype(np.float32) * 0.1
    for sort in ('event', 'ambient'):
        rows.append((StoredClip(id=sort, kind='noise', category='noise', tags=(sort,), recording=sort), hiss))
    write_part(folder / 'part', rows)
    return ClipStore(folder)


def reprocess(samples: np.ndarray) -> np.ndarray:
    return tfjp(samples).samples


@pytest.fixture(scope='module')
def shelf(library: ClipStore) -> Shelf:
    return Shelf(library, 'train', reprocess)
