"""What a run changed of the weights it began with: a directory that `checkpoint fetch` makes a checkpoint of."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from audio_interaction_ros.audio.logmel import Normalisation
from audio_interaction_ros.model.assemble import ENCODER_UPDATES, LANGUAGE_UPDATES, Assembly
from audio_interaction_ros.model.base_weights import sha256_of
from audio_interaction_ros.model.change import TENSORS, Base, Change, sha256_of_file
from audio_interaction_ros.model.checkpoint import PROTOCOL, RECIPE, TOKENIZER, StreamingDefaults
from audio_interaction_ros.model.deciding import EventClasses
from audio_interaction_ros.model.low_rank import is_update, write_updates
from audio_interaction_ros.model.network import EventHead
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, open_weights
from training.recipe import TrainablePart, TrainingRecipe
from training.recipe_file import RecipeError
from training.stages import TrainingError
from training.stages.model import StreamModel
from training.stages.pretrained import PretrainedTower, is_fresh
from training.stages.pretrained_text import PretrainedText
from training.stages.trainable import EMBEDDINGS, LM_HEAD, NEW_TOKENS, is_trainable

MOST_BYTES = 40_000_000
_TABLES = {name: name.removeprefix(LANGUAGE_PREFIX) for name in (EMBEDDINGS, LM_HEAD)}
_EVENT_HEAD = 'event_head.'  # in training, what no checkpoint has
_ROUNDING = 2.0**-7  # of a tensor's largest value; bfloat16 and float16 move less


@dataclass(frozen=True)
class Bases:
    """A `Bases` is the two pretrained parts that a run stands on, and what change.json says of them."""

    tower: PretrainedTower
    text: PretrainedText
    encoder: Base
    language_model: Base

    @classmethod
    def open(cls, recipe: TrainingRecipe) -> Bases:
        """Open what `init` and `text_init` name. Raises RecipeError or CheckpointError, as `train` does."""
        assert recipe.init is not None and recipe.text_init is not None  # of a recipe that writes a change
        tower, text = PretrainedTower.open(recipe.init), PretrainedText.open(recipe.text_init)
        encoder, language_model = (
            Base(part=folder.resolve().name, sha256=sha256_of(open_weights(folder)))
            for folder in (tower.directory, text.directory)
        )
        return cls(tower, text, encoder, language_model)


@dataclass(frozen=True)
class Changed:
    """A `Changed` is what a run changes, by name: whole tensors, rows of tables, and the updates of each half."""

    whole: Mapping[str, Tensor]
    rows: Mapping[str, tuple[int, ...]]
    updates: Mapping[str, Tensor]

    @classmethod
    def by(cls, recipe: TrainingRecipe, model: StreamModel, bases: Bases) -> Changed:
        """Say it for a network that has its updates: by what the stages train, and by what no base has."""
        parts: set[TrainablePart] = {part for stage in recipe.stages for part in stage.trainable} - NEW_TOKENS.keys()
        if recipe.encoder is not None and recipe.encoder.tower_rate:
            parts |= {'encoder', 'adapter'}
        control_tokens = bases.text.protocol.special_ids()
        known = len(bases.text.weights.outlines[_TABLES[EMBEDDINGS]])
        whole: dict[str, Tensor] = {}
        rows: dict[str, tuple[int, ...]] = {}
        updates: dict[str, Tensor] = {}
        for name, tensor in model.state_dict().items():
            is_new = name.startswith(ENCODER_PREFIX) and is_fresh(name.removeprefix(ENCODER_PREFIX))
            if name.startswith(_EVENT_HEAD):
                continue
            if is_update(name):
                updates[name] = tensor
            elif is_new or is_trainable(name, parts, False, recipe.low_rank.parts):
                whole[name] = tensor
            elif name in _TABLES:
                rows[name] = tuple(sorted(control_tokens | set(range(known, len(tensor)))))
                whole[name] = tensor[list(rows[name])]
        return cls(whole, rows, updates)

    def require_small(self, recipe: TrainingRecipe, more: int) -> None:
        """Raise RecipeError where a change with so many bytes of other files would be larger than `MOST_BYTES`."""
        size = more + sum(
            tensor.numel() * _stored(tensor, recipe).itemsize
            for tensor in (*self.whole.values(), *self.updates.values())
        )
        if size > MOST_BYTES:
            raise RecipeError(
                f"recipe '{recipe.name}' would write a change of {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} "
                'expected; give low_rank for what it trains, a lower rank, or weights: float16, or leave change out'
            )


def _stored(tensor: Tensor, recipe: TrainingRecipe) -> torch.dtype:
    return torch.float16 if recipe.weights == 'float16' and tensor.ndim > 1 else torch.float32


def write_change(
    out: Path,
    recipe: TrainingRecipe,
    recipe_file: Path,
    model: StreamModel,
    bases: Bases,
    log_mel: Normalisation,
    tokenizer: Tokenizer,
    protocol: Protocol,
    streaming: StreamingDefaults,
    events: tuple[EventClasses, EventHead] | None,
) -> Assembly:
    """Write the directory anew, but for its golden file, and return what is assembled of it.

    `model` has its updates, not merged; `events` are the event head and its classes, None where there is none.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    changed = Changed.by(recipe, model, bases)

    def stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to('cpu', _stored(tensor, recipe)).contiguous() for name, tensor in tensors.items()}

    of_head = {} if events is None else events[1].state_dict()
    whole = {**changed.whole, **{f'{LANGUAGE_PREFIX}{_EVENT_HEAD}{name}': of_head[name] for name in of_head}}
    save_file(stored(whole), out / TENSORS, metadata={'format': 'pt'})
    halves = (
        (ENCODER_PREFIX, ENCODER_UPDATES, recipe.low_rank.encoder, bases.encoder),
        (LANGUAGE_PREFIX, LANGUAGE_UPDATES, recipe.low_rank.language_model, bases.language_model),
    )
    for prefix, folder, updates, base in halves:
        if updates is not None:
            of_half = {
                name.removeprefix(prefix): tensor for name, tensor in changed.updates.items() if name.startswith(prefix)
            }
            write_updates(out / folder, stored(of_half), updates.settings(), base.part)
    protocol.save(out / PROTOCOL)
    tokenizer.save(str(out / TOKENIZER))
    shutil.copyfile(recipe_file, out / RECIPE)
    Change(
        encoder=bases.encoder,
        language_model=bases.language_model,
        audio_config=recipe.audio.config().model_dump(mode='json'),
        text_config=recipe.text.config(tokenizer.get_vocab_size()).model_dump(mode='json'),
        log_mel=log_mel,
        events=None if events is None else events[0],
        streaming=streaming,
        matrices=recipe.weights,
        rows={_TABLES[name]: rows for name, rows in changed.rows.items()},
        files={str(file.relative_to(out)): sha256_of_file(file) for file in sorted(out.rglob('*')) if file.is_file()},
    ).save(out)
    return Assembly.open(out, bases.tower.directory, bases.text.directory)


def take_assembled(model: StreamModel, assembly: Assembly) -> None:
    """Give a network whose updates are merged the weights that a robot assembles, which rounding may have moved.

    Raises TrainingError where more than rounding did: the run began with other base weights.
    """
    model.float()  # on a GPU it was trained in bfloat16
    state = model.state_dict()
    halves = ((ENCODER_PREFIX, assembly.encoder()), (LANGUAGE_PREFIX, assembly.language_model()))
    for prefix, tensors in halves:
        for name, tensor in tensors:
            if name.startswith(_EVENT_HEAD):
                continue
            trained = state[prefix + name]
            assembled = tensor.to(trained)
            if (trained - assembled).abs().max() > _ROUNDING * assembled.abs().max():
                raise TrainingError(
                    f'{prefix}{name} is not what the run trained or began with once it is assembled; give init and '
                    'text_init the weights that the run began with, or begin another --run'
                )
            trained.copy_(assembled)
