"""`python -m training evaluate`: a checkpoint on the recordings it never trained on, through the runtime's session.

One recording a stream at random level and noise, and an hour of ordinary sound. The response threshold is never
chosen on what is reported: recordings are halved, and each half is judged with the threshold the other half chose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, load_decoder, load_encoder
from audio_interaction_ros.streaming.loop import Decision, Response, listen
from training.corpus import procedural
from training.corpus.clips import load_library, split
from training.corpus.compose import noise_bed, scale
from training.corpus.one_clip import OneClip, one_clip_streams
from training.corpus.sounds import Sound, recorded
from training.evaluate.figures import SILENCE_WEIGHT, area_under_roc, balanced_accuracy, best_threshold

NEVER = 0.999999  # a threshold no probability reaches: the session only listens


@dataclass(frozen=True)
class Judged:
    """A validation stream, the set it belongs to, and the highest P(response) while an answer would be in place."""

    stream: OneClip
    group: str
    score: float
    half: int

    @property
    def respond(self) -> bool:
        return self.stream.sound.respond


def held_out_sounds(library: Path, seed: int) -> dict[str, list[Sound]]:
    """What no stage trained on, by set: ESC-10's validation fold, the other held-out recordings, new renders."""
    _, validation = split(load_library(library))
    renders = [
        Sound.of(
            kind.category,
            kind.respond,
            f'procedural:{name}:held-out-{n}',
            procedural.render(name, np.random.default_rng([seed, 40, n, *name.encode()])),
        )
        for name, kind in procedural.SOUND_TYPES.items()
        if kind.respond
        for n in range(3)
    ]
    return {
        'fold 4': recorded([clip for clip in validation if clip.fold], 0, seed),
        'other recordings': recorded([clip for clip in validation if not clip.fold], 0, seed),
        'new procedural hazards': renders,
    }


def score_streams(
    encoder: EncoderHalf, decoder: DecoderHalf, sounds: dict[str, list[Sound]], seed: int
) -> list[Judged]:
    """Every sound once, in a fresh session that never speaks; a response at threshold t means score ≥ t."""
    groups = [group for group, members in sounds.items() for _ in members]
    streams = one_clip_streams([sound for members in sounds.values() for sound in members], seed)
    halves = _halves([stream.sound for stream in streams])
    judged = []
    for group, stream in zip(groups, tqdm(streams, desc='one-clip streams', unit='stream'), strict=True):
        events = listen(encoder, decoder, stream.samples, NEVER)
        window = stream.answer_chunks
        scores = [e.probability for e in events if isinstance(e, Decision) and e.chunk.index in window]
        judged.append(Judged(stream, group, max(scores), halves[stream.sound.source_id]))
    return judged


def _halves(sounds: Sequence[Sound]) -> dict[str, int]:
    """Each recording on one side, alternating within every category."""
    sides: dict[str, int] = {}
    count: dict[str, int] = defaultdict(int)
    for sound in sorted(sounds, key=lambda sound: (sound.category, sound.source_id)):
        if sound.source_id not in sides:
            sides[sound.source_id] = count[sound.category] % 2
            count[sound.category] += 1
    return sides


def ordinary_audio(sounds: Sequence[Sound], seconds: float, seed: int) -> Samples:
    """Sounds that deserve no answer in random order, 0 … 4 s apart, at random levels over noise. float32 [n]."""
    rng = np.random.default_rng([seed, 31])
    pieces: list[Samples] = []
    length = 0
    while length < seconds * SAMPLE_RATE_HZ:
        sound = sounds[int(rng.integers(len(sounds)))]
        level_dbfs = rng.uniform(-36.0, -14.0)
        piece = scale(*sound.excerpt(0, 6.0), level_dbfs)
        pause = int(rng.uniform(0.0, 4.0) * SAMPLE_RATE_HZ)
        stretch = noise_bed(len(piece) + pause, level_dbfs - rng.uniform(5.0, 25.0), rng)
        stretch[pause:] += piece
        pieces.append(stretch)
        length += len(stretch)
    return np.clip(np.concatenate(pieces)[: int(seconds * SAMPLE_RATE_HZ)], -1, 1)


def evaluate(checkpoint: Path, library: Path, seed: int, ordinary_s: float) -> dict[str, object]:
    """Print the per-class table and return the figures; see the module's docstring for what they mean."""
    encoder, decoder = load_encoder(checkpoint), load_decoder(checkpoint)
    sounds = held_out_sounds(library, seed)
    judged = score_streams(encoder, decoder, sounds, seed)
    fold = [j for j in judged if j.group == 'fold 4']
    cross_fitted = [
        best_threshold(
            [j.respond for j in fold if j.half != half],
            [j.score for j in fold if j.half != half],
            SILENCE_WEIGHT,
        )
        for half in (0, 1)
    ]
    shipped = decoder.config.streaming.response_threshold
    _print_table(judged, cross_fitted)
    figures: dict[str, object] = {
        group: _figures([j for j in judged if j.group == group], cross_fitted) for group in sounds
    }
    figures['thresholds_cross_fitted'] = [round(threshold, 3) for threshold in cross_fitted]
    figures['fold 4 at the shipped threshold'] = {'threshold': shipped} | _figures(fold, [shipped, shipped])
    halves = _halves([j.stream.sound for j in judged])
    false_alarms: dict[str, list[str]] = {'cross_fitted': [], 'shipped': []}
    for half in (0, 1):
        ordinary = [s for s in sounds['fold 4'] if not s.respond and halves[s.source_id] == half]
        samples = ordinary_audio(ordinary, ordinary_s / 2, seed + half)
        for name, threshold in (('cross_fitted', cross_fitted[half]), ('shipped', shipped)):
            heard = tqdm(listen(encoder, decoder, samples, threshold), desc=f'ordinary sound, {name}', unit='token')
            false_alarms[name] += [e.text for e in heard if isinstance(e, Response) and e.final]
    for name, texts in false_alarms.items():
        figures[f'false_alarms_per_hour_{name}'] = round(len(texts) / ordinary_s * 3600, 1)
    figures['false_alarm_texts'] = dict(Counter(false_alarms['shipped']))
    figures |= {'ordinary_audio_s': ordinary_s, 'seed': seed}
    return figures


def _figures(judged: Sequence[Judged], thresholds: Sequence[float]) -> dict[str, float]:
    labels = [j.respond for j in judged]
    answered = [j.score >= thresholds[j.half] for j in judged]
    given = [a for a, label in zip(answered, labels, strict=True) if label]
    false = [a for a, label in zip(answered, labels, strict=True) if not label]
    figures = {'streams': len(judged), 'recall': round(float(np.mean(given)), 3)}
    if false:
        figures |= {
            'false_positive_rate': round(float(np.mean(false)), 3),
            'balanced_accuracy': round(balanced_accuracy(labels, answered), 3),
            'auc': round(area_under_roc(labels, [j.score for j in judged]), 3),
        }
    return figures


def _print_table(judged: Sequence[Judged], thresholds: Sequence[float]) -> None:
    table = Table('set', 'category', 'should answer', 'streams', 'answered', 'mean score', title='Held-out recordings')
    rows: dict[tuple[str, str, bool], list[Judged]] = defaultdict(list)
    for j in judged:
        rows[j.group, j.stream.sound.category, j.respond].append(j)
    for (group, category, respond), members in sorted(
        rows.items(), key=lambda item: (item[0][0], -item[0][2], item[0][1])
    ):
        answered = sum(j.score >= thresholds[j.half] for j in members)
        style = 'green' if (answered * 2 >= len(members)) == respond else 'red'
        table.add_row(
            group,
            category,
            'yes' if respond else 'no',
            str(len(members)),
            f'[{style}]{answered}[/]',
            f'{np.mean([j.score for j in members]):.2f}',
        )
    Console().print(table)
