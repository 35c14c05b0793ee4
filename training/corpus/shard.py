"""One shard of a corpus: its files, the scripts that were planned for it, and making its streams."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.shar.utils import to_shar_placeholder
from lhotse.shar.writers import TarWriter

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.clips.store import ACCEPTED_SOUNDS, ClipStore, ClipStoreError, heard_clips
from training.corpus.recipe import CorpusRecipe
from training.errors import MixingError
from training.files import json_lines, whole, write_whole
from training.random_streams import Purpose, random_stream
from training.render.render import perform
from training.scripts.script import Script
from training.speech.casting import Casting, utterance_id
from training.speech.spoken import SPEECH, read_decisions
from training.streams import Stream


@dataclass(frozen=True)
class Shard:
    """A `Shard` holds streams `first` … `last` − 1 of a corpus."""

    recipe: CorpusRecipe
    seed: int
    number: int
    first: int
    last: int
    out: Path

    @property
    def plan(self) -> Path:
        """Return the path of the scripts, one JSON line each."""
        return self.out / 'plans' / f'{self.number:06d}.jsonl'

    @property
    def accepted(self) -> Path:
        """Return the path of the sounds that were accepted for its scenes, a part of a clip store."""
        return self.out / ACCEPTED_SOUNDS / f'{self.number:06d}'

    @property
    def cuts(self) -> Path:
        """Return the path of lhotse's cuts; the shard is there when this file is."""
        return self.out / 'shar' / f'cuts.{self.number:06d}.jsonl.gz'

    @property
    def recordings(self) -> Path:
        """Return the path of the tar of FLAC files."""
        return self.out / 'shar' / f'recording.{self.number:06d}.tar'

    @property
    def failures(self) -> Path:
        """Return the path of what could not be made, one JSON line each with the reason."""
        return self.out / 'failures' / f'{self.number:06d}.jsonl'


def split_of_item(recipe: CorpusRecipe, seed: int, item: int) -> str:
    """Return the side of the split that an item is on."""
    draw = random_stream(Purpose.SPLIT, seed, item).random()
    if draw < recipe.held_out_share:
        return 'validation'
    return 'test' if draw < 2 * recipe.held_out_share else 'train'


@lru_cache(maxsize=2)
def open_library(folder: Path) -> ClipStore:
    """Open the clip store in a folder, indexed once a process."""
    return ClipStore(folder)


@lru_cache(maxsize=2)
def _open_heard(out: Path) -> ClipStore:
    return heard_clips(out)


def scripts(shard: Shard) -> Iterator[tuple[int, Script, Casting]]:
    """Yield what `write_plan` wrote for a shard: item, script, voices."""
    with shard.plan.open() as file:
        for line in file:
            row = json.loads(line)
            voices = {(speaker, language): voice for speaker, language, voice in row['voices']}
            yield row['item'], Script.model_validate(row['script']), voices


@lru_cache(maxsize=2)
def _discarded(out: Path) -> dict[str, str]:
    return {id_: decision.reason for id_, decision in read_decisions(out) if decision.verdict == 'discarded'}


def write_shard(shard: Shard) -> int:
    """Perform a shard's scripts and write cuts and recordings; return how many streams it has."""
    if shard.cuts.exists():
        return 0
    clips = _open_heard(shard.out)
    speech = open_library(shard.out / SPEECH)
    discarded = _discarded(shard.out)
    rows, failures = [], []
    with whole(shard.recordings) as temporary, TarWriter(str(temporary), shard_size=None) as tar:
        for item, script, voices in scripts(shard):
            split = split_of_item(shard.recipe, shard.seed, item)
            rng = random_stream(Purpose.PERFORMANCE, shard.seed, item)
            ids = [utterance_id(said.text, voices[said.speaker, said.language]) for said in script.utterances()]
            try:
                if refused := [discarded[id_] for id_ in ids if id_ in discarded]:
                    raise ClipStoreError(refused[0])
                stream, samples = perform(
                    f'stream-{item:08d}', script, split, voices, clips, speech, shard.recipe.performance, rng
                )
                if shard.recipe.rounds is not None:
                    _require_rounds(stream, shard.recipe.rounds[0])
            except (MixingError, ClipStoreError) as error:
                failures.append({'item': item, 'reason': str(error)})
                continue
            cut = _cut(stream)
            flac = io.BytesIO()
            soundfile.write(flac, samples, SAMPLE_RATE_HZ, format='FLAC', subtype='PCM_16')
            assert cut.recording is not None
            about = json.dumps(cut.recording.to_dict()) + '\n'
            tar.write(f'{cut.id}.flac', flac)
            tar.write(f'{cut.id}.json', io.BytesIO(about.encode()), count=False)
            rows.append(cut.to_dict())
    if failures:
        write_whole(shard.failures, shard.failures.read_bytes() + json_lines(failures))
    # No time in the header: the same shard is the same bytes.
    write_whole(shard.cuts, gzip.compress(json_lines(rows), mtime=0))
    return len(rows)


def _require_rounds(stream: Stream, fewest: int) -> None:
    """Raise MixingError where what fitted is no heterogeneous stream any more."""
    rounds = len({reply.onset for reply in stream.replies})
    if rounds < fewest or len(stream.abilities) < 2:
        raise MixingError(
            f'{rounds} rounds of {len(stream.abilities)} abilities fit, at least {fewest} of 2 expected; give longer '
            'streams, performance.max_chunks'
        )


def _cut(stream: Stream) -> MonoCut:
    recording = Recording(
        id=stream.id,
        sources=[AudioSource(type='memory', channels=[0], source='')],
        sampling_rate=SAMPLE_RATE_HZ,
        num_samples=stream.chunks * CHUNK_SAMPLES,
        duration=stream.chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ,
    )
    supervisions = [
        SupervisionSegment(
            id=f'{stream.id}-{number}',
            recording_id=stream.id,
            start=reply.onset / SAMPLE_RATE_HZ,
            duration=(reply.due - reply.onset) / SAMPLE_RATE_HZ,
            text=reply.text,
            language=reply.language,
        )
        for number, reply in enumerate(stream.replies)
    ]
    return MonoCut(
        id=stream.id,
        start=0.0,
        duration=recording.duration,
        channel=0,
        supervisions=supervisions,
        recording=to_shar_placeholder(recording),
        custom={'stream': stream.model_dump(mode='json')},
    )
