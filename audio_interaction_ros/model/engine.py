"""The language model with memory: new positions in, logits after the last of them out, nothing computed twice.

The numbers are those of transformers' `Qwen2ForCausalLM` (a test holds them equal), with a cache that is allocated once
and cut back at will, and without the work that a step of one token does not need.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from audio_interaction_ros.model.network import LanguageModel, rotary


class KvCache:
    """Keys and values of one session, [layers, kv_heads, capacity, head_dim] each; `length` positions of them count."""

    def __init__(self, shape: tuple[int, int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.capacity = shape[2]
        self.length = 0

    def truncate(self, length: int) -> None:
        """Forget what came after the first `length` positions."""
        self.length = min(self.length, length)


class Engine:
    """Runs one language model for any number of sessions, each with a cache of its own."""

    def __init__(self, model: LanguageModel) -> None:
        self.config = model.config
        self.device, self.dtype = model.device, model.dtype
        self._model = model.model
        self._head = model.lm_head
        self._windows = self.config.windows
        self._kv_heads = self.config.num_key_value_heads
        self._scale = self.config.head_dim**-0.5
        self._cos, self._sin = rotary(self.config, self.device, self.dtype)

    def new_cache(self, capacity: int) -> KvCache:
        """An empty cache for at most `capacity` positions."""
        return KvCache(self.cache_shape(capacity), self.device, self.dtype)

    def cache_shape(self, capacity: int) -> tuple[int, int, int, int]:
        """The shape of a cache's keys, and of its values."""
        return self.config.num_hidden_layers, self._kv_heads, capacity, self.config.head_dim

    @torch.inference_mode()
    def embed(self, tokens: Sequence[int]) -> Tensor:
        """Ids → [n, hidden]."""
        embedded: Tensor = self._model.embed_tokens(torch.tensor(tokens, device=self.device))
        return embedded

    @torch.inference_mode()
    def forward(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """Append [sessions, n, hidden] to as many caches → logits float32 [sessions, vocabulary] after the last.

        What a session reads does not depend on the others in its batch. Raises RuntimeError where a cache is full.
        """
        return self.logits(self.read(caches, embedded)[:, -1])

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Of what `read` gives, [..., hidden] → float32 [..., vocabulary]."""
        logits: Tensor = self._head(self._model.norm(hidden))
        return logits.float()

    @torch.inference_mode()
    def read(self, caches: Sequence[KvCache], embedded: Tensor) -> Tensor:
        """As `forward`, but the hidden state at every position, [sessions, n, hidden]."""
        new = embedded.shape[1]
        if any(cache.length + new > cache.capacity for cache in caches):
            full = max(caches, key=lambda cache: cache.length - cache.capacity)
            raise RuntimeError(f'a cache of {full.capacity} positions holds {full.length}; {new} more do not fit')
        at = [slice(cache.length, cache.length + new) for cache in caches]
        cos, sin = (torch.stack([table[place] for place in at])[:, :, None] for table in (self._cos, self._sin))
        masks: dict[tuple[int, int | None], Tensor | None] = {}
        hidden = embedded
        for number, layer in enumerate(self._model.layers):
            attention, normed = layer.self_attn, layer.input_layernorm(hidden)
            query, key, value = (
                projection(normed).unflatten(-1, (-1, cos.shape[-1]))  # [sessions, n, heads, head_dim]
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = rotate(query, cos, sin), rotate(key, cos, sin)
            mixed = []
            for row, (cache, place) in enumerate(zip(caches, at, strict=True)):
                cache.keys[number, :, place] = key[row].transpose(0, 1)
                cache.values[number, :, place] = value[row].transpose(0, 1)
                kind = (cache.length, self._windows[number])
                if kind not in masks:
                    masks[kind] = _mask(*kind, new, self.device)
                mixed.append(self._attend(query[row], cache, number, masks[kind]))
            hidden = hidden + attention.o_proj(torch.stack(mixed))
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        for cache in caches:
            cache.length += new
        return hidden

    def _attend(self, query: Tensor, cache: KvCache, number: int, mask: Tensor | None) -> Tensor:
        """[n, heads, head_dim] → [n, heads × head_dim]; the queries of one group of heads share keys that lie still."""
        new, heads, _ = query.shape
        first = _first_seen(cache.length, self._windows[number])
        keys = cache.keys[number, :, first : cache.length + new]
        values = cache.values[number, :, first : cache.length + new]
        groups = heads // self._kv_heads
        grouped = (query * self._scale).transpose(0, 1).reshape(self._kv_heads, groups * new, -1)
        scores = grouped @ keys.transpose(1, 2)
        if mask is not None:
            scores = (scores.unflatten(1, (groups, new)) + mask).flatten(1, 2)
        mixed = scores.softmax(-1, dtype=torch.float32).to(values.dtype) @ values
        return mixed.reshape(heads, new, -1).transpose(0, 1).flatten(1)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al., 2021), halves as Qwen2 pairs them."""
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


def _first_seen(length: int, window: int | None) -> int:
    """The first position that the first of the new ones looks at."""
    return 0 if window is None else max(0, length + 1 - window)


def _mask(length: int, window: int | None, new: int, device: torch.device) -> Tensor | None:
    """What is added to the scores of `new` positions after `length` others; None for one alone, which sees all."""
    if new == 1:
        return None
    query = torch.arange(length, length + new, device=device)[:, None]
    key = torch.arange(_first_seen(length, window), length + new, device=device)
    unseen = key > query
    if window is not None:
        unseen |= key <= query - window
    return torch.zeros(unseen.shape, device=device).masked_fill(unseen, -torch.inf)
