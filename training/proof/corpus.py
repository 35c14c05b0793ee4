"""A synthetic corpus in the layout of `corpus build`: noise, and replies of letters, as long as streams can be."""

from __future__ import annotations

import gzip
import io
import string
from pathlib import Path

import numpy as np
import soundfile
from lhotse.shar.writers import TarWriter

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.files import json_lines, whole, write_whole
from training.random_streams import Purpose, random_stream
from training.stages.index import tokens_a_chunk
from training.streams import Event, Reply, Role, Stream, schedule

_EVERY_CHUNKS = 4  # a reply
_OF_A_REPLY, _OF_A_STREAM = 6, 16  # positions beside its text: control, tags and end; the prefix, and some to spare
_LETTERS = np.array(list(string.ascii_lowercase))  # so many that few pairs of them become a token
_VALIDATION = 2  # the last streams


def write_corpus(out: Path, streams: int, chunks: int, positions: int) -> Path:
    """Write one shard of streams of so many chunks, with replies that fill nearly `positions`; return the folder.

    The replies are written with a token a letter, or fewer.
    """
    replies = range(2, chunks, _EVERY_CHUNKS)
    spoken = positions - chunks * (tokens_a_chunk(CHUNK_SAMPLES) + 1) - len(replies) * _OF_A_REPLY - _OF_A_STREAM
    letters = spoken // len(replies)
    rows = []
    with whole(out / 'shar' / 'recording.000000.tar') as temporary, TarWriter(str(temporary), shard_size=None) as tar:
        for number in range(streams):
            rng = random_stream(Purpose.PROOF_STREAM, None, number)
            stream = _stream(number, number >= streams - _VALIDATION, chunks, replies, letters, rng)
            samples = rng.uniform(-0.1, 0.1, chunks * CHUNK_SAMPLES).astype(np.float32)
            flac = io.BytesIO()
            soundfile.write(flac, samples, SAMPLE_RATE_HZ, format='FLAC', subtype='PCM_16')
            tar.write(f'{stream.id}.flac', flac)
            tar.write(f'{stream.id}.json', io.BytesIO(b'{}\n'), count=False)
            rows.append({'id': stream.id, 'custom': {'stream': stream.model_dump(mode='json')}})
    write_whole(out / 'shar' / 'cuts.000000.jsonl.gz', gzip.compress(json_lines(rows), mtime=0))
    return out


def _stream(
    number: int, held_out: bool, chunks: int, reply_chunks: range, letters: int, rng: np.random.Generator
) -> Stream:
    ends = [chunk * CHUNK_SAMPLES + CHUNK_SAMPLES // 2 for chunk in reply_chunks]
    texts = [''.join(rng.choice(_LETTERS, size=letters)) for _ in ends]
    replies = tuple(
        Reply(onset=end - CHUNK_SAMPLES, due=end, text=text, language='english')
        for end, text in zip(ends, texts, strict=True)
    )
    heard = Event(
        onset=0,
        end=CHUNK_SAMPLES,
        known=CHUNK_SAMPLES,
        role=Role.FOREGROUND,
        clip='noise',
        category='noise',
        respond=False,
    )
    return Stream(
        id=f'stream-{number:08d}',
        split='validation' if held_out else 'train',
        category='voice chatting',
        task='',
        instruction='',
        made_by='proof',
        mixed_in=(),
        chunks=chunks,
        aloud=False,
        event_snr_db=0.0,
        ambient_snr_db=0.0,
        events=(heard,),
        replies=replies,
        drains=tuple(schedule(replies, chunks, aloud=False)),
    )
