"""What a run needs before its first step: settings, tokenizer, index and event classes, each unless it is there.

All processes of a run prepare it together, so that none waits for hours while another reads. The corpus is read once;
twice where a tokenizer has to be learnt first.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tokenizers import Tokenizer
from tqdm import tqdm

from audio_interaction_ros.model.checkpoint import PROTOCOL, TOKENIZER
from audio_interaction_ros.model.protocol import Protocol
from training.files import whole, write_whole
from training.recipe import TrainingRecipe
from training.stages import TrainingError
from training.stages.dataset import ShardDataset
from training.stages.distributed import Devices
from training.stages.index import Found, collect_texts, index_corpus, shard_names
from training.stages.pretrained_text import PretrainedText
from training.tokens import make_tokenizer

_MAY_CHANGE: dict[str, Any] = {
    'validation_streams': True,
    'validate_every': True,
    'generated': True,
    'save_every_minutes': True,
    'false_responses_per_hour': True,
    'second_look': True,
    'warnings_given_up': True,
    'weights': True,
    'change': True,
    'streams_corpus': {'hours'},  # the corpus' own affair
}
RUN, CLASSES, INDEX, _TEXTS = 'run.json', 'event-classes.json', 'index', 'texts'  # of a run


@dataclass(frozen=True)
class Files:
    """A `Files` says what a run is made from, and where it is kept.

    `out`: the checkpoint directory, None where the run's own folder is all that is wanted. `start`: a checkpoint
    directory to start from, or None.
    """

    recipe: Path
    corpus: Path
    run: Path
    out: Path | None
    start: Path | None


@dataclass(frozen=True)
class Prepared:
    """A `Prepared` holds what the stages of a run share; `left_out` counts the streams that cannot be written."""

    tokenizer: Tokenizer
    protocol: Protocol
    classes: list[str]
    dataset: ShardDataset
    left_out: int


def prepare(recipe: TrainingRecipe, files: Files, text: PretrainedText | None, devices: Devices) -> Prepared:
    """Make, by all processes together, what a run's folder does not hold yet; return it.

    Raises TrainingError for another run's folder, and for a corpus that cannot be read or written.
    """
    if devices.is_main:
        _settle(recipe, files)
    devices.barrier()
    tokenizer, protocol, classes = (files.run / name for name in (TOKENIZER, PROTOCOL, CLASSES))
    # One process looks, so that all go the same way.
    if not devices.agreed(tokenizer.exists() and protocol.exists()):
        learnt = files.start is None and text is None and recipe.vocabulary_size is not None
        texts = collect_texts(files.corpus, files.run / _TEXTS, devices) if learnt and not classes.exists() else []
        if devices.is_main:
            _write_tokenizer(recipe, files, [recipe.instruction, *texts], text)
            shutil.rmtree(files.run / _TEXTS, ignore_errors=True)
        devices.barrier()
    found = index_corpus(
        files.corpus, tokenizer, protocol, recipe.instruction, files.run / INDEX, recipe.chunk_samples, devices
    )
    if devices.is_main:
        if not classes.exists():
            write_whole(classes, json.dumps(found.classes).encode())
        _say_what_is_left_out(found)
    devices.barrier()
    return Prepared(
        Tokenizer.from_file(str(tokenizer)),
        Protocol.load(protocol),
        json.loads(classes.read_text()),
        ShardDataset(files.corpus, files.run / INDEX, recipe.chunk_samples),
        found.left_out,
    )


def _settle(recipe: TrainingRecipe, files: Files) -> None:
    """Bind the run's folder to recipe, corpus and start. Raises TrainingError where it is bound to others."""
    names = shard_names(files.corpus)
    sizes = [(files.corpus / 'shar' / f'recording.{name}.tar').stat().st_size for name in names]
    # `validate_every` and the like may change in the middle of a run; what the weights depend on may not.
    kept = recipe.model_dump(mode='json', exclude=_MAY_CHANGE)
    made_from = {
        'recipe': kept,
        'corpus': hashlib.sha256(json.dumps([names, sizes]).encode()).hexdigest(),
        'start': str(files.start) if files.start else None,
    }
    settings = files.run / RUN
    if not settings.exists():
        write_whole(settings, json.dumps(made_from, indent=1).encode() + b'\n')
    elif _as_of_now(json.loads(settings.read_text())) != made_from:
        raise TrainingError(
            f"'{files.run}' holds a run of another recipe, corpus or start; give another --run or remove it"
        )


def _as_of_now(made_from: dict[str, Any]) -> dict[str, Any]:
    """What a run was made from, with the recipe keys that came into being since it began, which change nothing."""
    try:
        recipe = TrainingRecipe.model_validate(made_from['recipe'])
    except ValidationError:  # a key is gone
        return made_from
    return made_from | {'recipe': recipe.model_dump(mode='json', exclude=_MAY_CHANGE)}


def _write_tokenizer(recipe: TrainingRecipe, files: Files, texts: list[str], text: PretrainedText | None) -> None:
    if files.start is not None:
        for name in (PROTOCOL, TOKENIZER):
            write_whole(files.run / name, (files.start / name).read_bytes())
        return
    if text is not None:
        tokenizer, protocol = text.tokenizer, text.protocol
    elif recipe.vocabulary_size is None:
        raise TrainingError(
            f"recipe '{recipe.name}' does not learn a tokenizer; give the checkpoint to start from with --start DIR"
        )
    else:
        tokenizer, protocol = make_tokenizer(texts, recipe.vocabulary_size)
    with whole(files.run / PROTOCOL) as temporary:
        protocol.save(temporary)
    with whole(files.run / TOKENIZER) as temporary:  # the last, for where both are nothing is made anew
        tokenizer.save(str(temporary))


def _say_what_is_left_out(found: Found) -> None:
    if found.left_out:
        more = f'; and {found.left_out - len(found.reasons)} more' if found.left_out > len(found.reasons) else ''
        tqdm.write(f'left out, {found.left_out} streams: {"; ".join(found.reasons)}{more}', file=sys.stderr)
