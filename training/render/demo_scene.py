"""The demo scene: a minute and a bit of hazards and ordinary sounds that the checkpoint never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.clips.sounds import SoundClip
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.procedural.registry import render
from training.random_streams import Purpose, random_stream
from training.render.single_sound import place
from training.sources.clip_library import Clip, load_library, split
from training.speech.espeak import Speaker
from training.speech.ordinary import ordinary_speech
from training.speech.voices import VALIDATION_VOICES

# In this order, hazards between ordinary sounds; None: text-to-speech with a voice no training used.
_PROGRAMME = (
    'dog bark',
    'person sneeze',
    None,
    'smoke alarm',
    'rain',
    'fire crackling',
    'clock tick',
    'baby cry',
    'music',
    'glass breaking',
    'rooster',
    'siren',
    None,
    'chainsaw',
    'sea waves',
    'car horn',
    'helicopter',
)
_PROCEDURAL = {'smoke alarm': 'smoke_alarm_t3', 'glass breaking': 'glass_pane', 'siren': 'siren_wail'}
_LONGEST_S, _PAUSE_S = 4.0, (0.6, 1.2)
_NOISE_BELOW_DB = 22.0


def make_scene(library: Path, out: Path, seed: int) -> dict[str, object]:
    """Write `out`/scene.flac (16 kHz mono) and `out`/scene.json (events, attributions); return a summary."""
    rng = random_stream(Purpose.DEMO_SCENE, seed)
    _, held_out = split(load_library(library))
    bed_dbfs = -24.0 - _NOISE_BELOW_DB
    parts = [noise_bed(2 * SAMPLE_RATE_HZ, bed_dbfs, rng)]
    events: list[dict[str, object]] = []
    at = len(parts[0])
    for category in _PROGRAMME:
        sound, attribution = _pick(category, held_out, rng)
        piece, frames = sound.excerpt(sound.onset, _LONGEST_S)
        piece = scale(piece, frames, rng.uniform(-27.0, -21.0))
        event = place(piece, frames, sound, at)
        stretch = noise_bed(len(piece) + int(rng.uniform(*_PAUSE_S) * SAMPLE_RATE_HZ), bed_dbfs, rng)
        stretch[: len(piece)] += piece
        parts.append(stretch)
        events.append(
            {
                'onset_s': round(event.onset / SAMPLE_RATE_HZ, 3),
                'end_s': round(event.end / SAMPLE_RATE_HZ, 3),
                'category': sound.category,
                'hazard': sound.respond,
                'source': attribution,
            }
        )
        at += len(stretch)
    parts.append(noise_bed(2 * SAMPLE_RATE_HZ, bed_dbfs, rng))
    samples = np.concatenate(parts)
    samples = np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES))
    out.mkdir(parents=True, exist_ok=True)
    soundfile.write(out / 'scene.flac', np.clip(samples, -1, 1), SAMPLE_RATE_HZ, subtype='PCM_16')
    (out / 'scene.json').write_text(json.dumps({'seed': seed, 'events': events}, indent=1, ensure_ascii=False) + '\n')
    return {
        'seconds': round(len(samples) / SAMPLE_RATE_HZ, 1),
        'events': len(events),
        'hazards': sum(bool(event['hazard']) for event in events),
    }


def _pick(category: str | None, held_out: list[Clip], rng: np.random.Generator) -> tuple[SoundClip, str]:
    if category is None:
        voice = VALIDATION_VOICES[int(rng.integers(len(VALIDATION_VOICES)))]
        with Speaker() as speaker:
            samples = ordinary_speech(rng, [voice], speaker)
        return SoundClip.of('speech', False, 'speech', samples), 'espeak-ng text-to-speech (made for this package)'
    if kind := _PROCEDURAL.get(category):
        return SoundClip.of(category, True, kind, render(kind, rng)), f'procedural: {kind}'
    clips = [clip for clip in held_out if clip.category == category and clip.respond is not None]
    # ESC-10 clips first: the other held-out ones are often a single short take.
    clips = [clip for clip in clips if clip.fold] or clips
    clip = clips[int(rng.integers(len(clips)))]
    sound = SoundClip.of(category, bool(clip.respond), clip.source_id, clip.read())
    return sound, f'{clip.attribution} ({clip.licence})'
