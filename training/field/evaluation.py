"""`evaluate field`: real sound of four scenes, and a synthetic twin of each recording, by the measures of A.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
from training.evaluate.bag import Scored, score
from training.evaluate.hearing import Listener
from training.evaluate.report import Evaluation, Example, rates_table
from training.evaluate.trials import BLOCK_S, by, rates, with_false_alarms
from training.field.hearing import (
    BIN_CHUNKS,
    CheckpointEars,
    Ears,
    Timed,
    Written,
    of_language,
    silence_probabilities,
    silence_rates,
    write_down,
)
from training.field.inside import (
    Inside,
    chosen_windows,
    correlation,
    inside_figures,
    look_inside,
    window_length,
)
from training.field.recordings import SCENES, FieldRecording
from training.field.twins import Twin
from training.html import pages, plots
from training.inspect.heads import LOG_PROBABILITY
from training.inspect.page import by_place
from training.metrics import interval_of_sums, interval_of_values, ratio, rounded

PAPER = {
    'accuracy': (0.589, 0.620),
    'silence_correlation': 0.91,
    'continuity_ratio': (0.78, 0.80),
    'token_match_drop': (0.86, 0.88),
    'wer': {'travel': 0.079, 'commute': 0.086},
}  # A.1: real, and the synthetic split that matches
_BINS_A_BLOCK = round(BLOCK_S / (CHUNK_S * BIN_CHUNKS))
_SHOWN_S, _EXAMPLES_A_SCENE = 20.0, 3
_COLUMNS = (
    'hours_listened', 'trials', 'accuracy', 'balanced_accuracy', 'recall', 'false_alarms_per_hour',
    'onset_to_response_s', 'computing_ms', 'wer', 'cer',
)  # fmt: skip
_OF_BASELINES = (
    'trials', 'right_answers', 'response_correct', 'recall', 'false_responses', 'false_alarms_per_hour',
    'onset_to_response_s', 'computing_ms', 'cpu_share', 'wer',
)  # fmt: skip
_Item = TypeVar('_Item')


@dataclass(frozen=True)
class HeardRecording:
    """A `HeardRecording` is what became of a recording: decisions, their score against its labels, words."""

    recording: FieldRecording
    timed: Timed
    scored: Scored
    written: tuple[Written, ...]


def hear_recording(ears: Ears, recording: FieldRecording) -> HeardRecording:
    """Hear a recording, and its words once more to have them written down."""
    timed = ears.hear(recording.samples)
    scored = score(recording.events, timed.heard, recording.name)
    return HeardRecording(recording, timed, scored, tuple(write_down(ears, recording)))


def evaluate_field(
    listener: Listener,
    recordings: Sequence[FieldRecording],
    twins: Sequence[Twin],
    instruction: str,
    windows: int,
    seed: int,
    baselines: Sequence[Ears] = (),
) -> Evaluation:
    """Return how a checkpoint hears the recordings, and their twins where there are any, one for each.

    `windows`: of 20 s in each scene, that are looked at for continuity and heads. `baselines` hear the same recordings.
    """
    ears = CheckpointEars(listener, instruction)
    real = [hear_recording(ears, one) for one in _counted(recordings, 'field')]
    synthetic = [hear_recording(ears, twin.recording) for twin in _counted(twins, 'twins')]
    length = window_length(listener)
    chosen = chosen_windows(recordings, windows, length)
    inside = look_inside(listener, recordings, chosen, length)
    twins_inside = look_inside(listener, [one.recording for one in synthetic], chosen, length) if twins else None

    trials = [trial for one in real for trial in one.scored.trials]
    figures = field_rates(real, seed) | {'per_category': by(trials, lambda trial: trial.category, seed)}
    figures['scenes'] = {
        scene: {
            'recordings': len(own),
            'real': field_rates(own, seed),
            'synthetic': field_rates([one for one in synthetic if one.recording.scene == scene], seed)
            if twins
            else None,
        }
        for scene in SCENES
        if (own := [one for one in real if one.recording.scene == scene])
    }
    figures['synthetic'] = field_rates(synthetic, seed) if twins else None
    figures['events_without_a_twin'] = [
        {'recording': twin.recording.name, 'onset_s': event.onset_s, 'category': event.category}
        for twin in twins
        for event in twin.without
    ]
    figures['silence_correlation'] = silence_correlation(real, synthetic, seed) if twins else None
    figures |= inside_figures(inside, twins_inside, seed)
    figures['baselines'] = {
        each.name: field_rates([hear_recording(each, one) for one in _counted(recordings, each.name)], seed)
        for each in baselines
    }
    figures['paper'] = PAPER
    figures |= {'threshold': listener.threshold, 'instruction': instruction, 'seed': seed}
    sections = [
        ('By scene, real and synthetic', scene_table(figures)),
        ('Beside the paper (A.1)', _paper_table(figures)),
        *_baseline_section(figures, ears.name),
        *_silence_section(real, synthetic),
        *_inside_sections(inside, twins_inside),
        ('What was written down', _words_table(real, synthetic)),
    ]
    return Evaluation(figures, trials, _examples(real), sections)


def _counted(items: Sequence[_Item], what: str) -> Iterable[_Item]:
    return tqdm(items, desc=what, unit='recording', disable=not items)


def field_rates(heard: Sequence[HeardRecording], seed: int) -> dict[str, Any]:
    """Return the rates of some recordings, with false responses, words, and what computing takes.

    `computing_ms` is the median from the end of the chunk that triggers a response to its first words; `cpu_share` the
    CPU time for each second of sound.
    """
    trials = [trial for one in heard for trial in one.scored.trials]
    listened = [stretch for one in heard for stretch in one.scored.listened]
    figures = with_false_alarms(rates(trials, seed), listened, seed)
    computing_s = [value for one in heard for value in one.timed.computing_s]
    seconds = sum(one.recording.duration_s for one in heard)
    figures['false_responses'] = sum(len(one.scored.false_s) for one in heard)
    figures['right_answers'] = sum(trial.respond and bool(trial.correct) for trial in trials)
    figures['computing_ms'] = round(1_000 * float(np.median(computing_s)), 1) if computing_s else None
    figures['cpu_share'] = round(sum(one.timed.cpu_s for one in heard) / seconds, 4) if seconds else None
    written = [each for one in heard for each in one.written]
    for name, unit, language in (('wer', 'words', 'english'), ('cer', 'characters', 'chinese')):
        own = of_language(written, language)
        errors, words = [one.errors for one in own], [one.words for one in own]
        figures[name] = round(sum(errors) / sum(words), 4) if own else None
        figures[unit] = sum(words)
        if interval := interval_of_sums([one.unit for one in own], [errors, words], ratio, seed):
            figures['confidence_95'][name] = rounded(interval)
    return figures


def silence_correlation(
    real: Sequence[HeardRecording], synthetic: Sequence[HeardRecording], seed: int
) -> dict[str, Any]:
    """Return Pearson's correlation of the silence of recordings and of their twins, in bins of 2 s.

    `rate` is that of the share of chunks that stay silent, which the paper has; `probability` that of the mean
    P(silent). Each is None where one side never changes. A bootstrap draws minutes.
    """
    found: dict[str, Any] = {'bins': 0}
    for name, measure in (('rate', silence_rates), ('probability', silence_probabilities)):
        one, other = (
            np.concatenate([measure(each.timed.heard, each.recording.chunks) for each in side])
            for side in (real, synthetic)
        )
        units = [
            f'{each.recording.name}:{number // _BINS_A_BLOCK}'
            for each in real
            for number in range(each.recording.chunks // BIN_CHUNKS)
        ]

        def drawn(indices: np.ndarray, one: np.ndarray = one, other: np.ndarray = other) -> float:
            value = correlation(one[indices], other[indices])
            return float('nan') if value is None else value

        found['bins'] = len(one)
        found[name] = correlation(one, other)
        found[f'{name}_confidence_95'] = (
            rounded(interval_of_values(units, drawn, seed)) if found[name] is not None else None
        )
    return found


def scene_table(figures: dict[str, Any]) -> Markup:
    """Return the table of scenes: a row for each on real sound, and one on its twin."""
    rows: dict[str, dict[str, Any]] = {}
    for scene, found in figures['scenes'].items():
        rows[scene] = found['real']
        if found['synthetic'] is not None:
            rows[f'{scene}, synthetic'] = found['synthetic']
    rows['all'] = figures
    if figures['synthetic'] is not None:
        rows['all, synthetic'] = figures['synthetic']
    return rates_table(rows, _COLUMNS)


def _paper_table(figures: dict[str, Any]) -> Markup:
    synthetic = figures['synthetic'] or {}
    silence = figures['silence_correlation'] or {}
    ratio_of, heads = figures['continuity_ratio'], figures['head_importance']

    def two(name: str, of: dict[str, Any], key: str) -> list[object]:
        return [name, (of['real'] or {}).get(key), (of['synthetic'] or {}).get(key)]

    rows = [
        ['trigger accuracy', figures['accuracy'], synthetic.get('accuracy'), '0.589, synthetic 0.620'],
        ['word error rate', figures['wer'], synthetic.get('wer'), '0.079 in travel, 0.086 in commute'],
        ['first words after their chunk, ms', figures['computing_ms'], synthetic.get('computing_ms'), 'alike to 25 ms'],
        ['silence rate, correlation of 2 s', silence.get('rate'), None, '0.91'],
        ['P(silent), correlation of 2 s', silence.get('probability'), None, None],
        [*two('continuity ratio at layer 0', ratio_of, 'ratio'), '0.78, synthetic 0.80'],
        [*two(f'control tokens lost without {heads["head"]}', heads, 'token_match_drop'), '0.86, synthetic 0.88'],
        [*two(f'log-probability lost without {heads["head"]}', heads, 'log_probability_drop'), None],
        ['all heads, correlation of what is lost', heads.get('correlation_of_heads'), None, None],
    ]
    return pages.table(['', 'real', 'synthetic', 'paper, 3B'], rows)


def _baseline_section(figures: dict[str, Any], ours: str) -> list[pages.Section]:
    if not figures['baselines']:
        return []
    rows = {**figures['baselines'], ours: figures}
    return [('Beside what there is without it, on the same recordings', rates_table(rows, _OF_BASELINES))]


def _silence_section(real: Sequence[HeardRecording], synthetic: Sequence[HeardRecording]) -> list[pages.Section]:
    """The mean P(silent) of each scene, over the time of its first recording."""
    if not synthetic:
        return []
    drawn = []
    for scene in SCENES:
        pairs = [(a, b) for a, b in zip(real, synthetic, strict=True) if a.recording.scene == scene]
        if not pairs:
            continue
        series = {}
        for name, one in zip(('real', 'synthetic'), pairs[0], strict=True):
            values = silence_probabilities(one.timed.heard, one.recording.chunks)[:_BINS_A_BLOCK]
            series[name] = ((2.0 * np.arange(len(values)) + 1).tolist(), values.tolist())
        x_ticks = [(float(s), f'{s}') for s in range(0, round(BLOCK_S) + 1, 10)]
        plot = plots.curve(series, f'{scene}: seconds', 'P(silent)', x_ticks, [(y, f'{y:g}') for y in (0.0, 0.5, 1.0)])
        drawn.append(plot)
    return [('The first minute of each scene: P(silent) in bins of 2 s', Markup().join(drawn))]


def _inside_sections(real: Inside, synthetic: Inside | None) -> list[pages.Section]:
    both = {'real': real} | ({'synthetic': synthetic} if synthetic is not None else {})
    curves = {name: one.cosines.ratio().tolist() for name, one in both.items()}
    drops = {name: one.heads.drop(LOG_PROBABILITY) for name, one in both.items()}
    known = {name: drop for name, drop in drops.items() if drop is not None}
    largest = max(float(np.abs(drop).max()) for drop in known.values())
    maps = Markup().join(plots.heat_map(drop, largest, name, 'head', 'layer') for name, drop in known.items())
    return [
        ('Continuity across chunks', by_place(real.places, curves, 'continuity ratio')),
        (
            'Log-probability of the right control token lost without a head',
            Markup('<div class="plots">{}</div><p>Red: lost, at most {:.3g} nats.</p>').format(maps, largest),
        ),
    ]


def _words_table(real: Sequence[HeardRecording], synthetic: Sequence[HeardRecording]) -> Markup:
    rows = [
        (one.unit, kind, one.wanted, one.written, f'{one.errors} of {one.words}')
        for kind, side in (('real', real), ('synthetic', synthetic))
        for each in side
        for one in each.written
    ]
    if not rows:
        return Markup('<p>No words are labelled.</p>')
    return pages.table(['recording, second', '', 'said', 'written down', 'errors'], rows)


def _examples(real: Sequence[HeardRecording]) -> list[Example]:
    """Stretches of 20 s of each scene, those first in which something went wrong."""
    examples = []
    for scene in SCENES:
        found: list[tuple[int, int, float, HeardRecording]] = []
        for one in (one for one in real if one.recording.scene == scene):
            starts = [*np.arange(0.0, one.recording.duration_s, _SHOWN_S), one.recording.duration_s]
            missed = [
                at_s
                for at_s, trial in zip(_onsets_s(one), one.scored.trials, strict=True)
                if trial.respond and not trial.answered
            ]
            for first_s, last_s in pairwise(starts):
                wrong = sum(first_s <= at_s < last_s for at_s in [*one.scored.false_s, *missed])
                called = sum(first_s <= event.onset_s < last_s for event in one.recording.events)
                found.append((-wrong, -called, first_s, one))
        found.sort(key=lambda each: each[:3])
        examples += [_example(one, first_s) for _, _, first_s, one in found[:_EXAMPLES_A_SCENE]]
    return examples


def _onsets_s(one: HeardRecording) -> list[float]:
    """When each trial's event begins, in the order of the trials."""
    return [event.onset_s for event in sorted(one.recording.events, key=lambda event: not event.hazard)]


def _example(one: HeardRecording, first_s: float) -> Example:
    last_s = min(first_s + _SHOWN_S, one.recording.duration_s)
    first, last = round(first_s * SAMPLE_RATE_HZ), round(last_s * SAMPLE_RATE_HZ)
    spans = tuple(
        pages.Span(
            max(event.onset_s - first_s, 0.0),
            min(event.end_s, last_s) - first_s,
            event.text or event.category,
            'respond' if event.hazard else 'speech' if event.text else 'sound',
        )
        for event in one.recording.events
        if event.onset_s < last_s and event.end_s > first_s
    )
    return Example(
        title=f'{one.recording.name}, {first_s:g} … {last_s:g} s',
        note=f'{sum(first_s < at_s <= last_s for at_s in one.scored.false_s)} false responses',
        samples=one.recording.samples[first:last],
        spans=spans,
        heard=one.timed.heard.excerpt(first, last),
    )
