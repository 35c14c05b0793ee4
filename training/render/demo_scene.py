"""Scenes for the demo, of sounds that the checkpoint never trained on.

The one that ships is a minute and a bit of hazards between ordinary sounds; the other is three minutes of a living room
with two hazards in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.categories import canonical
from training.clips.sounds import SoundClip
from training.dsp.fades import tile
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.dsp.rooms import reverberate, room
from training.procedural.registry import render
from training.random_streams import Purpose, random_stream
from training.render.single_sound import PlacedSound, place
from training.sources.clip_library import Clip, ClipLibraryError, load_library, split
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

_LIVING_ROOM_S = 180.0
# By our names for them. One of each hazard, of the first category that the library has.
_LIVING_ROOM_HAZARDS = (('glass breaking',), ('baby cry', 'crying', 'scream', 'fire crackling'))
_LIVING_ROOM = (
    'speech', 'music', 'instrument', 'guitar', 'singing', 'television', 'radio', 'laughter', 'children playing',
    'footsteps', 'door', 'household object', 'keyboard typing', 'writing', 'printer', 'scissors', 'rustling', 'paper',
    'clock ticking', 'fan', 'breathing', 'snoring', 'yawn', 'whistling', 'applause', 'finger snap', 'dog bark', 'cat',
    'rain', 'coins', 'dishes',
)  # fmt: skip
_LONGEST_LIVING_S, _LIVING_PAUSE_S = 8.0, (0.5, 3.0)
_HAZARD_DBFS, _LIVING_DBFS, _LIVING_BED_DBFS = (-24.0, -20.0), (-34.0, -22.0), -48.0


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
        events.append(_event(event, attribution))
        at += len(stretch)
    parts.append(noise_bed(2 * SAMPLE_RATE_HZ, bed_dbfs, rng))
    return _write(np.concatenate(parts), events, out, seed)


def make_living_room(library: Path, out: Path, seed: int) -> dict[str, object]:
    """Write three minutes of a living room as `make_scene` does, with a hazard after each minute; return a summary.

    All sounds are held-out recordings of `library`, each family of them heard once, in one room. Raises
    ClipLibraryError where it has too few of them.
    """
    rng = random_stream(Purpose.LIVING_ROOM_SCENE, seed)
    _, held_out = split(load_library(library))
    families: dict[str, dict[str, list[Clip]]] = {}
    for one in held_out:
        families.setdefault(canonical(one.category), {}).setdefault(one.recording, []).append(one)
    length = int(_LIVING_ROOM_S * SAMPLE_RATE_HZ)
    dry = np.zeros(length, np.float32)
    events: list[dict[str, object]] = []
    at = 2 * SAMPLE_RATE_HZ
    used: set[str] = set()
    due = list(_LIVING_ROOM_HAZARDS)
    apart = length / (len(due) + 1)
    while True:
        hazard = bool(due) and at >= length - apart * len(due)
        clip = _unused(families, due.pop(0) if hazard else _LIVING_ROOM, hazard, used, rng)
        if clip is None:
            hazards = ' and '.join(' or '.join(names) for names in _LIVING_ROOM_HAZARDS)
            raise ClipLibraryError(
                f"the held-out side of '{library}' has too few sounds of a living room: they fill "
                f'{at / SAMPLE_RATE_HZ:.0f} s of {_LIVING_ROOM_S:.0f} s; give a library with more of '
                f'{", ".join(_LIVING_ROOM)}, and with {hazards}'
            )
        used.add(clip.recording)
        sound = SoundClip.of(canonical(clip.category), hazard, clip.source_id, clip.read().samples)
        if not sound.audible:
            continue
        piece, frames = sound.excerpt(sound.onset, _LONGEST_LIVING_S)
        piece = scale(piece, frames, rng.uniform(*(_HAZARD_DBFS if hazard else _LIVING_DBFS)))
        if at + len(piece) > length - 2 * SAMPLE_RATE_HZ:
            break
        dry[at : at + len(piece)] += piece
        events.append(_event(place(piece, frames, sound, at), f'{clip.attribution} ({clip.licence})'))
        at += len(piece) + int(rng.uniform(*_LIVING_PAUSE_S) * SAMPLE_RATE_HZ)
    wet = reverberate(dry, room(rng), rng.uniform(0.1, 0.3))
    bed = tile(noise_bed(20 * SAMPLE_RATE_HZ, _LIVING_BED_DBFS, rng), length, 0)
    return _write(wet + bed, events, out, seed)


def _unused(
    families: dict[str, dict[str, list[Clip]]],
    categories: Sequence[str],
    hazard: bool,
    used: set[str],
    rng: np.random.Generator,
) -> Clip | None:
    """A clip of a family that was not heard yet: of the first category that has one for a hazard, else of any."""
    kinds: list[list[list[Clip]]] = []
    for category in categories:
        own = (clips for name, clips in families.get(category, {}).items() if name not in used)
        left = [kept for clips in own if (kept := [clip for clip in clips if clip.respond is hazard])]
        if left:
            kinds.append(left)
    if not kinds:
        return None
    kind = kinds[0] if hazard else kinds[int(rng.integers(len(kinds)))]
    clips = kind[int(rng.integers(len(kind)))]
    return clips[int(rng.integers(len(clips)))]


def _event(event: PlacedSound, source: str) -> dict[str, object]:
    return {
        'onset_s': round(event.onset / SAMPLE_RATE_HZ, 3),
        'end_s': round(event.end / SAMPLE_RATE_HZ, 3),
        'category': event.category,
        'hazard': event.respond,
        'source': source,
    }


def _write(samples: Samples, events: list[dict[str, object]], out: Path, seed: int) -> dict[str, object]:
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
    sound = SoundClip.of(category, bool(clip.respond), clip.source_id, clip.read().samples)
    return sound, f'{clip.attribution} ({clip.licence})'
