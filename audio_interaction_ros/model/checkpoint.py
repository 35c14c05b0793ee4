"""A checkpoint is a directory of data: config.json, protocol.json, tokenizer.json, model.safetensors, recipe.yaml.

The encoder and the language model load apart, so each node holds only its half; the encoder's digest, kept in
config.json and carried by every embedding message, ties the halves together. The language model's digest is kept there
too, because hashing a large one takes seconds: decisions carry it as evidence of who made them. Large weights lie in
several files with an index (model/weights.py). config.json is written last: a directory without it is no checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from audio_interaction_ros.audio.logmel import Normalisation
from audio_interaction_ros.model.cache import assembled_at, is_change
from audio_interaction_ros.model.checkpoint_format import (
    PACKAGE_OF_FORMAT,
    needed_format,
    require_known,
    require_readable,
    settings_after,
)
from audio_interaction_ros.model.checks import read_tokenizer, require_control_tokens, require_fit
from audio_interaction_ros.model.deciding import KINDS, EventClasses, Kind, Threshold
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.memory import require_memory
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.plain_text import plain_ids
from audio_interaction_ros.model.protocol import Protocol, ProtocolError
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig
from audio_interaction_ros.model.weights import ENCODER_PREFIX, LANGUAGE_PREFIX, WEIGHTS, Weights, open_weights
from audio_interaction_ros.model.weights import CheckpointError as CheckpointError
from audio_interaction_ros.resources import shared_path

CONFIG, PROTOCOL, TOKENIZER, RECIPE = 'config.json', 'protocol.json', 'tokenizer.json', 'recipe.yaml'

_checked: set[tuple[str, frozenset[tuple[str, int, int, int]]]] = set()  # encoders whose weights have the digest

_BAD_SHAPE = (RuntimeError, TypeError, ValueError)


class StreamingDefaults(BaseModel):
    """Streaming defaults are the settings that the checkpoint was trained and validated with.

    `silent_between_chunks`: it never saw chunks without a control token between them, so a drain of several has a
    `silent` after each but the last.
    `thresholds`: what each kind of response takes, in place of `response_threshold`, which is then what one number for
    all of them would be; None in a checkpoint that has just the one.
    `warning_agreement`: an urgent warning is given only where the event head gives the sounds that call for one
    together at least this probability; 0 does not ask it.
    """

    model_config = ConfigDict(extra='forbid')

    instruction: str
    response_threshold: float = Field(gt=0, lt=1)
    max_context_chunks: int = Field(ge=4)
    silent_between_chunks: bool = False
    thresholds: dict[Kind, Threshold] | None = None
    warning_agreement: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode='after')
    def _every_kind_has_one(self) -> StreamingDefaults:
        if self.thresholds is not None and (lacking := set(KINDS) - set(self.thresholds)):
            raise ValueError(f'thresholds lack {sorted(lacking)}; give one for each of {", ".join(KINDS)}')
        return self

    @property
    def table(self) -> dict[Kind, Threshold]:
        """Return what each kind of response takes, which is the same for all where there is one number."""
        one = Threshold(at_once=self.response_threshold, twice=self.response_threshold)
        return dict.fromkeys(KINDS, one) if self.thresholds is None else self.thresholds

    @property
    def lowest_threshold(self) -> float:
        """Return the P(response) below which there is never a response."""
        return min(threshold.twice for threshold in self.table.values())


class _NoValues(TorchFunctionMode):
    """Within it `normal_` does nothing: PyTorch takes 3.5 s to find out that the meta device has nothing to fill."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return kwargs['tensor'] if function is nn.init.normal_ else function(*args, **kwargs)


class CheckpointConfig(BaseModel):
    """A configuration is what config.json holds: both transformers configurations and how the halves belong together.

    `encoder_digest` is compared with the weights when a process loads them for the first time, or changed.
    `language_digest` is believed, and compared by `audio-interaction checkpoint verify`; None in a checkpoint that was
    written before it was kept.
    `events` are the classes of the event head, which is part of the language model; None where there is no such head.
    `format_version` and `needs_package`, the first version of this package that reads it (None in format 1), are set
    when it is saved.
    """

    model_config = ConfigDict(extra='forbid')

    format_version: int = 1
    needs_package: str | None = None
    audio_config: dict[str, Any]
    text_config: dict[str, Any]
    encoder_digest: str
    language_digest: str | None = None
    log_mel: Normalisation = 'fixed'
    events: EventClasses | None = None
    streaming: StreamingDefaults

    @model_validator(mode='after')
    def _agreement_has_a_head(self) -> CheckpointConfig:
        if self.streaming.warning_agreement and self.events is None:
            raise ValueError('streaming.warning_agreement needs the event head, and there is none; set it to 0')
        return self

    @classmethod
    def load(cls, directory: Path) -> CheckpointConfig:
        """Read config.json; raise CheckpointError, which names the file and what to do."""
        path = directory / CONFIG
        if not path.is_file():
            below = sorted(str(config.parent) for config in directory.glob(f'*/{CONFIG}'))
            raise CheckpointError(
                f"no checkpoint at '{directory}' ({CONFIG} is missing); give a checkpoint directory"
                f"{f' such as {below[0]!r}' if below else ''}, or 'embedded' for the one that ships with the package"
            )
        try:
            said = json.loads(path.read_text())
        except ValueError as error:
            raise CheckpointError(f"'{path}' is damaged; restore it: {error}") from error
        require_readable(said, str(path))
        cls._require_known_settings(said, str(path))
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged or of another format; restore it: {error}") from error

    @classmethod
    def _require_known_settings(cls, said: dict[str, Any], where: str) -> None:
        sections: dict[str, type[BaseModel]] = {'': cls, 'streaming.': StreamingDefaults}
        if said['format_version'] > 1:  # in format 1 conversions left transformers' settings, without an effect here
            sections |= {'audio_config.': AudioConfig, 'text_config.': TextConfig}
        for section, model in sections.items():
            given = said.get(section.rstrip('.'), {}) if section else said
            if isinstance(given, dict):
                require_known(given, model.model_fields, section, where)

    def save(self, directory: Path) -> None:
        """Write config.json, as the last file of a checkpoint. Raises OSError."""
        number = needed_format(self.model_dump(mode='json', exclude={'needs_package'}))
        needs = PACKAGE_OF_FORMAT[number] if number > 1 else None
        config = self.model_copy(update={'format_version': number, 'needs_package': needs})
        text = config.model_dump_json(indent=2, exclude=settings_after(number))
        (directory / CONFIG).write_text(text + '\n')

    def require_one_width(self) -> None:
        """Raise CheckpointError unless the encoder's vectors are as wide as the language model's embeddings."""
        audio, text = self.audio_config.get('output_dim'), self.text_config.get('hidden_size')
        if audio != text:
            raise CheckpointError(
                f'the encoder gives vectors of {audio}, the language model reads {text}; {CONFIG} is mixed from two '
                'checkpoints, restore it'
            )

    def encoder_outline(self) -> ChunkEncoder:
        """Make the encoder without weights, on the `meta` device; raise CheckpointError for an impossible shape."""
        try:
            with torch.device('meta'), _NoValues():
                return ChunkEncoder(AudioConfig(**self.audio_config), self.log_mel)
        except _BAD_SHAPE as error:
            raise CheckpointError(f'audio_config in {CONFIG} describes no encoder; restore it: {error}') from error

    def language_model_outline(self) -> LanguageModel:
        """Make the language model without weights, on the `meta` device; raise as `encoder_outline`."""
        try:
            with torch.device('meta'), _NoValues():
                return LanguageModel(TextConfig(**self.text_config), len(self.events.names) if self.events else 0)
        except _BAD_SHAPE as error:
            raise CheckpointError(
                f'text_config in {CONFIG} describes no language model; restore it: {error}'
            ) from error


@dataclass(frozen=True)
class EncoderHalf:
    """An `EncoderHalf` is what `chunk_encoder` needs of a checkpoint."""

    encoder: ChunkEncoder
    digest: str


@dataclass(frozen=True)
class DecoderHalf:
    """A `DecoderHalf` is what `decoder` needs of a checkpoint."""

    language_model: LanguageModel
    tokenizer: Tokenizer
    protocol: Protocol
    config: CheckpointConfig

    @property
    def digest(self) -> str:
        """Return the language model's digest: the one kept with the checkpoint or, without one, that of the weights."""
        return self.config.language_digest or digest_of(self.language_model.state_dict())

    def instruction_prefix(self, instruction: str) -> list[int]:
        """Return the token ids that every stream starts with; raise ValueError as `plain_ids` does."""
        return self.protocol.prefix(plain_ids(self.tokenizer, instruction, self.protocol.special_ids()))


def find_checkpoint(name: str) -> Path:
    """Return a checkpoint's directory, given its path, or the name of one that ships with the package ('embedded').

    Of a change of base weights it is what was assembled of it. Raises CheckpointError when there is none.
    """
    directory = find_directory(name)
    if not is_change(directory):
        return directory
    if (assembled := assembled_at(directory)).is_dir():
        return assembled
    raise CheckpointError(
        f"'{directory}' is a change of base weights, from which no checkpoint was assembled yet; do it once, with: "
        f'audio-interaction checkpoint fetch {name}'
    )


def find_directory(name: str) -> Path:
    """Return the directory of a checkpoint, or of a change, by its path or its name; raise as `find_checkpoint`."""
    if (path := Path(name).expanduser()).is_dir():
        return path
    if Path(name).name == name and (shipped := shared_path(f'checkpoints/{name}')) and shipped.is_dir():
        return shipped
    if path.is_file() and (path.parent / CONFIG).is_file():
        raise CheckpointError(f"'{name}' is one file of a checkpoint; give its directory, '{path.parent}'")
    raise CheckpointError(
        f"checkpoint '{name}' is neither a directory nor one that ships with the package; "
        "give a checkpoint directory or 'embedded'"
    )


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits of the SHA-256 over names, shapes and bytes of `tensors`, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f'{name}{tuple(tensor.shape)}{tensor.dtype}'.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def load_encoder(directory: Path, device: str = 'cpu', dtype: torch.dtype | None = None) -> EncoderHalf:
    """Load the encoder alone, in `dtype` or as stored.

    Raises CheckpointError before anything is loaded: files missing or damaged, shapes that do not fit, weights that are
    not the ones config.json names, too little memory.
    """
    config = CheckpointConfig.load(directory)
    weights = open_weights(directory, ENCODER_PREFIX)
    encoder = config.encoder_outline()
    tower = encoder.audio_tower
    require_fit(tower, weights.outlines, directory)
    dtype = dtype or _stored_dtype(weights)
    require_memory(_bytes(weights, dtype), f"the encoder of '{directory}'", device)
    _require_digest_once(config.encoder_digest, weights, directory)
    _fill(tower, weights, device, dtype)
    return EncoderHalf(encoder.to(device).eval().requires_grad_(False), config.encoder_digest)


def load_decoder(directory: Path, device: str = 'cpu', dtype: torch.dtype | None = None) -> DecoderHalf:
    """Load the language model with its tokenizer and protocol, in `dtype` or as stored; raise as `load_encoder`."""
    config = CheckpointConfig.load(directory)
    model = config.language_model_outline()
    protocol, tokenizer = load_language(directory, model.config.vocab_size)
    weights = open_weights(directory, LANGUAGE_PREFIX)
    require_fit(model, weights.outlines, directory)
    dtype = dtype or _stored_dtype(weights)
    require_memory(_bytes(weights, dtype), f"the language model of '{directory}'", device)
    _fill(model, weights, device, dtype)
    return DecoderHalf(model.to(device).eval().requires_grad_(False), tokenizer, protocol, config)


def load_language(directory: Path, vocabulary_size: int) -> tuple[Protocol, Tokenizer]:
    """Load protocol.json and tokenizer.json; raise CheckpointError also where one lacks what the other needs."""
    try:
        protocol = Protocol.load(directory / PROTOCOL)
    except ProtocolError as error:
        raise CheckpointError(str(error)) from error
    tokenizer = read_tokenizer(directory / TOKENIZER)
    require_control_tokens(protocol, tokenizer, vocabulary_size, directory / TOKENIZER)
    return protocol, tokenizer


def require_digest(half: str, expected: str, weights: Mapping[str, Tensor], directory: Path) -> None:
    """Raise CheckpointError when `weights` do not have the digest that config.json gives for `half` (its name)."""
    if (digest := digest_of(weights)) != expected:
        raise CheckpointError(
            f"the {half} in '{directory}' has digest {digest}, {CONFIG} says {expected}; "
            'the checkpoint is damaged or mixed from two, restore it'
        )


def _require_digest_once(expected: str, weights: Weights, directory: Path) -> None:
    """Hash an encoder's weights, which takes a second a gigabyte, once for a process and as long as no file changes."""
    if (checked := (expected, weights.stamps())) not in _checked:
        require_digest('encoder', expected, weights, directory)
        _checked.add(checked)


def _stored_dtype(weights: Weights) -> torch.dtype:
    """Return one type for the whole half: the widest that is stored."""
    return reduce(torch.promote_types, {outline.dtype for outline in weights.outlines.values()})


def _bytes(weights: Weights, dtype: torch.dtype) -> int:
    return sum(outline.numel() for outline in weights.outlines.values()) * dtype.itemsize


def _fill(module: nn.Module, weights: Weights, device: str, dtype: torch.dtype) -> None:
    """Give an outline its weights, one tensor at a time. Copies: the files may change afterwards."""
    module.load_state_dict({name: weights[name].to(device, dtype, copy=True) for name in weights}, assign=True)
    assert not any(tensor.is_meta for tensor in chain(module.parameters(), module.buffers()))


def save_checkpoint(
    directory: Path,
    encoder: ChunkEncoder,
    language_model: nn.Module,
    text: TextConfig,
    tokenizer: Tokenizer,
    protocol: Protocol,
    streaming: StreamingDefaults,
    recipe: Path,
    events: tuple[EventClasses, nn.Module] | None = None,
    matrices: torch.dtype | None = None,
) -> None:
    """Write the whole directory.

    `language_model` is any of `text`'s shape with the parameter names of `LanguageModel`, transformers' one among them;
    `recipe` is the YAML file that made the model and travels with it; `events` are the event head and its classes,
    where a head is to go with a model that has none in it. `matrices`: the type in which matrices and larger tensors
    are stored, as they are where it is None. Norms and biases stay as they are, so that a half which is loaded as
    stored, in the widest type that it holds, computes as before.
    """
    directory.mkdir(parents=True, exist_ok=True)

    def stored(module: nn.Module) -> dict[str, Tensor]:
        return {
            name: (tensor.to(matrices) if matrices is not None and tensor.ndim > 1 else tensor).contiguous()
            for name, tensor in module.state_dict().items()
        }

    audio, language = stored(encoder.audio_tower), stored(language_model)
    if text.tie_word_embeddings:
        language.pop('lm_head.weight', None)  # which the table of embeddings is
    if events is not None:
        language |= {f'event_head.{name}': tensor for name, tensor in stored(events[1]).items()}
    config = CheckpointConfig(
        audio_config=encoder.audio_tower.config.model_dump(mode='json'),
        text_config=text.model_dump(mode='json'),
        encoder_digest=digest_of(audio),
        language_digest=digest_of(language),
        log_mel=encoder.logmel.normalisation,
        events=events[0] if events else None,
        streaming=streaming,
    )
    tensors = {ENCODER_PREFIX + name: tensor for name, tensor in audio.items()}
    tensors |= {LANGUAGE_PREFIX + name: tensor for name, tensor in language.items()}
    save_file(tensors, directory / WEIGHTS, metadata={'format': 'pt'})
    protocol.save(directory / PROTOCOL)
    tokenizer.save(str(directory / TOKENIZER))
    if recipe.resolve() != (directory / RECIPE).resolve():
        shutil.copyfile(recipe, directory / RECIPE)
    config.save(directory)
