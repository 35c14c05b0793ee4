"""Which streams make a step, and what the network is given of them.

Everything is a function of seed, stage and step: a run that was killed goes on with the batches an undisturbed one
would have had, and another number of processes divides the same steps among itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.protocol import Protocol
from training import labels
from training.dsp.levels import mean_power
from training.dsp.noise_beds import noise_bed
from training.labels import MASK, Tokens
from training.recipe import StageData
from training.stages.shards import Shards
from training.streams import Drain, Role, Stream

BUCKET_STEPS = 32  # so many steps' streams are sorted by length before they are divided among the steps
RECENT_SAMPLES = 2 * CHUNK_SAMPLES  # so long after its end the auxiliary target still names an event
STEPS_AHEAD = 2


@dataclass(frozen=True, eq=False)  # compared and hashed by identity, for the caches below
class Plan:
    """Draws the streams of every step: each once an epoch, those of one batch about equally long.

    `chosen` int64 [n] are the streams to draw from and `chunks` int [n] how long they are.
    """

    chosen: np.ndarray
    chunks: np.ndarray
    streams_a_step: int
    seed: int
    stage: int

    def batches(self, step: int, rank: int, devices: int, batch: int) -> list[np.ndarray]:
        """What one of `devices` runs in a step, batch by batch: places in the corpus, int64 [batch]."""
        streams = _step(self, step // BUCKET_STEPS)[step % BUCKET_STEPS]
        # In order of length, so that the devices have the same to do at the same time.
        return [part[rank * batch : (rank + 1) * batch] for part in streams.reshape(-1, devices * batch)]


@lru_cache(maxsize=4)
def _step(plan: Plan, bucket: int) -> np.ndarray:
    """The streams of BUCKET_STEPS steps, int64 [steps, streams a step], each row in order of length."""
    count = BUCKET_STEPS * plan.streams_a_step
    at = np.arange(bucket * count, (bucket + 1) * count)
    total = len(plan.chosen)
    drawn = np.concatenate(
        [_epoch(plan, int(epoch))[at[at // total == epoch] % total] for epoch in np.unique(at // total)]
    )
    rows = drawn[np.argsort(plan.chunks[drawn], kind='stable')].reshape(BUCKET_STEPS, plan.streams_a_step)
    order = np.random.default_rng([plan.seed, 71, plan.stage, bucket]).permutation(BUCKET_STEPS)
    return plan.chosen[rows[order]]


@lru_cache(maxsize=2)
def _epoch(plan: Plan, epoch: int) -> np.ndarray:
    return np.random.default_rng([plan.seed, 70, plan.stage, epoch]).permutation(len(plan.chosen))


@dataclass(frozen=True)
class Batch:
    """Streams padded on the right to the longest; what is gathered is named by its place in the flattened [batch × L].

    `waveforms` float32 [batch, chunks × 6400]; `heard` bool [batch, chunks], False for padding; `ids` int64 [batch, L];
    `audio_at` int64 [n × vectors], where the vectors of the n chunks that are heard go; `ends_at` int64 [n], their
    `chunk_end`; `events` float32 [n, 1 + classes], shares of what sounded lately; `stream_at`, `stream_targets`,
    `lm_at`, `lm_targets` int64; `stream_of`, `lm_of`, int64, the row that a target belongs to; `lengths` without
    padding and `places` in the corpus, int64 [batch].
    """

    waveforms: Tensor
    heard: Tensor
    ids: Tensor
    audio_at: Tensor
    ends_at: Tensor
    events: Tensor
    stream_at: Tensor
    stream_targets: Tensor
    stream_of: Tensor
    lm_at: Tensor
    lm_targets: Tensor
    lm_of: Tensor
    lengths: Tensor
    places: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        moved = {field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)}
        return replace(self, **moved)


def first_exchange(stream: Stream) -> tuple[list[Drain], int]:
    """Offline: everything up to the first reply is heard, then it is given; silence where there is none.

    Returns the one drain, and how many chunks it has.
    """
    answered = next((drain for drain in stream.drains if drain.reply is not None), None)
    last = stream.chunks - 1 if answered is None else answered.last
    return [Drain(first=0, last=last, reply=None if answered is None else answered.reply)], last + 1


@dataclass(frozen=True)
class Reader:
    """Streams of the corpus as batches, in a stage's form."""

    shards: Shards
    data: StageData
    tokenizer: Tokenizer
    protocol: Protocol
    instruction: str
    event_classes: Sequence[str]

    def read(self, places: Sequence[int] | np.ndarray, step: int | None = None) -> Batch:
        """Decode and tokenise the streams at these places of the corpus.

        Given the `step` that trains on them, they are varied as it draws it; else they are as they are.
        """
        length = self.shards.chunk_samples
        tokens: list[Tokens] = []
        samples: list[Samples] = []
        events: list[np.ndarray] = []
        for place in places:
            stream = self.shards.record(int(place))
            offline = self.data.form == 'offline'
            drains, chunks = first_exchange(stream) if offline else (list(stream.drains), stream.chunks)
            heard = self.shards.samples(int(place), chunks)
            undecided, own_replies = set[int](), len(stream.replies)
            if step is not None:
                rng = np.random.default_rng([75, step, int(place)])
                stream, drains, undecided, heard = self._varied(stream, drains, heard, rng)
            slips = range(own_replies, len(stream.replies))
            instruction = self.tokenizer.encode(stream.instruction or self.instruction, add_special_tokens=False).ids
            prefix = self.protocol.prefix(instruction, offline=offline)
            tokens.append(
                labels.tokenise(drains, stream.replies, prefix, self.tokenizer, self.protocol, undecided, length, slips)
            )
            samples.append(heard)
            events.append(event_targets(stream, chunks, self.event_classes, length))
        return collate(tokens, samples, events, self.protocol, places, length)

    def _varied(
        self, stream: Stream, drains: list[Drain], heard: Samples, rng: np.random.Generator
    ) -> tuple[Stream, list[Drain], set[int], Samples]:
        """The stream, its drains, those of its chunks that are undecided, and its samples, as a step draws them."""
        if rng.random() < self.data.quiet_share:
            stream, heard = after_quiet(stream, heard, rng, self.shards.chunk_samples)
            drains = list(stream.drains)
        drains, undecided = labels.late(drains, self.data.late_share, rng)
        undecided |= labels.early(drains, stream.replies, warnings(stream), self.shards.chunk_samples)
        if rng.random() < self.data.slip_share and 'history review' not in stream.mixed_in:
            stream, drains = self._with_slip(stream, drains, rng)
        if rng.random() < self.data.noise_share:
            heard = in_noise(heard, rng)
        return stream, drains, undecided, heard

    def _with_slip(self, stream: Stream, drains: list[Drain], rng: np.random.Generator) -> tuple[Stream, list[Drain]]:
        """With another stream's reply, now its last one, where silence was due: one slip must not lead to the next."""
        silent = [number for number, drain in enumerate(drains) if drain.reply is None]
        others = self.shards.record(int(rng.choice(self.shards.places[stream.split]))).replies
        if not silent or not others:
            return stream, drains
        at, other = int(rng.choice(silent)), others[int(rng.integers(len(others)))]
        drains = [*drains]
        drains[at] = drains[at].model_copy(update={'reply': len(stream.replies)})
        return stream.model_copy(update={'replies': (*stream.replies, other)}), drains


def after_quiet(
    stream: Stream, samples: Samples, rng: np.random.Generator, chunk_samples: int = CHUNK_SAMPLES
) -> tuple[Stream, Samples]:
    """With more of its own background in front and as much less at its end, so that its first reply just fits.

    Scripts begin at once, a robot has mostly heard nothing for hours: an instruction must outlast that. The background
    is what lies before the first sound, back and forth; where that is less than half a chunk, nothing is changed.
    """
    first_onset = min((event.onset for event in stream.events if event.role is not Role.AMBIENT), default=len(samples))
    first_reply = min((drain.last for drain in stream.drains if drain.reply is not None), default=stream.chunks // 2)
    room = stream.chunks - 1 - first_reply
    if first_onset < chunk_samples // 2 or room < 1:
        return stream, samples
    chunks = int(rng.integers(1, room + 1))
    quiet = np.pad(samples[:first_onset], (chunks * chunk_samples, 0), mode='reflect')
    heard = np.concatenate([quiet, samples[first_onset:]])[: len(samples)]
    return stream.delayed(chunks, chunk_samples), heard


def in_noise(samples: Samples, rng: np.random.Generator) -> Samples:
    """With a noise bed 5 … 35 dB below: what a quiet room and a bad microphone add. float32 [n]"""
    level_dbfs = 10 * np.log10(mean_power(samples) + 1e-10)
    return np.clip(samples + noise_bed(len(samples), level_dbfs - rng.uniform(5.0, 35.0), rng), -1.0, 1.0)


def warnings(stream: Stream) -> set[int]:
    """Which replies a sound called for that deserves one whoever hears it."""
    onsets = {event.onset for event in stream.events if event.respond}
    return {number for number, reply in enumerate(stream.replies) if reply.onset in onsets}


def event_targets(
    stream: Stream, chunks: int, classes: Sequence[str], chunk_samples: int = CHUNK_SAMPLES
) -> np.ndarray:
    """For every chunk the shares of what sounded in it or just before, column 0 for nothing. float32 [chunks, 1 + n]"""
    targets = np.zeros((chunks, 1 + len(classes)), np.float32)
    column = {category: 1 + number for number, category in enumerate(classes)}
    for event in stream.events:
        if event.role is not Role.AMBIENT and event.category in column:
            first, last = event.onset // chunk_samples, (event.end - 1 + RECENT_SAMPLES) // chunk_samples
            targets[first : last + 1, column[event.category]] = 1.0
    targets[~targets.any(axis=1), 0] = 1.0
    return targets / targets.sum(axis=1, keepdims=True)


def collate(
    tokens: Sequence[Tokens],
    samples: Sequence[Samples],
    events: Sequence[np.ndarray],
    protocol: Protocol,
    places: Sequence[int] | np.ndarray,
    chunk_samples: int = CHUNK_SAMPLES,
) -> Batch:
    """Pad and point. Padding lies on the right, where no other position looks, so it needs no mask."""
    longest, most = max(len(row.ids) for row in tokens), max(map(len, samples))
    ids = np.full((len(tokens), longest), protocol.eos)
    targets = np.full((2, len(tokens), longest), MASK)
    waveforms = np.zeros((len(tokens), most), np.float32)
    for row, (token, sample) in enumerate(zip(tokens, samples, strict=True)):
        length = len(token.ids)
        ids[row, :length] = token.ids
        targets[0, row, :length], targets[1, row, :length] = token.stream_targets, token.lm_targets
        waveforms[row, : len(sample)] = sample
    chunks = np.array([len(sample) // chunk_samples for sample in samples])
    stream, lm = targets.reshape(2, -1)
    stream_at, lm_at = np.flatnonzero(stream != MASK), np.flatnonzero(lm != MASK)
    ends = [row * longest + np.array(token.chunk_ends) for row, token in enumerate(tokens)]
    arrays = {
        'waveforms': waveforms,
        'heard': np.arange(most // chunk_samples) < chunks[:, None],
        'ids': ids,
        'audio_at': np.flatnonzero(ids.reshape(-1) == protocol.audio),
        'ends_at': np.concatenate(ends),
        'events': np.concatenate(list(events)),
        'stream_at': stream_at,
        'stream_targets': stream[stream_at],
        'stream_of': stream_at // longest,
        'lm_at': lm_at,
        'lm_targets': lm[lm_at],
        'lm_of': lm_at // longest,
        'lengths': np.array([len(row.ids) for row in tokens]),
        'places': np.asarray(places, np.int64),
    }
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def read_ahead(
    reader: Reader, plan: Plan, first: int, steps: int, rank: int, devices: int, batch: int
) -> Iterator[tuple[int, list[Batch]]]:
    """(step, its batches on this device) from step `first` on, read in the background while others are computed."""
    with ThreadPoolExecutor(1) as pool:

        def ask(step: int) -> Future[list[Batch]]:
            return pool.submit(
                lambda: [reader.read(places, step) for places in plan.batches(step, rank, devices, batch)]
            )

        waiting = [ask(step) for step in range(first, min(steps, first + STEPS_AHEAD))]
        try:
            for step in range(first, steps):
                batches = waiting.pop(0).result()
                if step + STEPS_AHEAD < steps:
                    waiting.append(ask(step + STEPS_AHEAD))
                yield step, batches
        finally:
            pool.shutdown(cancel_futures=True)
