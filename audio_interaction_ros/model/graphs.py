"""The engine's passes in fixed shapes, so that a GPU replays each as one graph instead of a thousand launches.

The caches of all sessions lie in one pool, where they are and how long they are is data, and attention looks at a whole
cache with what does not count masked out. Passes of other shapes go the plain way; both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from audio_interaction_ros.model.engine import Engine, KvCache, attention
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK

_DRAINS = (1, 2, 4, 8)  # chunks
_LONGEST_POSITIONS = 2_048  # of a session: 60 chunks with what is said between them; attention looks at all of them


class _Slot(KvCache):
    """A slot is a cache that lies in the pool."""

    def __init__(self, keys: Tensor, values: Tensor, number: int) -> None:
        self.keys, self.values = keys[:, number], values[:, number]
        self.number = number
        self.capacity = keys.shape[3]
        self.length = 0


class GraphEngine(Engine):
    """A `GraphEngine` is an engine for a fixed number of sessions of one capacity.

    Text tokens and drains of 1, 2, 4 and 8 chunks run in fixed shapes, for one session and for all of them at once; on
    a GPU they are captured by `warm_up`. On a CPU the same code runs as it is.
    """

    def __init__(self, model: LanguageModel, sessions: int, capacity: int) -> None:
        super().__init__(model)
        capacity = min(capacity, self.config.max_position_embeddings)
        layers, *one = self.cache_shape(capacity)
        shape = (layers, sessions, *one)
        self._keys = torch.zeros(shape, device=self.device, dtype=self.dtype)
        self._values = torch.zeros_like(self._keys)
        self._free = list(range(sessions))[::-1]
        self._capacity = capacity
        self._positions = torch.arange(capacity, device=self.device)
        a_chunk = AUDIO_TOKENS_PER_CHUNK + 2
        lengths = (1, *(1 + chunks * a_chunk for chunks in _DRAINS))  # a drain begins with the token before it
        self._shapes = {(batch, length) for batch in {1, sessions} for length in lengths}
        self._captured: dict[tuple[int, int], Callable[[Tensor, Tensor, Tensor], Tensor]] = {}

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Return the fixed shapes, (sessions, positions) each."""
        return sorted(self._shapes)

    @property
    def graphs(self) -> int:
        """Return how many of the shapes are captured: all after `warm_up` on a GPU, else none."""
        return len(self._captured)

    def new_cache(self, capacity: int) -> KvCache:
        """Return a cache of the pool, whatever `capacity` is asked for; raise RuntimeError where none is left."""
        if not self._free:
            raise RuntimeError(f'all {self._keys.shape[1]} caches are in use; make the engine for more sessions')
        return _Slot(self._keys, self._values, self._free.pop())

    def warm_up(self) -> None:
        """Run every fixed shape once, and capture it on a GPU. Call before the first session reads anything."""
        for batch, length in self.shapes:
            embedded = torch.zeros(batch, length, self.config.hidden_size, device=self.device, dtype=self.dtype)
            slots = torch.arange(batch, device=self.device)
            lengths = torch.zeros(batch, dtype=torch.long, device=self.device)
            if self.device.type == 'cuda':
                self._captured[batch, length] = self._capture(embedded, slots, lengths)
            else:
                self._fixed(embedded, slots, lengths)

    @torch.inference_mode()
    def forward(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Append as `Engine.forward` does, in a fixed shape where there is one."""
        batch, new = embedded.shape[:2]
        fits = all(cache.length + new <= cache.capacity for cache in caches)
        if (batch, new) not in self._shapes or not fits:
            return super().forward(caches, embedded)
        slots = torch.tensor([cache.number for cache in caches if isinstance(cache, _Slot)], device=self.device)
        lengths = torch.tensor([cache.length for cache in caches], device=self.device)
        logits = self._captured.get((batch, new), self._fixed)(embedded, slots, lengths)
        for cache in caches:
            cache.length += new
        return logits

    @torch.inference_mode()
    def _fixed(self, embedded: Tensor, slots: Tensor, lengths: Tensor) -> Tensor:
        """Read [batch, n, hidden] into the batch's slots of these lengths and return logits [batch, vocabulary]."""
        new = embedded.shape[1]
        at = lengths[:, None] + self._positions[:new]  # [batch, n]
        cos, sin = self._cos[at][:, :, None], self._sin[at][:, :, None]
        unseen = self._positions > at[:, :, None]  # [batch, n, capacity]
        place = (slots[:, None], slice(None), at)

        def attend(number: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            self._keys[number][place] = key
            self._values[number][place] = value
            window = self._windows[number]
            masked = unseen if window is None else unseen | (self._positions <= at[:, :, None] - window)
            return attention(query, self._keys[number][slots], self._values[number][slots], masked)

        return self.logits(self._layers(embedded, cos, sin, attend)[:, -1])

    def _capture(self, embedded: Tensor, slots: Tensor, lengths: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Capture a graph of one shape, as a function that copies what it is given into the graph's own inputs."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # kernels and workspaces are chosen before the capture
                self._fixed(embedded, slots, lengths)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._fixed(embedded, slots, lengths)

        def replay(new_embedded: Tensor, new_slots: Tensor, new_lengths: Tensor) -> Tensor:
            embedded.copy_(new_embedded)
            slots.copy_(new_slots)
            lengths.copy_(new_lengths)
            graph.replay()
            return logits.clone()

        return replay


def make_engine(model: LanguageModel, sessions: int, graphs: bool = True) -> Engine:
    """Make an engine for so many sessions at most: with `graphs` and on a GPU, captured and warmed up; else plain."""
    if model.device.type != 'cuda' or not graphs:
        return Engine(model)
    engine = GraphEngine(model, sessions, _LONGEST_POSITIONS)
    engine.warm_up()
    return engine
