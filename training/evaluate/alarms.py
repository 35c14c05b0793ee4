"""`evaluate alarms`: the signature path on rendered alarms in noise, and on real sound that holds none.

No checkpoint takes part. The detector's limits were chosen on one half of the recordings (`for_choosing`) and on
renders of other seeds; what is reported here comes from the other half.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.safety.alarm_signatures import AlarmSignatures
from training.dsp.noise_beds import noise_bed
from training.dsp.rooms import room_response
from training.evaluate import EvaluationError
from training.evaluate.alarm_sounds import RENDERERS, render
from training.procedural.registry import ALL_TYPES
from training.procedural.registry import render as render_event
from training.random_streams import Purpose, random_stream
from training.sources.clip_library import NO_EVENT, Clip, load_library

SNR_DB = (20, 15, 10, 5, 0)
_LEAD_S, _ALARM_S = 3.0, 27.0  # of noise alone, then of the alarm in it
_STREAM = int((_LEAD_S + _ALARM_S) * SAMPLE_RATE_HZ)
_REPEATED_S = 16.0  # an ordinary sound, again and again
SIGNATURE_OF = {'smoke_t3': 'temporal_three', 'smoke_520': 'temporal_three', 'co_t4': 'temporal_four'}


def evaluate_alarms(library: Path, renders: int, choosing: bool, seed: int) -> dict[str, Any]:
    """Return the recall by alarm and noise, and what is heard where there is no alarm.

    `renders` is how often each alarm is rendered. With `choosing`, the half of the recordings is used on which limits
    may be chosen; it says nothing about the other. Raises EvaluationError without recordings.
    """
    ordinary = ordinary_sound(load_library(library), choosing, seed)
    return {
        'recall': recall(ordinary, renders, seed),
        'recordings': false_alarms(ordinary, seed),
        'rendered': rendered_false_alarms(seed),
    }


def for_choosing(clip: Clip) -> bool:
    """Return whether a clip belongs to the half of the recordings on which limits may be chosen."""
    return hashlib.sha256(f'alarm{clip.recording}'.encode()).digest()[0] % 2 == 0


def ordinary_sound(clips: Iterable[Clip], choosing: bool, seed: int) -> Samples:
    """Return one half of the recordings that are no alarms, back to back in random order: float32 [n] at 16 kHz.

    Raises EvaluationError if there are none.
    """
    kept = [clip for clip in clips if for_choosing(clip) is choosing and clip.category not in NO_EVENT | {'alarm'}]
    if not kept:
        raise EvaluationError('the clip library holds no recordings for this half; give one with more recordings')
    order = random_stream(Purpose.ORDINARY_RECORDINGS, seed).permutation(len(kept))
    return np.concatenate([kept[number].read().samples for number in order])


def hear(sound: Samples) -> list[tuple[float, str]]:
    """Return what the alarm signatures find in a sound (float32 [n] at 16 kHz): (second, signature) of each find."""
    signatures, heard = AlarmSignatures(), []
    for start in range(0, len(sound) - CHUNK_SAMPLES + 1, CHUNK_SAMPLES):
        for evidence in signatures.feed(sound[start : start + CHUNK_SAMPLES]):
            heard.append((start / SAMPLE_RATE_HZ + CHUNK_S, evidence.signature))
    return heard


def recall(ordinary: Samples, renders: int, seed: int) -> dict[str, Any]:
    """Return, by alarm, which share of its renders was heard for what it is: by kind of noise and SNR in dB.

    Beside it stand the median delay in seconds (`heard_after_s`) and how many streams also held another signature.
    """
    figures: dict[str, Any] = {}
    for number, name in enumerate(tqdm(RENDERERS, desc='alarms', unit='alarm')):
        expected = SIGNATURE_OF.get(name, name)
        heard: dict[tuple[str, int], list[float]] = {}
        mistaken: Counter[str] = Counter()
        for turn in range(renders):
            rng = random_stream(Purpose.ALARM_IN_NOISE, seed, number, turn)
            alarm = render(name, rng, _ALARM_S)
            for kind in ('noise', 'recordings'):
                for snr_db in SNR_DB:
                    stream = _mixed(alarm, _noise(kind, ordinary, rng), snr_db, rng)
                    found = hear(stream)
                    heard.setdefault((kind, snr_db), []).extend(
                        [second - _LEAD_S for second, signature in found if signature == expected][:1]
                    )
                    mistaken.update({signature for _, signature in found} - {expected})
        figures[name] = {
            kind: {str(snr_db): round(len(heard[kind, snr_db]) / renders, 3) for snr_db in SNR_DB}
            for kind in ('noise', 'recordings')
        }
        delays = [delay for found_s in heard.values() for delay in found_s]
        figures[name]['heard_after_s'] = round(float(np.median(delays)), 1) if delays else None
        figures[name]['also_heard_as'] = dict(mistaken)
        figures[name]['streams'] = renders * 2 * len(SNR_DB)
    return figures


def _noise(kind: str, ordinary: Samples, rng: np.random.Generator) -> Samples:
    if kind == 'noise':
        return noise_bed(_STREAM, -20.0, rng)
    start = int(rng.integers(max(1, len(ordinary) - _STREAM)))
    return np.resize(ordinary[start : start + _STREAM], _STREAM)


def _mixed(alarm: Samples, noise: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """The ratio is that of the alarm where it sounds to the whole noise; the mixture is at a random level."""
    pieces = np.square(alarm[: len(alarm) // 800 * 800]).reshape(-1, 800).mean(axis=1)
    power = pieces[pieces > 0.05 * pieces.max()].mean()
    gain = np.sqrt(power / max(float(np.square(noise).mean()), 1e-12)) * 10 ** (-snr_db / 20)
    stream = noise * gain
    stream[int(_LEAD_S * SAMPLE_RATE_HZ) :] += alarm
    return (stream * (10 ** (rng.uniform(-40.0, -1.0) / 20) / np.abs(stream).max())).astype(np.float32)


def false_alarms(ordinary: Samples, seed: int) -> dict[str, Any]:
    """Return how many alarms are found in recordings that hold none, in all and per hour.

    The recordings are heard as they are, and once more in another order of minutes with the echo of rooms.
    """
    rng = random_stream(Purpose.ECHOING_MINUTES, seed)
    minutes = np.array_split(ordinary, max(1, len(ordinary) // (60 * SAMPLE_RATE_HZ)))
    reordered = [minutes[number] for number in rng.permutation(len(minutes))]
    echoing = [scipy.signal.oaconvolve(minute, room_response(rng))[: len(minute)] for minute in reordered]
    heard: list[str] = []
    for sound in tqdm((ordinary, np.concatenate(echoing).astype(np.float32)), desc='recordings', unit='pass'):
        heard += [signature for _, signature in hear(sound)]
    hours = 2 * len(ordinary) / SAMPLE_RATE_HZ / 3_600
    return {
        'hours': round(hours, 3),
        'hours_of_recordings': round(hours / 2, 3),
        'false_alarms': dict(Counter(heard)),
        'false_alarms_per_hour': round(len(heard) / hours, 2),
    }


def rendered_false_alarms(seed: int) -> dict[str, Any]:
    """Return which ordinary sounds of the procedural library are taken for an alarm, by name.

    Each is repeated for 16 s as if it had a rhythm: beepers, telephones, crickets.
    """
    heard: dict[str, list[str]] = {}
    names = sorted(name for name, kind in ALL_TYPES.items() if not kind.respond)
    for number, name in enumerate(tqdm(names, desc='ordinary sounds', unit='sound')):
        rng = random_stream(Purpose.REPEATED_ORDINARY_SOUND, seed, number)
        sound = np.resize(render_event(name, rng), int(_REPEATED_S * SAMPLE_RATE_HZ))
        sound = sound + 1e-3 * rng.standard_normal(len(sound)).astype(np.float32)
        found = [signature for _, signature in hear(sound)]
        if found:
            heard[name] = sorted(set(found))
    hours = len(names) * _REPEATED_S / 3_600
    return {'hours': round(hours, 3), 'sounds': len(names), 'false_alarms': heard}


def recall_table(figures: dict[str, Any]) -> str:
    """Return the recall as a Markdown table, as it stands in docs/safety.md."""
    rows = ['| alarm | in | ' + ' | '.join(f'{snr_db} dB' for snr_db in SNR_DB) + ' | heard after |']
    rows.append('|---|---|' + '---:|' * (len(SNR_DB) + 1))
    for name, row in figures['recall'].items():
        for kind in ('noise', 'recordings'):
            cells = ' | '.join(f'{100 * row[kind][str(snr_db)]:.0f} %' for snr_db in SNR_DB)
            rows.append(f'| {name} | {kind} | {cells} | {row["heard_after_s"]} s |')
    return '\n'.join(rows)
