"""A random checkpoint of the shipped one's shape in miniature: real classes and files, no hearing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from audio_interaction_ros.model.checkpoint import StreamingDefaults, save_checkpoint
from audio_interaction_ros.model.deciding import EventClasses, Kind, Threshold
from audio_interaction_ros.model.encoder import ChunkEncoder
from audio_interaction_ros.model.network import EventHead, LanguageModel
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.shapes import AudioConfig, TextConfig

SPECIAL = (
    'online', 'system', 'chunk_begin', 'chunk_end', 'audio', 'silent', 'response', 'eos', 'english', 'normal', 'urgent',
)  # fmt: skip
DIM = 32
# Of other families than the shipped one's, tied and with heads of another size than their share.
OTHER_FAMILIES: dict[str, dict[str, Any]] = {
    'llama': {'model_type': 'llama', 'num_key_value_heads': 1, 'tie_word_embeddings': True},
    'qwen3': {
        'model_type': 'qwen3', 'num_hidden_layers': 2, 'head_dim': 24, 'attention_bias': True, 'sliding_window': 30,
        'max_window_layers': 1,
    },
}  # fmt: skip
EVENTS = EventClasses(names=('alarm', 'doorbell', 'rain', 'siren'), warnings=('alarm', 'siren'), remarks=('doorbell',))
MAX_CONTEXT_CHUNKS = 8


def make_tokenizer() -> Tokenizer:
    """Byte-level, no merges: every byte a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(f'<|{name}|>', special=True) for name in SPECIAL])
    return tokenizer


def make_protocol(tokenizer: Tokenizer) -> Protocol:
    ids = {name: tokenizer.token_to_id(f'<|{name}|>') for name in SPECIAL}
    emotions = {name: ids.pop(name) for name in ('normal', 'urgent')}
    languages = {'english': ids.pop('english')}
    return Protocol(**ids, languages=languages, emotions=emotions)


def make_encoder(**settings: Any) -> ChunkEncoder:
    config = AudioConfig(
        d_model=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        num_mel_bins=64,
        n_window=20,
        max_source_positions=20,
        output_dim=DIM,
        **settings,
    )
    return ChunkEncoder(config).eval()


def make_language_model(vocabulary_size: int, **settings: Any) -> LanguageModel:
    shape = {
        'hidden_size': DIM,
        'intermediate_size': 64,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'num_key_value_heads': 2,
        'vocab_size': vocabulary_size + 5,  # padded, as real ones are
        'max_position_embeddings': 2048,
    }
    config = TextConfig(**(shape | settings))
    model = LanguageModel(config)
    for name, parameter in model.named_parameters():
        if 'norm' not in name:  # wide, so that different inputs give clearly different outputs
            torch.nn.init.normal_(parameter, std=0.5) if parameter.ndim > 1 else torch.nn.init.zeros_(parameter)
    return model.eval()


def write_tiny_checkpoint(
    directory: Path,
    seed: int = 0,
    response_threshold: float = 0.5,
    max_context_chunks: int = MAX_CONTEXT_CHUNKS,
    events: EventClasses | None = None,
    audio_settings: Mapping[str, Any] | None = None,
    text_settings: Mapping[str, Any] | None = None,
    matrices: torch.dtype | None = None,
    thresholds: Mapping[Kind, Threshold] | None = None,
) -> Path:
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    language_model = make_language_model(tokenizer.get_vocab_size(), **(text_settings or {}))
    recipe = directory.parent / f'{directory.name}.yaml'
    recipe.write_text('recipe: tiny\n')
    save_checkpoint(
        directory,
        make_encoder(**(audio_settings or {})),
        language_model,
        language_model.config,
        tokenizer,
        make_protocol(tokenizer),
        StreamingDefaults(
            instruction='Warn of danger.',
            response_threshold=response_threshold,
            max_context_chunks=max_context_chunks,
            thresholds=thresholds,
        ),
        recipe,
        (events, EventHead(DIM, len(events.names))) if events else None,
        matrices,
    )
    return directory
