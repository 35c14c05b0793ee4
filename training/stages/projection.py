"""The first weights of a pretrained tower's projection: the principal components of what it is given.

A projection that begins at random loses what the tower knows and has to find it again: on held-out recordings a linear
probe of random directions told hazards from other sounds at 0.80, of all layers at 0.88, of their components at 0.90.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from audio_interaction_ros.model.network import AudioTower

_LEAST_VARIANCE = 1e-6  # of the largest; what varies less is noise, which would be blown up


@torch.no_grad()
def project_components(tower: AudioTower, streams: Iterable[Tensor]) -> None:
    """Have a tower's projection give principal components, the largest first, each with mean 0 and variance 1.

    `streams`: log-mel [streams, chunks, mel_bins, frames], batch by batch, of what the components are taken from. What
    `output_dim` has beyond the width of what is projected keeps its weights.
    """
    given: list[Tensor] = []
    hook = tower.proj.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    width = tower.proj.in_features
    count, total, squares = 0, torch.zeros(width).double(), torch.zeros(width, width).double()
    try:
        for mel in streams:
            tower.encode_streams(mel)
            vectors = given.pop().flatten(0, -2).double().cpu()
            count, total, squares = count + len(vectors), total + vectors.sum(0), squares + vectors.T @ vectors
    finally:
        hook.remove()
    mean = total / count
    variances, directions = torch.linalg.eigh(squares / count - mean.outer(mean))  # the smallest first
    rows = min(width, tower.proj.out_features)
    variances, directions = variances.flip(0)[:rows], directions.flip(1)[:, :rows]
    weight = (directions / variances.clamp_min(_LEAST_VARIANCE * variances[0]).sqrt()).T
    tower.proj.weight[:rows] = weight.to(tower.proj.weight)
    tower.proj.bias[:rows] = -(weight @ mean).to(tower.proj.bias)
