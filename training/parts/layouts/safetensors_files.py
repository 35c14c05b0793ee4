"""Weights as safetensors, one file or many with an index."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from training.parts import PartsError


def read(paths: list[Path]) -> dict[str, Tensor]:
    """Return all tensors of some files, as stored; raise PartsError for a file that is cut off or none of its kind."""
    tensors: dict[str, Tensor] = {}
    for path in paths:
        try:
            tensors |= load_file(path)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise PartsError(f"'{path}' cannot be read ({error}); fetch it again") from error
    return tensors
