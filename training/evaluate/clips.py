"""`evaluate clips`: recordings, one a stream at random level and noise, and an hour of ordinary sound.

The headline is at the threshold the checkpoint ships with. The response threshold is never chosen on what is reported:
for the cross-fitted figures recordings are halved, and each half is judged with the threshold the other half chose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.categories import canonical, decision
from training.clips.sounds import SoundClip
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.evaluate import EvaluationError
from training.evaluate.hearing import NEVER, Heard, Listener, end_s
from training.evaluate.report import Evaluation, Example, ten
from training.evaluate.rightness import category_named
from training.evaluate.trials import Listened, Trial, in_blocks, rates, summary
from training.html import pages
from training.metrics import SILENCE_WEIGHT, best_threshold
from training.procedural.registry import SOUND_TYPES, render
from training.random_streams import Purpose, random_stream
from training.render.one_clip import OneClip, one_clip_stream
from training.sources.clip_library import NO_EVENT, Clip, load_library

NEEDED = frozenset({'path', 'category'})
HELD_OUT_RENDERS = 3


@dataclass(frozen=True)
class Judged:
    """A `Judged` is one sound heard in one stream at the shipped threshold; `number` makes the stream again."""

    group: str
    number: int
    sound: SoundClip
    trial: Trial


def deserves_answer(clip: Clip) -> bool | None:
    """Return whether a clip deserves an answer, or None if nobody knows.

    The manifest has the first word, then the taxonomy: categories.yaml and the procedural sounds.
    """
    if clip.respond is not None or clip.category in NO_EVENT:
        return clip.respond
    try:
        return decision(clip.category)
    except KeyError:
        return None


def clip_sounds(clips: Iterable[Clip]) -> tuple[list[SoundClip], Counter[str]]:
    """Return the sounds that can be scored, and how many of each category cannot.

    A clip is left out if nobody knows whether it deserves an answer, or if nothing is heard in it.
    """
    sounds: list[SoundClip] = []
    left_out: Counter[str] = Counter()
    for clip in tqdm(list(clips), desc='recordings', unit='clip'):
        respond = deserves_answer(clip)
        if respond is None:
            left_out[clip.category] += 1
            continue
        sound = SoundClip.of(canonical(clip.category), respond, clip.source_id, clip.read())
        if sound.audible:
            sounds.append(sound)
        else:
            left_out[clip.category] += 1
    return sounds, left_out


def held_out_groups(library: Path, seed: int) -> tuple[dict[str, list[SoundClip]], Counter[str]]:
    """Return what no stage trained on, by group, and how many clips of each category were left out.

    The groups are fold 4, held-out recordings without folds, and new renders of procedural hazards; an empty one is
    left out.
    """
    held_out = [clip for clip in load_library(library) if clip.validation and clip.respond is not None]
    fold, left_out = clip_sounds(clip for clip in held_out if clip.fold)
    others, more = clip_sounds(clip for clip in held_out if not clip.fold)
    renders = [
        SoundClip.of(
            kind.category,
            kind.respond,
            f'procedural:{name}:held-out-{n}',
            render(name, random_stream(Purpose.HELD_OUT_RENDER, seed, n, name)),
        )
        for name, kind in SOUND_TYPES.items()
        if kind.respond
        for n in range(HELD_OUT_RENDERS)
    ]
    groups = {'fold 4': fold, 'other recordings': others, 'new procedural hazards': renders}
    return {name: sounds for name, sounds in groups.items() if sounds}, left_out + more


def judge(listener: Listener, stream: OneClip) -> Trial:
    """Return the trial of a one-clip stream, heard in the sessions a robot would have.

    The score is that of a session that never speaks, so that any threshold can be put to it; the answer and its text
    are those of a session at the shipped threshold.
    """
    chunks = list(listener.encode(stream.samples))
    heard = listener.hear(chunks, NEVER)
    score = heard.highest(stream.answer_chunks)
    if any(decision.probability >= listener.lowest_threshold for decision in heard.decisions):
        heard = listener.hear(chunks)  # until the first response both are the same
    answer = next((r for r in heard.responses if r.decision.chunk.index in stream.answer_chunks), None)
    sound = stream.sound
    return Trial(
        unit=sound.source_id,
        category=sound.category,
        respond=sound.respond,
        answered=answer is not None,
        latency_s=end_s(answer.decision) - stream.onset / SAMPLE_RATE_HZ if answer and sound.respond else None,
        score=score,
        correct=category_named(answer.text, sound.category) if answer and sound.respond else None,
        snr_db=stream.snr_db,
        said=answer.text if answer else '',
    )


def judge_sounds(
    listener: Listener, groups: dict[str, list[SoundClip]], seed: int, snr_db: float | None = None
) -> list[Judged]:
    """Judge every sound in a stream of its own, with the noise `snr_db` below it, or as drawn where that is None."""
    named = [(group, sound) for group, sounds in groups.items() for sound in sounds]
    title = 'one-clip streams' if snr_db is None else f'one-clip streams, {snr_db:g} dB'
    return [
        Judged(group, number, sound, judge(listener, one_clip_stream(sound, number, seed, snr_db)))
        for number, (group, sound) in enumerate(tqdm(named, desc=title, unit='stream'))
    ]


def halves(sounds: Sequence[SoundClip]) -> dict[str, int]:
    """Return the half, 0 or 1, of each recording by `source_id`, alternating within every category."""
    sides: dict[str, int] = {}
    count: dict[str, int] = defaultdict(int)
    for sound in sorted(sounds, key=lambda sound: (sound.category, sound.source_id)):
        if sound.source_id not in sides:
            sides[sound.source_id] = count[sound.category] % 2
            count[sound.category] += 1
    return sides


def cross_fitted_thresholds(trials: Sequence[Trial], sides: dict[str, int]) -> tuple[float, float] | None:
    """Return for each half the threshold that is best on the other half.

    None where a half lacks sounds that deserve an answer, or sounds that deserve none.
    """
    chosen = []
    for side in (0, 1):
        others = [trial for trial in trials if sides[trial.unit] != side]
        labels = [trial.respond for trial in others]
        if all(labels) or not any(labels):
            return None
        chosen.append(best_threshold(labels, [trial.score or 0.0 for trial in others], SILENCE_WEIGHT))
    return chosen[0], chosen[1]


def ordinary_audio(sounds: Sequence[SoundClip], seconds: float, seed: int) -> Samples:
    """Return a long recording of sounds that deserve no answer, in random order: float32 [n] at 16 kHz.

    They are 0 … 4 s apart, at random levels over noise.
    """
    rng = random_stream(Purpose.ORDINARY_AUDIO, seed)
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


def hear_long(listener: Listener, samples: Samples, threshold: float | None, title: str) -> Heard:
    """Hear one long recording, float32 [n] at 16 kHz, at one threshold or as the checkpoint ships; `title`: a bar."""
    chunks = len(samples) // CHUNK_SAMPLES
    return listener.hear(tqdm(listener.encode(samples), desc=title, total=chunks, unit='chunk'), threshold)


def evaluate_clips(
    listener: Listener,
    groups: dict[str, list[SoundClip]],
    left_out: Counter[str],
    snrs_db: Sequence[float],
    ordinary_s: float,
    seed: int,
) -> Evaluation:
    """Return how well a checkpoint hears clips; the headline is the first group at the shipped threshold.

    `left_out` counts by category what cannot be scored; `snrs_db` are the SNRs at which the headline is repeated;
    `ordinary_s` is how many seconds of ordinary sound are heard. Raises EvaluationError where there is nothing to
    score.
    """
    if not groups or not any(groups.values()):
        raise EvaluationError(
            f'no clip can be scored ({sum(left_out.values())} left out: {dict(left_out)}); '
            'say respond = 1 or 0 in the manifest'
        )
    judged = judge_sounds(listener, groups, seed)
    headline = next(iter(groups))
    trials = [j.trial for j in judged if j.group == headline]
    sides = halves([j.sound for j in judged])
    fitted = cross_fitted_thresholds(trials, sides)
    listened: list[Listened] = []
    texts: Counter[str] = Counter()
    false_fitted = 0
    benign = {side: [s for s in groups[headline] if not s.respond and sides[s.source_id] == side] for side in (0, 1)}
    heard_sides = [side for side in benign if benign[side] and ordinary_s > 0]
    for side in heard_sides:
        samples = ordinary_audio(benign[side], ordinary_s / len(heard_sides), seed + side)
        heard = hear_long(listener, samples, None, 'ordinary sound')
        moments_s = [end_s(response.decision) for response in heard.responses]
        listened += in_blocks(f'ordinary:{side}', len(samples) / SAMPLE_RATE_HZ, moments_s)
        texts.update(response.text for response in heard.responses)
        if fitted:
            false_fitted += len(hear_long(listener, samples, fitted[side], 'ordinary sound, cross-fitted').responses)
    figures = summary(trials, listened, seed)
    hours = sum(stretch.hours for stretch in listened)
    figures['threshold'] = listener.threshold
    figures['false_alarm_texts'] = dict(texts.most_common())
    if fitted:
        figures['cross_fitted'] = {
            'thresholds': [round(threshold, 3) for threshold in fitted],
            **rates([_at(trial, fitted[sides[trial.unit]]) for trial in trials], seed),
            'false_alarms_per_hour': round(false_fitted / hours, 1) if hours else None,
        }
    figures['sets'] = {
        group: rates([j.trial for j in judged if j.group == group], seed) for group in groups if len(groups) > 1
    }
    figures['by_snr'] = {
        f'{snr_db:g}': rates(
            [j.trial for j in judge_sounds(listener, {headline: groups[headline]}, seed, snr_db)], seed
        )
        for snr_db in snrs_db
    }
    figures |= {'left_out': dict(left_out), 'ordinary_audio_s': ordinary_s, 'seed': seed}
    shown = ten([j for j in judged if j.group == headline], lambda j: not j.trial.well_decided)
    return Evaluation(figures, trials, [_example(listener, j, seed) for j in shown])


def _at(trial: Trial, threshold: float) -> Trial:
    """The same with another threshold: what was said and when is not known there."""
    assert trial.score is not None
    return Trial(trial.unit, trial.category, trial.respond, trial.score >= threshold, score=trial.score)


def _example(listener: Listener, judged: Judged, seed: int) -> Example:
    stream, trial = one_clip_stream(judged.sound, judged.number, seed), judged.trial
    kind = 'respond' if trial.respond else 'sound'
    return Example(
        title=f'{trial.category}: {trial.outcome}',
        note=f'{judged.sound.source_id} · SNR {stream.snr_db:.1f} dB',
        samples=stream.samples,
        spans=(pages.Span(stream.onset / SAMPLE_RATE_HZ, stream.deadline / SAMPLE_RATE_HZ, trial.category, kind),),
        heard=listener.hear_samples(stream.samples),
    )
