"""A Hugging Face directory of Qwen2.5-Omni: the thinker's audio tower and text model, with control tokens to train.

The released control ids are rare words of Qwen's vocabulary, or its own marks (`<|im_start|>` begins a response,
`<|endoftext|>` ends one, `<|audio_bos|>` begins a chunk). Marks stay as they are. A rare word gets the mean of the
embeddings, and of the output rows, of the plain words that name its role, so it begins near its meaning and no two
begin alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from transformers import Qwen2Config

from audio_interaction_ros.model.checks import read_tokenizer
from audio_interaction_ros.model.control_tokens import with_control_rows, words_of_roles
from audio_interaction_ros.model.convert_source import (
    RELEASED_PROTOCOL,
    Tensors,
    WeightsSource,
    chunkwise,
    read_omni_config,
)
from audio_interaction_ros.model.weights import open_weights

_EMBEDDINGS, _OUTPUT = 'model.embed_tokens.weight', 'lm_head.weight'
_MARKS = (RELEASED_PROTOCOL.system, RELEASED_PROTOCOL.response, RELEASED_PROTOCOL.eos, RELEASED_PROTOCOL.chunk_begin)


def is_omni(directory: Path) -> bool:
    """Return whether a directory is one of Qwen2.5-Omni, as Hugging Face has them."""
    try:
        config = json.loads((directory / 'config.json').read_text())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get('model_type') == 'qwen2_5_omni'


def open_omni(directory: Path) -> WeightsSource:
    """Open the directory and leave the weights on disk; raise CheckpointError for files that are missing or damaged."""
    thinker = read_omni_config(directory).thinker_config
    text = thinker.text_config
    tokenizer = directory / 'tokenizer.json'
    words = words_of_roles(RELEASED_PROTOCOL, read_tokenizer(tokenizer), _MARKS)

    def rename(tensors: Mapping[str, Tensor]) -> Tensors:
        for name in tensors:
            if name in (_EMBEDDINGS, _OUTPUT):
                yield name, _with_control_rows(tensors[name], words)
            elif name.startswith('model.'):  # the rest hears and sees
                yield name, tensors[name]
        if _OUTPUT not in tensors and _EMBEDDINGS in tensors:  # one table for both; here each half has its own
            yield _OUTPUT, _with_control_rows(tensors[_EMBEDDINGS], words)

    return WeightsSource(
        layout='Qwen2.5-Omni, Hugging Face',
        audio_config=chunkwise(thinker.audio_config),
        text_config=Qwen2Config(
            vocab_size=text.vocab_size,
            hidden_size=text.hidden_size,
            intermediate_size=text.intermediate_size,
            num_hidden_layers=text.num_hidden_layers,
            num_attention_heads=text.num_attention_heads,
            num_key_value_heads=text.num_key_value_heads,
            hidden_act=text.hidden_act,
            max_position_embeddings=text.max_position_embeddings,
            rms_norm_eps=text.rms_norm_eps,
            # Text and sound have the same position on all of its axes, so plain rotary positions are its own.
            rope_parameters={'rope_theta': text.rope_parameters['rope_theta'], 'rope_type': 'default'},
            tie_word_embeddings=False,
        ),
        tokenizer=tokenizer,
        silent_between_chunks=False,
        control_tokens='not trained: means of the embeddings of the words that name them',
        encoder=open_weights(directory, 'thinker.audio_tower.'),
        language=open_weights(directory, 'thinker.'),
        rename=rename,
    )


def _with_control_rows(table: Tensor, words: Mapping[int, list[int]]) -> Tensor:
    """Return a copy of [vocabulary, width] with the rows of the control tokens set."""
    if len(table) <= max(words):
        return table  # too small for the protocol, which is said where control tokens are checked
    return with_control_rows(table, words)
