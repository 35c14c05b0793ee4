"""`stages.svg`: what every stage of two recipes trains, on which streams, by which loss, for how long.

Which parameters move is asked of `training/stages/trainable.py` for every parameter of the recipe's network; the rest
is read from the recipes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from docs.pictures import canvas
from training.recipe import Stage, TrainingRecipe, load_training_recipe
from training.recipe_file import recipe_path
from training.stages.budget import outline
from training.stages.trainable import is_trainable

# Of `embedded` the recipe that is kept with the checkpoint: the one of training/recipes has moved on since.
RECIPES = (str(Path(__file__).parents[2] / 'checkpoints' / 'embedded' / 'recipe.yaml'), 'paper')
# The network from the sound on, in groups of parameters: name of the column → what its parameters begin with.
PARTS = {
    'encoder': ('audio_tower.',),
    'adapter': ('audio_tower.proj.',),
    'embeddings': ('language_model.model.embed_tokens.',),
    'language\nmodel': ('language_model.model.',),
    'LM head': ('language_model.lm_head.',),
}
_UNUSED = 'audio_tower.audio_bos_eos_token.'  # comes with the tower, and nothing reads it


def part_of(name: str) -> str | None:
    """Return the column of a parameter: of the groups that it could be in the one that says most; None for the rest."""
    fitting = [(len(prefix), part) for part, begins in PARTS.items() for prefix in begins if name.startswith(prefix)]
    return max(fitting)[1] if fitting and not name.startswith(_UNUSED) else None


def trained_parts(recipe: TrainingRecipe, stage: Stage) -> dict[str, str]:
    """Return what a stage does to each part of the network: trained, frozen, or new rows.

    Raises ValueError where it trains one parameter of a part and not another, which the picture has no word for.
    """
    moves: dict[str, set[bool]] = {part: set() for part in PARTS}
    for name, _ in outline(recipe).named_parameters():
        part = part_of(name)
        if part is not None:
            moves[part].add(is_trainable(name, stage.trainable, False))
    if divided := [part for part, trained in moves.items() if len(trained) > 1]:
        raise ValueError(
            f"stage '{stage.name}' trains some of {divided} and not all; give PARTS columns that tell them apart"
        )
    words = {part: 'trained' if trained == {True} else 'frozen' for part, trained in moves.items()}
    if 'new_token_embeddings' in stage.trainable:  # a hook lets gradients reach the new tokens' rows alone
        words['embeddings'] = 'new rows'
    return words


def draw(path: Path, recipes: Sequence[str] = RECIPES) -> None:
    """Write the picture of some recipes: files, or names in training/recipes."""
    loaded = [load_training_recipe(recipe_path(name)) for name in recipes]
    rows = sum(len(recipe.stages) + (recipe.encoder is not None) + 1.25 for recipe in loaded)
    figure = canvas.page(0.56 * rows)
    axes = canvas.blank(figure, 100.0, rows)
    top = 0.35
    for recipe in loaded:
        top = _recipe(axes, recipe, top) + 0.9
    canvas.write(figure, path)


_NAMES, _FIRST_PART, _PART_WIDE, _DATA, _LOSS, _STEPS = 1.5, 17.0, 7.3, 54.5, 74.5, 98.5


def _recipe(axes: Axes, recipe: TrainingRecipe, top: float) -> float:
    axes.text(_NAMES, top, f'recipe {recipe.name}', weight='bold', fontsize=11, va='center')
    for column, part in enumerate(PARTS):
        axes.text(_FIRST_PART + _PART_WIDE * (column + 0.5), top, part, ha='center', va='center', color=canvas.SOFT)
    axes.text(_DATA, top, 'data', va='center', color=canvas.SOFT)
    axes.text(_LOSS, top, 'loss', va='center', color=canvas.SOFT)
    axes.text(_STEPS, top, 'steps × streams', ha='right', va='center', color=canvas.SOFT)
    top += 0.75
    if recipe.encoder is not None:
        crops = recipe.encoder.batch + recipe.encoder.speech_batch
        words = {part: 'trained' if part == 'encoder' else 'frozen' for part in PARTS}
        loss = 'which sound,\nwhich phoneme'
        _row(
            axes,
            top,
            '0  encoder',
            words,
            'crops of 2 s:\nsounds and speech',
            loss,
            f'{recipe.encoder.steps:,} × {crops}',
        )
        top += 1.0
    for number, stage in enumerate(recipe.stages, 1):
        steps = f'{stage.steps:,} × {recipe.streams_a_step(stage)}'
        _row(axes, top, f'{number}  {stage.name}', trained_parts(recipe, stage), _data(stage), _loss(stage), steps)
        top += 1.0
    return top - 0.4


def _row(axes: Axes, top: float, name: str, parts: dict[str, str], data: str, loss: str, steps: str) -> None:
    axes.plot((_NAMES, _STEPS), (top - 0.5, top - 0.5), color=canvas.RULE, linewidth=0.8)
    axes.text(_NAMES, top, name, va='center', weight='bold')
    for column, words in enumerate(parts.values()):
        left = _FIRST_PART + _PART_WIDE * column
        moves = words != 'frozen'
        colour = canvas.BLUE if moves else canvas.RULE
        canvas.box(axes, left + 0.5, top - 0.33, _PART_WIDE - 1.0, 0.66, colour, colour if moves else canvas.GROUND)
        axes.text(
            left + _PART_WIDE / 2,
            top,
            words,
            ha='center',
            va='center',
            color='white' if moves else canvas.SOFT,
            fontsize=8.5,
        )
    axes.text(_DATA, top, data, va='center', fontsize=8.5, linespacing=1.15)
    axes.text(_LOSS, top, loss, va='center', fontsize=8.5, linespacing=1.15)
    axes.text(_STEPS, top, steps, ha='right', va='center')


def _data(stage: Stage) -> str:
    which = f'{len(stage.data.categories)} of 7 abilities' if stage.data.categories else 'all abilities'
    shares = {'late': stage.data.late_share, 'noise': stage.data.noise_share, 'quiet': stage.data.quiet_share}
    shares['slips'] = stage.data.slip_share
    altered = ', '.join(f'{name} {share:g}' for name, share in shares.items() if share)
    without = '' if stage.data.mix_ins else 'no mix-ins'
    further = '\n'.join(part for part in (altered, without) if part)
    return f'{stage.data.form}, {which}' + (f'\n{textwrap.fill(further, 24)}' if further else '')


def _loss(stage: Stage) -> str:
    weight = '' if stage.stream_weight == 1.0 else f'{stage.stream_weight:g} '
    loss = f'L_LM + {weight}L_stream'
    loss += f'\n+ {stage.event_weight:g} L_event' if stage.event_weight else ''
    return loss + (f'\nresponse weighs {stage.response_weight:g}' if stage.response_weight != 1.0 else '')
