"""What the network is given of the streams of a batch: sound, tokens and targets (paper, Algorithm 2), padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.protocol import Protocol
from training import labels
from training.labels import MASK, Tokens
from training.random_streams import Purpose, random_stream
from training.recipe import WORDS, StageData
from training.stages.augmentation import after_quiet, in_noise
from training.stages.dataset import ShardDataset
from training.streams import Drain, Role, Stream

RECENT_SAMPLES = 2 * CHUNK_SAMPLES  # so long after its end the auxiliary target still names an event


@dataclass(frozen=True)
class Batch:
    """A `Batch` holds streams, padded on the right to the longest.

    What is gathered from them is named by its place in the flattened [batch × L].
    `waveforms` float32 [batch, chunks × 6400]; `heard` bool [batch, chunks], False for padding; `ids` int64 [batch, L];
    `audio_at` int64 [n × vectors], where the vectors of the n chunks that are heard go; `ends_at` int64 [n], their
    `chunk_end`; `events` float32 [n, 1 + classes], shares of what sounded lately; `stream_at`, `stream_targets`,
    `lm_at`, `lm_targets` int64; `stream_of`, `lm_of`, int64, the row that a target belongs to; `lengths` without
    padding and `places` in the corpus, int64 [batch]. `written_ids` int64 [n, W], exchanges of the streams as text, for
    the text teacher, and `written_at` int64, where in the flattened a token of a reply is predicted; else empty.
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
    written_ids: Tensor
    written_at: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the same on another device."""
        moved = {field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)}
        return replace(self, **moved)


def first_exchange(stream: Stream) -> tuple[list[Drain], int]:
    """Return the one drain of the offline form, and how many chunks it has.

    Everything up to the first reply is heard, then it is given; silence where there is none.
    """
    answered = next((drain for drain in stream.drains if drain.reply is not None), None)
    last = stream.chunks - 1 if answered is None else answered.last
    return [Drain(first=0, last=last, reply=None if answered is None else answered.reply)], last + 1


def before_first_reply(
    stream: Stream, rng: np.random.Generator, chunk_samples: int = CHUNK_SAMPLES
) -> tuple[list[Drain], int] | None:
    """Return the one drain of the offline form, and its chunks, at a moment before the first reply: silence is right.

    None where there is no such moment. Not one of them is when a warning could be given already.
    """
    answered = next((at for at, drain in enumerate(stream.drains) if drain.reply is not None), len(stream.drains))
    early = labels.early(stream.drains, stream.replies, warnings(stream), chunk_samples)
    moments = [drain.last for drain in stream.drains[:answered] if drain.last not in early]
    if not moments:
        return None
    last = int(rng.choice(moments))
    return [Drain(first=0, last=last)], last + 1


@dataclass(frozen=True)
class Written:
    """A `Written` is an exchange as text: the ids of request and reply, and where the reply begins."""

    ids: Sequence[int]
    reply_at: int


@dataclass(frozen=True)
class StreamCollator:
    """A `StreamCollator` makes batches of the corpus' streams, in a stage's form.

    `request`: that of the stage's text teacher, None where it has none.
    """

    dataset: ShardDataset
    data: StageData
    tokenizer: Tokenizer
    protocol: Protocol
    instruction: str
    event_classes: Sequence[str]
    request: str | None = None

    def collate(
        self, places: Sequence[int] | np.ndarray, rng_of: Callable[[int], np.random.Generator] | None = None
    ) -> Batch:
        """Decode, tokenise and pad the streams at these rows of the index.

        Given `rng_of`, which gives each of them its random numbers, they are augmented as the stage wants it; else they
        are as they are, and always the same ones end before their first reply where the stage has a `silent_share`.
        """
        length = self.dataset.chunk_samples
        tokens: list[Tokens] = []
        samples: list[Samples] = []
        events: list[np.ndarray] = []
        written: list[Written] = []
        for place in places:
            stream = self.dataset.stream(int(place), self.data)
            offline = self.data.form == 'offline'
            drains, chunks = first_exchange(stream) if offline else (list(stream.drains), stream.chunks)
            rng = None if rng_of is None else rng_of(int(place))
            # Drawn only where the recipe asks for it, so that other recipes keep their batches.
            if self.data.silent_share:
                drawn = rng or random_stream(Purpose.HELD_OUT_SILENCE, None, int(place))
                if drawn.random() < self.data.silent_share:
                    drains, chunks = before_first_reply(stream, drawn, length) or (drains, chunks)
            heard = self.dataset.samples(int(place), chunks)
            undecided, own_replies = set[int](), len(stream.replies)
            if rng is not None:
                stream, drains, undecided, heard = self._augmented(stream, drains, heard, rng)
            slips = range(own_replies, len(stream.replies))
            instruction = self.tokenizer.encode(stream.instruction or self.instruction, add_special_tokens=False).ids
            prefix = self.protocol.prefix(instruction, offline=offline)
            tokens.append(
                labels.tokenise(drains, stream.replies, prefix, self.tokenizer, self.protocol, undecided, length, slips)
            )
            samples.append(heard)
            events.append(event_targets(stream, chunks, self.event_classes, length))
            if rng is not None and self.request is not None:
                own = [drain for drain in drains if drain.reply not in slips]
                written += self._written(stream, own, self.request, rng)
        return pad(tokens, samples, events, self.protocol, places, length, written)

    def _written(
        self, stream: Stream, drains: Sequence[Drain], request: str, rng: np.random.Generator
    ) -> list[Written]:
        """One of a stream's exchanges as text, drawn by chance; none where nobody says anything that is answered."""
        words = {event.onset: event.text for event in stream.events if event.text}
        replies = [stream.replies[drain.reply] for drain in drains if drain.reply is not None]
        exchanges = [(words[reply.onset], reply.text) for reply in replies if reply.onset in words]
        if not exchanges:
            return []
        asked, said = exchanges[int(rng.integers(len(exchanges)))]
        before, after = (
            self.tokenizer.encode(text, add_special_tokens=False).ids for text in (request.replace(WORDS, asked), said)
        )
        return [Written([*before, *after], len(before))]

    def _augmented(
        self, stream: Stream, drains: list[Drain], heard: Samples, rng: np.random.Generator
    ) -> tuple[Stream, list[Drain], set[int], Samples]:
        """The stream, its drains, those of its chunks that are undecided, and its samples, as they are trained on."""
        if rng.random() < self.data.quiet_share:
            stream, heard = after_quiet(stream, heard, rng, self.dataset.chunk_samples)
            drains = list(stream.drains)
        drains, undecided = labels.late(drains, self.data.late_share, rng)
        undecided |= labels.early(drains, stream.replies, warnings(stream), self.dataset.chunk_samples)
        if rng.random() < self.data.slip_share and 'history review' not in stream.mixed_in:
            stream, drains = self._with_slip(stream, drains, rng)
        if rng.random() < self.data.noise_share:
            heard = in_noise(heard, rng)
        return stream, drains, undecided, heard

    def _with_slip(self, stream: Stream, drains: list[Drain], rng: np.random.Generator) -> tuple[Stream, list[Drain]]:
        """With another stream's reply, now its last one, where silence was due: one slip must not lead to the next."""
        silent = [number for number, drain in enumerate(drains) if drain.reply is None]
        others = self.dataset.record(int(rng.choice(self.dataset.places[stream.split]))).replies
        if not silent or not others:
            return stream, drains
        at, other = int(rng.choice(silent)), others[int(rng.integers(len(others)))]
        drains = [*drains]
        drains[at] = drains[at].model_copy(update={'reply': len(stream.replies)})
        return stream.model_copy(update={'replies': (*stream.replies, other)}), drains


def warnings(stream: Stream) -> set[int]:
    """Return the numbers of the replies that a sound called for which deserves one whoever hears it."""
    onsets = {event.onset for event in stream.events if event.respond}
    return {number for number, reply in enumerate(stream.replies) if reply.onset in onsets}


def event_targets(
    stream: Stream, chunks: int, classes: Sequence[str], chunk_samples: int = CHUNK_SAMPLES
) -> np.ndarray:
    """Return for every chunk the shares of what sounded in it or just before, column 0 for nothing.

    float32 [chunks, 1 + classes].
    """
    targets = np.zeros((chunks, 1 + len(classes)), np.float32)
    column = {category: 1 + number for number, category in enumerate(classes)}
    for event in stream.events:
        if event.role is not Role.AMBIENT and event.category in column:
            first, last = event.onset // chunk_samples, (event.end - 1 + RECENT_SAMPLES) // chunk_samples
            targets[first : last + 1, column[event.category]] = 1.0
    targets[~targets.any(axis=1), 0] = 1.0
    return targets / targets.sum(axis=1, keepdims=True)


def pad(
    tokens: Sequence[Tokens],
    samples: Sequence[Samples],
    events: Sequence[np.ndarray],
    protocol: Protocol,
    places: Sequence[int] | np.ndarray,
    chunk_samples: int = CHUNK_SAMPLES,
    written: Sequence[Written] = (),
) -> Batch:
    """Return streams as a batch: their tokens, samples, float32 [chunks × 6400], and event targets, one each a stream.

    Padding lies on the right, where no other position looks, so it needs no mask. `places` are theirs in the corpus.
    """
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
    widest = max((len(row.ids) for row in written), default=0)
    written_ids = np.full((len(written), widest), protocol.eos)
    # The last of a reply's tokens predicts its end.
    written_at = [np.zeros(0, np.int64)]
    for row, exchange in enumerate(written):
        written_ids[row, : len(exchange.ids)] = exchange.ids
        written_at.append(row * widest + np.arange(exchange.reply_at - 1, len(exchange.ids)))
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
        'written_ids': written_ids,
        'written_at': np.concatenate(written_at),
    }
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})
