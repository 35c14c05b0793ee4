"""`corpus build`: recipe and clips → training shards in lhotse's Shar format, the same bytes whoever makes them.

Scripts are drawn from the seed and the number of the item alone; then the sentences they need are spoken, each once;
then every shard is performed, mixed, labelled and written by one job. A shard is there when its cuts are.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.shar.utils import to_shar_placeholder
from lhotse.shar.writers import TarWriter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus import CorpusError, jobs
from training.corpus.library import Library, LibraryError
from training.corpus.mixing import MixingError
from training.corpus.perform import Performance, Stream, cast, perform, utterance_id
from training.corpus.prepare import SPLITS, SpeechPart, library_parts, make_part
from training.corpus.speech import Voice
from training.corpus.tasks import MixIns, all_tasks, write_script
from training.corpus.tasks.script import Script, Speech, taxonomy
from training.corpus.tasks.shelf import Shelf

STREAMS_A_SHARD = 48
UTTERANCES_A_PART = 256
_SAMPLED_SCRIPTS = 200  # to learn how long a stream is, and so how many make the hours


class BuildError(CorpusError):
    """The corpus cannot be built, in one sentence."""


class CorpusRecipe(BaseModel):
    """The `streams_corpus` section of a recipe."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    renders: int = Field(default=20, ge=10, description='of each procedural sound')
    shares: dict[str, float] = Field(default_factory=dict, description='weight of each category; those not named: 1')
    held_out_share: float = Field(default=0.1, ge=0, lt=0.5, description='of the streams, each for validation and test')
    mix_ins: MixIns = MixIns()
    performance: Performance = Performance()

    @model_validator(mode='after')
    def _known_categories(self) -> CorpusRecipe:
        if unknown := set(self.shares) - set(taxonomy()):
            raise ValueError(f'unknown categories {sorted(unknown)}; there are {sorted(taxonomy())}')
        return self


@dataclass(frozen=True)
class Shard:
    """Streams `first` … `last` − 1 of a corpus."""

    recipe: CorpusRecipe
    seed: int
    number: int
    first: int
    last: int
    out: Path

    @property
    def plan(self) -> Path:
        return self.out / 'plans' / f'{self.number:06d}.jsonl'

    @property
    def cuts(self) -> Path:
        return self.out / 'shar' / f'cuts.{self.number:06d}.jsonl.gz'

    @property
    def recordings(self) -> Path:
        return self.out / 'shar' / f'recording.{self.number:06d}.tar'

    @property
    def failures(self) -> Path:
        return self.out / 'failures' / f'{self.number:06d}.jsonl'


def build(recipe: CorpusRecipe, clips: Path, hours: float, seed: int, workers: int, out: Path) -> dict[str, object]:
    """Make, or go on making, a corpus of about `hours`. Returns what `out`/index.json says, and the time it took."""
    settings = recipe.model_dump_json() + json.dumps({'seed': seed, 'hours': hours})
    kept = out / 'recipe.json'
    out.mkdir(parents=True, exist_ok=True)
    if kept.exists() and kept.read_text() != settings:
        raise BuildError(f"'{out}' holds a corpus of another recipe, seed or length; give another folder or remove it")
    _write(kept, settings.encode())
    for unfinished in out.rglob('*.tmp'):  # what a killed worker had in hand
        unfinished.unlink()
    started = time.monotonic()
    parts = library_parts(clips, recipe.renders, seed, out / 'library' / 'clips')
    jobs.run('library', make_part, parts, workers, 'part')
    prepared = time.monotonic()
    count = stream_count(recipe, seed, hours, out)
    numbers = range(-(-count // STREAMS_A_SHARD))
    shards = [Shard(recipe, seed, n, n * STREAMS_A_SHARD, min(count, (n + 1) * STREAMS_A_SHARD), out) for n in numbers]
    jobs.run('scripts', write_plan, shards, workers)
    jobs.run('speech', make_part, speech_parts(shards, out), workers, 'part')
    spoken = time.monotonic()
    jobs.run('streams', write_shard, shards, workers)
    done = time.monotonic()
    summary = index(out)
    seconds = {'library': prepared - started, 'scripts and speech': spoken - prepared, 'streams': done - spoken}
    return summary | {'workers': workers, 'seconds': {name: round(value, 1) for name, value in seconds.items()}}


def split_of_item(recipe: CorpusRecipe, seed: int, item: int) -> str:
    """The side an item is on."""
    draw = np.random.default_rng([seed, 60, item]).random()
    if draw < recipe.held_out_share:
        return 'validation'
    return 'test' if draw < 2 * recipe.held_out_share else 'train'


@lru_cache(maxsize=2)
def _shelves(folder: Path) -> dict[str, Shelf]:
    library = Library(folder)
    return {split: Shelf(library, split) for split in SPLITS}


@lru_cache(maxsize=2)
def _library(folder: Path) -> Library:
    return Library(folder)


def draw_script(recipe: CorpusRecipe, seed: int, item: int, shelves: dict[str, Shelf]) -> Script:
    """The script of an item: a category by weight, a sub-task evenly. Raises LibraryError where clips are lacking."""
    rng = np.random.default_rng([seed, 61, item])
    tasks = all_tasks()
    in_category = {category: sum(c == category for c, _ in tasks) for category in taxonomy()}
    weights = np.array([recipe.shares.get(category, 1.0) / in_category[category] for category, _ in tasks])
    category, task = tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]
    return write_script(category, task, shelves[split_of_item(recipe, seed, item)], recipe.mix_ins, rng)


def casting(recipe: CorpusRecipe, seed: int, item: int, script: Script) -> dict[tuple[int, str], Voice]:
    """The voices of an item, the same when its speech is made and when it is performed."""
    return cast(script, split_of_item(recipe, seed, item), np.random.default_rng([seed, 62, item]))


def stream_count(recipe: CorpusRecipe, seed: int, hours: float, out: Path) -> int:
    """How many streams make `hours`, by a guess at the length of the first 200."""
    shelves = _shelves(out / 'library' / 'clips')
    lengths = []
    for item in range(_SAMPLED_SCRIPTS):
        try:
            script = draw_script(recipe, seed, item, shelves)
        except LibraryError:
            continue
        seconds = 1.2
        for line in script.lines:
            said = len(line.hear.text) / 14.0 if isinstance(line.hear, Speech) else 0.8 * line.hear.longest_s
            seconds += line.gap_s + said
        lengths.append(min(seconds, recipe.performance.max_chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ))
    if not lengths:
        raise BuildError('no script could be written from this library; see what its clips lack with corpus report')
    return max(1, round(hours * 3_600 / float(np.mean(lengths))))


def write_plan(shard: Shard) -> int:
    """Write a shard's scripts, one JSON line each; an item that lacks clips is recorded and left out."""
    if shard.plan.exists():
        return 0
    shelves = _shelves(shard.out / 'library' / 'clips')
    rows, failures = [], []
    for item in range(shard.first, shard.last):
        try:
            script = draw_script(shard.recipe, shard.seed, item, shelves)
        except LibraryError as error:
            failures.append({'item': item, 'reason': str(error)})
            continue
        rows.append({'item': item, 'script': script.model_dump()})
    _write(shard.failures, _lines(failures))
    _write(shard.plan, _lines(rows))
    return len(rows)


def _scripts(shard: Shard) -> list[tuple[int, Script]]:
    with shard.plan.open() as file:
        rows = [json.loads(line) for line in file]
    return [(row['item'], Script.model_validate(row['script'])) for row in rows]


def speech_parts(shards: Sequence[Shard], out: Path) -> list[SpeechPart]:
    """Every sentence that some script needs, once, in parts that depend on all of them alone."""
    needed: dict[str, tuple[str, Voice, str]] = {}
    for shard in shards:
        for item, script in _scripts(shard):
            voices = casting(shard.recipe, shard.seed, item, script)
            split = split_of_item(shard.recipe, shard.seed, item)
            for speech in script.utterances():
                voice = voices[speech.speaker, speech.language]
                needed[utterance_id(speech.text, voice)] = (speech.text, voice, split)
    rows = [needed[id_] for id_ in sorted(needed)]
    return [
        SpeechPart(tuple(rows[first : first + UTTERANCES_A_PART]), out / 'library' / 'speech' / f'espeak-{first:06d}')
        for first in range(0, len(rows), UTTERANCES_A_PART)
    ]


def write_shard(shard: Shard) -> int:
    """Perform a shard's scripts and write cuts and recordings; returns how many streams it has."""
    if shard.cuts.exists():
        return 0
    clips = _library(shard.out / 'library' / 'clips')
    speech = _library(shard.out / 'library' / 'speech')
    recordings = shard.recordings.with_suffix(f'.{os.getpid()}.tmp')
    recordings.parent.mkdir(parents=True, exist_ok=True)
    rows, failures = [], []
    with TarWriter(str(recordings), shard_size=None) as tar:
        for item, script in _scripts(shard):
            split = split_of_item(shard.recipe, shard.seed, item)
            rng = np.random.default_rng([shard.seed, 62, item])
            try:
                stream, samples = perform(
                    f'stream-{item:08d}', script, split, clips, speech, shard.recipe.performance, rng
                )
            except (MixingError, LibraryError) as error:
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
    recordings.replace(shard.recordings)
    if failures:
        _write(shard.failures, shard.failures.read_bytes() + _lines(failures))
    # No time in the header: the same shard is the same bytes.
    _write(shard.cuts, gzip.compress(_lines(rows), mtime=0))
    return len(rows)


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


def read_streams(out: Path, audio: bool = True, only: Collection[int] | None = None):
    """(Stream, float32 [chunks × 6400] or None) of every shard in order, lazily. Raises BuildError without shards.

    `only`: the places, counted from zero, of the streams to decode and yield.
    """
    from lhotse import CutSet

    cuts = sorted((out / 'shar').glob('cuts.*.jsonl.gz'))
    if not cuts:
        raise BuildError(f"no shards under '{out}/shar'; make them with 'python -m training corpus build'")
    if not audio:
        for path in cuts:
            with gzip.open(path, 'rt') as file:
                for line in file:
                    yield Stream.model_validate(json.loads(line)['custom']['stream']), None
        return
    tars = [path.with_name(path.name.replace('cuts.', 'recording.').replace('.jsonl.gz', '.tar')) for path in cuts]
    for number, cut in enumerate(CutSet.from_shar(fields={'cuts': cuts, 'recording': tars})):
        if only is not None and number not in only:
            continue
        samples: Samples = cut.load_audio()[0]
        yield Stream.model_validate(cut.custom['stream']), samples


def index(out: Path) -> dict[str, object]:
    """Count what is there and write `out`/index.json."""
    streams, seconds, failed = 0, 0.0, 0
    tasks: dict[str, int] = {}
    splits: dict[str, int] = {}
    for stream, _ in read_streams(out, audio=False):
        streams += 1
        seconds += stream.chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ
        name = f'{stream.category} / {stream.task}'
        tasks[name] = tasks.get(name, 0) + 1
        splits[stream.split] = splits.get(stream.split, 0) + 1
    for path in (out / 'failures').glob('*.jsonl'):
        failed += len(path.read_text().splitlines())
    summary: dict[str, object] = {
        'streams': streams,
        'hours': round(seconds / 3_600, 3),
        'failed': failed,
        'splits': dict(sorted(splits.items())),
        'tasks': dict(sorted(tasks.items())),
    }
    _write(out / 'index.json', json.dumps(summary, indent=1).encode() + b'\n')
    return summary


def _lines(rows: Sequence[dict]) -> bytes:
    return ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows).encode()


def _write(path: Path, data: bytes) -> None:
    """All or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    temporary.write_bytes(data)
    temporary.replace(path)
