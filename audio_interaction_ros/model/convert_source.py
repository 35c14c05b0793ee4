"""What a foreign checkpoint becomes, whatever its layout: the converter reads nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import Qwen2_5OmniConfig, Qwen2Config
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig

from audio_interaction_ros.audio.logmel import FRAMES_PER_CHUNK
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, CheckpointError, Weights

# As in the release; they lie inside Qwen's padded vocabulary, so no embedding table needs to grow.
RELEASED_PROTOCOL = Protocol(
    online=151609,
    offline=151610,
    system=151644,
    chunk_begin=151647,
    chunk_end=151602,
    audio=151608,
    silent=151605,
    response=151644,
    eos=151643,
    languages={'english': 151611},
    emotions={
        'happy': 151614,
        'sad': 151615,
        'angry': 151616,
        'surprise': 151617,
        'normal': 151618,
        'urgent': 151619,
    },
)

Tensors = Iterator[tuple[str, Tensor]]


@dataclass(frozen=True)
class WeightsSource:
    """A `WeightsSource` is a foreign checkpoint, opened: configurations, and tensors that are read one at a time.

    `rename` turns the language model's stored names, packing and values into those of `Qwen2ForCausalLM`; it works on
    outlines as on tensors. `control_tokens` says where their embeddings come from.
    """

    layout: str
    audio_config: Qwen2_5OmniAudioEncoderConfig
    text_config: Qwen2Config
    tokenizer: Path
    silent_between_chunks: bool
    control_tokens: str
    encoder: Mapping[str, Tensor]
    language: Weights
    rename: Callable[[Mapping[str, Tensor]], Tensors]

    def tensors(self) -> Tensors:
        """Yield every tensor under its name in a checkpoint of this package, the encoder's first."""
        return self._named(self.encoder, self.language)

    def outlines(self) -> dict[str, Tensor]:
        """Return what `tensors` yields without data, on the `meta` device."""
        encoder = {name: tensor.to('meta') for name, tensor in self.encoder.items()}
        return dict(self._named(encoder, self.language.outlines))

    def _named(self, encoder: Mapping[str, Tensor], language: Mapping[str, Tensor]) -> Tensors:
        for name in sorted(encoder):
            yield ENCODER_PREFIX + name, encoder[name]
        for name, tensor in self.rename(language):
            yield LANGUAGE_PREFIX + name, tensor


def read_omni_config(directory: Path) -> Qwen2_5OmniConfig:
    """Read config.json of a Qwen2.5-Omni directory, old or new; raise CheckpointError for any other."""
    path = directory / 'config.json'
    try:
        return Qwen2_5OmniConfig.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, AttributeError, StrictDataclassError) as error:
        raise CheckpointError(f"'{path}' is no configuration of Qwen2.5-Omni; restore it: {error}") from error


def chunkwise(audio_config: Qwen2_5OmniAudioEncoderConfig) -> Qwen2_5OmniAudioEncoderConfig:
    """Return the same tower with 400 ms chunks: `n_window` changes what sees what, and no weight."""
    values: dict[str, Any] = audio_config.to_dict() | {'n_window': FRAMES_PER_CHUNK // 2}
    return Qwen2_5OmniAudioEncoderConfig.from_dict(values)
