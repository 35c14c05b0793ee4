"""A corpus of tones in the layout of `corpus build`, and recipes small enough to run all four stages in seconds."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from lhotse.shar.writers import TarWriter

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.clips.store import StoredClip, write_part
from training.recipe import TrainingRecipe
from training.streams import Event, Reply, Role, Stream, schedule

INSTRUCTION = 'Listen.'
SAID = {'high tone': 'A high tone!', 'low tone': '一个低音。'}
HERTZ = {'high tone': 2_000.0, 'low tone': 300.0, 'noise': 0.0}
CATEGORIES = ('real-time ASR', 'voice chatting', 'proactive respond')
SPLITS = ('train', 'train', 'train', 'validation', 'test')

RECIPE: dict[str, Any] = {
    'name': 'micro',
    'seed': 3,
    'instruction': INSTRUCTION,
    'vocabulary_size': 320,
    'audio': {
        'num_mel_bins': 16, 'd_model': 16, 'encoder_layers': 1, 'encoder_attention_heads': 2, 'encoder_ffn_dim': 32,
        'n_window': 20, 'max_source_positions': 20, 'output_dim': 16, 'dropout': 0.0,
    },
    'text': {
        'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 2,
        'num_key_value_heads': 1, 'max_position_embeddings': 1024, 'tie_word_embeddings': False,
        'use_sliding_window': True, 'sliding_window': 40, 'layer_types': ['sliding_attention', 'full_attention'],
    },
    'max_positions': 512,
    'event_head': {'streams': 32, 'steps': 20, 'learning_rate': 1e-3, 'weight_decay': 0.05},
    'stages': [
        {'name': 'format', 'trainable': ['lm_head', 'new_token_embeddings'], 'data': {'form': 'offline'}},
        {'name': 'adapter', 'trainable': ['adapter'], 'data': {'form': 'offline'}},
        {
            'name': 'core', 'trainable': ['adapter', 'language_model', 'encoder'],
            'data': {'form': 'online', 'categories': ['real-time ASR', 'voice chatting'], 'mix_ins': False},
            'event_weight': 1.0, 'spec_augment': True,
        },
        {
            'name': 'interaction', 'trainable': ['adapter', 'language_model', 'encoder'], 'data': {'form': 'online'},
            'response_weight': 2.0, 'event_weight': 1.0,
        },
    ],
    'validate_every': 1_000,
    'save_every_minutes': 0.0,
    'streams_corpus': {'performance': {'max_chunks': 20}},
}  # fmt: skip


def settings(steps: int = 3, batch: int = 2, accumulation: int = 2, **changes: Any) -> dict[str, Any]:
    """The micro recipe as a dictionary, every stage with these numbers."""
    numbers = {'steps': steps, 'batch': batch, 'accumulation': accumulation, 'learning_rate': 1e-2}
    return RECIPE | {'stages': [stage | numbers for stage in RECIPE['stages']]} | changes


def recipe(**changes: Any) -> TrainingRecipe:
    """The micro recipe."""
    return TrainingRecipe.model_validate(settings(**changes))


def write_recipe(path: Path, **changes: Any) -> Path:
    """The micro recipe as a file; YAML reads JSON."""
    path.write_text(json.dumps(settings(**changes)))
    return path


def stream(number: int, replies_aloud: bool = False) -> tuple[Stream, np.ndarray]:
    """A stream of 12 to 20 chunks: tones to name and noise to be silent at; the fifth of each seven has no tone."""
    rng = np.random.default_rng([5, number])
    chunks = int(rng.integers(12, 21))
    samples = 0.01 * rng.standard_normal(chunks * CHUNK_SAMPLES)
    events, replies, at = [], [], int(rng.integers(0, CHUNK_SAMPLES))
    while at + 2 * CHUNK_SAMPLES < len(samples):
        length = int(rng.integers(CHUNK_SAMPLES // 2, 2 * CHUNK_SAMPLES))
        name = 'noise' if number % 7 == 4 else str(rng.choice(list(HERTZ)))
        wave = np.sin(2 * np.pi * HERTZ[name] / SAMPLE_RATE_HZ * np.arange(length))
        samples[at : at + length] += 0.3 * (wave if HERTZ[name] else 0.3 * rng.standard_normal(length))
        end = at + length
        events.append(
            Event(
                onset=at, end=end, known=end, role=Role.FOREGROUND, clip=name, category=name, respond=name in SAID
            )
        )  # fmt: skip
        if name in SAID:
            language = 'chinese' if name == 'low tone' else 'english'
            replies.append(Reply(onset=at, due=end, text=SAID[name], language=language))
        at = end + int(rng.integers(CHUNK_SAMPLES, 4 * CHUNK_SAMPLES))
    category = CATEGORIES[number % len(CATEGORIES)]
    made = Stream(
        id=f'stream-{number:08d}', split=SPLITS[number % len(SPLITS)], category=category, task='',
        instruction='Name the tones.' if number % 2 else '', made_by='test',
        mixed_in=('silent',) if number % 4 == 3 else (), chunks=chunks, aloud=replies_aloud, event_snr_db=20.0,
        ambient_snr_db=25.0, events=tuple(events), replies=tuple(replies),
        drains=tuple(schedule(replies, chunks, replies_aloud)),
    )  # fmt: skip
    return made, np.clip(samples, -1, 1).astype(np.float32)


def write_corpus(out: Path, streams: int = 40, shards: int = 2) -> Path:
    """ShardDataset as `corpus build` lays them out, and clips and speech for stage 0."""
    (out / 'shar').mkdir(parents=True)
    for shard in range(shards):
        rows = []
        with TarWriter(str(out / 'shar' / f'recording.{shard:06d}.tar'), shard_size=None) as tar:
            for number in range(shard, streams, shards):
                made, samples = stream(number, replies_aloud=number % 2 == 0)
                flac = io.BytesIO()
                soundfile.write(flac, samples, SAMPLE_RATE_HZ, format='FLAC', subtype='PCM_16')
                tar.write(f'{made.id}.flac', flac)
                tar.write(f'{made.id}.json', io.BytesIO(b'{}\n'), count=False)
                rows.append({'id': made.id, 'custom': {'stream': made.model_dump(mode='json')}})
        lines = ''.join(json.dumps(row) + '\n' for row in rows)
        (out / 'shar' / f'cuts.{shard:06d}.jsonl.gz').write_bytes(gzip.compress(lines.encode()))
    rng = np.random.default_rng(6)
    write_part(out / 'library' / 'clips' / 'clips-000000', (_clip(rng, number) for number in range(12)))
    write_part(out / 'library' / 'speech' / 'tones-000000', (_utterance(rng, number) for number in range(24)))
    return out


def _utterance(rng: np.random.Generator, number: int) -> tuple[StoredClip, np.ndarray]:
    """Two seconds of the tones in turn, each its own 'phoneme'."""
    names = [str(name) for name in rng.choice(['high tone', 'low tone'], size=8)]
    time_s = np.arange(SAMPLE_RATE_HZ // 4) / SAMPLE_RATE_HZ
    samples = 0.3 * np.concatenate([np.sin(2 * np.pi * HERTZ[name] * time_s) for name in names])
    clip = StoredClip(
        id=f'speech:{number}', kind='speech', category='speech', recording=f'voice-{number}',
        split='validation' if number >= 18 else 'train',
        phones=tuple((name, place / 4, (place + 1) / 4) for place, name in enumerate(names)),
    )  # fmt: skip
    return clip, samples.astype(np.float32)


def _clip(rng: np.random.Generator, number: int) -> tuple[StoredClip, np.ndarray]:
    name = list(HERTZ)[number % 3]
    wave = np.sin(2 * np.pi * HERTZ[name] / SAMPLE_RATE_HZ * np.arange(16_000))
    samples = 0.3 * (wave if HERTZ[name] else rng.standard_normal(16_000))
    clip = StoredClip(
        id=f'clip:{number}', category=name, respond=name in SAID, split='validation' if number >= 9 else 'train',
        recording=f'recording-{number}', source='test', source_id=str(number), licence='CC0-1.0', attribution='nobody',
    )  # fmt: skip
    return clip, samples.astype(np.float32)
