"""How well the network joins chunks that were encoded apart: the cross-chunk continuity ratio (paper §5.3, Figure 7).

Vectors that follow each other within a chunk have some cosine similarity, those on the two sides of a boundary another;
the ratio of the two is 1 where nothing shows that there was a boundary. A network whose vectors are all alike has that
ratio too, so the same is measured with the chunk half a stream away in place of the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from training.metrics import Interval, interval_of_sums
from training.stages.collator import Batch
from training.stages.model import StreamModel

WITHIN, NEXT, DISTANT = range(3)


def places(model: StreamModel) -> list[str]:
    """Return the names of where vectors are looked at, in the order of computation."""
    encoder = [f'encoder layer {number}' for number in range(len(model.audio_tower.layers))]
    layers = [f'layer {number}' for number in range(len(model.language_model.model.layers))]
    return ['convolutions', *encoder, 'encoder output', 'projector', *layers]


@dataclass(frozen=True)
class Cosines:
    """A `Cosines` holds sums of cosine similarities over pairs of vectors, and how many pairs; by stream.

    `sums` float64 [streams, places, 3] and `pairs` float64 [streams, 3]: neighbours within a chunk (the mean of a chunk
    counts as one pair), last of a chunk and first of the next, last of a chunk and first of that half a stream later.
    """

    sums: np.ndarray
    pairs: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Cosines]) -> Cosines:
        """Return the cosines of several batches as one, in their order."""
        return cls(np.concatenate([p.sums for p in parts]), np.concatenate([p.pairs for p in parts]))

    def of(self, streams: np.ndarray) -> Cosines:
        """Return the cosines of some streams, given as bool or int64 indices."""
        return Cosines(self.sums[streams], self.pairs[streams])

    def mean(self, kind: int) -> np.ndarray:
        """Return the mean similarity of WITHIN, NEXT or DISTANT pairs at every place, float64 [places]."""
        return self.sums[..., kind].sum(axis=0) / self.pairs[:, kind].sum()

    def ratio(self, kind: int = NEXT) -> np.ndarray:
        """Return the continuity ratio at every place, float64 [places]; with DISTANT for chunks that lie apart."""
        return self.mean(kind) / self.mean(WITHIN)

    def interval(self, place: int, seed: int) -> Interval | None:
        """Return the 95 % bootstrap interval of the ratio at a place, over whole streams."""
        sums = self.sums[:, place]
        columns = [column.tolist() for kind in (NEXT, WITHIN) for column in (sums[:, kind], self.pairs[:, kind])]
        units = range(len(self.sums))
        return interval_of_sums(units, columns, lambda s: s[:, 0] / s[:, 1] / (s[:, 2] / s[:, 3]), seed)


def cosine_sums(vectors: Tensor, row_of: Tensor, streams: int) -> Tensor:
    """Return what `Cosines.sums` has for one place, float64 [streams, 3].

    `vectors` [n, frames, dim] of n chunks; `row_of` int64 [n], rising: their streams.
    """
    vectors = vectors.float()
    first, last = vectors[:, 0], vectors[:, -1]
    chunks = torch.bincount(row_of, minlength=streams)
    begins = (chunks.cumsum(0) - chunks)[row_of]
    number = torch.arange(len(row_of), device=row_of.device) - begins
    distant = begins + (number + chunks[row_of] // 2) % chunks[row_of]
    joined = row_of[1:] == row_of[:-1]
    cosine = nn.functional.cosine_similarity
    sums = torch.zeros(streams, 3, dtype=torch.float64, device=vectors.device)
    for kind, rows, similar in (
        (WITHIN, row_of, cosine(vectors[:, :-1], vectors[:, 1:], dim=-1).mean(dim=1)),
        (NEXT, row_of[1:][joined], cosine(last[:-1], first[1:], dim=-1)[joined]),
        (DISTANT, row_of, cosine(last, first[distant], dim=-1)),
    ):
        sums[:, kind].index_add_(0, rows, similar.double())
    return sums


@torch.inference_mode()
def measure(model: StreamModel, mel: Tensor, batch: Batch) -> Cosines:
    """Measure the cosines of one batch, whose streams are heard with their true replies.

    `mel` is as `StreamModel.forward` takes it.
    """
    streams, row_of = len(batch.ids), batch.heard.nonzero()[:, 0]
    sums: dict[str, Tensor] = {}

    def note(place: str, vectors: Tensor) -> None:
        sums[place] = cosine_sums(vectors, row_of, streams)

    with _listening(model, batch, note):
        model(mel, batch)
    chunks = torch.bincount(row_of, minlength=streams).double()
    pairs = torch.stack([chunks, chunks - 1, chunks], dim=1)
    by_place = torch.stack([sums[place] for place in places(model)], dim=1)
    return Cosines(by_place.cpu().numpy(), pairs.cpu().numpy())


@contextlib.contextmanager
def _listening(model: StreamModel, batch: Batch, note: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within, `note` gets the vectors of every chunk, [n, frames, dim], as each place computes them."""
    tower, layers = model.audio_tower, model.language_model.model.layers

    def entering(module: nn.Module, place: str) -> RemovableHandle:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            note(place, inputs[0])

        return module.register_forward_pre_hook(hook)

    def decoded(number: int) -> RemovableHandle:
        def hook(_: nn.Module, __: Any, hidden: Tensor) -> None:
            heard = hidden.flatten(0, 1)[batch.audio_at]
            note(f'layer {number}', heard.unflatten(0, (len(batch.ends_at), -1)))

        return layers[number].register_forward_hook(hook)

    # Each output is taken where the next part gets it; of the last layer as it is, for what is pooled may be a mix.
    entered = ['convolutions', *(f'encoder layer {number}' for number in range(len(tower.layers)))]
    handles = [entering(layer.self_attn_layer_norm, name) for layer, name in zip(tower.layers, entered, strict=False)]
    handles.append(tower.layers[-1].register_forward_hook(lambda _, __, vectors: note(entered[-1], vectors)))
    handles.append(entering(tower.proj, 'encoder output'))
    handles.append(tower.proj.register_forward_hook(lambda _, __, vectors: note('projector', vectors)))
    handles += [decoded(number) for number in range(len(layers))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
