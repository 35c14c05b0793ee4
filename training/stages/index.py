"""The index of a corpus' shards: made once, a shard at a time, by all processes of a run together, and kept with it.

It says of every stream where in its tar the recording lies, how long it is in tokens, and which stages may read it.
What a killed run has indexed is not indexed again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from tokenizers import Tokenizer
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.model.protocol import Protocol
from training.corpus.jobs import Workers
from training.files import write_whole
from training.labels import VECTOR_SAMPLES
from training.scripts.script import taxonomy
from training.splits import SPLITS
from training.stages import TrainingError
from training.stages.mix_ins import plain_chunks
from training.streams import Drain, Role, Stream

if TYPE_CHECKING:  # PyTorch would take seconds and hundreds of megabytes in every worker
    from training.stages.distributed import Devices

ROW = np.dtype(
    [
        ('shard', 'i4'),
        ('record_at', 'i8'),
        ('record_size', 'i4'),
        ('audio_at', 'i8'),
        ('audio_size', 'i4'),
        ('split', 'i1'),
        ('category', 'i1'),
        ('chunks', 'i2'),
        ('exchange_chunks', 'i2'),  # up to the first reply, or all of them
        ('plain_chunks', 'i2'),  # up to what was mixed in
        ('exchange_positions', 'i4'),
        ('plain_positions', 'i4'),
        ('positions', 'i4'),  # of the language model, over the whole stream
    ]
)
_SAID = 3  # so many of the streams that are left out are said
_SHARDS_AT_A_TIME = 4  # of one worker, before the processes meet: seconds
_WORTH_PROCESSES = 64  # shards; processes cost seconds to start, and a few shards are indexed sooner than that

Job = TypeVar('Job')


@dataclass(frozen=True)
class ShardTexts:
    """A `ShardTexts` names a shard of which to collect what is written in the training side's streams."""

    corpus: Path
    number: int
    shard: str
    out: Path

    @property
    def texts(self) -> Path:
        """Return the file of the texts, in the order of the streams: a JSON list."""
        return self.out / f'{self.number:06d}.texts.json'


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

    @property
    def found(self) -> Path:
        """Return the file of what else was found in the shard: a `Found`."""
        return self.out / f'{self.number:06d}.json'

    @property
    def is_done(self) -> bool:
        """Return whether the shard is indexed, and not by an older version, which knew less of a stream."""
        if not (self.rows.exists() and self.found.exists()):
            return False
        with self.rows.open('rb') as file:
            np.lib.format.read_magic(file)
            return np.lib.format.read_array_header_1_0(file)[2] == ROW


class Found(BaseModel):
    """A `Found` holds what sounds in a shard's training side, and how many streams are left out, some with why."""

    classes: tuple[str, ...]
    left_out: int = 0
    reasons: tuple[str, ...] = ()


class _Custom(BaseModel):
    stream: Stream


class _Cut(BaseModel):
    custom: _Custom


def tokens_a_chunk(chunk_samples: int) -> int:
    """Return the tokens of a chunk: vectors, begin and end; a control token for every drain comes on top."""
    return chunk_samples // VECTOR_SAMPLES + 2


def shard_names(corpus: Path) -> list[str]:
    """Return the names of a corpus' shards. Raises TrainingError where there are none."""
    names = sorted(path.name.split('.')[1] for path in (corpus / 'shar').glob('cuts.*.jsonl.gz'))
    if not names:
        raise TrainingError(f"no shards under '{corpus}/shar'; make them with 'python -m training corpus build'")
    return names


def index_corpus(
    corpus: Path,
    tokenizer: Path,
    protocol: Path,
    instruction: str,
    out: Path,
    chunk_samples: int = CHUNK_SAMPLES,
    devices: Devices | None = None,
) -> Found:
    """Index every shard that `out` does not hold yet; return what was found in all of them.

    Every process of `devices` calls this and does its share, on its cores or a Ray cluster, as `corpus build` works.
    With another chunk length than the corpus' the index has its streams cut anew (paper, Table 7). A stream with a text
    that the tokenizer cannot write is left out. Raises TrainingError where no stream is left.
    """
    jobs = [
        IndexJob(corpus, number, name, tokenizer, protocol, instruction, chunk_samples, out)
        for number, name in enumerate(shard_names(corpus))
    ]
    do_together('index', index_shard, jobs, lambda job: job.is_done, devices)
    every = [Found.model_validate_json(job.found.read_bytes()) for job in jobs]
    found = Found(
        classes=tuple(sorted({name for one in every for name in one.classes})),
        left_out=sum(one.left_out for one in every),
        reasons=tuple(reason for one in every for reason in one.reasons)[:_SAID],
    )
    if found.left_out and not any(job.records.stat().st_size for job in jobs):
        raise TrainingError(
            f"none of the {found.left_out} streams of '{corpus}' can be written: {found.reasons[0]}; give a checkpoint "
            'with a tokenizer for this language, or a recipe with vocabulary_size'
        )
    return found


def collect_texts(corpus: Path, out: Path, devices: Devices | None = None) -> list[str]:
    """Return to the first process what is written in the training side's streams, in their order.

    Every process does its share of the shards; what each holds is kept in `out`.
    """
    jobs = [ShardTexts(corpus, number, name, out) for number, name in enumerate(shard_names(corpus))]
    do_together('texts', _collect, jobs, lambda job: job.texts.exists(), devices)
    if devices is not None and not devices.is_main:
        return []
    return [text for job in jobs for text in json.loads(job.texts.read_bytes())]


def do_together(
    title: str,
    work: Callable[[Job], int],
    jobs: Sequence[Job],
    is_done: Callable[[Job], bool],
    devices: Devices | None,
) -> None:
    """Do the jobs that are not done, every process of `devices` its share; all return when all are done.

    The processes meet every few seconds and divide anew what is left, so that none waits long for a slower one.
    """
    rank, world = (devices.rank, devices.world) if devices else (0, 1)
    # One process looks, so that all see the same.
    finished = _sum(np.array([rank == 0 and is_done(job) for job in jobs], np.float64), devices)
    cores = max(1, len(os.sched_getaffinity(0)) // int(os.environ.get('LOCAL_WORLD_SIZE', '1')))
    left = np.flatnonzero(finished == 0)
    workers = Workers(cores if len(left) > _WORTH_PROCESSES * world else 1)
    at_a_time = len(jobs) if world == 1 else _SHARDS_AT_A_TIME * workers.count
    bar = tqdm(desc=title, total=len(jobs), initial=len(jobs) - len(left), unit='shard', disable=rank > 0)
    with workers, bar:
        while len(left):
            mine = left[rank::world][:at_a_time]
            for _ in workers.each(work, [jobs[number] for number in mine]):
                bar.update(world == 1)
            finished += _sum(np.isin(np.arange(len(jobs)), mine).astype(np.float64), devices)
            bar.update(len(left) - np.count_nonzero(finished == 0) if world > 1 else 0)
            left = np.flatnonzero(finished == 0)


def _sum(values: np.ndarray, devices: Devices | None) -> np.ndarray:
    if devices is None or devices.world == 1:
        return values
    import torch

    return devices.sum(torch.from_numpy(values)).cpu().numpy()


def _collect(job: ShardTexts) -> int:
    streams = [stream for stream in _streams(job.corpus, job.shard) if stream.split == 'train']
    texts = [text for s in streams for text in (s.instruction, *(reply.text for reply in s.replies))]
    write_whole(job.texts, json.dumps(texts).encode())
    return len(streams)


@lru_cache(maxsize=1)
def _written_with(tokenizer: Path, protocol: Path) -> tuple[Tokenizer, Protocol]:
    return Tokenizer.from_file(str(tokenizer)), Protocol.load(protocol)


def index_shard(job: IndexJob) -> int:
    """Index one shard for `ShardDataset`; return how many streams it has. Raises TrainingError on foreign ones."""
    tokenizer, protocol = _written_with(job.tokenizer, job.protocol)
    audio = _audio_places(job.corpus / 'shar' / f'recording.{job.shard}.tar')
    streams = _streams(job.corpus, job.shard)
    if job.chunk_samples != CHUNK_SAMPLES:
        streams = [stream.recut(job.chunk_samples) for stream in streams]
    lengths, unwritable = _text_lengths(streams, job.instruction, tokenizer, protocol)
    categories = list(taxonomy())
    rows = np.zeros(len(streams), ROW)
    records: list[bytes] = []
    classes, reasons = set[str](), list[str]()
    at = 0
    for stream in streams:
        if stream.id not in audio:
            cuts = job.corpus / 'shar' / f'cuts.{job.shard}.jsonl.gz'
            raise TrainingError(f"'{cuts}' names {stream.id}, which has no recording beside it; build the corpus again")
        if reason := _unwritable(stream, unwritable, protocol):
            reasons.append(f'{stream.id}: {reason}')
            continue
        row, record = rows[len(records)], stream.model_dump_json().encode() + b'\n'
        first = next((drain for drain in stream.drains if drain.reply is not None), stream.drains[-1])
        plain = plain_chunks(stream, job.chunk_samples)
        row['shard'], row['record_at'], row['record_size'] = job.number, at, len(record)
        row['audio_at'], row['audio_size'] = audio[stream.id]
        row['split'], row['category'] = SPLITS.index(stream.split), categories.index(stream.category)
        row['chunks'], row['exchange_chunks'], row['plain_chunks'] = stream.chunks, first.last + 1, plain
        for column, drains in (
            ('exchange_positions', [first]),
            ('plain_positions', [drain for drain in stream.drains if drain.last < plain]),
            ('positions', stream.drains),
        ):
            row[column] = _positions(stream, drains, job, lengths, protocol)
        records.append(record)
        at += len(record)
        if stream.split == 'train':
            classes |= {event.category for event in stream.events if event.role is not Role.AMBIENT}
    found = Found(classes=tuple(sorted(classes)), left_out=len(reasons), reasons=tuple(reasons[:_SAID]))
    write_whole(job.records, b''.join(records))
    write_whole(job.found, found.model_dump_json().encode())
    buffer = io.BytesIO()
    np.save(buffer, rows[: len(records)])
    write_whole(job.rows, buffer.getvalue())
    return len(records)


def _positions(
    stream: Stream, drains: Sequence[Drain], job: IndexJob, lengths: dict[str, int], protocol: Protocol
) -> int:
    """Tokens and vectors up to the end of some of a stream's drains, each with what is decided and said after it."""
    said = sum(2 + lengths[stream.replies[d.reply].text] for d in drains if d.reply is not None)  # emotion and eos too
    chunks = drains[-1].last + 1 if drains else 0
    prefix = len(protocol.prefix([])) + lengths[stream.instruction or job.instruction]
    return prefix + tokens_a_chunk(job.chunk_samples) * chunks + len(drains) + said


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


def _streams(corpus: Path, shard: str) -> list[Stream]:
    cuts = corpus / 'shar' / f'cuts.{shard}.jsonl.gz'
    with gzip.open(cuts, 'rb') as file:
        return [_stream(line, cuts) for line in file]


def _stream(line: bytes, cuts: Path) -> Stream:
    try:
        stream = _Cut.model_validate_json(line).custom.stream
        if stream.category not in taxonomy() or stream.split not in SPLITS:
            raise ValueError(f"category '{stream.category}', split '{stream.split}'")
    except ValueError as error:
        problem = str(error).splitlines()[0]
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            problem = f'{".".join(map(str, first["loc"]))}: {first["msg"]}'
        raise TrainingError(
            f"'{cuts}' holds something else than the streams of 'python -m training corpus build' ({problem}); "
            'give a corpus that it made'
        ) from error
    return stream


def _text_lengths(
    streams: Sequence[Stream], instruction: str, tokenizer: Tokenizer, protocol: Protocol
) -> tuple[dict[str, int], dict[str, str]]:
    """Tokens of every text, and what those read back as that cannot be written.

    Raises TrainingError if the general instruction is one of them: no stream could do without.
    """
    texts = {instruction, *(stream.instruction for stream in streams if stream.instruction)}
    texts |= {reply.text for stream in streams for reply in stream.replies}
    ordered = sorted(texts)
    encoded = tokenizer.encode_batch(ordered, add_special_tokens=False)
    special, unwritable = protocol.special_ids(), {}
    for text, encoding, back in zip(ordered, encoded, tokenizer.decode_batch([e.ids for e in encoded]), strict=True):
        # Some tokenizers strip; what counts is that no character is lost.
        if back.strip() != text.strip() or special & set(encoding.ids):
            unwritable[text] = back
    if instruction in unwritable:
        raise TrainingError(
            f"the tokenizer cannot write the recipe's instruction '{instruction}': it reads back as "
            f"'{unwritable[instruction]}'; word it otherwise, or give a checkpoint with a tokenizer for this language"
        )
    return {text: len(encoding.ids) for text, encoding in zip(ordered, encoded, strict=True)}, unwritable


def _unwritable(stream: Stream, unwritable: dict[str, str], protocol: Protocol) -> str:
    """Why a stream cannot be written with the tokenizer; empty where it can."""
    for text in (stream.instruction, *(reply.text for reply in stream.replies)):
        if text in unwritable:
            return f"the tokenizer cannot write '{text}', it reads back as '{unwritable[text]}'"
    unknown = {reply.emotion for reply in stream.replies} - set(protocol.emotions)
    return f"the protocol has no token for the emotion '{min(unknown)}'" if unknown else ''
