"""`stream-to-tokens.svg`: one stream of a corpus, from its script to sounds, labels and tokens.

Drawn from what `corpus build` wrote: the script in plans/, the stream and its samples in shar/. Tokens and targets are
those of `tokenise`, with the shipped checkpoint's tokenizer. Without a corpus at hand a small one is built first, of
procedural sounds and synthetic voices alone, in some two minutes.
"""

from __future__ import annotations

import json
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.checkpoint import PROTOCOL, TOKENIZER
from audio_interaction_ros.model.protocol import Protocol
from docs.pictures import canvas
from docs.pictures.demo import CHECKPOINT
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.labels import MASK, tokenise
from training.streams import Stream, read_streams

_SEED, _HOURS = 7, 0.05
_MOST_CHUNKS = 36
_WIDE = 100.0  # of the page


def draw(path: Path, corpus: Path | None = None, checkpoint: Path = CHECKPOINT) -> None:
    """Write the picture of the first stream that shows most, of a corpus or of a small one that is built for it."""
    if corpus is not None:
        _draw(path, corpus, checkpoint)
        return
    with tempfile.TemporaryDirectory() as folder:
        build(CorpusRecipe(renders=10), {}, _HOURS, _SEED, 1, Path(folder))
        _draw(path, Path(folder), checkpoint)


def read_script(corpus: Path, stream_id: str) -> dict[str, Any]:
    """Return the script of a stream, as the build planned it. Raises ValueError where plans/ has none."""
    item = int(stream_id.rpartition('-')[2])
    for plan in sorted((corpus / 'plans').glob('*.jsonl')):
        for line in plan.read_text().splitlines():
            row = json.loads(line)
            if row['item'] == item:
                script: dict[str, Any] = row['script']
                return script
    raise ValueError(f"'{corpus}/plans' has no script of item {item}; give the whole folder of a corpus")


def choose(streams: Sequence[Stream]) -> int:
    """Return the place of the first short stream in which somebody speaks, something sounds, and both are answered."""

    def shows_most(stream: Stream) -> tuple[bool, bool, bool]:
        languages = {reply.language for reply in stream.replies}
        emotions = {reply.emotion for reply in stream.replies}
        readable = stream.chunks <= _MOST_CHUNKS and languages == {'english'}  # the font has no Chinese
        return (
            readable,
            'urgent' in emotions and len(emotions) > 1,
            len({event.category for event in stream.events}) > 1,
        )

    return max(range(len(streams)), key=lambda place: (shows_most(streams[place]), -place))


def _draw(path: Path, corpus: Path, checkpoint: Path) -> None:
    place = choose([stream for stream, _ in read_streams(corpus, audio=False)])
    ((stream, samples),) = read_streams(corpus, only=[place])
    draw_stream(path, stream, samples, read_script(corpus, stream.id)['lines'][: len(stream.events)], checkpoint)


def draw_stream(
    path: Path, stream: Stream, samples: Samples, lines: Sequence[dict[str, Any]], checkpoint: Path = CHECKPOINT
) -> None:
    """Write the picture of a stream, float32 [chunks × 6400] at 16 kHz, and the lines of its script, one an event."""
    figure = canvas.page(7.1)
    axes = canvas.blank(figure, _WIDE, 56.5)
    for top, name in ((1.5, 'script'), (19.0, 'sounds'), (30.0, 'labels'), (40.6, 'tokens')):
        axes.text(0.8, top, name, va='center', weight='bold', fontsize=10.5)
    scale = (_WIDE - 11.0) / (stream.chunks * CHUNK_SAMPLES)
    _script(axes, stream, lines, scale)
    _sounds(axes, stream, samples, scale)
    _labels(axes, stream, scale)
    _tokens(axes, stream, Tokenizer.from_file(str(checkpoint / TOKENIZER)), Protocol.load(checkpoint / PROTOCOL))
    canvas.write(figure, path)


def _x(sample: Any, scale: float) -> Any:
    return 10.0 + sample * scale


def _script(axes: Axes, stream: Stream, lines: Sequence[dict[str, Any]], scale: float) -> None:
    """Draw a card a line: what is heard, and what is said to it and when."""
    wide = (_WIDE - 11.0) / len(lines)
    letters = int(wide * 1.15)
    for number, (line, event) in enumerate(zip(lines, stream.events, strict=True)):
        left = 10.0 + wide * number
        speech = line['hear']['kind'] == 'speech'
        colour = canvas.BLUE if speech else canvas.AMBER
        canvas.box(axes, left + 0.4, 0.6, wide - 0.8, 13.2, colour, 'white')
        heard = f'“{event.text}”' if speech else event.category
        axes.text(left + 1.2, 1.4, 'speech' if speech else 'sound', va='top', color=colour, fontsize=8.5)
        axes.text(left + 1.2, 3.0, textwrap.fill(heard, letters), va='top', fontsize=8.5, linespacing=1.15)
        said = '\n'.join(f'“{say["text"]}” when {_DUE[say["due"]]}' for say in line['say']) or 'nothing is said'
        said_colour = canvas.GREEN if line['say'] else canvas.SOFT
        axes.text(
            left + 1.2, 7.4, textwrap.fill(said, letters), va='top', color=said_colour, fontsize=8.5, linespacing=1.15
        )
        middle = _x((event.onset + event.end) / 2, scale)
        axes.plot((left + wide / 2, middle), (13.9, 16.4), color=colour, linewidth=0.9)


_DUE = {'end': 'it is over', 'evidence': 'it can be known', 'word': 'a word is heard'}


def _sounds(axes: Axes, stream: Stream, samples: Samples, scale: float) -> None:
    for event in stream.events:
        colour = canvas.BLUE if event.text else canvas.AMBER
        axes.fill_between(
            (_x(event.onset, scale), _x(event.end, scale)), 16.4, 25.6, color=colour, alpha=0.16, linewidth=0
        )
        axes.plot([_x(event.known, scale)] * 2, (16.4, 25.6), color=colour, linewidth=1.2, linestyle=(0, (2, 1.5)))
    shown = samples[::32] / max(float(np.abs(samples).max()), 1e-9)
    axes.plot(_x(np.arange(len(shown)) * 32.0, scale), 21.0 - 4.4 * shown, color=canvas.INK, linewidth=0.45)


def _labels(axes: Axes, stream: Stream, scale: float) -> None:
    """Draw the chunks, those of one drain in one box, and what is decided after it."""
    for drain in stream.drains:
        left, right = (_x(chunk * CHUNK_SAMPLES, scale) for chunk in (drain.first, drain.last + 1))
        answered = drain.reply is not None
        colour = canvas.GREEN if answered else canvas.GREY
        axes.fill_between(
            (left + 0.12, right - 0.12), 27.6, 30.4, color=colour, alpha=1.0 if answered else 0.35, linewidth=0
        )
        axes.text(
            (left + right) / 2,
            29.0,
            str(drain.last),
            ha='center',
            va='center',
            fontsize=8.5,
            color='white' if answered else canvas.INK,
        )
        if drain.reply is not None:
            words = textwrap.fill(f'response: “{stream.replies[drain.reply].text}”', 30)
            at_the_end = left > 80.0
            axes.text(
                right if at_the_end else left,
                31.3,
                words,
                ha='right' if at_the_end else 'left',
                va='top',
                color=canvas.GREEN,
                fontsize=8.5,
                linespacing=1.15,
            )
    words = f'{stream.category} / {stream.task}; chunks of 400 ms by number, after each grey one: silent'
    axes.text(10.0, 36.6, words, va='center', color=canvas.SOFT, fontsize=8.5)


def _tokens(axes: Axes, stream: Stream, tokenizer: Tokenizer, protocol: Protocol) -> None:
    """Draw the tokens of a silent drain and of the answered one after it, with their targets below."""
    first = next(at for at, drain in enumerate(stream.drains) if drain.reply is not None)
    shown = stream.drains[max(first - 1, 0) : first + 1]
    tokens = tokenise(shown, stream.replies, [], tokenizer, protocol)
    cells: list[tuple[str, str, str]] = []  # words, target, colour
    for at, id_ in enumerate(tokens.ids):
        if id_ == protocol.audio:
            if tokens.ids[at - 1] != protocol.audio:
                run = tokens.ids[at:].index(protocol.chunk_end)
                cells.append((f'{run} audio vectors', '', canvas.AMBER))
            continue
        targets = (('stream', tokens.stream_targets[at]), ('LM', tokens.lm_targets[at]))
        target = next((f'{kind}: {_word(tokenizer, token)}' for kind, token in targets if token != MASK), '')
        control = id_ in (protocol.silent, protocol.response)
        colour = (
            canvas.GREEN
            if id_ == protocol.response
            else canvas.GREY
            if control or id_ in protocol.special_ids()
            else canvas.BLUE
        )
        cells.append((_word(tokenizer, id_), target, colour))
    left, top = 10.0, 39.4
    for words, target, colour in cells:
        wide = 1.5 + 0.78 * max(len(words), len(target))
        if left + wide > _WIDE - 1.0:
            left, top = 10.0, top + 5.6
        canvas.box(axes, left, top, wide, 2.3, colour, 'white')
        axes.text(left + wide / 2, top + 1.2, words, ha='center', va='center', fontsize=8.5)
        axes.text(left + wide / 2, top + 3.4, target, ha='center', va='center', color=canvas.RED, fontsize=8.5)
        left += wide + 0.5
    axes.text(
        10.0, 55.6, 'red: what a position is trained to predict, in L_stream or in L_LM', color=canvas.RED, fontsize=8.5
    )


def _word(tokenizer: Tokenizer, token: int) -> str:
    """Return a token as people read it: control tokens by their name, text with its spaces shown."""
    return str(tokenizer.id_to_token(token)).replace('<|', '').replace('|>', '').replace('Ġ', '␣')
