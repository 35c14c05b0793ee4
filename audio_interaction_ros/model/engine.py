"""The language model with memory: new positions in, logits after the last of them out, nothing computed twice.

The numbers are those of transformers' classes (tests hold them equal), with a cache that is allocated once
and cut back at will, and without the work that a step of one token does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from audio_interaction_ros.model.network import LanguageModel, rotary


class KvCache:
    """A `KvCache` holds the keys and values of one session, [layers, kv_heads, capacity, head_dim] each.

    The first `length` positions of them count.
    """

    def __init__(self, shape: tuple[int, int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.capacity = shape[2]
        self.length = 0

    def truncate(self, length: int) -> None:
        """Forget what came after the first `length` positions."""
        self.length = min(self.length, length)


class Engine:
    """An `Engine` runs one language model for any number of sessions, each with a cache of its own."""

    def __init__(self, model: LanguageModel) -> None:
        self.config = model.config
        self.device, self.dtype = model.device, model.dtype
        self._model = model.model
        self._head, self.event_head = model.lm_head, model.event_head
        self._windows = self.config.windows
        self._cos, self._sin = rotary(self.config, self.device, self.dtype)

    @property
    def outputs(self) -> int:
        """Return how many logits a position has."""
        return self.config.vocab_size

    def new_cache(self, capacity: int) -> KvCache:
        """Return an empty cache for at most `capacity` positions."""
        return KvCache(self.cache_shape(capacity), self.device, self.dtype)

    def cache_shape(self, capacity: int) -> tuple[int, int, int, int]:
        """Return the shape of a cache's keys, and of its values."""
        return self.config.num_hidden_layers, self.config.num_key_value_heads, capacity, self.config.head_size

    @torch.inference_mode()
    def embed(self, tokens: Sequence[int]) -> Tensor:
        """Return the embeddings of token ids, [n, hidden]."""
        embedded: Tensor = self._model.embed_tokens(torch.tensor(tokens, device=self.device))
        return embedded

    @torch.inference_mode()
    def forward(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Append [sessions, n, hidden] to as many caches and return `logits` of the last, [sessions, outputs].

        What a session reads does not depend on the others in its batch. Raises RuntimeError where a cache is full.
        """
        return self.logits(self.read(caches, embedded)[:, -1])

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits, float32 [..., outputs], of what `read` gives, [..., hidden]."""
        logits: Tensor = self._head(self._model.norm(hidden))
        return logits.float()

    @torch.inference_mode()
    def read(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Append as `forward` does and return the hidden state at every position, [sessions, n, hidden]."""
        new = embedded.shape[1]
        if any(cache.length + new > cache.capacity for cache in caches):
            full = max(caches, key=lambda cache: cache.length - cache.capacity)
            raise RuntimeError(f'a cache of {full.capacity} positions holds {full.length}; {new} more do not fit')
        at = [slice(cache.length, cache.length + new) for cache in caches]
        cos, sin = (torch.stack([table[place] for place in at])[:, :, None] for table in (self._cos, self._sin))
        masks: dict[tuple[int, int | None], Tensor | None] = {}

        def attend(number: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            mixed = []
            for row, (cache, place) in enumerate(zip(caches, at, strict=True)):
                cache.keys[number, :, place] = key[row].transpose(0, 1)
                cache.values[number, :, place] = value[row].transpose(0, 1)
                kind = (cache.length, self._windows[number])
                if kind not in masks:
                    masks[kind] = _unseen(*kind, new, self.device)
                seen = slice(_first_seen(*kind), place.stop)
                keys, values = cache.keys[number, :, seen], cache.values[number, :, seen]
                mixed.append(attention(query[row : row + 1], keys[None], values[None], masks[kind]))
            return torch.cat(mixed)

        hidden = self._layers(embedded, cos, sin, attend)
        for cache in caches:
            cache.length += new
        return hidden

    def _layers(
        self, hidden: Tensor, cos: Tensor, sin: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Run all layers on [sessions, n, hidden]; `attend` is given a layer's number before what that gives it."""
        for number, layer in enumerate(self._model.layers):
            hidden = layer(hidden, cos, sin, partial(attend, number))
        return hidden


def attention(query: Tensor, keys: Tensor, values: Tensor, unseen: Tensor | None) -> Tensor:
    """Mix values by scaled dot products, the queries of a group of heads with the keys that they share.

    `query` [sessions, n, heads, head_dim], `keys` and `values` [sessions, kv_heads, positions, head_dim], which lie
    still; `unseen`, bool [n, positions] or [sessions, n, positions], is True where a query does not look. Returns
    [sessions, n, heads × head_dim].
    """
    new, kv_heads = query.shape[1], keys.shape[1]
    grouped = (query * query.shape[-1] ** -0.5).unflatten(2, (kv_heads, -1)).movedim(1, 3).flatten(2, 3)
    scores = grouped @ keys.transpose(-1, -2)
    if unseen is not None:
        scores = scores.unflatten(2, (-1, new)).masked_fill(unseen[..., None, None, :, :], -torch.inf).flatten(2, 3)
    mixed = scores.softmax(-1, dtype=torch.float32).to(values.dtype) @ values
    return mixed.unflatten(2, (-1, new)).movedim(3, 1).flatten(2)


def _first_seen(length: int, window: int | None) -> int:
    """Return the first position that the first of the new ones looks at."""
    return 0 if window is None else max(0, length + 1 - window)


def _unseen(length: int, window: int | None, new: int, device: torch.device) -> Tensor | None:
    """Return where `new` positions after `length` others do not look; None for one alone, which sees all."""
    if new == 1:
        return None
    query = torch.arange(length, length + new, device=device)[:, None]
    key = torch.arange(_first_seen(length, window), length + new, device=device)
    unseen = key > query
    if window is not None:
        unseen |= key <= query - window
    return unseen
