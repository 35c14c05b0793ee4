"""How well the network decides and writes on streams that it was not trained on, given all that went before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.model.deciding import KINDS, EventClasses, Sounding, kind_of_response
from audio_interaction_ros.model.network import EventHead
from training import labels
from training.scripts.script import taxonomy
from training.stages.collator import Batch, StreamCollator, warnings
from training.stages.deciding import DRAIN
from training.stages.distributed import Devices
from training.streams import Stream

Forward = Callable[[Batch], tuple[Tensor, Tensor, Tensor]]

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

    def drains(self, forward: Forward, events: EventClasses, head: EventHead | None) -> tuple[np.ndarray, float]:
        """Return what happened at every drain, DRAIN [n], and hours of sound, to every process, all of which call it.

        Not false are responses next to a reply, and those at which a warning may come already: speaking there is a
        matter of timing.
        """
        found: list[np.ndarray] = []
        chunks = 0
        for batch in self._batches():
            control, _, vectors = forward(batch)
            scores = response_scores(control, self.collator).cpu().numpy()
            summaries, starts = EventHead.summary(vectors.cpu()), batch.heard.sum(dim=1).cpu().cumsum(0).tolist()
            rows = batch.stream_of.cpu().numpy()
            chunks += int(batch.heard.sum())
            for row, place in enumerate(batch.places.tolist()):
                stream = self.collator.dataset.stream(place, self.collator.data)
                mine = np.flatnonzero(rows == row)
                drains = np.zeros(len(mine), DRAIN)
                drains['response'] = scores[mine]
                drains['silent'] = silences(stream, self.collator.dataset.chunk_samples)
                heard = summaries[starts[row - 1] if row else 0 : starts[row]]
                for drain, made in zip(drains, stream.drains, strict=True):
                    sounding = None if head is None else Sounding.of(events, head, heard[: made.last + 1])
                    kind = kind_of_response(sounding, bool(stream.instruction))
                    drain['kind'] = KINDS.index(kind)
                    if sounding is not None:
                        drain['deserved'], drain['warning'] = sounding.deserves(kind), sounding.warning
                    drain['due'] = made.reply is not None
                    drain['urgent'] = made.reply is not None and stream.replies[made.reply].emotion == 'urgent'
                drains['follows'][1:] = ~drains['due'][:-1]
                found.append(drains)
        # Of all processes, so that it does not matter how many there are; some have no batch.
        drains = np.concatenate([np.zeros(0, DRAIN), *self.devices.gathered(found)])
        chunks = int(self.devices.sum(torch.tensor(float(chunks))))
        return drains, chunks * self.collator.dataset.chunk_samples / SAMPLE_RATE_HZ / 3_600

    def highest_false(self, forward: Forward) -> np.ndarray:
        """Return for each of `places` the highest P(response) at a drain where a response would be false.

        float64 [n], 0 for a stream without such drains; over all processes.
        """
        dataset, highest = self.collator.dataset, torch.zeros(len(self.places), dtype=torch.float64)
        number = {int(place): at for at, place in enumerate(self.places)}
        for batch in self._batches():
            scores, rows = response_scores(forward(batch)[0], self.collator).cpu(), batch.stream_of.cpu()
            for row, place in enumerate(batch.places.tolist()):
                silent = torch.tensor(silences(dataset.stream(place, self.collator.data), dataset.chunk_samples))
                if silent.any():
                    highest[number[place]] = scores[rows == row][silent].max()
        return self.devices.sum(highest).cpu().numpy()

    def _batches(self) -> Iterator[Batch]:
        parts = [self.places[at : at + self.batch] for at in range(0, len(self.places), self.batch)]
        for part in parts[self.devices.rank :: self.devices.world]:
            yield self.collator.collate(part).to(self.devices.device)

    def _categories(self, batch: Batch) -> Tensor:
        return torch.from_numpy(self.collator.dataset.rows['category'][batch.places.cpu().numpy()].astype(np.int64))


def silences(stream: Stream, chunk_samples: int) -> list[bool]:
    """Return for every drain of a stream whether a response would be false there, and not only ill-timed."""
    early = labels.early(stream.drains, stream.replies, warnings(stream), chunk_samples)
    replies = [at for at, drain in enumerate(stream.drains) if drain.reply is not None]
    return [
        drain.last not in early and all(abs(at - reply) > _NEAR_DRAINS for reply in replies)
        for at, drain in enumerate(stream.drains)
    ]


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
