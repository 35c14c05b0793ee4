"""Attention for training: the same numbers as the runtime's, without computing what a sliding window never sees.

PyTorch's kernel for CPUs computes every pair of positions and then masks, and its backward pass is slow for sequences
as short as a chunk's; both together were half of a step.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface

from audio_interaction_ros.model.network import AudioTower

# As transformers' configurations know them; without a mask function, so no mask is made.
NAME, BLOCKS = 'training', 'training-blocks'
_BLOCK = 160  # queries


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Return causal attention of whole sequences, [batch, L, heads, dim].

    `query` [batch, heads, L, dim], `key` and `value` [batch, kv_heads, L, dim]. Padding must lie on the right, where
    nothing that counts looks.
    """
    repeats = query.shape[1] // key.shape[1]
    if sliding_window is not None and sliding_window < query.shape[2]:
        mixed = _windowed(query, key, value, sliding_window, repeats, scaling)
    else:
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=repeats > 1
        )
    return mixed.transpose(1, 2), None


def attend_by_blocks(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    sliding_window: int | None = None,
    **rest: object,
) -> tuple[Tensor, None]:
    """Return the same as `attend`; on a CPU by matrix products, a block of queries after the other.

    In bfloat16, at 640 positions, that takes half of what PyTorch's kernel does, whose backward pass is slow, and keeps
    the weights of attention for it. What lies after a block is not computed.
    """
    if query.device.type != 'cpu' or (sliding_window is not None and sliding_window < query.shape[2]):
        return attend(module, query, key, value, attention_mask, scaling, sliding_window, **rest)
    groups = key.shape[1]
    repeats = query.shape[1] // groups
    grouped = (query * scaling).unflatten(1, (groups, repeats))  # [batch, kv_heads, repeats, L, dim]
    later = torch.full((_BLOCK, _BLOCK), -torch.inf, dtype=query.dtype).triu(1)
    mixed = []
    for begin in range(0, query.shape[2], _BLOCK):
        block = grouped[:, :, :, begin : begin + _BLOCK]
        rows = block.shape[3]
        end = begin + rows
        scores = (block.flatten(2, 3) @ key[:, :, :end].transpose(-1, -2)).unflatten(2, (repeats, rows))
        bias = nn.functional.pad(later[:rows, :rows], (begin, 0))
        weights = torch.softmax(scores + bias, dim=-1).to(value.dtype)
        mixed.append((weights.flatten(2, 3) @ value[:, :, :end]).unflatten(2, (repeats, rows)))
    return torch.cat(mixed, dim=3).flatten(1, 2).transpose(1, 2), None


def _windowed(query: Tensor, key: Tensor, value: Tensor, window: int, repeats: int, scaling: float) -> Tensor:
    """Each block of `window` queries looks at its own keys and those of the block before."""
    length = query.shape[2]
    spare = -length % window
    blocks = (length + spare) // window
    pad = nn.functional.pad
    query = pad(query * scaling, (0, 0, 0, spare)).unflatten(2, (blocks, window))

    def with_the_block_before(x: Tensor) -> Tensor:
        x = pad(x, (0, 0, window, spare)).unflatten(2, (blocks + 1, window))
        return torch.cat([x[:, :, :-1], x[:, :, 1:]], dim=3).repeat_interleave(repeats, dim=1)

    at = torch.arange(window, device=query.device)[:, None]
    looks_at = torch.arange(-window, window, device=query.device)
    seen = ((looks_at <= at) & (looks_at > at - window)).expand(blocks, -1, -1).clone()
    seen[0, :, :window] = False  # nothing lies before the first block
    scores = query @ with_the_block_before(key).transpose(-1, -2)
    bias = torch.zeros(seen.shape, dtype=scores.dtype, device=scores.device).masked_fill(~seen, -torch.inf)
    mixed = torch.softmax(scores + bias, dim=-1) @ with_the_block_before(value)
    return mixed.flatten(2, 3)[:, :, :length]


def short_sequences(tower: AudioTower) -> contextlib.AbstractContextManager:
    """Choose the kernel that is fastest for the encoder's twenty frames a chunk: one for a tower that learns now."""
    learns = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in tower.layers.parameters())
    return sdpa_kernel(SDPBackend.MATH) if learns and tower.device.type == 'cpu' else contextlib.nullcontext()


AttentionInterface.register(NAME, attend)
AttentionInterface.register(BLOCKS, attend_by_blocks)
