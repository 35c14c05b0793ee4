"""`evaluate clips`: recordings, one a stream at random level and noise, and an hour of ordinary sound of each library.

The headline is at the threshold the checkpoint ships with. The response threshold is never chosen on what is reported:
for the cross-fitted figures recordings are halved, and each half is judged with the threshold the other half chose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.evaluate import EvaluationError
from training.evaluate.clip_sets import UNREADABLE, ClipSet, LeftOut, Scored, count_left_out
from training.evaluate.clip_table import write_table
from training.evaluate.false_responses import write_false_responses
from training.evaluate.hearing import NEVER, Listener, end_s
from training.evaluate.judged import Judged
from training.evaluate.ordinary import FalseResponse, false_responses, hear_long, ordinary_audio
from training.evaluate.report import Evaluation, Example, ten
from training.evaluate.rightness import category_named
from training.evaluate.trials import Listened, Trial, rates, summary, with_false_alarms
from training.evaluate.yardstick import Yardstick, YardstickHour, against
from training.html import pages
from training.metrics import SILENCE_WEIGHT, best_threshold
from training.render.one_clip import OneClip, one_clip_stream

TABLE, FALSE_RESPONSES = '.csv', '-false-responses.html'  # what lies beside the page, by the end of its name


def judge(listener: Listener, stream: OneClip, recording: str) -> tuple[Trial, float | None]:
    """Return the trial of a one-clip stream, heard in the sessions a robot would have, and when it was answered.

    The score is that of a session that never speaks, so that any threshold can be put to it; the answer and its text
    are those of a session at the shipped threshold, its moment in seconds from the onset. `recording` is the trial's
    unit.
    """
    # What comes after the last chunk in which an answer counts changes nothing.
    chunks = list(listener.encode(stream.samples[: stream.answer_chunks.stop * CHUNK_SAMPLES]))
    heard = listener.hear(chunks, NEVER)
    score = heard.highest(stream.answer_chunks)
    if any(decision.probability >= listener.lowest_threshold for decision in heard.decisions):
        heard = listener.hear(chunks)  # until the first response both are the same
    answer = next((r for r in heard.responses if r.decision.chunk.index in stream.answer_chunks), None)
    answer_s = end_s(answer.decision) - stream.onset / SAMPLE_RATE_HZ if answer else None
    sound = stream.sound
    trial = Trial(
        unit=recording,
        category=sound.category,
        respond=sound.respond,
        answered=answer is not None,
        latency_s=answer_s if sound.respond else None,
        score=score,
        correct=category_named(answer.text, sound.category) if answer and sound.respond else None,
        snr_db=stream.snr_db,
        said=answer.text if answer else '',
    )
    return trial, answer_s


def judge_sounds(
    listener: Listener,
    sets: Sequence[ClipSet],
    seed: int,
    snr_db: float | None = None,
    yardstick: Yardstick | None = None,
) -> list[Judged]:
    """Judge every sound in a stream of its own, with the noise `snr_db` below it, or as drawn where that is None.

    A `yardstick` hears the same streams.
    """
    named = [(one, scored) for one in sets for scored in one.sounds]
    title = 'one-clip streams' if snr_db is None else f'one-clip streams, {snr_db:g} dB'
    found = []
    for number, (one, scored) in enumerate(tqdm(named, desc=title, unit='stream')):
        stream = one_clip_stream(scored.sound, number, seed, snr_db)
        trial, answer_s = judge(listener, stream, scored.recording)
        beside = yardstick.hear(stream) if yardstick else None
        found.append(Judged(one, number, scored, trial, answer_s, snr_db is None, beside))
    return found


def halves(sounds: Sequence[Scored]) -> dict[str, int]:
    """Return the half, 0 or 1, of each family of recordings, alternating within every category."""
    sides: dict[str, int] = {}
    count: dict[str, int] = defaultdict(int)
    for scored in sorted(sounds, key=lambda scored: (scored.sound.category, scored.recording)):
        if scored.recording not in sides:
            sides[scored.recording] = count[scored.sound.category] % 2
            count[scored.sound.category] += 1
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


@dataclass(frozen=True)
class Hour:
    """An `Hour` is what came of the ordinary sound of one library.

    `listened`: a stretch for each sound, with the name of its set; `fitted`: how many responses there were with the
    cross-fitted thresholds, None where that was not tried.
    """

    listened: tuple[tuple[str, Listened], ...]
    false: tuple[FalseResponse, ...]
    fitted: int | None
    yardstick: YardstickHour | None

    def figures(self, seed: int) -> dict[str, Any]:
        """Return its rate of false responses, of how many sounds, and what was said."""
        stretches = [stretch for _, stretch in self.listened]
        return with_false_alarms({'confidence_95': {}}, stretches, seed) | {
            'sounds': len(stretches),
            'recordings': len({stretch.unit for stretch in stretches}),
            'texts': dict(Counter(one.said for one in self.false).most_common()),
        }


def hear_hour(
    listener: Listener,
    sets: Sequence[ClipSet],
    sides: Mapping[str, int],
    seconds: float,
    seed: int,
    fitted: tuple[float, float] | None,
    yardstick: Yardstick | None,
) -> Hour:
    """Hear `seconds` of the ordinary sounds of one library's sets: each half of their families for half of the time."""
    listened: list[tuple[str, Listened]] = []
    false: list[FalseResponse] = []
    beside = YardstickHour() if yardstick else None
    count = 0
    parts = {side: _ordinary(sets, sides, side) for side in (0, 1)}
    parts = {side: part for side, part in parts.items() if part and seconds > 0}
    for side, part in parts.items():
        audio = ordinary_audio(part, seconds / len(parts), seed + side)
        heard = hear_long(listener, audio.samples, None, f'ordinary sound, {sets[0].name}')
        listened += audio.listened([end_s(response.decision) for response in heard.responses])
        false += false_responses(audio, heard)
        if fitted:
            count += len(hear_long(listener, audio.samples, fitted[side], 'the same, cross-fitted').responses)
        if yardstick and beside:
            beside += yardstick.hear_hour(audio)
    return Hour(tuple(listened), tuple(false), count if fitted and parts else None, beside)


def _ordinary(sets: Sequence[ClipSet], sides: Mapping[str, int], side: int) -> list[ClipSet]:
    def belongs(scored: Scored) -> bool:
        return not scored.sound.respond and sides[scored.recording] == side

    kept = (ClipSet(one.name, one.library, tuple(filter(belongs, one.sounds))) for one in sets)
    return [one for one in kept if one.sounds]


def evaluate_clips(
    listener: Listener,
    sets: Sequence[ClipSet],
    left_out: Sequence[LeftOut],
    snrs_db: Sequence[float],
    ordinary_s: float,
    seed: int,
    yardstick: Yardstick | None = None,
) -> Evaluation:
    """Return how well a checkpoint hears clips; the headline is the first set at the shipped threshold.

    `left_out` is what cannot be scored; `snrs_db` are the SNRs at which the headline is repeated; `ordinary_s` is how
    many seconds of ordinary sound are heard of each library. A `yardstick` hears all of it too. Raises EvaluationError
    where there is nothing to score.
    """
    if not sets:
        why = f': {left_out[0].file} for one, because {left_out[0].reason}' if left_out else ''
        raise EvaluationError(
            f'no clip can be scored ({len(left_out)} left out, {count_left_out(left_out)}{why}); mend the manifest or '
            'its files, or give another library'
        )
    judged = judge_sounds(listener, sets, seed, yardstick=yardstick)
    headline = sets[0]
    trials = [j.trial for j in judged if j.set is headline]
    sides = halves([j.scored for j in judged])
    fitted = cross_fitted_thresholds(trials, sides)
    hours = {
        library: hear_hour(
            listener,
            [one for one in sets if one.library == library],
            sides,
            ordinary_s,
            seed,
            fitted if library == headline.library else None,
            yardstick,
        )
        for library in dict.fromkeys(one.library for one in sets if one.library is not None)
    }
    hour = None if headline.library is None else hours.get(headline.library)
    figures = summary(trials, [stretch for _, stretch in hour.listened] if hour else [], seed)
    figures['threshold'] = listener.threshold
    figures['false_alarm_texts'] = hour.figures(seed)['texts'] if hour else {}
    figures['cross_fitted'] = fitted and {
        'thresholds': [round(threshold, 3) for threshold in fitted],
        **rates([_at(trial, fitted[sides[trial.unit]]) for trial in trials], seed),
        'false_alarms_per_hour': (
            round(hour.fitted / figures['hours_listened'], 1)
            if hour and hour.fitted is not None and figures['hours_listened']
            else None
        ),
    }
    heard_in = {library: found.listened for library, found in hours.items()}
    figures['sets'] = {
        one.name: {'library': one.library}
        | with_false_alarms(
            rates([j.trial for j in judged if j.set is one], seed),
            [stretch for name, stretch in heard_in.get(one.library or '', ()) if name == one.name],
            seed,
        )
        for one in sets
    }
    figures['ordinary_sound'] = {library: found.figures(seed) for library, found in hours.items()}
    noisy = {f'{snr_db:g}': judge_sounds(listener, [headline], seed, snr_db, yardstick) for snr_db in snrs_db}
    figures['by_snr'] = {snr: rates([j.trial for j in found], seed) for snr, found in noisy.items()}
    if yardstick:
        beside = {library: found.yardstick for library, found in hours.items() if found.yardstick}
        figures['against'] = against(yardstick, judged, noisy, beside, seed)
    figures |= {'left_out': count_left_out(left_out), 'ordinary_audio_s': ordinary_s, 'seed': seed}
    figures['unreadable'] = sum(one.reason == UNREADABLE for one in left_out)
    figures['damaged'] = sum(scored.problem is not None for one in sets for scored in one.sounds)
    everything = [*judged, *(j for found in noisy.values() for j in found)]
    false = [(library, one) for library, found in hours.items() for one in found.false]
    shown = ten([j for j in judged if j.set is headline], lambda j: not j.trial.well_decided)
    return Evaluation(
        figures,
        trials,
        [_example(listener, j, seed) for j in shown],
        beside={
            TABLE: partial(write_table, everything, left_out),
            FALSE_RESPONSES: partial(write_false_responses, false, figures['ordinary_sound'], listener.threshold),
        },
    )


def _at(trial: Trial, threshold: float) -> Trial:
    """The same with another threshold: what was said and when is not known there."""
    assert trial.score is not None
    return Trial(trial.unit, trial.category, trial.respond, trial.score >= threshold, score=trial.score)


def _example(listener: Listener, judged: Judged, seed: int) -> Example:
    stream, trial = one_clip_stream(judged.scored.sound, judged.number, seed), judged.trial
    kind = 'respond' if trial.respond else 'sound'
    return Example(
        title=f'{trial.category}: {trial.outcome}',
        note=f'{judged.scored.sound.source_id} · SNR {stream.snr_db:.1f} dB',
        samples=stream.samples,
        spans=(pages.Span(stream.onset / SAMPLE_RATE_HZ, stream.deadline / SAMPLE_RATE_HZ, trial.category, kind),),
        heard=listener.hear_samples(stream.samples),
    )
