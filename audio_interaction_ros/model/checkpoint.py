"""A checkpoint is a directory of data: config.json, protocol.json, tokenizer.json, model.safetensors, recipe.yaml.

The encoder and the language model load apart, so each node holds only its half; the encoder's digest, kept in
config.json and carried by every embedding message, ties the halves together.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniAudioEncoderConfig

from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.protocol import Protocol, ProtocolError
from audio_interaction_ros.resources import shared_path

CONFIG, PROTOCOL, TOKENIZER, WEIGHTS, RECIPE = (
    'config.json',
    'protocol.json',
    'tokenizer.json',
    'model.safetensors',
    'recipe.yaml',
)
ENCODER_PREFIX, LANGUAGE_PREFIX = 'audio_tower.', 'language_model.'
FORMAT_VERSION = 1


class CheckpointError(ValueError):
    """The checkpoint is missing, damaged, or does not fit together."""


class StreamingDefaults(BaseModel):
    """What the checkpoint was trained and validated to be used with."""

    model_config = ConfigDict(extra='forbid')

    instruction: str
    response_threshold: float = Field(gt=0, lt=1)
    max_context_chunks: int = Field(ge=4)


class CheckpointConfig(BaseModel):
    """config.json: the two transformers configurations and how the halves belong together."""

    model_config = ConfigDict(extra='forbid')

    format_version: int
    audio_config: dict[str, Any]
    text_config: dict[str, Any]
    encoder_digest: str
    streaming: StreamingDefaults

    @classmethod
    def load(cls, directory: Path) -> CheckpointConfig:
        """Raises CheckpointError, naming the file and what to do."""
        path = directory / CONFIG
        if not path.is_file():
            raise CheckpointError(
                f"no checkpoint at '{directory}' ({CONFIG} is missing); give a checkpoint directory, "
                "or 'embedded' for the one that ships with the package"
            )
        try:
            config = cls.model_validate_json(path.read_text())
        except (ValidationError, UnicodeDecodeError) as error:
            raise CheckpointError(f"'{path}' is damaged or of another format; restore it: {error}") from error
        if config.format_version != FORMAT_VERSION:
            raise CheckpointError(
                f"'{directory}' has checkpoint format {config.format_version}, this version reads "
                f'{FORMAT_VERSION}; update the package or the checkpoint'
            )
        return config


@dataclass(frozen=True)
class EncoderHalf:
    """What `chunk_encoder` needs."""

    encoder: ChunkEncoder
    digest: str


@dataclass(frozen=True)
class DecoderHalf:
    """What `decoder` needs."""

    language_model: Qwen2ForCausalLM
    tokenizer: Tokenizer
    protocol: Protocol
    config: CheckpointConfig

    def instruction_prefix(self, instruction: str) -> list[int]:
        """Token ids every stream starts with."""
        return self.protocol.prefix(self.tokenizer.encode(instruction, add_special_tokens=False).ids)


def find_checkpoint(name: str) -> Path:
    """A path, or the name of a checkpoint that ships with the package ('embedded') → its directory.

    Raises CheckpointError when there is none.
    """
    if (path := Path(name).expanduser()).is_dir():
        return path
    if Path(name).name == name and (shipped := shared_path(f'checkpoints/{name}')) and shipped.is_dir():
        return shipped
    raise CheckpointError(
        f"checkpoint '{name}' is neither a directory nor one that ships with the package; "
        "give a checkpoint directory or 'embedded'"
    )


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes, in the order of the names; first 16 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f'{name}{tuple(tensor.shape)}{tensor.dtype}'.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def load_encoder(directory: Path, device: str = 'cpu') -> EncoderHalf:
    """Raises CheckpointError for missing or damaged files, or weights that are not the ones config.json names."""
    config = CheckpointConfig.load(directory)
    tensors = _read_tensors(directory, ENCODER_PREFIX)
    if (digest := digest_of(tensors)) != config.encoder_digest:
        raise CheckpointError(
            f"the encoder in '{directory / WEIGHTS}' has digest {digest}, {CONFIG} says "
            f'{config.encoder_digest}; the checkpoint is damaged or mixed from two, restore it'
        )
    encoder = ChunkEncoder(Qwen2_5OmniAudioEncoderConfig(**config.audio_config))
    _load_strictly(encoder.audio_tower, tensors, directory)
    return EncoderHalf(encoder.to(device).eval().requires_grad_(False), digest)


def load_decoder(directory: Path, device: str = 'cpu') -> DecoderHalf:
    """Raises CheckpointError for missing or damaged files."""
    config = CheckpointConfig.load(directory)
    try:
        protocol = Protocol.load(directory / PROTOCOL)
        tokenizer = Tokenizer.from_file(str(directory / TOKENIZER))
    except ProtocolError as error:
        raise CheckpointError(str(error)) from error
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CheckpointError(f"'{directory / TOKENIZER}' cannot be read; restore it: {error}") from error
    language_model = Qwen2ForCausalLM(Qwen2Config(**config.text_config))
    _load_strictly(language_model, _read_tensors(directory, LANGUAGE_PREFIX), directory)
    return DecoderHalf(language_model.to(device).eval().requires_grad_(False), tokenizer, protocol, config)


def _read_tensors(directory: Path, prefix: str) -> dict[str, Tensor]:
    path = directory / WEIGHTS
    try:
        with safe_open(path, framework='pt') as file:
            return {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 (safe_open is no dict)
                if name.startswith(prefix)
            }
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"'{path}' cannot be read; restore the checkpoint: {error}") from error


def _load_strictly(module: nn.Module, tensors: dict[str, Tensor], directory: Path) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"the weights in '{directory}' do not fit its {CONFIG}; restore it: {error}") from error


def save_checkpoint(
    directory: Path,
    encoder: ChunkEncoder,
    language_model: Qwen2ForCausalLM,
    tokenizer: Tokenizer,
    protocol: Protocol,
    streaming: StreamingDefaults,
    recipe: Path,
) -> None:
    """Write the whole directory; `recipe` is the YAML file that made the model and travels with it."""
    directory.mkdir(parents=True, exist_ok=True)
    audio = {name: tensor.contiguous() for name, tensor in encoder.audio_tower.state_dict().items()}
    text = {name: tensor.contiguous() for name, tensor in language_model.state_dict().items()}
    config = CheckpointConfig(
        format_version=FORMAT_VERSION,
        audio_config=encoder.audio_tower.config.to_diff_dict(),
        text_config=language_model.config.to_diff_dict(),
        encoder_digest=digest_of(audio),
        streaming=streaming,
    )
    tensors = {ENCODER_PREFIX + name: tensor for name, tensor in audio.items()}
    tensors |= {LANGUAGE_PREFIX + name: tensor for name, tensor in text.items()}
    save_file(tensors, directory / WEIGHTS, metadata={'format': 'pt'})
    (directory / CONFIG).write_text(config.model_dump_json(indent=2) + '\n')
    protocol.save(directory / PROTOCOL)
    tokenizer.save(str(directory / TOKENIZER))
    if recipe.resolve() != (directory / RECIPE).resolve():
        shutil.copyfile(recipe, directory / RECIPE)
