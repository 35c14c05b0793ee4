"""`evaluate bag`: a robot's own recording, heard as `audio-interaction replay` hears it, against labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import AudioFormatError, Samples
from audio_interaction_ros.audio.resample import to_mono_16k
from audio_interaction_ros.bags import AudioBagReader, BagError
from audio_interaction_ros.labels import LabelsError, read_labels
from audio_interaction_ros.matching import SceneEvent, answer_window, match
from audio_interaction_ros.streaming.loop import Decision, Response
from audio_interaction_ros.streaming.replay import hear_bag
from training.evaluate import EvaluationError
from training.evaluate.hearing import Heard, Listener, end_s
from training.evaluate.report import Evaluation, Example, ten
from training.evaluate.rightness import category_named
from training.evaluate.trials import BLOCK_S, Listened, Trial, in_blocks, summary
from training.html import pages

_MARGIN_S = 4.0  # shown on both sides of an event


@dataclass(frozen=True)
class Scored:
    """A `Scored` is what was said in a bag, held against its labels; `false_s` are seconds from its first sound."""

    trials: list[Trial]
    listened: list[Listened]
    false_s: list[float]
    repeats: int


def hear(listener: Listener, bag: AudioBagReader) -> tuple[Heard, int]:
    """Return every decision and response in a bag, and the stamp in ns of its first sample.

    Samples are counted on the clock of the stamps. Raises EvaluationError for a bag without one whole chunk of sound,
    and BagError.
    """
    stamps_ns: list[int] = []

    def on_one_clock() -> Iterator[Decision | Response]:
        for event in tqdm(hear_bag(bag, listener.encoder, listener.decoder), desc='bag', unit='token'):
            if isinstance(event, Decision):
                stamps_ns.append(event.chunk.stamp_ns)
                at = round((stamps_ns[-1] - stamps_ns[0]) * SAMPLE_RATE_HZ / 1e9)
                event = replace(event, chunk=replace(event.chunk, first_sample=at))
            yield event

    heard = Heard.of(on_one_clock())
    if not heard.decisions:
        raise EvaluationError(f"'{bag.path}', {bag.topic}: not one 400 ms chunk of readable sound; check the recording")
    return heard, stamps_ns[0]


def score(events: Sequence[SceneEvent], heard: Heard, unit: str) -> Scored:
    """Return a trial for each labelled event, by the demo's rules of matching; a bootstrap draws minutes of the bag.

    A response to an event that deserves silence counts against that event and among the false ones.
    """
    wanted = [event for event in events if event.hazard]
    others = [event for event in events if not event.hazard]
    moments_s = [end_s(response.decision) for response in heard.responses]
    matches = match([answer_window(event) for event in wanted], moments_s)
    blamed = match([answer_window(event) for event in others], [moments_s[moment] for moment in matches.false])

    def trial(event: SceneEvent, moment: int | None) -> Trial:
        answered = moment is not None
        said = heard.responses[moment].text if moment is not None else ''
        return Trial(
            unit=f'{unit}:{int(event.onset_s / BLOCK_S)}',
            category=event.category,
            respond=event.hazard,
            answered=answered,
            latency_s=moments_s[moment] - event.onset_s if moment is not None and event.hazard else None,
            score=heard.highest_between(*answer_window(event)),
            correct=category_named(said, event.category) if answered and event.hazard else None,
            said=said,
        )

    trials = [trial(event, matches.answers.get(index)) for index, event in enumerate(wanted)]
    for index, event in enumerate(others):
        false = blamed.answers.get(index)
        trials.append(trial(event, None if false is None else matches.false[false]))
    false_s = [moments_s[moment] for moment in matches.false]
    duration_s = sum(decision.chunks_drained for decision in heard.decisions) * CHUNK_S
    return Scored(trials, in_blocks(unit, duration_s, false_s), false_s, len(matches.repeats))


def evaluate_bag(listener: Listener, path: Path, topic: str | None, labels: Path, seed: int) -> Evaluation:
    """Return how well a checkpoint hears a bag.

    `topic` may be None if the bag has one audio topic. Raises EvaluationError where there is no bag, where there are no
    labels, or where labels lie past the end of the bag.
    """
    try:
        events = read_labels(labels)
    except LabelsError as error:
        raise EvaluationError(str(error)) from error
    try:
        with AudioBagReader(path, topic) as bag:
            heard, start_ns = hear(listener, bag)
            malformed = bag.malformed
        last_s = end_s(heard.decisions[-1])
        if late := [event for event in events if event.onset_s >= last_s]:
            raise EvaluationError(
                f"'{labels}' has {len(late)} events after the end of the bag ({late[0].category} at "
                f'{late[0].onset_s:g} s, the bag ends at {last_s:g} s); give seconds from its first sound'
            )
        scored = score(events, heard, path.name)
        figures = summary(scored.trials, scored.listened, seed)
        figures |= {
            'interruptions_per_hour': figures['false_alarms_per_hour'],
            'missed_events': [
                {'onset_s': event.onset_s, 'category': event.category}
                for event, trial in zip((e for e in events if e.hazard), scored.trials, strict=False)
                if not trial.answered
            ],
            'repeats': scored.repeats,
            'malformed_messages': malformed,
            'threshold': listener.threshold,
            'seed': seed,
        }
        ordered = [event for event in events if event.hazard] + [event for event in events if not event.hazard]
        shown = ten(list(zip(ordered, scored.trials, strict=True)), lambda pair: not pair[1].well_decided)
        examples = _examples(path, topic, events, heard, shown, start_ns)
    except BagError as error:
        raise EvaluationError(str(error)) from error
    return Evaluation(figures, scored.trials, examples)


def _examples(
    path: Path,
    topic: str | None,
    events: Sequence[SceneEvent],
    heard: Heard,
    shown: Sequence[tuple[SceneEvent, Trial]],
    start_ns: int,
) -> list[Example]:
    windows = [(max(0.0, event.onset_s - _MARGIN_S), answer_window(event)[1] + _MARGIN_S) for event, _ in shown]
    with AudioBagReader(path, topic) as bag:
        sounds = excerpts(bag, start_ns, windows)
    examples = []
    for (event, trial), (first_s, last_s), samples in zip(shown, windows, sounds, strict=True):
        spans = tuple(
            pages.Span(
                max(other.onset_s - first_s, 0.0),
                min(other.end_s, last_s) - first_s,
                other.category,
                'respond' if other.hazard else 'sound',
            )
            for other in events
            if other.onset_s < last_s and other.end_s > first_s
        )
        examples.append(
            Example(
                title=f'{event.category} at {event.onset_s:g} s: {trial.outcome}',
                note=f'{first_s:g} … {last_s:g} s of the bag',
                samples=samples,
                spans=spans,
                heard=heard.excerpt(round(first_s * SAMPLE_RATE_HZ), round(last_s * SAMPLE_RATE_HZ)),
            )
        )
    return examples


def excerpts(bag: AudioBagReader, start_ns: int, windows: Sequence[tuple[float, float]]) -> list[Samples]:
    """Return the sound of each window: float32 [n] at 16 kHz, zeros where the bag has none.

    Windows are (first, last) in seconds from `start_ns`.
    """
    kept: list[tuple[int, Samples] | None] = [None] * len(windows)
    for message in bag.read():
        at_s = (message.stamp_ns - start_ns) / 1e9
        rate_hz = message.pcm.sample_rate_hz
        near = [number for number, (first_s, last_s) in enumerate(windows) if first_s - 10 < at_s < last_s]
        if not near:
            continue
        try:
            mono = message.pcm.decode(message.data).mean(axis=1)
        except AudioFormatError as error:
            bag.reject(str(error))
            continue
        for number in near:
            first_s, last_s = windows[number]
            place = kept[number]
            if place is None:
                place = kept[number] = (rate_hz, np.zeros(round((last_s - first_s) * rate_hz), np.float32))
            if place[0] != rate_hz:
                continue  # the format changed within the excerpt: what came first is shown
            at = round((at_s - first_s) * rate_hz)
            piece = mono[max(0, -at) :][: max(0, len(place[1]) - max(0, at))]
            place[1][max(0, at) : max(0, at) + len(piece)] = piece
    return [
        to_mono_16k(place[1][:, None], place[0])
        if place is not None
        else np.zeros(round((last_s - first_s) * SAMPLE_RATE_HZ), np.float32)
        for place, (first_s, last_s) in zip(kept, windows, strict=True)
    ]
