"""`evaluate corpus`: the streams of one split, each in a session of its own, against their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio.formats import Samples
from training.corpus.report import timeline
from training.evaluate import EvaluationError
from training.evaluate.hearing import Heard, Listener
from training.evaluate.judge import Judge
from training.evaluate.language import bleu, character_error_rate, word_error_rate
from training.evaluate.replies import Comparison, compare, instructed_answers
from training.evaluate.report import Evaluation, Example, rates_table, ten
from training.evaluate.stability import MOST_STREAMS, self_contained, stability
from training.evaluate.teacher_forced import teacher_forced
from training.evaluate.trials import Listened, Trial, by, share, summary
from training.html import pages, plots
from training.metrics import interval_of_sums, ratio, rounded
from training.random_streams import Purpose, random_stream
from training.streams import Stream, read_streams

_SNR_EDGES_DB = (5, 10, 15, 20)


@dataclass(frozen=True)
class Triggers:
    """A `Triggers` counts the control tokens of one stream, and how many of them were right.

    `right` are those of `decisions`, as the session made them; `right_teacher_forced` are those of `drains`, as the
    labels have them; `silent` drains are followed by no reply.
    """

    unit: str
    drains: int
    silent: int
    right_teacher_forced: int
    decisions: int
    right: int


def evaluate_corpus(
    listener: Listener, corpus: Path, split: str, most: int | None, seed: int, judge: Judge | None
) -> Evaluation:
    """Return how well a checkpoint answers the streams of `split`, or `most` of them drawn by the seed.

    Raises EvaluationError if the split has no stream, BuildError where there is no corpus.
    """
    streams = [stream for stream, _ in read_streams(corpus, audio=False)]
    wanted = {number for number, stream in enumerate(streams) if stream.split == split}
    if not wanted:
        raise EvaluationError(
            f"'{corpus}' has no stream on the {split} side; build more hours, or give another --split"
        )
    if most is not None and most < len(wanted):
        rng = random_stream(Purpose.SCORED_STREAMS, seed)
        wanted = set(rng.choice(sorted(wanted), most, replace=False).tolist())
    contained = [n for n in sorted(wanted) if self_contained(streams[n])]
    chained = set(
        np.array(contained)[np.linspace(0, len(contained) - 1, min(MOST_STREAMS, len(contained))).astype(int)]
    )
    comparisons: list[Comparison] = []
    triggers: list[Triggers] = []
    kept: list[tuple[Stream, Samples]] = []
    found = zip(sorted(wanted), read_streams(corpus, only=wanted), strict=True)
    for number, (stream, samples) in tqdm(found, desc=f'{split} streams', total=len(wanted), unit='stream'):
        chunks = list(listener.encode(samples))
        heard = listener.hear(chunks, instruction=stream.instruction, aloud=stream.aloud)
        triggers.append(trigger_counts(stream, heard, teacher_forced(listener.decoder, stream, chunks).responds))
        comparisons.append(compare(stream, heard))
        if number in chained:
            kept.append((stream, samples))
    trials = [trial for comparison in comparisons for trial in comparison.trials()]
    figures = heard_figures(comparisons, seed)
    _add_triggers(figures, triggers, seed)
    figures['stability'] = stability(listener, kept, seed)
    if judge is not None:
        figures['judge'] = _judged(comparisons, judge, seed)
    figures |= {'threshold': listener.threshold, 'split': split, 'seed': seed}
    shown = ten(comparisons, lambda c: bool(c.false) or not all(a.right for a in c.answers))
    samples_of = {s.id: x for s, x in read_streams(corpus, only={_number(streams, c.stream.id) for c in shown})}
    examples = [_example(comparison, samples_of[comparison.stream.id]) for comparison in shown]
    return Evaluation(figures, trials, examples, _sections(figures))


def _number(streams: Sequence[Stream], id_: str) -> int:
    return next(number for number, stream in enumerate(streams) if stream.id == id_)


def trigger_counts(stream: Stream, heard: Heard, forced: np.ndarray) -> Triggers:
    """Count the control tokens of one stream and how many of them were right.

    `forced` bool [drains]: what the model would decide after each drain of the labels.
    """
    replied = np.array([drain.reply is not None for drain in stream.drains])
    due = {drain.last for drain in stream.drains if drain.reply is not None}
    right = 0
    for decision in heard.decisions:
        last = decision.chunk.index
        right += decision.respond == any(last - decision.chunks_drained < chunk <= last for chunk in due)
    return Triggers(
        stream.id, len(replied), int((~replied).sum()), int((forced == replied).sum()), len(heard.decisions), right
    )


def _add_triggers(figures: dict[str, Any], triggers: Sequence[Triggers], seed: int) -> None:
    units = [t.unit for t in triggers]
    counts = {
        'trigger_accuracy': ([t.right for t in triggers], [t.decisions for t in triggers]),
        'trigger_accuracy_teacher_forced': ([t.right_teacher_forced for t in triggers], [t.drains for t in triggers]),
        'trigger_accuracy_if_always_silent': ([t.silent for t in triggers], [t.drains for t in triggers]),
    }
    for name, columns in counts.items():
        figures[name] = round(sum(columns[0]) / sum(columns[1]), 4)
        if interval := interval_of_sums(units, columns, ratio, seed):
            figures['confidence_95'][name] = rounded(interval)


def heard_figures(comparisons: Sequence[Comparison], seed: int) -> dict[str, Any]:
    """Return what is reported of streams that were heard: rates, false responses, and figures of each ability."""
    trials = [trial for comparison in comparisons for trial in comparison.trials()]
    listened = [Listened(c.stream.id, c.hours, len(c.false)) for c in comparisons]
    figures = summary(trials, listened, seed)
    answers = [(c.stream.id, a) for c in comparisons for a in c.answers]
    warnings = [(unit, a.right) for unit, a in answers if a.warning]
    history = [(unit, a.right) for unit, a in answers if a.from_history]
    told = [(c.stream.id, *row) for c in comparisons for row in instructed_answers(c)]
    figures['hazards_in_category'] = _share(warnings, seed)
    figures['history_questions'] = _share(history, seed)
    figures['instructions'] = {
        how: _share([(unit, a.right) for unit, kind, _, a in told if kind == how], seed)
        | {'different': len({text for _, kind, text, _ in told if kind == how})}
        for how in ('spoken', 'written')
    }
    figures['asr'] = word_error_rate(comparisons, seed)
    figures['asr_chinese'] = character_error_rate(comparisons, seed)
    figures['translation'] = bleu(comparisons, seed)
    figures['repeats'] = sum(len(c.repeats) for c in comparisons)
    figures['by_task'] = by(trials, lambda trial: trial.task, seed)
    figures['by_snr'] = by(trials, _snr_bin, seed)
    return figures


def _share(rows: Sequence[tuple[str, bool]], seed: int) -> dict[str, Any]:
    return share([right for _, right in rows], [unit for unit, _ in rows], seed)


def _snr_bin(trial: Trial) -> str | None:
    for low, high in pairwise(_SNR_EDGES_DB):
        if trial.snr_db is not None and low <= trial.snr_db <= high:
            return f'{low:02d} … {high} dB'
    return None


def _judged(comparisons: Sequence[Comparison], judge: Judge, seed: int) -> dict[str, Any]:
    """Mean verdict on every reply that was due: none given is none right."""
    rows: list[tuple[str, float]] = []
    for comparison in tqdm(comparisons, desc='judge', unit='stream'):
        for answer in comparison.answers:
            heard = f'somebody said: {answer.event.text}' if answer.event.text else answer.event.category
            said = answer.response.text if answer.response else ''
            rows.append((comparison.stream.id, judge.score(heard, (answer.reply.text,), said) if said else 0.0))
    return judge.mean([score for _, score in rows], [unit for unit, _ in rows], seed)


def _sections(figures: dict[str, Any]) -> list[pages.Section]:
    sections = []
    if stable := figures['stability']:
        numbers = [int(n) for n in stable]
        series = {
            name.replace('_', ' '): (numbers, [rates.get(name, 0.0) for rates in stable.values()])
            for name in ('balanced_accuracy', 'response_correct')
            if any(name in rates for rates in stable.values())
        }
        ticks = [(n, str(n)) for n in numbers]
        shares = [(value / 4, f'{25 * value} %') for value in range(5)]
        drawn = plots.curve(series, 'streams in one session', 'of the last of them', ticks, shares)
        sections.append(('Stability', drawn + rates_table(stable)))
    rows = [
        (name, figures[key]['share'], figures[key]['of'], figures[key]['confidence_95'])
        for name, key in (('hazards in the right category', 'hazards_in_category'), ('history', 'history_questions'))
    ]
    rows += [
        (f'{how} instructions', f['share'], f['of'], f['confidence_95']) for how, f in figures['instructions'].items()
    ]
    asr, chinese = figures['asr'], figures['asr_chinese']
    rows.append(('word error rate', asr['wer'], asr['words'], asr['confidence_95']))
    rows.append(('character error rate of Chinese', chinese['cer'], chinese['characters'], chinese['confidence_95']))
    rows += [
        (f'BLEU into {k}', v['bleu'], v['segments'], v['confidence_95']) for k, v in figures['translation'].items()
    ]
    return [*sections, ('Abilities', pages.table(('', 'value', 'of', '95 % interval'), rows))]


def _example(comparison: Comparison, samples: Samples) -> Example:
    stream = comparison.stream
    spans, wanted = timeline(stream)
    right = sum(answer.right for answer in comparison.answers)
    note = f'{right} of {len(comparison.answers)} replies right, {len(comparison.false)} without cause'
    return Example(
        title=f'{stream.id}: {stream.category} / {stream.task}',
        note=f'{note} · {stream.instruction or "general instruction"} · SNR {stream.event_snr_db:.1f} dB',
        samples=samples,
        spans=tuple(spans),
        heard=comparison.heard,
        wanted=tuple(wanted),
    )
