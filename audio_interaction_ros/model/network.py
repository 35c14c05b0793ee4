"""The two networks, as modules under the parameter names that checkpoints have.

They are Qwen2.5-Omni's audio tower and a language model of the Llama and Qwen families, with the numbers of
transformers' classes (tests hold them equal), in which training sees the language model. Here they stand alone because
a node that was killed must hear again within seconds, and importing those classes takes six.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audio_interaction_ros.model.shapes import AudioConfig, RopeScaling, TextConfig
from audio_interaction_ros.model.tied import tie


@dataclass(frozen=True)
class LeftContext:
    """A `LeftContext` holds what the next chunks of some streams attend to besides themselves.

    `keys`, `values`: for each layer [streams, chunks, heads, frames, head_dim] of the newest chunks, as many as there
    were, at most `left_context_chunks`.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def chunks(self) -> int:
        """Return how many chunks of each stream are held."""
        return self.keys[0].shape[1]


class _Windows:
    """Windows give every chunk of a pass the keys and values of the chunks that it attends to, its own last.

    The chunks of each of `streams` follow one another, and follow what is in `left`. A window has `reach` chunks before
    the own; `seen`, bool [streams × chunks, reach + 1], is False where one is of another stream or of none, None where
    all count. Of each layer the newest `keep` chunks go to `keys` and `values`.
    """

    def __init__(self, streams: int, reach: int, seen: Tensor | None, left: LeftContext | None, keep: int) -> None:
        self._streams, self._reach, self._seen, self._left, self._keep = streams, reach, seen, left, keep
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def of(self, number: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return keys, values and mask of layer `number` for [streams × chunks, heads, frames, head_dim]."""
        past = (None, None) if self._left is None else (self._left.keys[number], self._left.values[number])
        keys, values = self._widened(key, past[0], self.keys), self._widened(value, past[1], self.values)
        mask = None
        if self._seen is not None:
            mask = self._seen.repeat_interleave(key.shape[2], dim=1)[:, None, None]
        return keys, values, mask

    def _widened(self, new: Tensor, past: Tensor | None, kept: list[Tensor]) -> Tensor:
        chunks = new.unflatten(0, (self._streams, -1))
        before = self._reach
        if past is not None:
            before -= past.shape[1]
            chunks = torch.cat([past, chunks], dim=1)
        if self._keep:
            kept.append(chunks[:, -self._keep :].clone())  # what is cached must not hold on to a whole pass
        if before:
            chunks = torch.cat([chunks.new_zeros(len(chunks), before, *chunks.shape[2:]), chunks], dim=1)
        windows = chunks.unfold(1, self._reach + 1, 1)  # [streams, chunks, heads, frames, head_dim, reach + 1]
        return windows.movedim(-1, 3).flatten(3, 4).flatten(0, 1)


class _AudioAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, number: int, windows: _Windows | None) -> Tensor:
        batch, time, width = x.shape
        query, key, value = (
            projection(x).view(batch, time, self.num_heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mask = None
        if windows is not None:
            key, value, mask = windows.of(number, key, value)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        projected: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, time, width))
        return projected


class _AudioLayer(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.self_attn = _AudioAttention(config.d_model, config.encoder_attention_heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, x: Tensor, number: int, windows: _Windows | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), number, windows)
        widened = nn.functional.gelu(self.fc1(self.final_layer_norm(x)))
        x = x + self.fc2(widened)
        return x


class AudioTower(nn.Module):
    """An `AudioTower` is `Qwen2_5OmniAudioEncoder` with the chunks as the batch: no chunk sees another (paper §5.3).

    With `left_context_chunks`, a chunk also attends to so many before it, in every layer. Each chunk has positions of
    its own, the same in all: the chunks that it sees are told apart by what is in them. With `layer_mix`, the outputs
    of the convolutions and of every layer are normalised, without gains of their own, and projected side by side: the
    projection weighs each dimension of each layer.
    """

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        positions = sinusoids(config.max_source_positions, config.d_model)
        self.register_buffer('positions', positions, persistent=False)
        self.audio_bos_eos_token = nn.Embedding(2, config.output_dim)  # not used; part of the weights
        self.layers = nn.ModuleList(_AudioLayer(config) for _ in range(config.encoder_layers))
        self.ln_post = nn.LayerNorm(config.d_model, elementwise_affine=not config.layer_mix)
        self.avg_pooler = nn.AvgPool1d(2, stride=2)
        projected_layers = 1 + config.encoder_layers if config.layer_mix else 1
        self.proj = nn.Linear(projected_layers * config.d_model, config.output_dim)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Return in which numbers it computes."""
        return self.conv1.weight.dtype

    def encode_chunks(self, mel: Tensor, before: Tensor, hidden_states: list[Tensor] | None = None) -> Tensor:
        """Encode log-mel, float32 [chunks, mel_bins, frames], as [chunks, frames / 4, output_dim].

        `before`, int64 [chunks]: how many chunks of its own stream stand right before each. Without
        `left_context_chunks` it has no effect. A list given as `hidden_states` gets the output of every layer,
        [chunks, frames / 2, d_model].
        """
        reach = min(self.config.left_context_chunks, len(mel) - 1)
        if reach <= 0:
            return self._encode(mel, None, hidden_states)
        back = torch.arange(reach, -1, -1, device=mel.device)
        return self._encode(mel, _Windows(1, reach, before[:, None] >= back, None, keep=0), hidden_states)

    def encode_streams(self, mel: Tensor, hidden_states: list[Tensor] | None = None) -> Tensor:
        """Encode whole streams, [streams, chunks, mel_bins, frames], as [streams, chunks, frames / 4, output_dim].

        `hidden_states` as for `encode_chunks`; [streams × chunks, frames / 2, d_model].
        """
        before = torch.arange(mel.shape[1], device=mel.device).repeat(len(mel))
        return self.encode_chunks(mel.flatten(0, 1), before, hidden_states).unflatten(0, mel.shape[:2])

    def encode_next(self, mel: Tensor, left: LeftContext | None) -> tuple[Tensor, LeftContext | None]:
        """Encode chunks that follow `left`, shapes as for `encode_streams`; return the context of the next ones too.

        `left` is None at the beginning of the streams, and always without `left_context_chunks`.
        """
        streams, chunks = mel.shape[:2]
        most = self.config.left_context_chunks
        if not most:
            return self.encode_streams(mel), None
        known = 0 if left is None else left.chunks
        reach, seen = min(most, known + chunks - 1), None
        if known < reach:
            before = known + torch.arange(chunks, device=mel.device).repeat(streams)
            seen = before[:, None] >= torch.arange(reach, -1, -1, device=mel.device)
        windows = _Windows(streams, reach, seen, left, most)
        vectors = self._encode(mel.flatten(0, 1), windows).unflatten(0, (streams, chunks))
        return vectors, LeftContext(tuple(windows.keys), tuple(windows.values))

    def _encode(self, mel: Tensor, windows: _Windows | None, hidden_states: list[Tensor] | None = None) -> Tensor:
        x = nn.functional.gelu(self.conv1(mel.to(self.dtype)))
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[: x.shape[1]].to(x.dtype)
        outputs = [x]
        for number, layer in enumerate(self.layers):
            x = layer(x, number, windows)
            outputs.append(x)
        if hidden_states is not None:
            hidden_states += outputs[1:]
        mixed = outputs if self.config.layer_mix else outputs[-1:]
        pooled = [self.ln_post(self.avg_pooler(output.transpose(1, 2)).transpose(1, 2)) for output in mixed]
        projected: Tensor = self.proj(torch.cat(pooled, dim=-1))
        return projected


def sinusoids(length: int, width: int) -> Tensor:
    """Return Whisper's positions, float32 [length, width] on the CPU.

    They are sines, then cosines, of geometrically falling frequency.
    """
    falling = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2, device='cpu').float())
    angles = torch.arange(length, device='cpu')[:, None] * falling[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class RmsNorm(nn.Module):
    """An `RmsNorm` is the root-mean-square norm, computed in float32 (Zhang and Sennrich, 2019)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [..., width]."""
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        scaled: Tensor = self.weight * normed.to(x.dtype)
        return scaled


# Takes queries, keys and values of the new positions, [sessions, n, heads, head_dim] each, keeps the latter two in the
# sessions' caches, and returns what the queries find there, [sessions, n, heads × head_dim].
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class _Attention(nn.Module):
    """An attention has the projections alone: what lies between them, the cache, is the engine's."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        queries, keys = (heads * config.head_size for heads in (config.num_attention_heads, config.num_key_value_heads))
        bias = config.model_type == 'qwen2' or config.attention_bias
        self.q_proj = nn.Linear(config.hidden_size, queries, bias)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias)
        self.o_proj = nn.Linear(queries, config.hidden_size, config.attention_bias)
        of_heads = config.model_type == 'qwen3'
        self.q_norm = RmsNorm(config.head_size, config.rms_norm_eps) if of_heads else None
        self.k_norm = RmsNorm(config.head_size, config.rms_norm_eps) if of_heads else None


class _Mlp(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return mixed


class _Layer(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = _Mlp(config)
        self.input_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        attention, normed = self.self_attn, self.input_layernorm(x)
        query, key, value = (
            projection(normed).unflatten(-1, (-1, cos.shape[-1]))
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        if attention.q_norm is not None and attention.k_norm is not None:
            query, key = attention.q_norm(query), attention.k_norm(key)
        x = x + attention.o_proj(attend(rotate(query, cos, sin), rotate(key, cos, sin), value))
        widened: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return widened


class _Body(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RmsNorm(config.hidden_size, config.rms_norm_eps)


class EventHead(nn.Module):
    """An `EventHead` tells sounds apart by the encoder's vectors of the last 3.2 s; the paper's model has none.

    A language model that is trained on few recordings learns them by heart; what looks at means and maxima alone does
    not. Output 0 is nothing, the others are the classes.
    """

    WINDOWS = (3, 8)  # chunks
    HIDDEN = 256

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        pooled = 2 * len(self.WINDOWS) * width
        self.register_buffer('mean', torch.zeros(pooled))
        self.register_buffer('deviation', torch.ones(pooled))
        self.hidden = nn.Linear(pooled, self.HIDDEN)
        self.out = nn.Linear(self.HIDDEN, 1 + classes)

    @staticmethod
    def summary(vectors: Tensor) -> Tensor:
        """Return what is kept of chunks, float32 [..., 2 × width]: mean and maximum of [..., vectors, width]."""
        vectors = vectors.float()
        return torch.cat([vectors.mean(-2), vectors.amax(-2)], dim=-1)

    @classmethod
    def pooled(cls, summaries: Tensor) -> Tensor:
        """Return what the head is given after the last of [chunks, 2 × width]: float32 [4 × width]."""
        means, highest = summaries.chunk(2, dim=-1)
        parts = [part for last in cls.WINDOWS for part in (means[-last:].mean(0), highest[-last:].amax(0))]
        return torch.cat(parts)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return logits, [..., 1 + classes], for [..., 4 × width]."""
        scaled = (pooled.to(self.mean.dtype) - self.mean) / self.deviation
        logits: Tensor = self.out(nn.functional.relu(self.hidden(scaled)))
        return logits


class LanguageModel(nn.Module):
    """A `LanguageModel` has the parameters and shapes of transformers' class for its family (`TextConfig`).

    `model/engine.py` computes with them. A tied `lm_head` is the table of embeddings, and stored as that.
    Where there are `event_classes`, an event head for them goes along with it.
    """

    def __init__(self, config: TextConfig, event_classes: int = 0) -> None:
        super().__init__()
        self.config, self.event_classes = config, event_classes
        self.model = _Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.event_head = EventHead(config.hidden_size, event_classes) if event_classes else None
        if config.tie_word_embeddings:
            tie(self)

    def stock_state(self) -> dict[str, Tensor]:
        """Return the parameters that transformers' class has too, by name."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith('event_head.')}

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return self.model.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Return in which numbers it computes."""
        return self.model.embed_tokens.weight.dtype


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn `states` to their rotary positions (Su et al., 2021), halves as Llama pairs them."""
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat((-second, first), dim=-1) * sin


def rotary(config: TextConfig, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of every position (Su et al., 2021), each [positions, head_dim]."""
    half = torch.arange(0, config.head_size, 2, device=device).float()
    falling = 1.0 / config.rope_theta ** (half / config.head_size)
    if config.rope_scaling is not None:
        falling = _slowed(falling, config.rope_scaling)
    angles = torch.arange(config.max_position_embeddings, device=device).float()[:, None] * falling[None]
    both = torch.cat([angles, angles], dim=-1)
    return both.cos().to(dtype), both.sin().to(dtype)


def _slowed(falling: Tensor, scaling: RopeScaling) -> Tensor:
    """Return the frequencies, radians a position, as `scaling` has them."""
    if scaling.rope_type == 'linear':
        return falling / scaling.factor
    low, high, positions = scaling.low_freq_factor, scaling.high_freq_factor, scaling.original_max_position_embeddings
    assert low is not None and high is not None and positions is not None  # of llama3
    turns = positions * falling / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - kept) * falling / scaling.factor + kept * falling
