"""The audio tower's first weights from a pretrained one: Whisper's encoder, or the tower of Qwen2.5-Omni.

The two have the same convolutions and layers, and a norm after them, under nearly the same names. The tower here is
Qwen2.5-Omni's, so Whisper's differs in four things that hold no weights: it hears 30 s in one pass, not 400 ms; its
positions count on through all of it (they are the same sinusoids, computed here); its norm comes before pooling, for
it pools nothing; and it projects into nothing. Keys have no bias in either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from audio_interaction_ros.model.base_weights import NORM, OMNI_PREFIXES, WHISPER_PREFIXES, open_tower
from audio_interaction_ros.model.network import AudioTower, sinusoids
from audio_interaction_ros.model.shapes import AudioConfig
from audio_interaction_ros.model.weights import INDEX, WEIGHTS, Weights
from training.recipe import WHISPER_PARTS, TrainingRecipe
from training.recipe_file import RecipeError

PARTS = Path('parts')  # where parts named in a recipe are looked for, in the current directory
_POSITIONS = 'embed_positions.weight'
# What leads into a language model begins anew with it; the tower's own begin and end of audio are never used.
_FRESH = ('proj.', 'audio_bos_eos_token.')


@dataclass(frozen=True)
class PretrainedTower:
    """A `PretrainedTower` is a tower on disk, opened; its weights, under our names, are read when they are needed."""

    directory: Path
    weights: Weights
    heads: int

    @classmethod
    def open(cls, init: str) -> PretrainedTower:
        """Open what a recipe's `init` names, reading headers only.

        Raises RecipeError where there is none or of another kind, CheckpointError for files that are damaged.
        """
        directory = _directory(init)
        weights = open_tower(directory)
        if weights is None:
            raise RecipeError(
                f"'{directory}' holds no audio tower: no tensor is called {WHISPER_PREFIXES[0]}conv1.weight, as "
                f"Whisper's is, or {OMNI_PREFIXES[0]}conv1.weight, as Qwen2.5-Omni's; give a directory that has one"
            )
        return cls(directory, weights, _heads(directory))

    def require_fit(self, recipe: TrainingRecipe) -> None:
        """Raise RecipeError, one sentence, where the recipe's tower has other shapes, or the weights lack some."""
        audio = recipe.audio.config()
        outlines = self.weights.outlines
        width, mel_bins = outlines['conv1.weight'].shape[:2]
        layers = 1 + max((int(name.split('.')[1]) for name in outlines if name.startswith('layers.')), default=-1)
        there = {
            'num_mel_bins': mel_bins, 'd_model': width, 'encoder_layers': layers, 'encoder_attention_heads': self.heads
        }  # fmt: skip
        wanted = {name: getattr(audio, name) for name in there}
        if other := [name for name in there if there[name] != wanted[name]]:
            raise RecipeError(
                f"recipe '{recipe.name}' has {_numbers(wanted, other)}, and the tower in '{self.directory}', which it "
                f'is to start from, has {_numbers(there, other)}; give the recipe those, or another init'
            )
        expected = {name: list(shape) for name, shape in _shapes(audio)}
        found = {name: list(outline.shape) for name, outline in outlines.items()}
        if wrong := [name for name in expected if found.get(name) != expected[name]]:
            raise RecipeError(
                f"the tower in '{self.directory}' does not fit recipe '{recipe.name}': {wrong[0]} is "
                f'{found.get(wrong[0], "missing")}, {expected[wrong[0]]} expected; correct audio, or give another init'
            )
        spare = {name for name in found if is_fresh(name) or name.startswith(NORM)}  # a mixture takes no norm
        if unknown := sorted(found.keys() - expected.keys() - {_POSITIONS} - spare):
            raise RecipeError(
                f"the tower in '{self.directory}' has {unknown[0]}, which Whisper's and Qwen2.5-Omni's have not; "
                'give another init'
            )
        self._require_sinusoids()

    def _require_sinusoids(self) -> None:
        if _POSITIONS not in self.weights:
            return  # Qwen2.5-Omni computes them too
        positions = self.weights[_POSITIONS].float()
        if (positions - sinusoids(*positions.shape)).abs().max() > 1e-2:  # float16 is 5e-4 off
            raise RecipeError(
                f"the positions in '{self.directory}' are not Whisper's sinusoids, which this tower computes; give "
                'another init'
            )

    @torch.no_grad()
    def fill(self, tower: AudioTower) -> None:
        """Copy the weights into a tower that fits; what leads into the language model keeps its own."""
        for name, tensor in tower.state_dict().items():
            if not is_fresh(name):
                tensor.copy_(self.weights[name])


def is_fresh(name: str) -> bool:
    """Return whether a tensor of the tower begins anew, whatever it starts from."""
    return name.startswith(_FRESH)


def _directory(init: str) -> Path:
    directory = PARTS / init if init in WHISPER_PARTS else Path(init).expanduser()
    if not any((directory / file).is_file() for file in (WEIGHTS, INDEX)):
        cure = (
            f'write it with: python -m training parts {init} --out {PARTS}, or give the directory where it is'
            if init in WHISPER_PARTS
            else f'give a directory that has one, or one of {", ".join(WHISPER_PARTS)}'
        )
        raise RecipeError(f"init is '{init}', and there is no {WEIGHTS} in '{directory}'; {cure}")
    return directory


def _heads(directory: Path) -> int:
    path = directory / 'config.json'
    try:
        config: Any = json.loads(path.read_text())
        for section in ('thinker_config', 'audio_config'):  # Qwen2.5-Omni's; Whisper's lie at the top
            config = config.get(section, config)
        heads = config['encoder_attention_heads']
        if not isinstance(heads, int):
            raise TypeError(f'encoder_attention_heads is {heads!r}')
        return heads
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"'{path}' does not say how many heads the tower has (encoder_attention_heads): {error!r}; restore it"
        ) from error


def _numbers(values: dict[str, int], names: list[str]) -> str:
    return ', '.join(f'{name} {values[name]}' for name in names)


def _shapes(audio: AudioConfig) -> Iterator[tuple[str, torch.Size]]:
    """Yield names and shapes of what a pretrained tower gives."""
    with torch.device('meta'):
        tower = AudioTower(audio)
    for name, tensor in tower.state_dict().items():
        if not is_fresh(name):
            yield name, tensor.shape
