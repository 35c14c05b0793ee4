"""How long each stage of a recipe takes on this machine: what a dry run measures, without a corpus or weights.

Time does not depend on what weights are or what is heard, so weights are random and sound is noise; streams are as long
as those of a corpus are in the mean, and as much is said in them. A step goes the way of training, DeepSpeed included.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tqdm import tqdm

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.protocol import Protocol
from training.labels import tokenise
from training.random_streams import Purpose, random_stream
from training.recipe import Stage, TrainingRecipe
from training.stages.budget import tokens_of
from training.stages.collator import Batch, Written, pad
from training.stages.distributed import Devices
from training.stages.engine import DeepSpeedEngine
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build, heard_chunks, learning, losses
from training.streams import Drain, Reply

PARTS = ('encoder', 'forward', 'teacher', 'backward', 'optimiser')  # 'teacher': forward
_STEPS = 2  # measured, after one that is not
_EVENT_CLASSES = 260
_CONTROL_TOKENS = 17
_INSTRUCTION = 19  # tokens
_REQUEST = 24  # tokens of written words in a model's own form
_WORD = 'word'


@dataclass(frozen=True)
class Lengths:
    """`Lengths` are those of a corpus' streams in the mean: seconds, replies, and tokens of text in a reply."""

    seconds: float
    replies: int
    words: int


# Of 300 streams of a corpus by the recipe embedded-v3, in SmolLM2's tokens.
LENGTHS = {'offline': Lengths(4.3, 1, 9), 'online': Lengths(18.0, 3, 8)}


def measure(recipe: TrainingRecipe, devices: Devices) -> dict[str, object]:
    """Return how long each stage takes here: seconds of a step by part, tokens a second, hours by clock and processor.

    Stage 0, which runs the tower on crops alone, is not measured. Raises RecipeError where
    the recipe does not say how large its vocabulary is.
    """
    torch.manual_seed(0)
    size = tokens_of(recipe)
    model = build(recipe, size, _EVENT_CLASSES)
    add_updates(model, recipe.low_rank)
    model.to(devices.device)
    stages = []
    for stage in tqdm(recipe.stages, desc='measuring', unit='stage', disable=not devices.is_main):
        stages.append(_measured(recipe, stage, model, size, devices))
    totals = {name: sum(stage[name] for stage in stages) for name in ('hours', 'processor_hours')}
    for times in (*stages, totals):
        times |= {name: round(times[name], 2) for name in totals}
    return {'threads': torch.get_num_threads(), 'stages': stages, **totals}


def _measured(
    recipe: TrainingRecipe, stage: Stage, model: StreamModel, vocabulary: int, devices: Devices
) -> dict[str, Any]:
    logmel = CausalLogMel(recipe.audio.num_mel_bins, recipe.log_mel).to(devices.device)
    batch = noise_batch(recipe, stage, vocabulary).to(devices.device)
    with_events = stage.event_weight > 0
    new = range(vocabulary - _CONTROL_TOKENS, vocabulary)
    watch = _Watch(devices)
    heard = model.audio_tower.proj.register_forward_hook(lambda *_: watch.mark('encoder'))
    model.train()
    response, targets = _protocol(vocabulary).response, len(batch.lm_at) + len(batch.stream_at)
    try:
        with (
            learning(recipe, stage, model, new, devices) as groups,
            contextlib.closing(DeepSpeedEngine(model, groups, recipe.optimiser, devices, stage.batch, 1)) as engine,
        ):
            for step in range(1 + _STEPS):
                watch.start(counts=step > 0)
                mel = heard_chunks(logmel(batch.waveforms), batch, augment=stage.spec_augment)
                with devices.autocast():
                    outputs = engine.forward(mel, batch, with_events)
                loss = losses(outputs, batch, stage, response, targets, len(batch.ends_at)).total
                watch.mark('forward')
                if stage.text_teacher is not None:
                    with devices.autocast():
                        loss = loss + model.drift(batch)
                    watch.mark('teacher')
                engine.backward(loss)
                watch.mark('backward')
                engine.step(0.0)
                watch.mark('optimiser')
    finally:
        heard.remove()
    batches = recipe.accumulation_on(stage, devices.world)
    times = {part: 1 if part == 'optimiser' else batches for part in PARTS}  # in a step
    clock, processor = ({part: times[part] * seconds[part] / _STEPS for part in PARTS} for seconds in watch.seconds)
    step_s, processor_s = sum(clock.values()), sum(processor.values())
    positions = int(batch.lengths.sum()) * batches * devices.world
    return {
        'stage': stage.name,
        'step_s': round(step_s, 3),
        'processor_s': {part: round(seconds, 3) for part, seconds in processor.items()},
        'tokens_per_s': round(positions / step_s, 1),
        'tokens_per_processor_s': round(positions / devices.world / processor_s, 1),
        'hours': stage.steps * step_s / 3_600,
        'processor_hours': stage.steps * devices.world * processor_s / 3_600,
    }


class _Watch:
    """What each part takes, in seconds by the clock and of the processor, whatever else the machine does."""

    def __init__(self, devices: Devices) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
        self._wait: Callable[[], object] = torch.cuda.synchronize if devices.device.type == 'cuda' else lambda: None
        self._counts, self._last = False, (0.0, 0.0)

    def start(self, counts: bool) -> None:
        self._wait()
        self._counts, self._last = counts, (time.perf_counter(), time.process_time())

    def mark(self, part: str) -> None:
        """End a part of a step."""
        self._wait()
        now = time.perf_counter(), time.process_time()
        for seconds, ended, began in zip(self.seconds, now, self._last, strict=True):
            seconds[part] += ended - began if self._counts else 0.0
        self._last = now


def noise_batch(recipe: TrainingRecipe, stage: Stage, vocabulary: int) -> Batch:
    """Return a batch of a stage's size and form whose streams are noise, of a corpus' mean length.

    They are decided on after each of their chunks, offline after the last; replies come at even distances.
    """
    rng, protocol = random_stream(Purpose.TIMED_STREAM, None), _protocol(vocabulary)
    lengths, offline, rows = LENGTHS[stage.data.form], stage.data.form == 'offline', stage.batch
    chunks = round(lengths.seconds / recipe.chunk_s)
    answered = {chunks * (1 + number) // lengths.replies - 1: number for number in range(lengths.replies)}
    drains = [Drain(first=chunk, last=chunk, reply=answered.get(chunk)) for chunk in range(chunks)]
    if offline:
        drains = [Drain(first=0, last=chunks - 1, reply=0)]
    replies = [Reply(onset=0, due=1, text=' '.join([_WORD] * lengths.words))] * lengths.replies
    prefix = protocol.prefix([0] * _INSTRUCTION, offline=offline)
    tokens = tokenise(drains, replies, prefix, _tokenizer(), protocol, chunk_samples=recipe.chunk_samples)
    samples = list(0.1 * rng.standard_normal((rows, chunks * recipe.chunk_samples), np.float32))
    shares = np.full((chunks, 1 + _EVENT_CLASSES), 1 / (1 + _EVENT_CLASSES), np.float32)
    written = [Written([0] * (_REQUEST + lengths.words), _REQUEST)] * rows if stage.text_teacher else []
    return pad([tokens] * rows, samples, [shares] * rows, protocol, range(rows), recipe.chunk_samples, written)


def _tokenizer() -> Tokenizer:
    """Of one word."""
    tokenizer = Tokenizer(WordLevel({_WORD: 0}, unk_token=_WORD))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def _protocol(vocabulary: int) -> Protocol:
    """Any ids, the last of a vocabulary."""
    ids = iter(range(vocabulary - _CONTROL_TOKENS, vocabulary))
    single = ('online', 'offline', 'system', 'chunk_begin', 'chunk_end', 'audio', 'silent', 'response', 'eos')
    emotions = ('happy', 'sad', 'angry', 'surprise', 'normal', 'urgent')
    return Protocol(
        **{role: next(ids) for role in single},
        languages={name: next(ids) for name in ('english', 'chinese')},
        emotions={name: next(ids) for name in emotions},
    )
