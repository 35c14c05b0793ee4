"""How the projection of a pretrained tower begins and ends: from what it is given, whatever the tower costs.

A projection that begins at random loses what the tower knows and has to find it again: on held-out recordings a linear
probe of random directions told hazards from other sounds at 0.80, of all layers at 0.88, of their principal components
at 0.90. Before the tower learns and after, projection and heads learn alone from what it gives for some crops, which is
kept (`train_kept`): some fifty steps in the time of one, so that they come to name what the tower tells apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from audio_interaction_ros.model.network import AudioTower

_LEAST_VARIANCE = 1e-6  # of the largest; what varies less is noise, which would be blown up


@torch.no_grad()
def projected_inputs(tower: AudioTower, streams: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield what a tower's projection is given, [streams, chunks, frames / 4, width], for batches of whole streams.

    `streams`: log-mel [streams, chunks, mel_bins, frames]; all of a stream comes before the next is read.
    """
    given: list[Tensor] = []
    hook = tower.proj.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    try:
        for mel in streams:
            tower.encode_streams(mel)
            yield given.pop().unflatten(0, mel.shape[:2])
    finally:
        hook.remove()


@torch.no_grad()
def project_components(projection: nn.Linear, inputs: Iterable[Tensor]) -> None:
    """Have a projection give principal components, the largest first, each with mean 0 and variance 1.

    `inputs` [..., width], batch by batch, of what the components are taken from. What the output has beyond the width
    of the input keeps its weights.
    """
    width = projection.in_features
    count, total, squares = 0, torch.zeros(width).double(), torch.zeros(width, width).double()
    for batch in inputs:
        vectors = batch.flatten(0, -2).double().cpu()
        count, total, squares = count + len(vectors), total + vectors.sum(0), squares + vectors.T @ vectors
    mean = total / count
    variances, directions = torch.linalg.eigh(squares / count - mean.outer(mean))  # the smallest first
    rows = min(width, projection.out_features)
    variances, directions = variances.flip(0)[:rows], directions.flip(1)[:, :rows]
    weight = (directions / variances.clamp_min(_LEAST_VARIANCE * variances[0]).sqrt()).T
    projection.weight[:rows] = weight.to(projection.weight)
    projection.bias[:rows] = -(weight @ mean).to(projection.bias)


def train_kept(
    parameters: Sequence[nn.Parameter],
    loss: Callable[[Tensor], Tensor],
    examples: int,
    batch: int,
    rates: Iterable[float],
    weight_decay: float,
    seed: int,
) -> None:
    """Train parameters with AdamW on `examples` that are kept, one step for each of `rates`.

    `loss` is given the places of a batch, int64 [batch], drawn anew for every step, and returns its mean loss.
    """
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    for rate in rates:
        optimiser.param_groups[0]['lr'] = rate
        found = loss(torch.randint(examples, (batch,), generator=generator))
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
