"""Low-rank updates of matrices, W + alpha / rank · B A (Hu et al., 2021), in files as the library PEFT lays them out.

A folder of them holds adapter_config.json and adapter_model.safetensors: PEFT opens it by its own `from_pretrained`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import save_file
from torch import Tensor

from audio_interaction_ros.model.weights import CheckpointError, open_weights_of

SETTINGS, TENSORS = 'adapter_config.json', 'adapter_model.safetensors'
DOWN, UP = 'lora_A.weight', 'lora_B.weight'  # [rank, in] and [out, rank] of a matrix [out, in]
_PREFIX = 'base_model.model.'


class LowRankSettings(BaseModel):
    """Low-rank settings are what PEFT's adapter_config.json says that has an effect here."""

    model_config = ConfigDict(frozen=True, extra='ignore')

    r: int = Field(ge=1)
    lora_alpha: int = Field(ge=1)
    target_modules: tuple[str, ...] = Field(min_length=1)

    @property
    def scale(self) -> float:
        """Return alpha / rank, by which the product of both matrices is multiplied."""
        return self.lora_alpha / self.r


@dataclass(frozen=True)
class LowRankUpdate:
    """A `LowRankUpdate` is what is added to one matrix [out, in]: `scale` times `up` [out, rank] `down` [rank, in]."""

    down: Tensor
    up: Tensor
    scale: float

    def added_to(self, matrix: Tensor) -> Tensor:
        """Return the matrix with the update merged into it, float32."""
        return matrix.float() + self.scale * (self.up.float() @ self.down.float())


def is_update(name: str) -> bool:
    """Return whether a parameter of this name is one of the two matrices of an update."""
    return name.endswith((f'.{DOWN}', f'.{UP}'))


def write_updates(folder: Path, tensors: Mapping[str, Tensor], settings: LowRankSettings, base: str) -> None:
    """Write `tensors`, which are named `<module>.lora_A.weight` and `<module>.lora_B.weight`; raise OSError.

    `base` is what PEFT is told of the network that they belong to.
    """
    folder.mkdir(parents=True)
    named = {_PREFIX + name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / TENSORS, metadata={'format': 'pt'})
    said = {
        'peft_type': 'LORA',
        'base_model_name_or_path': base,
        'task_type': None,
        'inference_mode': True,
        'bias': 'none',
        'fan_in_fan_out': False,
        'lora_dropout': 0.0,
        **settings.model_dump(mode='json'),
    }
    (folder / SETTINGS).write_text(json.dumps(said, indent=1) + '\n')


def read_updates(folder: Path) -> dict[str, LowRankUpdate]:
    """Return the updates of a folder by the name of their module; raise CheckpointError for files that are damaged."""
    path = folder / SETTINGS
    try:
        settings = LowRankSettings.model_validate_json(path.read_text())
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise CheckpointError(f"'{path}' does not say how updates are scaled ({error}); restore it") from error
    weights = open_weights_of(folder / TENSORS)
    named = {name.removeprefix(_PREFIX): name for name in weights}
    modules = {name.removesuffix(f'.{DOWN}').removesuffix(f'.{UP}') for name in named}
    if missing := [
        f'{module}.{half}' for module in sorted(modules) for half in (DOWN, UP) if f'{module}.{half}' not in named
    ]:
        raise CheckpointError(f"'{folder / TENSORS}' lacks {missing[0]}; restore it")
    return {
        module: LowRankUpdate(weights[named[f'{module}.{DOWN}']], weights[named[f'{module}.{UP}']], settings.scale)
        for module in sorted(modules)
    }
