"""Corpora, training and scores of all variants, each made once: the same command goes on after any interruption."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from audio_interaction_ros.model.checkpoint import CheckpointConfig
from training.ablate.recipes import corpus_recipe_of, recipe_of
from training.ablate.score import VariantScore, score
from training.ablate.variants import BASELINE, VARIANTS, Variant
from training.corpus.build import build
from training.files import write_whole
from training.recipe import TrainingRecipe
from training.stages import TrainingError
from training.stages.preparation import INDEX, Files
from training.stages.run import WEIGHTS, begin_like, stage_folder, take_encoder, train

_LIBRARY = Path('library') / 'clips'


@dataclass(frozen=True)
class Ablation:
    """An `Ablation` says what is ablated, at which scale, and where it is kept.

    `hours`: of streams in every corpus. `steps`: as in `recipe_of`. `sources`: as `build` takes them. `start`: a
    checkpoint directory whose encoder stands in for stage 0; all of it, where the recipe has no stage 0.
    """

    recipe: TrainingRecipe
    sources: Mapping[str, Path]
    hours: float
    steps: int
    workers: int
    out: Path
    start: Path | None = None

    @property
    def start_encoder(self) -> Path | None:
        """Return the checkpoint whose encoder stands in for stage 0."""
        return self.start if self.recipe.encoder is not None else None

    @property
    def start_weights(self) -> Path | None:
        """Return the checkpoint whose weights are all taken."""
        return self.start if self.recipe.encoder is None else None

    def run(self, variant: Variant) -> Path:
        """Return the folder in which a variant is trained."""
        return self.out / 'runs' / (BASELINE if variant.after_stage else variant.name)

    def corpus(self, variant: Variant) -> Path:
        """Return the folder of the corpus that a variant is trained on."""
        return self.out / 'corpora' / (variant.name if variant.corpus else BASELINE)

    def index(self, variant: Variant) -> Path:
        """Return the index, in the variant's chunks, of the baseline's corpus, on which all are scored."""
        return self.run(VARIANTS[BASELINE] if variant.corpus else variant) / INDEX

    def score(self, variant: Variant) -> Path:
        """Return the file of a variant's score; where there is one, the variant is finished."""
        return self.out / 'scores' / f'{variant.name}.json'


def ablate(ablation: Ablation, only: Collection[str] | None, stop_after_s: float | None) -> dict[str, VariantScore]:
    """Train and score the baseline and the variants named, or all; return every score there is, in their order.

    When the time is up, some variants are without a score. Raises TrainingError, and whatever `build` and `train`
    raise.
    """
    deadline = None if stop_after_s is None else time.monotonic() + stop_after_s
    _begin(ablation)
    chosen = [v for v in VARIANTS.values() if only is None or v.name == BASELINE or v.name in only]
    with tqdm(chosen, desc='variants', unit='variant') as bar:
        for variant in bar:
            bar.set_postfix_str(variant.title)
            if not ablation.score(variant).exists() and not _finish(ablation, variant, deadline):
                break
    paths = {name: ablation.score(variant) for name, variant in VARIANTS.items()}
    return {name: VariantScore.model_validate_json(path.read_text()) for name, path in paths.items() if path.exists()}


def _begin(ablation: Ablation) -> None:
    """The baseline's corpus; from then on the folder is for this recipe and scale alone. Raises TrainingError."""
    made_of = {
        'recipe': ablation.recipe.model_dump(mode='json'),
        'sources': {name: str(folder.resolve()) for name, folder in sorted(ablation.sources.items())},
        'hours': ablation.hours,
        'steps': ablation.steps,
        'start': str(ablation.start.resolve()) if ablation.start else None,
    }
    settings = ablation.out / 'ablation.json'
    if settings.exists() and json.loads(settings.read_text()) != made_of:
        raise TrainingError(
            f"'{ablation.out}' holds an ablation of another recipe, other sources, hours, steps or start; give "
            'another --out or remove it'
        )
    if ablation.start_encoder is not None:
        shape = CheckpointConfig.load(ablation.start_encoder).encoder_outline().audio_tower.config
        if shape != ablation.recipe.audio.config():
            raise TrainingError(
                f"the encoder of '{ablation.start_encoder}' has other shapes than recipe '{ablation.recipe.name}'; "
                'give a checkpoint that this recipe made, or no --start'
            )
    _build(ablation, VARIANTS[BASELINE])
    write_whole(settings, json.dumps(made_of, indent=1).encode() + b'\n')


def _finish(ablation: Ablation, variant: Variant, deadline: float | None) -> bool:
    """Train and score one variant; False where the time is up before."""
    recipe = recipe_of(variant, ablation.recipe, ablation.steps)
    run, train_s = ablation.run(variant), 0.0
    if variant.after_stage is None:
        if _up(deadline):
            return False
        _build(ablation, variant)
        started = time.monotonic()
        if not _train(ablation, variant, recipe, deadline):
            return False
        train_s = time.monotonic() - started
    weights = stage_folder(run, recipe, variant.after_stage or len(recipe.stages)) / WEIGHTS
    baseline = ablation.corpus(VARIANTS[BASELINE])
    scored = score(recipe, run, weights, baseline, ablation.index(variant), train_s)
    write_whole(ablation.score(variant), scored.model_dump_json().encode())
    return True


def _up(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _train(ablation: Ablation, variant: Variant, recipe: TrainingRecipe, deadline: float | None) -> bool:
    run, baseline = ablation.run(variant), VARIANTS[BASELINE]
    if ablation.start_encoder is not None:
        take_encoder(run, recipe, ablation.start_encoder)
    if variant is not baseline:
        alike = variant.chunk_ms == baseline.chunk_ms
        begin_like(run, recipe, ablation.run(baseline), encoder=alike and recipe.encoder is not None)
    file = run / 'recipe.yaml'
    write_whole(file, recipe.model_dump_json(indent=1).encode())  # which YAML reads too
    left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
    return bool(train(Files(file, ablation.corpus(variant), run, None, ablation.start_weights), left_s)['finished'])


def _build(ablation: Ablation, variant: Variant) -> None:
    """The corpus of a variant, unless it is there: the same seed, and the same clips as the baseline's."""
    corpus, baseline = ablation.corpus(variant), ablation.corpus(VARIANTS[BASELINE])
    if (corpus / 'index.json').exists():
        return
    if corpus != baseline:
        _link(baseline / _LIBRARY, corpus / _LIBRARY)
    settings = corpus_recipe_of(variant, ablation.recipe)
    build(settings, ablation.sources, ablation.hours, ablation.recipe.seed, ablation.workers, corpus)


def _link(library: Path, copy: Path) -> None:
    """The parts of a library under another folder too, without their bytes; nobody writes into one."""
    copy.mkdir(parents=True, exist_ok=True)
    # A part is there when its index is: that comes last.
    for path in sorted(library.iterdir(), key=lambda path: path.suffix == '.jsonl'):
        if not (copy / path.name).exists():
            os.link(path, copy / path.name)
