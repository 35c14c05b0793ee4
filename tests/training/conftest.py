"""A library of a few procedural sounds for whole builds of seed 5 without sources: 26 types instead of 185."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.clips.prepare import RendersPart, clips_parts, make_clips
from training.clips.store import write_part

TYPES = frozenset(
    'smoke_alarm_t3 siren_wail glass_pane coughing_fit thunder_close arcing car_horn footsteps knocks clock rain wind '  # noqa: SIM905
    'fan crowd_murmur typing door bird_chirps piano_in_tune piano_out_of_tune violin trumpet guitar_in_tune keys '
    'dishes drawer coins'.split()
)


@pytest.fixture(scope='session')
def small_library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts it into the folder of a corpus, where `build` finds every part made."""
    kept = tmp_path_factory.mktemp('small')
    for part in clips_parts([], renders=10, variants=0, seed=5, corpus=kept):
        if isinstance(part, RendersPart) and part.name not in TYPES:
            write_part(part.out, [])
        else:
            make_clips(part)

    def put(corpus: Path) -> Path:
        shutil.copytree(kept / 'library' / 'clips', corpus / 'library' / 'clips')
        return corpus

    return put
