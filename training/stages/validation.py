"""How well the network decides and writes on streams that it was not trained on, given all that went before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training import labels
from training.scripts.script import taxonomy
from training.stages.collator import Batch, StreamCollator, warnings
from training.stages.distributed import Devices

Forward = Callable[[Batch], tuple[Tensor, Tensor, Tensor | None]]

_SILENT, _RESPONSE, _TEXT = range(3)
_NEAR_DRAINS = 3


@dataclass(frozen=True)
class Validation:
    """A `Validation` holds the streams to validate on; `places` int64 [n], in order of length."""

    collator: StreamCollator
    places: np.ndarray
    batch: int
    devices: Devices

    def figures(self, forward: Forward) -> dict[str, float]:
        """Return teacher-forced figures by drain or token, over all and by category (`figure/category`).

        `trigger_accuracy` (paper §5.4): share of drains after which `silent` or `response` was right;
        `response_recall` and `silent_recall`: of those that want one or the other; `lm_accuracy`: of text tokens.
        """
        hits = torch.zeros(2, len(taxonomy()), 3)
        for batch in self._batches():
            response, categories = self.collator.protocol.response, self._categories(batch)
            stream_logits, lm_logits, _ = forward(batch)
            wanted = (batch.stream_targets == response).long().cpu()
            chosen = (response_scores(stream_logits, self.collator) > 0.5).long().cpu()
            rows = categories[batch.stream_of.cpu()]
            for at, right in ((0, wanted == chosen), (1, torch.ones_like(wanted, dtype=torch.bool))):
                hits[at].index_put_((rows, wanted), right.float(), accumulate=True)
            rows = categories[batch.lm_of.cpu()]
            text = (lm_logits.argmax(-1) == batch.lm_targets).float().cpu()
            hits[0, :, _TEXT].index_add_(0, rows, text)
            hits[1, :, _TEXT].index_add_(0, rows, torch.ones_like(text))
        return _figures(self.devices.sum(hits).cpu().numpy())

    def silences(self, forward: Forward) -> tuple[np.ndarray, float]:
        """Return P(response) at every drain where a response would be false, float32 [n], and hours of sound.

        Of what this process read; without the drains next to a reply, and those at which a warning may come already:
        speaking there is a matter of timing.
        """
        found: list[np.ndarray] = []
        chunks = 0
        for batch in self._batches():
            scores = response_scores(forward(batch)[0], self.collator).cpu().numpy()
            rows = batch.stream_of.cpu().numpy()
            chunks += int(batch.heard.sum())
            for row, place in enumerate(batch.places.tolist()):
                stream = self.collator.dataset.record(place)
                early = labels.early(
                    stream.drains, stream.replies, warnings(stream), self.collator.dataset.chunk_samples
                )
                replies = [at for at, drain in enumerate(stream.drains) if drain.reply is not None]
                silent = [
                    drain.last not in early and all(abs(at - reply) > _NEAR_DRAINS for reply in replies)
                    for at, drain in enumerate(stream.drains)
                ]
                found.append(scores[rows == row][silent])
        return np.concatenate(found), chunks * self.collator.dataset.chunk_samples / SAMPLE_RATE_HZ / 3_600

    def _batches(self) -> Iterator[Batch]:
        parts = [self.places[at : at + self.batch] for at in range(0, len(self.places), self.batch)]
        for part in parts[self.devices.rank :: self.devices.world]:
            yield self.collator.collate(part).to(self.devices.device)

    def _categories(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self.collator.dataset.rows['category'][batch.places.cpu().numpy()].astype(np.int64))


def response_scores(stream_logits: Tensor, collator: StreamCollator) -> Tensor:
    """Return P(response) where only it and `silent` are possible, float32 [n], of logits [n, vocabulary]."""
    protocol = collator.protocol
    return stream_logits[:, [protocol.silent, protocol.response]].softmax(-1)[:, 1]


def _figures(hits: np.ndarray) -> dict[str, float]:
    """Hits [right or all, categories, silent or response or text] → figures; what never occurred is left out."""
    figures: dict[str, float] = {}
    rows = {'': hits.sum(axis=1)} | {f'/{category}': hits[:, number] for number, category in enumerate(taxonomy())}
    for name, (right, total) in rows.items():
        for figure, columns in (
            ('trigger_accuracy', [_SILENT, _RESPONSE]),
            ('response_recall', [_RESPONSE]),
            ('silent_recall', [_SILENT]),
            ('lm_accuracy', [_TEXT]),
        ):
            if total[columns].sum():
                figures[f'{figure}{name}'] = float(right[columns].sum() / total[columns].sum())
    return figures
