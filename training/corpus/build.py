"""`corpus build`: recipe and clips → training shards in lhotse's Shar format, the same bytes whoever makes them.

Scripts are planned (`plan.py`), the sentences they need are spoken, each once (`spoken.py`), then every shard is
performed, mixed, labelled and written by one job. A shard is there when its cuts are.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.clips.ingest import count_damaged, count_unreadable
from training.clips.licences import count_left_out
from training.clips.prepare import (
    ClipsPart,
    clips_parts,
    locate_sources,
    make_clips,
    prepare_sources,
    without_procedural,
)
from training.clips.quotas import QuotaPart, choose_of_source, count_taken
from training.corpus.jobs import Workers
from training.corpus.parts import require_parts
from training.corpus.plan import client_of, plan_shards, sentences
from training.corpus.recipe import CorpusRecipe
from training.corpus.shard import write_shard
from training.errors import BuildError
from training.files import write_whole
from training.llm import LlmSettings
from training.scripts.dialogues import DialoguesPart, make_dialogues
from training.scripts.fresh import ASKED_AT_ONCE
from training.sources.text import OPEN_TEXTS
from training.speech.rewriting import Forms, rewrite_by_model
from training.speech.spoken import (
    DECISIONS,
    count_decisions,
    make_speech,
    require_speech,
    speech_parts,
    understood_by_voice,
)
from training.streams import Role, read_streams

_log = logging.getLogger(__name__)


def build(
    recipe: CorpusRecipe, sources: Mapping[str, Path], hours: float, seed: int, workers: int, out: Path
) -> dict[str, object]:
    """Make, or go on making, a corpus of about `hours`; return what `out`/index.json says, and the time it took.

    `sources`: the folder of each source by its name, as `training.sources` has them. Raises SourceError where one is
    not that source.
    """
    require_parts(recipe, sources)
    locate_sources(sources, out)
    require_speech(recipe.speech, seed)
    if recipe.open_texts and OPEN_TEXTS not in sources:
        raise BuildError(
            f'the recipe has open_texts {recipe.open_texts:g}, and there is no source {OPEN_TEXTS}; make one with: '
            f'python -m training texts, and give it as --source {OPEN_TEXTS}=DIR'
        )
    sources = {name: folder.resolve() for name, folder in sorted(sources.items())}
    made_of = {'seed': seed, 'hours': hours, 'sources': {name: str(folder) for name, folder in sources.items()}}
    settings = _settings(recipe) + json.dumps(made_of)
    kept = out / 'recipe.json'
    out.mkdir(parents=True, exist_ok=True)
    if kept.exists() and _as_of_now(kept.read_text()) != settings:
        raise BuildError(
            f"'{out}' holds a corpus of other sources or another recipe, seed or length; give another folder or remove "
            'that one'
        )
    write_whole(kept, settings.encode())
    for unfinished in out.rglob('*.tmp'):  # what a killed worker had in hand
        unfinished.unlink()
    with Workers(workers) as crew:
        seconds = _make(recipe, sources, hours, seed, crew, out)
    summary = index(out)
    if recipe.quotas:
        summary['quotas'] = {
            name: {'taken': count_taken(out, name), 'quota': quota}
            for name, quota in sorted(recipe.quotas.items())
            if name in sources
        }
    return summary | {
        'unreadable': count_unreadable(out),
        'damaged': count_damaged(out),
        'workers': workers,
        'seconds': {name: round(value, 1) for name, value in seconds.items()},
    }


def _settings(recipe: CorpusRecipe) -> str:
    """What of a recipe changes what is made, as JSON.

    How the model is reached, and what it may cost, does not; the hours are kept beside it.
    """
    apart: dict[str, Any] = {'hours': True, 'llm': set(LlmSettings.model_fields) - {'model', 'temperature'}}
    return recipe.model_dump_json(exclude=apart)


def _as_of_now(kept: str) -> str:
    """What a corpus was made from, with the recipe keys that came into being since it began, which change nothing."""
    try:
        recipe, end = json.JSONDecoder().raw_decode(kept)
        return _settings(CorpusRecipe.model_validate(recipe)) + kept[end:]
    except (ValidationError, json.JSONDecodeError):  # a key is gone
        return kept


def _make(
    recipe: CorpusRecipe, sources: Mapping[str, Path], hours: float, seed: int, workers: Workers, out: Path
) -> dict[str, float]:
    """Library, scripts, speech, streams. Returns the seconds that each took."""
    at = [time.monotonic()]
    folders = prepare_sources(sources, workers.run, out, recipe.quotations)
    limited = [
        QuotaPart(source, recipe.quotas[source.name], seed) for source in folders if source.name in recipe.quotas
    ]
    if limited:
        workers.run('quotas', choose_of_source, limited, 'source')
    clips = clips_parts(
        folders, recipe.renders, recipe.variants, seed, out, recipe.licences, recipe.quotations, recipe.quotas
    )
    if recipe.procedural == 'fallback':
        clips = without_procedural(clips, folders)
    dialogues = [DialoguesPart(each, recipe.licences, each.name in recipe.quotas) for each in folders if each.text]
    workers.run('library', _make_part, [*clips, *dialogues], 'part')
    for licence, count in count_left_out(out).items():
        _log.warning("the recipe's licences leave out %d clips or texts under %s", count, licence or 'no licence')
    at.append(time.monotonic())
    shards = plan_shards(recipe, hours, seed, workers, out)
    at.append(time.monotonic())
    forms: Forms = {}
    if recipe.speech.rewriter == 'llm' and recipe.llm is not None:
        texts = ((sentence.text, sentence.language) for sentence in sentences(shards))
        forms = rewrite_by_model(texts, client_of(recipe.llm), ASKED_AT_ONCE)
    workers.run('speech', make_speech, speech_parts(sentences(shards), recipe.speech, seed, out, forms), 'part')
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


def _make_part(part: ClipsPart | DialoguesPart) -> int:
    return make_dialogues(part) if isinstance(part, DialoguesPart) else make_clips(part)


def index(out: Path) -> dict[str, object]:
    """Count what is there and write `out`/index.json."""
    streams, seconds, failed = 0, 0.0, 0
    tasks: dict[str, int] = {}
    splits: dict[str, int] = {}
    rounds, layered = list[int](), 0
    for stream, _ in read_streams(out, audio=False):
        streams += 1
        seconds += stream.chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ
        name = f'{stream.category} / {stream.task}'
        tasks[name] = tasks.get(name, 0) + 1
        splits[stream.split] = splits.get(stream.split, 0) + 1
        layered += any(event.role is not Role.FOREGROUND for event in stream.events)
        if stream.abilities:
            rounds.append(len({reply.onset for reply in stream.replies}))
    for path in (out / 'failures').glob('*.jsonl'):
        failed += len(path.read_text().splitlines())
    summary: dict[str, object] = {
        'streams': streams,
        'hours': round(seconds / 3_600, 3),
        'failed': failed,
        'left_out_by_licence': count_left_out(out),
        'splits': dict(sorted(splits.items())),
        'tasks': dict(sorted(tasks.items())),
        'speech': count_decisions(out),
    }
    if rounds:
        summary['rounds'] = {'fewest': min(rounds), 'mean': round(sum(rounds) / len(rounds), 2), 'most': max(rounds)}
        summary['with_scene'] = round(layered / streams, 3)
    if voices := understood_by_voice(out):
        summary['speech_by_voice'] = {voice: row.model_dump() for voice, row in voices.items()}
    write_whole(out / 'index.json', json.dumps(summary, indent=1).encode() + b'\n')
    return summary
