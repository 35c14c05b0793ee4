"""What a corpus is to hold: recipe and seed → the script and the voices of every stream, and the sentences they need.

Scripts are drawn from the seed and the number of the item alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.store import LIBRARY, ClipStoreError, StoredClip, write_part
from training.corpus.jobs import Workers
from training.corpus.recipe import CorpusRecipe
from training.corpus.shard import Shard, open_library, scripts, split_of_item
from training.errors import BuildError
from training.files import json_lines, write_whole
from training.llm import LlmClient, LlmSettings, run_threads
from training.random_streams import Purpose, random_stream
from training.render.render import cut
from training.render.tfjp import TfjpSettings, tfjp
from training.scenes.selection import SelectionSettings
from training.scripts.dialogues import Dialogues
from training.scripts.fresh import ASKED_AT_ONCE, read_fresh_texts, write_fresh_texts
from training.scripts.heterogeneous import line_s, write_heterogeneous
from training.scripts.sampler import all_tasks, with_layers, with_mix_ins, write_script
from training.scripts.script import LANGUAGES, Script, Sound, taxonomy
from training.scripts.shelf import Shelf
from training.scripts.turns import with_turn_gaps
from training.speech.casting import Casting, cast
from training.speech.espeak import Speaker
from training.speech.spoken import Sentence, SpeechSettings, make_tts
from training.splits import SPLITS

STREAMS_A_SHARD = 48


FRESH_TEXTS = 'texts.json'


_SAMPLED_SCRIPTS = 200  # to learn how long a stream is, and so how many make the hours


@lru_cache(maxsize=1)
def client_of(settings: LlmSettings) -> LlmClient:
    """Return the client of a chat model, one for the whole process."""
    return LlmClient(settings)


@lru_cache(maxsize=2)
def _opened(
    out: Path,
    llm: LlmSettings | None,
    scenes: str,
    open_share: float,
    selection: SelectionSettings,
    clean: TfjpSettings | None,
) -> dict[str, Shelf]:
    library = open_library(out / LIBRARY)
    client, fresh = (client_of(llm), read_fresh_texts(out / FRESH_TEXTS)) if llm else (None, None)
    curated = scenes == 'curated'
    return {
        split: Shelf(
            library,
            split,
            _reprocess,
            client,
            fresh,
            Dialogues(out, split),
            curated,
            open_share,
            selection,
            lambda samples, longest_s, cadence: cut(samples, longest_s, cadence, clean),
        )
        for split in SPLITS
    }


def _shelves(recipe: CorpusRecipe, out: Path, asks: bool = True) -> dict[str, Shelf]:
    """Return the shelf of each side; those that do not ask use neither a chat model nor what has to be embedded."""
    selection = recipe.selection if asks else SelectionSettings()
    llm = recipe.llm if asks else None
    return _opened(out, llm, recipe.scenes, recipe.open_texts, selection, recipe.performance.tfjp)


def _reprocess(samples: Samples) -> Samples:
    return tfjp(samples).samples


def draw_script(recipe: CorpusRecipe, seed: int, item: int, shelves: dict[str, Shelf]) -> Script:
    """Draw an item's script: a category, then a sub-task of it, by weight.

    Raises ClipStoreError where clips are lacking.
    """
    rng = random_stream(Purpose.SCRIPT, seed, item)
    shelf = shelves[split_of_item(recipe, seed, item)]
    category, task = _draw_task(recipe, rng)
    if recipe.rounds is None:
        script = write_script(category, task, shelf, recipe.mix_ins, rng)
    else:
        shelf = shelf.with_texts(rng)
        longest_s = recipe.performance.max_chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ
        drawn = partial(_draw_task, recipe)
        script = write_heterogeneous((category, task), shelf, drawn, recipe.rounds, longest_s, rng)
        script = with_mix_ins(script, shelf, recipe.mix_ins, rng)
    # Drawn only where the recipe asks for it, so that other recipes keep their streams.
    if recipe.layered and rng.random() < recipe.layered:
        script = with_layers(script, shelf, rng)
    return with_turn_gaps(script, rng) if recipe.turns == 'provoice' else script


def _draw_task(recipe: CorpusRecipe, rng: np.random.Generator) -> tuple[str, str]:
    tasks = all_tasks()
    within = {category: sum(recipe.shares.get(task, 1.0) for task in named) for category, named in taxonomy().items()}
    weights = np.array([recipe.shares.get(c, 1.0) * recipe.shares.get(task, 1.0) / within[c] for c, task in tasks])
    return tasks[int(rng.choice(len(tasks), p=weights / weights.sum()))]


@lru_cache(maxsize=6)
def _voices(settings: str, seed: int, split: str, language: str) -> tuple[str, ...]:
    tts = make_tts(SpeechSettings.model_validate_json(settings), Speaker(), seed)  # says nothing, so is not started
    return tts.voices(LANGUAGES[language], split)


def casting(recipe: CorpusRecipe, seed: int, item: int, script: Script) -> Casting:
    """Draw the voices of an item. Raises SpeechError where the engine has none."""
    split = split_of_item(recipe, seed, item)
    settings = recipe.speech.model_dump_json()
    rng = random_stream(Purpose.CASTING, seed, item)
    return cast(script, lambda language: _voices(settings, seed, split, language), rng)


def plan_shards(recipe: CorpusRecipe, hours: float, seed: int, workers: Workers, out: Path) -> list[Shard]:
    """Write the script of every stream, unless it is there. Raises BuildError where no script can be written."""
    count = stream_count(recipe, seed, hours, out)
    numbers = range(-(-count // STREAMS_A_SHARD))
    shards = [Shard(recipe, seed, n, n * STREAMS_A_SHARD, min(count, (n + 1) * STREAMS_A_SHARD), out) for n in numbers]
    if recipe.llm is None and recipe.selection.retrieval == 'text':
        workers.run('scripts', write_plan, shards)
    else:  # one client in one process, so that rate and budget are those of the whole build; and one CLAP
        if recipe.llm is not None:
            write_fresh_texts(client_of(recipe.llm), recipe.fresh_texts, seed, out / FRESH_TEXTS)
        _shelves(recipe, out)
        run_threads('scripts', write_plan, shards, ASKED_AT_ONCE)
    return shards


def stream_count(recipe: CorpusRecipe, seed: int, hours: float, out: Path) -> int:
    """Return how many streams make `hours`, by a guess at the length of the first 200."""
    shelves = _shelves(recipe, out, asks=False)
    recipe = recipe.model_copy(update={'layered': 0.0})  # which make no stream longer
    lengths = []
    for item in range(_SAMPLED_SCRIPTS):
        try:
            script = draw_script(recipe, seed, item, shelves)
        except ClipStoreError:
            continue
        seconds = 1.2
        for line in script.lines:
            seconds += line_s(line)
        lengths.append(min(seconds, recipe.performance.max_chunks * CHUNK_SAMPLES / SAMPLE_RATE_HZ))
    if not lengths:
        raise BuildError('no script could be written from this library; see what its clips lack with corpus report')
    return max(1, round(hours * 3_600 / float(np.mean(lengths))))


def write_plan(shard: Shard) -> int:
    """Write a shard's scripts, one JSON line each; an item that lacks clips is recorded and left out."""
    if shard.plan.exists():
        return 0
    shelves = _shelves(shard.recipe, shard.out)
    rows, failures = [], []
    accepted: dict[str, tuple[StoredClip, Samples]] = {}
    for item in range(shard.first, shard.last):
        for shelf in shelves.values():
            shelf.accepted.clips.clear()
        try:
            script = draw_script(shard.recipe, shard.seed, item, shelves)
        except ClipStoreError as error:
            failures.append({'item': item, 'reason': str(error)})
            continue
        kept = {id_: sound for shelf in shelves.values() for id_, sound in shelf.accepted.clips.items()}
        heard = {line.hear.clip for line in script.lines if isinstance(line.hear, Sound)}
        accepted |= {id_: kept[id_] for id_ in heard & set(kept)}
        voices = casting(shard.recipe, shard.seed, item, script)
        named = [[speaker, language, voice] for (speaker, language), voice in voices.items()]
        rows.append({'item': item, 'script': script.model_dump(), 'voices': named})
    if shard.recipe.selection.accepted:  # before the scripts that need them: those are there when the plan is
        shard.accepted.parent.mkdir(parents=True, exist_ok=True)
        write_part(shard.accepted, (sound for _, sound in sorted(accepted.items())))
    write_whole(shard.failures, json_lines(failures))
    write_whole(shard.plan, json_lines(rows))
    return len(rows)


def sentences(shards: Sequence[Shard]) -> Iterator[Sentence]:
    """Yield all that is said in the streams of some shards, as often as it is said."""
    for shard in shards:
        for item, script, voices in scripts(shard):
            split = split_of_item(shard.recipe, shard.seed, item)
            for said in script.utterances():
                yield Sentence(said.text, LANGUAGES[said.language], voices[said.speaker, said.language], split)
