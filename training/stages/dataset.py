"""The corpus' shards, read stream by stream in any order: an index made once, a shard at a time, and kept with the run.

The index says where in its tar each recording lies, so a batch may be any streams of any shards, and so the run that
goes on after a kill reads what an undisturbed one would have read.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import soundfile
from pydantic import ValidationError
from tokenizers import Tokenizer

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.model.protocol import Protocol
from training.corpus.jobs import Workers
from training.files import write_whole
from training.labels import VECTOR_SAMPLES
from training.recipe import StageData
from training.scripts.script import taxonomy
from training.splits import SPLITS
from training.stages import TrainingError
from training.streams import Stream

ROW = np.dtype(
    [
        ('shard', 'i4'),
        ('record_at', 'i8'),
        ('record_size', 'i4'),
        ('audio_at', 'i8'),
        ('audio_size', 'i4'),
        ('split', 'i1'),
        ('category', 'i1'),
        ('mixed', '?'),
        ('chunks', 'i2'),
        ('exchange_chunks', 'i2'),  # up to the first reply, or all of them
        ('exchange_positions', 'i4'),
        ('positions', 'i4'),  # of the language model, over the whole stream
    ]
)


@dataclass(frozen=True)
class IndexJob:
    """An `IndexJob` names a shard to index, and what its texts are to be written with."""

    corpus: Path
    number: int
    shard: str
    tokenizer: Path
    protocol: Path
    instruction: str
    chunk_samples: int
    out: Path

    @property
    def rows(self) -> Path:
        """Return the file of ROWs, one a stream."""
        return self.out / f'{self.number:06d}.npy'

    @property
    def records(self) -> Path:
        """Return the file of the streams' records, one JSON line each."""
        return self.out / f'{self.number:06d}.jsonl'


def tokens_a_chunk(chunk_samples: int) -> int:
    """Return the tokens of a chunk: vectors, begin and end; a control token for every drain comes on top."""
    return chunk_samples // VECTOR_SAMPLES + 2


def shard_names(corpus: Path) -> list[str]:
    """Return the names of a corpus' shards. Raises TrainingError where there are none."""
    names = sorted(path.name.split('.')[1] for path in (corpus / 'shar').glob('cuts.*.jsonl.gz'))
    if not names:
        raise TrainingError(f"no shards under '{corpus}/shar'; make them with 'python -m training corpus build'")
    return names


@lru_cache(maxsize=1)
def _written_with(tokenizer: Path, protocol: Path) -> tuple[Tokenizer, Protocol]:
    return Tokenizer.from_file(str(tokenizer)), Protocol.load(protocol)


def index_shard(job: IndexJob) -> int:
    """Index one shard for `ShardDataset`; return how many streams it has. Raises TrainingError on foreign ones."""
    if job.rows.exists():
        return 0
    tokenizer, protocol = _written_with(job.tokenizer, job.protocol)
    audio = _audio_places(job.corpus / 'shar' / f'recording.{job.shard}.tar')
    cuts = job.corpus / 'shar' / f'cuts.{job.shard}.jsonl.gz'
    with gzip.open(cuts, 'rt') as file:
        streams = [_stream(line, cuts) for line in file]
    if job.chunk_samples != CHUNK_SAMPLES:
        streams = [stream.recut(job.chunk_samples) for stream in streams]
    lengths = _text_lengths(streams, job.instruction, tokenizer, protocol)
    categories = list(taxonomy())
    a_chunk = tokens_a_chunk(job.chunk_samples)
    rows = np.zeros(len(streams), ROW)
    records: list[bytes] = []
    at = 0
    for row, stream in zip(rows, streams, strict=True):
        if stream.id not in audio:
            raise TrainingError(f"'{cuts}' names {stream.id}, which has no recording beside it; build the corpus again")
        record = stream.model_dump_json().encode() + b'\n'
        prefix = len(protocol.prefix([])) + lengths[stream.instruction or job.instruction]
        said = [2 + lengths[reply.text] for reply in stream.replies]  # with emotion and eos
        first = next((drain for drain in stream.drains if drain.reply is not None), stream.drains[-1])
        row['shard'], row['record_at'], row['record_size'] = job.number, at, len(record)
        row['audio_at'], row['audio_size'] = audio[stream.id]
        row['split'], row['category'] = SPLITS.index(stream.split), categories.index(stream.category)
        row['mixed'], row['chunks'], row['exchange_chunks'] = bool(stream.mixed_in), stream.chunks, first.last + 1
        row['exchange_positions'] = (
            prefix + a_chunk * (first.last + 1) + 1 + (said[first.reply] if first.reply is not None else 0)
        )
        row['positions'] = (
            prefix
            + a_chunk * stream.chunks
            + len(stream.drains)
            + sum(said[drain.reply] for drain in stream.drains if drain.reply is not None)
        )
        records.append(record)
        at += len(record)
    write_whole(job.records, b''.join(records))
    buffer = io.BytesIO()
    np.save(buffer, rows)
    write_whole(job.rows, buffer.getvalue())
    return len(streams)


def _audio_places(tar: Path) -> dict[str, tuple[int, int]]:
    try:
        with tarfile.open(tar) as file:
            return {
                member.name.removesuffix('.flac'): (member.offset_data, member.size)
                for member in file
                if member.name.endswith('.flac')
            }
    except (OSError, tarfile.TarError) as error:
        raise TrainingError(f"'{tar}' cannot be read ({error}); build the corpus again") from error


def _stream(line: str, cuts: Path) -> Stream:
    try:
        stream = Stream.model_validate(json.loads(line)['custom']['stream'])
        if stream.category not in taxonomy() or stream.split not in SPLITS:
            raise ValueError(f"category '{stream.category}', split '{stream.split}'")
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        problem = str(error).splitlines()[0]
        raise TrainingError(
            f"'{cuts}' holds something else than the streams of 'python -m training corpus build' ({problem}); "
            'give a corpus that it made'
        ) from error
    return stream


def _text_lengths(
    streams: Sequence[Stream], instruction: str, tokenizer: Tokenizer, protocol: Protocol
) -> dict[str, int]:
    """Tokens of every text. Raises TrainingError if one of them cannot be written, or an emotion has no token."""
    texts = {instruction, *(stream.instruction for stream in streams if stream.instruction)}
    texts |= {reply.text for stream in streams for reply in stream.replies}
    ordered = sorted(texts)
    encoded = tokenizer.encode_batch(ordered, add_special_tokens=False)
    for text, encoding, back in zip(ordered, encoded, tokenizer.decode_batch([e.ids for e in encoded]), strict=True):
        # Some tokenizers strip; what counts is that no character is lost.
        if back.strip() != text.strip() or protocol.special_ids() & set(encoding.ids):
            raise TrainingError(
                f"the tokenizer cannot write '{text}': it reads back as '{back}'; "
                'give a checkpoint with a tokenizer for this language, or a recipe with vocabulary_size'
            )
    emotions = {reply.emotion for stream in streams for reply in stream.replies}
    if unknown := sorted(emotions - set(protocol.emotions)):
        raise TrainingError(f'the protocol has no token for the emotions {unknown}; it has {sorted(protocol.emotions)}')
    return {text: len(encoding.ids) for text, encoding in zip(ordered, encoded, strict=True)}


def index_corpus(
    corpus: Path, tokenizer: Path, protocol: Path, instruction: str, out: Path, chunk_samples: int = CHUNK_SAMPLES
) -> None:
    """Index every shard that `out` does not hold yet, on all cores or a Ray cluster, as `corpus build` works.

    With another chunk length than the corpus' the index has its streams cut anew (paper, Table 7).
    """
    todo = [
        IndexJob(corpus, number, name, tokenizer, protocol, instruction, chunk_samples, out)
        for number, name in enumerate(shard_names(corpus))
    ]
    todo = [job for job in todo if not job.rows.exists()]
    # Processes cost seconds to start; a few shards are indexed sooner than that.
    with Workers(len(os.sched_getaffinity(0)) if len(todo) > 64 else 1) as workers:
        workers.run('index', index_shard, todo)


class ShardDataset:
    """A `ShardDataset` reads the streams of a corpus through its index, in chunks of the indexed length."""

    def __init__(self, corpus: Path, index: Path, chunk_samples: int = CHUNK_SAMPLES) -> None:
        self.chunk_samples = chunk_samples
        self._tars = [corpus / 'shar' / f'recording.{name}.tar' for name in shard_names(corpus)]
        self._records = [index / f'{number:06d}.jsonl' for number in range(len(self._tars))]
        self.rows = np.concatenate([np.load(path.with_suffix('.npy')) for path in self._records])

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """Return the streams of each side of the split, as indices of `rows`; a large corpus has millions."""
        return {split: np.flatnonzero(self.rows['split'] == number) for number, split in enumerate(SPLITS)}

    def select(self, data: StageData, split: str, max_positions: int) -> np.ndarray:
        """Return what a stage reads, as indices of `rows`, int64 [n]. Raises TrainingError where there is nothing."""
        categories = list(taxonomy())
        if unknown := set(data.categories) - set(categories):
            raise TrainingError(f'unknown categories {sorted(unknown)}; there are {categories}')
        fits = self.rows['exchange_positions' if data.form == 'offline' else 'positions'] <= max_positions
        wanted = (self.rows['split'] == SPLITS.index(split)) & fits
        if data.categories:
            wanted &= np.isin(self.rows['category'], [categories.index(name) for name in data.categories])
        if not data.mix_ins:
            wanted &= ~self.rows['mixed']
        chosen = np.flatnonzero(wanted)
        if not len(chosen):
            raise TrainingError(
                f'the corpus has {len(self.rows)} streams, but none on the {split} side for {data.model_dump()} with '
                f'at most {max_positions} positions; build a longer corpus or change the stage'
            )
        return chosen

    def chunks(self, data: StageData) -> np.ndarray:
        """Return how many chunks each stream has in a stage's form, int [streams]."""
        return self.rows['exchange_chunks' if data.form == 'offline' else 'chunks']

    def record(self, place: int) -> Stream:
        """Return what is known of a stream, without its samples."""
        row = self.rows[place]
        with self._records[row['shard']].open('rb') as file:
            file.seek(row['record_at'])
            return Stream.model_validate_json(file.read(row['record_size']))

    def samples(self, place: int, chunks: int) -> Samples:
        """Return a stream's first chunks, float32 [chunks × chunk_samples]. Raises TrainingError for damaged audio."""
        row = self.rows[place]
        wanted = chunks * self.chunk_samples
        tar = self._tars[row['shard']]
        with tar.open('rb') as file:
            file.seek(row['audio_at'])
            flac = io.BytesIO(file.read(row['audio_size']))
        try:
            samples, rate = soundfile.read(flac, frames=wanted, dtype='float32')
        except soundfile.LibsndfileError as error:
            raise TrainingError(f"'{tar}' is damaged ({error}); build the corpus again") from error
        if self.chunk_samples != CHUNK_SAMPLES and chunks == row['chunks']:
            samples = np.pad(samples, (0, min(wanted - len(samples), self.chunk_samples - 1)))  # as `Stream.recut` says
        if rate != SAMPLE_RATE_HZ or samples.shape != (wanted,):
            raise TrainingError(
                f"'{tar}' has a recording of {samples.shape} samples at {rate} Hz where {wanted} at "
                f'{SAMPLE_RATE_HZ} Hz were expected; build the corpus again'
            )
        return samples
