"""`corpus build`: recipe and clips → training shards in lhotse's Shar format, the same bytes whoever makes them.

Scripts are planned (`plan.py`), the sentences they need are spoken, each once (`spoken.py`), then every shard is
performed, mixed, labelled and written by one job. A shard is there when its cuts are.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.shar.utils import to_shar_placeholder
from lhotse.shar.writers import TarWriter

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus import jobs
from training.corpus.library import LibraryError
from training.corpus.llm import LlmSettings
from training.corpus.mixing import MixingError
from training.corpus.perform import Stream, perform, utterance_id
from training.corpus.plan import (
    BuildError,
    CorpusRecipe,
    Shard,
    open_library,
    plan_shards,
    scripts,
    sentences,
    split_of_item,
)
from training.corpus.prepare import library_parts, locate_sources, make_part, prepare_sources
from training.corpus.spoken import DECISIONS, SPEECH, count_decisions, make_speech, read_decisions, speech_parts


def build(
    recipe: CorpusRecipe, sources: Mapping[str, Path], hours: float, seed: int, workers: int, out: Path
) -> dict[str, object]:
    """Make, or go on making, a corpus of about `hours`. Returns what `out`/index.json says, and the time it took.

    `sources`: the folder of each source by its name, as `training.corpus.sources` has them. Raises SourceError where
    one is not that source.
    """
    # How the model is reached, and what it may cost, changes nothing of what it makes.
    reached = {'llm': set(LlmSettings.model_fields) - {'model', 'temperature'}}
    locate_sources(sources, out)
    sources = {name: folder.resolve() for name, folder in sorted(sources.items())}
    made_of = {'seed': seed, 'hours': hours, 'sources': {name: str(folder) for name, folder in sources.items()}}
    settings = recipe.model_dump_json(exclude=reached) + json.dumps(made_of)
    kept = out / 'recipe.json'
    out.mkdir(parents=True, exist_ok=True)
    if kept.exists() and kept.read_text() != settings:
        raise BuildError(
            f"'{out}' holds a corpus of other sources or another recipe, seed or length; give another folder or remove "
            'that one'
        )
    jobs.write_whole(kept, settings.encode())
    for unfinished in out.rglob('*.tmp'):  # what a killed worker had in hand
        unfinished.unlink()
    with jobs.Workers(workers) as crew:
        seconds = _make(recipe, sources, hours, seed, crew, out)
    summary = index(out)
    return summary | {'workers': workers, 'seconds': {name: round(value, 1) for name, value in seconds.items()}}


def _make(
    recipe: CorpusRecipe, sources: Mapping[str, Path], hours: float, seed: int, workers: jobs.Workers, out: Path
) -> dict[str, float]:
    """Library, scripts, speech, streams. Returns the seconds that each took."""
    at = [time.monotonic()]
    folders = prepare_sources(sources, workers, out)
    parts = library_parts(folders, recipe.renders, recipe.variants, seed, out)
    workers.run('library', make_part, parts, 'part')
    at.append(time.monotonic())
    shards = plan_shards(recipe, hours, seed, workers, out)
    at.append(time.monotonic())
    workers.run('speech', make_speech, speech_parts(sentences(shards), recipe.speech, seed, out), 'part')
    verdicts = count_decisions(out)
    if verdicts.get('discarded') and not verdicts.get('kept') and not verdicts.get('unchecked'):
        raise BuildError(
            f"{recipe.speech.check} understood none of {verdicts['discarded']} sentences, see '{out / DECISIONS}'; "
            'check voices and model, then begin anew'
        )
    at.append(time.monotonic())
    workers.run('streams', write_shard, shards)
    at.append(time.monotonic())
    return dict(zip(('library', 'scripts', 'speech', 'streams'), np.diff(at).tolist(), strict=True))


@lru_cache(maxsize=2)
def _discarded(out: Path) -> dict[str, str]:
    return {id_: decision.reason for id_, decision in read_decisions(out) if decision.verdict == 'discarded'}


def write_shard(shard: Shard) -> int:
    """Perform a shard's scripts and write cuts and recordings; returns how many streams it has."""
    if shard.cuts.exists():
        return 0
    clips = open_library(shard.out / 'library' / 'clips')
    speech = open_library(shard.out / SPEECH)
    discarded = _discarded(shard.out)
    recordings = shard.recordings.with_suffix(f'.{os.getpid()}.tmp')
    recordings.parent.mkdir(parents=True, exist_ok=True)
    rows, failures = [], []
    with TarWriter(str(recordings), shard_size=None) as tar:
        for item, script, voices in scripts(shard):
            split = split_of_item(shard.recipe, shard.seed, item)
            rng = np.random.default_rng([shard.seed, 62, item])
            ids = [utterance_id(said.text, voices[said.speaker, said.language]) for said in script.utterances()]
            try:
                if refused := [discarded[id_] for id_ in ids if id_ in discarded]:
                    raise LibraryError(refused[0])
                stream, samples = perform(
                    f'stream-{item:08d}', script, split, voices, clips, speech, shard.recipe.performance, rng
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
        jobs.write_whole(shard.failures, shard.failures.read_bytes() + jobs.json_lines(failures))
    # No time in the header: the same shard is the same bytes.
    jobs.write_whole(shard.cuts, gzip.compress(jobs.json_lines(rows), mtime=0))
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
        'speech': count_decisions(out),
    }
    jobs.write_whole(out / 'index.json', json.dumps(summary, indent=1).encode() + b'\n')
    return summary
