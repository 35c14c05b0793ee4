"""A clip library in miniature: what the demo's scene is made of, and sounds that the procedural library makes.

So that no test needs a library that does not come with the repository. Its recordings are the scene's, with their
licences; there are several of what tests look for, and neither a kettle nor a monkey.
"""

from __future__ import annotations

import atexit
import csv
import json
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.events.export import COLUMNS
from training.procedural.registry import SOUND_TYPES

DEMO = Path(__file__).resolve().parents[1] / 'demo'
CLIP_S = 5.0
RENDERED = ('helicopter', 'wind', 'train', 'footsteps', 'rain', 'plucked_melody')
_CAPTIONS = {
    'dog bark': 'A dog barks.', 'person sneeze': 'Somebody sneezes.', 'speech': 'One person speaks clearly.',
}  # fmt: skip
_RENDERS = 3
_OF = {'dog bark': 8, 'person sneeze': 3}  # at several levels


def write_clip_library(folder: Path) -> Path:
    """Write manifest.csv and its FLAC files, the same every time, and return the folder."""
    folder.mkdir(parents=True)
    with (folder / 'manifest.csv').open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        for number, (row, samples) in enumerate([*_of_the_scene(), *_rendered()]):
            path = f'{row["category"].replace(" ", "_")}-{number}.flac'
            soundfile.write(folder / path, np.clip(samples, -1.0, 1.0), SAMPLE_RATE_HZ)
            duration_s = round(len(samples) / SAMPLE_RATE_HZ, 3)
            given = {'path': path, 'duration_s': duration_s, 'sample_rate_orig': SAMPLE_RATE_HZ}
            writer.writerow(given | row)
    return folder


def _of_the_scene() -> Iterator[tuple[dict[str, Any], Samples]]:
    scene, _ = soundfile.read(DEMO / 'scene.flac', dtype='float32')
    for event in json.loads((DEMO / 'scene.json').read_text())['events']:
        if event['source'].startswith('procedural'):
            continue
        samples = scene[round(event['onset_s'] * SAMPLE_RATE_HZ) : round(event['end_s'] * SAMPLE_RATE_HZ)]
        credit, category = event['source'], event['category']
        found = re.search(r'freesound\.org/s/(\d+)', credit)
        row = {
            'category': category,
            'caption': _CAPTIONS.get(category, f'The sound of {category}.'),
            'source': 'ESC-10' if 'ESC-10' in credit else 'demo scene',
            'source_id': f'freesound:{found[1]}' if found else f'{category} at {event["onset_s"]} s',
            'fold': 1,
            'licence': re.findall(r'\((C[^()]*)\)', credit)[-1] if '(C' in credit else 'CC0-1.0',
            'attribution': credit,
            'respond': int(event['hazard']),
        }
        if category == 'speech':
            row['respond'] = ''
            yield row, samples
            yield row, np.tile(samples, 7)[: 12 * SAMPLE_RATE_HZ]
            continue
        # As the recordings of ESC-10, padded to five seconds.
        for gain in np.linspace(1.0, 0.4, _OF.get(category, 1)):
            padded = np.zeros(round(CLIP_S * SAMPLE_RATE_HZ), np.float32)
            short = samples[: round(1.2 * SAMPLE_RATE_HZ)] if category == 'person sneeze' else samples
            padded[: len(short)] = gain * short
            yield row, padded


def _rendered() -> Iterator[tuple[dict[str, Any], Samples]]:
    for name in RENDERED:
        kind = SOUND_TYPES[name]
        for render in range(_RENDERS):
            row = {
                'category': kind.category, 'caption': kind.caption, 'source': 'procedural',
                'source_id': f'{name}:{render}', 'fold': '', 'licence': 'CC0-1.0', 'attribution': '',
                'respond': '' if kind.respond is None else int(kind.respond),
            }  # fmt: skip
            yield row, kind.render(np.random.default_rng([7, render]))


@cache
def miniature_clip_library() -> Path:
    """Return the folder of such a library, written once in a process and gone with it."""
    folder = tempfile.TemporaryDirectory(prefix='clip-library-')
    atexit.register(folder.cleanup)
    return write_clip_library(Path(folder.name) / 'clips')
