"""What a card says that needs no measuring: shapes, what it was trained by and on, under which licences."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_interaction_ros.model.describe import describe
from audio_interaction_ros.model.weights import INDEX, WEIGHTS
from training import provenance
from training.card import CardError
from training.clips.store import heard_clips, of_split
from training.errors import CorpusError
from training.recipe import load_training_recipe
from training.recipe_file import RecipeError
from training.stages.run_log import stages_of

ATTRIBUTIONS, RECIPE = 'ATTRIBUTIONS.csv', 'recipe.yaml'
# Licences that ask for the same one on what is made from the work, by how their names begin.
_SHARE_ALIKE = ('CC-BY-SA', 'CC BY-SA', 'ODbL', 'GPL', 'LGPL', 'AGPL')


@dataclass(frozen=True)
class Licence:
    """A `Licence` is one that recordings behind a checkpoint are under: how many there are, and from which sources."""

    name: str
    recordings: int
    sources: tuple[str, ...]

    @property
    def share_alike(self) -> bool:
        """Return True where it asks for itself on what is made from the work."""
        return any(
            part.strip(' ()').startswith(_SHARE_ALIKE) for part in self.name.replace(' OR ', ' AND ').split(' AND ')
        )


def licences(checkpoint: Path) -> list[Licence]:
    """Return the licences in a checkpoint's ATTRIBUTIONS.csv, the most frequent first; none without that file.

    Raises CardError where it cannot be read.
    """
    path = checkpoint / ATTRIBUTIONS
    if not path.exists():
        return []
    try:
        with path.open(newline='') as file:
            rows = [(row['licence'] or 'not said', row['source']) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise CardError(
            f"'{path}' cannot be read ({error!r}); restore it from where the checkpoint comes from"
        ) from error
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    for licence, source in rows:
        sources[licence][source] += 1
    found = [Licence(name, of.total(), tuple(source for source, _ in of.most_common())) for name, of in sources.items()]
    return sorted(found, key=lambda licence: (-licence.recordings, licence.name))


def hazard_recordings(corpus: Path) -> dict[str, int]:
    """Return how many recordings of each hazard the training side of a corpus has; 0: procedural sounds alone.

    Raises CardError where the corpus has no clips.
    """
    try:
        store = heard_clips(corpus)
    except CorpusError as error:
        raise CardError(f"'{corpus}' does not say which sounds it was made of: {error}") from error
    recorded: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for clip in of_split(store.clips, 'train'):
        if clip.respond and clip.kind == 'event':
            recorded[clip.category] |= set() if clip.source == 'procedural' else {(clip.source, clip.source_id)}
    return {category: len(recorded[category]) for category in sorted(recorded)}


def sizes(checkpoint: Path) -> dict[str, Any]:
    """Return {parameters, weights_mb, directory_mb, stored_as} of a checkpoint. Raises CheckpointError."""
    described = describe(checkpoint)
    halves = described['encoder'], described['language_model']
    files = [path for path in checkpoint.glob('*.safetensors') if (checkpoint / INDEX).exists() or path.name == WEIGHTS]
    return {
        'parameters': sum(half['parameters'] for half in halves),
        'weights_mb': sum(path.stat().st_size for path in files) / 1e6,
        'directory_mb': described['bytes_on_disk'] / 1e6,
        'stored_as': ' and '.join(dict.fromkeys(half['dtype'] for half in halves)),
    }


def training(checkpoint: Path, run: Path | None) -> dict[str, Any]:
    """Return what made a checkpoint: `recipe` (None where it is of no kind that trains), `stages`, and its provenance.

    `stages` has {steps, minutes, hours_heard} of each, from the run's folder or, without one, the provenance.
    """
    made = provenance.read(checkpoint)
    try:
        recipe = load_training_recipe(checkpoint / RECIPE)
    except RecipeError:
        recipe = None
    stages = stages_of(run, recipe) if run is not None and recipe is not None else made.get('stages', {})
    return {'recipe': recipe, 'stages': stages, 'made': made}
