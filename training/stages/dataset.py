"""The corpus' shards, read stream by stream in any order through an index.

The index says where in its tar each recording lies, so a batch may be any streams of any shards, and so the run that
goes on after a kill reads what an undisturbed one would have read.
"""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.recipe import StageData
from training.scripts.script import taxonomy
from training.splits import SPLITS
from training.stages import TrainingError
from training.stages.index import shard_names
from training.stages.mix_ins import without_mix_ins
from training.streams import Stream


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
        rows, offline = self.rows, data.form == 'offline'
        positions = 'exchange_positions' if offline else 'positions' if data.mix_ins else 'plain_positions'
        wanted = (rows['split'] == SPLITS.index(split)) & (rows[positions] <= max_positions)
        if data.categories:
            wanted &= np.isin(rows['category'], [categories.index(name) for name in data.categories])
        if not data.mix_ins:
            wanted &= (rows['plain_chunks'] > 0) & ((rows['exchange_chunks'] <= rows['plain_chunks']) | (not offline))
        chosen = np.flatnonzero(wanted)
        if not len(chosen):
            raise TrainingError(
                f'the corpus has {len(rows)} streams, but none on the {split} side for {data.model_dump()} with '
                f'at most {max_positions} positions; build a longer corpus or change the stage'
            )
        return chosen

    def chunks(self, data: StageData) -> np.ndarray:
        """Return how many chunks each stream has in a stage's form, int [streams]."""
        return self.rows['exchange_chunks' if data.form == 'offline' else 'chunks' if data.mix_ins else 'plain_chunks']

    def stream(self, place: int, data: StageData) -> Stream:
        """Return what is known of a stream as a stage reads it: where it wants no mix-ins, up to the first of them."""
        stream = self.record(place)
        return stream if data.mix_ins else without_mix_ins(stream, self.chunk_samples)

    def record(self, place: int) -> Stream:
        """Return what is known of a whole stream, without its samples."""
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
