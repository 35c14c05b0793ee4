"""What a corpus is to hold: recipe and seed → the script and the voices of every stream, and the sentences they need.

Scripts are drawn from the seed and the number of the item alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.corpus import CorpusError, jobs
from training.corpus.dialogues import Dialogues
from training.corpus.espeak import Speaker
from training.corpus.library import Library, LibraryError
from training.corpus.llm import LlmClient, LlmSettings
from training.corpus.perform import Casting, Performance, cast
from training.corpus.prepare import SPLITS
from training.corpus.spoken import Sentence, SpeechSettings, make_tts
from training.corpus.tasks import MixIns, all_tasks, write_script
from training.corpus.tasks.fresh import ASKED_AT_ONCE, read_fresh_texts, write_fresh_texts
from training.corpus.tasks.script import LANGUAGES, Script, Speech, taxonomy
from training.corpus.tasks.shelf import Shelf

STREAMS_A_SHARD = 48
FRESH_TEXTS = 'texts.json'
_SAMPLED_SCRIPTS = 200  # to learn how long a stream is, and so how many make the hours


class BuildError(CorpusError):
    """The corpus cannot be built, in one sentence."""


class CorpusRecipe(BaseModel):
    """The `streams_corpus` section of a recipe."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    renders: int = Field(default=20, ge=10, description='of each procedural sound')
    variants: int = Field(default=0, ge=0, description='altered copies of each recorded sound on the training side')
    shares: dict[str, float] = Field(
        default_factory=dict,
        description='weight of a category, or of a sub-task within it, by name; those not named: 1',
    )
    held_out_share: float = Field(default=0.1, ge=0, lt=0.5, description='of the streams, each for validation and test')
    scenes: Literal['curated', 'random'] = Field(
        default='curated', description='random: sounds of any kind instead, for an ablation of event selection'
    )
    mix_ins: MixIns = MixIns()
    performance: Performance = Performance()
    speech: SpeechSettings = SpeechSettings()
    llm: LlmSettings | None = Field(default=None, description='a chat model that writes, plans, audits and asks')
    fresh_texts: int = Field(default=100, ge=20, description='of each kind, by the chat model')

    @model_validator(mode='after')
    def _known_names(self) -> CorpusRecipe:
        known = sorted({name for category_and_task in all_tasks() for name in category_and_task})
        if unknown := set(self.shares) - set(known):
            raise ValueError(f'shares of unknown names {sorted(unknown)}; there are {known}')
        for category, named in taxonomy().items():
            if not any(self.shares.get(task, 1.0) for task in named):
                raise ValueError(
                    f"every sub-task of '{category}' has the share 0; give '{category}' itself the share 0"
                )
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


def split_of_item(recipe: CorpusRecipe, seed: int, item: int) -> str:
    """The side an item is on."""
    draw = np.random.default_rng([seed, 60, item]).random()
    if draw < recipe.held_out_share:
        return 'validation'
    return 'test' if draw < 2 * recipe.held_out_share else 'train'


@lru_cache(maxsize=1)
def _client(settings: LlmSettings) -> LlmClient:
    return LlmClient(settings)


@lru_cache(maxsize=2)
def open_library(folder: Path) -> Library:
    """The library in a folder, indexed once a process."""
    return Library(folder)


@lru_cache(maxsize=2)
def _shelves(out: Path, llm: LlmSettings | None, scenes: str) -> dict[str, Shelf]:
    library = open_library(out / 'library' / 'clips')
    client, fresh = (_client(llm), read_fresh_texts(out / FRESH_TEXTS)) if llm else (None, None)
    curated = scenes == 'curated'
    return {split: Shelf(library, split, client, fresh, Dialogues(out, split), curated) for split in SPLITS}


def draw_script(recipe: CorpusRecipe, seed: int, item: int, shelves: dict[str, Shelf]) -> Script:
    """An item's script: a category, then a sub-task of it, by weight. Raises LibraryError where clips are lacking."""
    rng = np.random.default_rng([seed, 61, item])
    tasks = all_tasks()
    within = {category: sum(recipe.shares.get(task, 1.0) for task in named) for category, named in taxonomy().items()}
    weights = np.array([recipe.shares.get(c, 1.0) * recipe.shares.get(task, 1.0) / within[c] for c, task in tasks])
    category, task = tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]
    return write_script(category, task, shelves[split_of_item(recipe, seed, item)], recipe.mix_ins, rng)


@lru_cache(maxsize=6)
def _voices(settings: str, split: str, language: str) -> tuple[str, ...]:
    tts = make_tts(SpeechSettings.model_validate_json(settings), Speaker())  # which says nothing and so is not started
    return tts.voices(LANGUAGES[language], split)


def casting(recipe: CorpusRecipe, seed: int, item: int, script: Script) -> Casting:
    """The voices of an item. Raises SpeechError where the engine has none."""
    split = split_of_item(recipe, seed, item)
    settings = recipe.speech.model_dump_json()
    return cast(script, lambda language: _voices(settings, split, language), np.random.default_rng([seed, 63, item]))


def plan_shards(recipe: CorpusRecipe, hours: float, seed: int, workers: jobs.Workers, out: Path) -> list[Shard]:
    """Write the script of every stream, unless it is there. Raises BuildError where no script can be written."""
    count = stream_count(recipe, seed, hours, out)
    numbers = range(-(-count // STREAMS_A_SHARD))
    shards = [Shard(recipe, seed, n, n * STREAMS_A_SHARD, min(count, (n + 1) * STREAMS_A_SHARD), out) for n in numbers]
    if recipe.llm is None:
        workers.run('scripts', write_plan, shards)
    else:  # one client in one process, so that rate and budget are those of the whole build
        write_fresh_texts(_client(recipe.llm), recipe.fresh_texts, seed, out / FRESH_TEXTS)
        _shelves(out, recipe.llm, recipe.scenes)
        jobs.run_threads('scripts', write_plan, shards, ASKED_AT_ONCE)
    return shards


def stream_count(recipe: CorpusRecipe, seed: int, hours: float, out: Path) -> int:
    """How many streams make `hours`, by a guess at the length of the first 200."""
    shelves = _shelves(out, None, recipe.scenes)
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
    shelves = _shelves(shard.out, shard.recipe.llm, shard.recipe.scenes)
    rows, failures = [], []
    for item in range(shard.first, shard.last):
        try:
            script = draw_script(shard.recipe, shard.seed, item, shelves)
        except LibraryError as error:
            failures.append({'item': item, 'reason': str(error)})
            continue
        voices = casting(shard.recipe, shard.seed, item, script)
        named = [[speaker, language, voice] for (speaker, language), voice in voices.items()]
        rows.append({'item': item, 'script': script.model_dump(), 'voices': named})
    jobs.write_whole(shard.failures, jobs.json_lines(failures))
    jobs.write_whole(shard.plan, jobs.json_lines(rows))
    return len(rows)


def scripts(shard: Shard) -> Iterator[tuple[int, Script, Casting]]:
    """What `write_plan` wrote: item, script, voices."""
    with shard.plan.open() as file:
        for line in file:
            row = json.loads(line)
            voices = {(speaker, language): voice for speaker, language, voice in row['voices']}
            yield row['item'], Script.model_validate(row['script']), voices


def sentences(shards: Sequence[Shard]) -> Iterator[Sentence]:
    """All that is said in the streams of some shards, as often as it is said."""
    for shard in shards:
        for item, script, voices in scripts(shard):
            split = split_of_item(shard.recipe, shard.seed, item)
            for said in script.utterances():
                yield Sentence(said.text, LANGUAGES[said.language], voices[said.speaker, said.language], split)
