"""The recipe of each variant: the baseline's with the one thing changed."""

from __future__ import annotations

from training.ablate.variants import Variant
from training.corpus.recipe import CorpusRecipe
from training.recipe import TrainingRecipe

_VALIDATION_STREAMS = 16  # while training; what counts is scored once, at the end, on all of them


def recipe_of(variant: Variant, recipe: TrainingRecipe, steps: int) -> TrainingRecipe:
    """Return the recipe of a variant.

    `steps` is how many the longest of the four stages takes; the others and stage 0 keep their proportion to it.
    """
    changed = recipe.model_dump(mode='json')
    share = steps / max(stage.steps for stage in recipe.stages)
    trained = [*changed['stages'], *([changed['encoder']] if recipe.encoder else [])]
    for stage in trained:
        stage['steps'] = max(1, round(share * stage['steps']))
    for stage in changed['stages']:
        if variant.stream_weight is not None:
            stage['stream_weight'] = variant.stream_weight
        if variant.offline:
            stage['data']['form'] = 'offline'
    window = variant.chunk_ms // 20
    changed['chunk_ms'] = variant.chunk_ms
    changed['audio'] |= {
        'n_window': window,
        'max_source_positions': max(window, recipe.audio.max_source_positions),
    }
    changed['validation_streams'] = _VALIDATION_STREAMS
    changed['validate_every'] = max(stage['steps'] for stage in trained)  # not before a stage's end
    return TrainingRecipe.model_validate(changed)


def corpus_recipe_of(variant: Variant, recipe: TrainingRecipe) -> CorpusRecipe:
    """Return the corpus recipe of a variant: the `streams_corpus` section of the recipe with its changes."""
    settings = recipe.streams_corpus.model_dump(mode='json')
    for name, value in variant.corpus.items():
        settings[name] = {**settings[name], **value} if isinstance(value, dict) else value
    return CorpusRecipe.model_validate(settings)
