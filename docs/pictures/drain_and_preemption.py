"""`drain-and-preemption.svg`: chunks, decoder, queue and KV cache through a drain and a response that is cut short.

Recorded from the runtime's `ListeningLoop` with the shipped checkpoint, on two pieces of the demo's scene: somebody
speaks, and glass breaks while the answer is being written. The clock is a count of passes, each as long as on a slow
computer, so that a queue forms and every run is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf, load_decoder, load_encoder
from audio_interaction_ros.model.engine import Engine, KvCache
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.streaming.fifo import ChunkQueue
from audio_interaction_ros.streaming.ingest import encode_waveform
from audio_interaction_ros.streaming.loop import Decision, ListeningLoop, Response, make_session
from docs.pictures import canvas
from docs.pictures.demo import CHECKPOINT, SCENE

PASS_S = 0.15
_PIECES_S = ((18.3, 19.2), (11.3, 13.6), (43.3, 45.2), (18.3, 19.2), (18.3, 19.2))  # quiet, speech, glass, quiet
_LENGTH_S = 7.4


class TimedEngine(Engine):
    """A `TimedEngine` gives every pass a length and notes what the cache holds after it."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model)
        self.now_s = 0.0
        self.passes: list[tuple[float, int]] = []

    def forward(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Run a pass as the engine does, and let the clock go on by its length."""
        logits = super().forward(caches, embedded)
        self.now_s += PASS_S
        self.passes.append((self.now_s, caches[0].length))
        return logits


@dataclass(frozen=True)
class Step:
    """A `Step` is one step of the loop: when its passes ended, and the decision or the response so far."""

    began_s: float
    passes_s: tuple[float, ...]
    event: Decision | Response


@dataclass
class Timeline:
    """A `Timeline` holds a run: steps, and (seconds, chunks) of the queue and (seconds, positions) of the cache."""

    steps: list[Step] = field(default_factory=list)
    queue: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    cache: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    @property
    def texts(self) -> list[tuple[str, bool]]:
        """Return each response's last text and whether it was cut short."""
        ends = (step.event for step in self.steps if isinstance(step.event, Response) and step.event.final)
        return [(event.text, event.cancelled) for event in ends]


def record(encoder: EncoderHalf, decoder: DecoderHalf, samples: Samples, threshold: float | None = None) -> Timeline:
    """Play float32 [n] at 16 kHz to the loop, a chunk every 400 ms of the engine's clock."""
    engine, queue = TimedEngine(decoder.language_model), ChunkQueue(max_chunks=25)
    loop = ListeningLoop(queue, make_session(decoder, threshold, engine=engine), decoder, preempt=True)
    chunks = list(encode_waveform(encoder, samples))
    timeline = Timeline()
    heard = 0
    while True:
        while heard < len(chunks) and (heard + 1) * CHUNK_S <= engine.now_s + 1e-9:
            queue.push(chunks[heard])
            heard += 1
            timeline.queue.append((heard * CHUNK_S, len(queue)))
        began_s, passes = engine.now_s, len(engine.passes)
        event = loop.step()
        if event is None:
            if heard == len(chunks):
                return timeline
            engine.now_s = max(engine.now_s, (heard + 1) * CHUNK_S)
            continue
        if isinstance(event, Decision):  # which took the queue when it began
            timeline.queue.append((began_s, 0))
        made = engine.passes[passes:]
        timeline.cache += [*made, (engine.now_s, loop.session.cache.length)]
        timeline.steps.append(Step(began_s, tuple(end_s for end_s, _ in made), event))


def pieces_of(scene: Path) -> Samples:
    """Return the pieces of the scene that the picture is about, in a row. float32 [n] at 16 kHz."""
    samples = read_recording(scene).samples
    return np.concatenate([samples[int(a * SAMPLE_RATE_HZ) : int(b * SAMPLE_RATE_HZ)] for a, b in _PIECES_S])


def draw(path: Path, checkpoint: Path = CHECKPOINT, scene: Path = SCENE, threshold: float | None = None) -> None:
    """Write the picture of a run."""
    samples = pieces_of(scene)
    timeline = record(load_encoder(checkpoint), load_decoder(checkpoint), samples, threshold)
    figure = canvas.page(6.6)
    rows = figure.subplots(5, 1, sharex=True, gridspec_kw={'height_ratios': (0.6, 0.55, 2.1, 1.0, 1.1), 'hspace': 0.12})
    figure.subplots_adjust(left=0.125, right=0.985, top=0.985, bottom=0.065)
    for row, name in zip(
        rows, ('sound', 'chunks', 'decoder', 'chunks in\nthe queue', 'positions in\nthe cache'), strict=True
    ):
        row.set_ylabel(name, rotation=0, ha='right', va='center', color=canvas.INK)
        row.spines['left'].set_visible(False)
        row.tick_params(left=False, labelleft=False, bottom=False)
    time_s = np.arange(len(samples)) / SAMPLE_RATE_HZ
    rows[0].plot(time_s[::16], samples[::16], color=canvas.SOFT, linewidth=0.5)
    drains = [step for step in timeline.steps if isinstance(step.event, Decision)]
    _chunks(rows[1], drains)
    _decoder(rows[2], timeline)
    longest = max(each.event.chunks_drained for each in drains if isinstance(each.event, Decision))
    _steps(rows[3], timeline.queue, canvas.AMBER, f'drained: {longest} at most')
    _steps(rows[4], timeline.cache, canvas.VIOLET)
    rows[4].set(
        xlim=(0.0, _LENGTH_S), xlabel=f'seconds; a pass of the language model takes {1_000 * PASS_S:.0f} ms here'
    )
    rows[4].tick_params(bottom=True)
    canvas.write(figure, path)


def _chunks(axes: Axes, drains: Sequence[Step]) -> None:
    """Draw every chunk while it is heard, those of one drain in one frame."""
    for step in drains:
        assert isinstance(step.event, Decision)
        last = step.event.chunk.index
        first = last - step.event.chunks_drained + 1
        colour = canvas.BLUE if step.event.chunks_drained > 1 else canvas.GREY
        for index in range(first, last + 1):
            axes.barh(0, CHUNK_S - 0.02, 0.8, index * CHUNK_S + 0.01, color=colour, alpha=0.35)
            axes.text((index + 0.5) * CHUNK_S, 0, str(index), ha='center', va='center', fontsize=8.5)
        if step.event.chunks_drained > 1:
            axes.barh(
                0,
                step.event.chunks_drained * CHUNK_S,
                1.0,
                first * CHUNK_S,
                fill=False,
                edgecolor=colour,
                linewidth=1.6,
            )
    axes.set_ylim(-0.7, 0.7)


def _decoder(axes: Axes, timeline: Timeline) -> None:
    """Draw every pass: decisions, tokens, and looks at what waits."""
    before = ''
    for step in timeline.steps:
        starts_s = (step.began_s, *step.passes_s)
        event = step.event
        looks = step.passes_s
        if isinstance(event, Decision):
            before, looks = '', ()
            words = ('response' if event.respond else 'silent') + f'  ({event.chunks_drained})'
            colour = canvas.GREEN if event.respond else canvas.GREY
            _pass(axes, starts_s[-2], starts_s[-1], words, colour)
        elif event.cancelled:
            axes.text(
                step.passes_s[-1] if step.passes_s else step.began_s,
                1.03,
                '✂',
                color=canvas.RED,
                ha='center',
                fontsize=13,
            )
        else:
            looks = step.passes_s[:-1]
            new = event.text.removeprefix(before).strip()
            words = 'eos' if event.final else f'“{new}”' if new else event.emotion if not before else '…'
            before = event.text
            _pass(axes, starts_s[-2], starts_s[-1], words, canvas.RED if event.emotion == 'urgent' else canvas.BLUE)
        for number in range(len(looks)):
            _pass(axes, starts_s[number], starts_s[number + 1], 'urgent?', canvas.AMBER)
    for place, (words, colour) in enumerate(
        (
            ('decision (chunks drained)', canvas.GREEN),
            ('token of an ordinary response', canvas.BLUE),
            ('look at the queue', canvas.AMBER),
            ('token of an urgent response', canvas.RED),
        )
    ):
        axes.text(0.02 + 1.88 * place, 1.3, '■ ' + words, color=colour, fontsize=8.5, va='center')
    axes.set_ylim(-0.05, 1.42)


def _pass(axes: Axes, start_s: float, end_s: float, words: str, colour: str) -> None:
    axes.bar(start_s, 0.95, end_s - start_s - 0.012, 0.0, align='edge', color=colour, alpha=0.9)
    axes.text((start_s + end_s) / 2, 0.05, words, rotation=90, ha='center', va='bottom', color='white', fontsize=8.5)


def _steps(axes: Axes, points: Sequence[tuple[float, int]], colour: str, words: str = '') -> None:
    """Draw a count over time, with its largest value as the upper tick."""
    times_s, values = zip(*points, strict=True)
    axes.plot((*times_s, _LENGTH_S), (*values, values[-1]), color=colour, drawstyle='steps-post', linewidth=1.6)
    axes.fill_between((*times_s, _LENGTH_S), (*values, values[-1]), step='post', color=colour, alpha=0.18)
    shown = [value for at_s, value in points if at_s <= _LENGTH_S]
    axes.set(yticks=(0, max(shown)), ylim=(0, 1.2 * max(*shown, 1)))
    axes.tick_params(left=True, labelleft=True)
    if words:
        axes.text(0.02, 1.05 * max(shown), words, color=colour, va='center', fontsize=8.5)
