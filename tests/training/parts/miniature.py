"""Weights in miniature, in every layout that the parts come in."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from audio_interaction_ros.model.base_weights import WHISPER_POSITIONS
from training.parts import network
from training.parts.registry import Hub, Part, Wheel

WHISPER_SIZES = {
    'd_model': 16,
    'encoder_layers': 2,
    'decoder_layers': 1,
    'encoder_attention_heads': 2,
    'decoder_attention_heads': 2,
    'encoder_ffn_dim': 32,
    'decoder_ffn_dim': 32,
    'vocab_size': 40,
    'num_mel_bins': 8,
    'max_source_positions': 20,
    'max_target_positions': 12,
    'pad_token_id': 3,
    'bos_token_id': 3,
    'eos_token_id': 3,
    'decoder_start_token_id': 4,
}
LLAMA_SIZES = {
    'vocab_size': 262,
    'hidden_size': 32,
    'intermediate_size': 64,
    'num_hidden_layers': 2,
    'num_attention_heads': 4,
    'num_key_value_heads': 2,
    'max_position_embeddings': 64,
    'rms_norm_eps': 1e-5,
    'rope_parameters': {'rope_type': 'default', 'rope_theta': 1e5},
    'tie_word_embeddings': True,
    'bos_token_id': 1,
    'eos_token_id': 2,
    'pad_token_id': 2,
}
WHEELS = (
    Wheel('tiny-whisper-1', '1.0', {'tiny_whisper_1/one': 'model.bin'}),
    Wheel('tiny-whisper-2', '1.0', {'tiny_whisper_2/two': 'model.bin'}),
)


def whisper_part(**changes) -> Part:
    """Return a Whisper of two layers, in two wheels that no index has."""
    return Part(
        **(
            {
                'name': 'whisper-mini',
                'kind': 'whisper',
                'about': '',
                'licence': 'MIT',
                'licences': ('whisper.txt',),
                'origin': 'a test',
                'config': WHISPER_SIZES,
                'hub': Hub('nobody/whisper-mini', ('model.safetensors', 'tokenizer.json')),
                'wheels': WHEELS,
            }
            | changes
        )
    )


def llama_part(**changes) -> Part:
    """Return a Llama of two layers."""
    settings = {'name': 'llama-mini', 'kind': 'llama', 'about': '', 'licence': 'Apache-2.0', 'origin': 'a test'}
    return Part(**(settings | {'licences': ('Apache-2.0',), 'config': LLAMA_SIZES} | changes))


def network_of(part: Part) -> torch.nn.Module:
    """Return transformers' network of a part with random float16 values."""
    from transformers import LlamaForCausalLM, WhisperModel

    torch.manual_seed(1)
    made = (WhisperModel if part.kind == 'whisper' else LlamaForCausalLM)(network.config_of(part)).eval()
    with torch.no_grad():
        for name, tensor in made.named_parameters():
            if name != WHISPER_POSITIONS:
                tensor.copy_((torch.randn(tensor.shape) / 4).half())
            else:
                tensor.copy_(tensor.half())
    return made


def as_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    """Write Whisper as the hub has it: float32, with the prefix of the generating network and a tied projection."""
    folder.mkdir()
    named = {f'model.{name}': tensor.float().clone() for name, tensor in state.items()}
    named['proj_out.weight'] = state['decoder.embed_tokens.weight'].clone()
    save_file(named, folder / 'model.safetensors')
    return folder


_OPENAI = (
    ('.layers.', '.blocks.'),
    ('self_attn_layer_norm', 'attn_ln'),
    ('encoder_attn_layer_norm', 'cross_attn_ln'),
    ('final_layer_norm', 'mlp_ln'),
    ('self_attn', 'attn'),
    ('encoder_attn', 'cross_attn'),
    ('q_proj', 'query'),
    ('k_proj', 'key'),
    ('v_proj', 'value'),
    ('out_proj', 'out'),
    ('fc1', 'mlp.0'),
    ('fc2', 'mlp.2'),
    ('embed_positions.weight', 'positional_embedding'),
    ('embed_tokens', 'token_embedding'),
    ('encoder.layer_norm', 'encoder.ln_post'),
    ('decoder.layer_norm', 'decoder.ln'),
)


def as_openai(state: dict[str, Tensor], path: Path) -> Path:
    """Write Whisper as OpenAI does: a `.pt` with `dims` and `model_state_dict` in float16."""
    named = {}
    for name, tensor in state.items():
        for ours, theirs in _OPENAI:
            name = name.replace(ours, theirs)
        named[name] = tensor.half()
    torch.save({'dims': {'n_mels': 8}, 'model_state_dict': named}, path)
    return path


def as_ctranslate2(state: dict[str, Tensor], path: Path, dtype: int = 4) -> Path:
    """Write Whisper as CTranslate2 does, version 6, float16; `dtype` is what each tensor says it is."""
    stored: dict[str, Tensor] = {'decoder/activation': torch.tensor(1, dtype=torch.int8)}
    for half, layers in (('encoder', 2), ('decoder', 1)):
        for layer in range(layers):
            old, new = f'{half}.layers.{layer}', f'{half}/layer_{layer}'
            for ours, theirs in (('self_attn', 'self_attention'), ('encoder_attn', 'attention')):
                if f'{old}.{ours}.q_proj.weight' not in state:
                    continue
                rows = {
                    (part, kind): state.get(f'{old}.{ours}.{part}_proj.{kind}')
                    for part in ('q', 'k', 'v', 'out')
                    for kind in ('weight', 'bias')
                }
                rows['k', 'bias'] = torch.zeros_like(rows['q', 'bias'])
                stacks = ('qkv', ('out',)) if theirs == 'self_attention' else ('q', 'kv', ('out',))
                for number, stack in enumerate(stacks):
                    for kind in ('weight', 'bias'):
                        stored[f'{new}/{theirs}/linear_{number}/{kind}'] = torch.cat([rows[p, kind] for p in stack])
                for kind, word in (('weight', 'gamma'), ('bias', 'beta')):
                    stored[f'{new}/{theirs}/layer_norm/{word}'] = state[f'{old}.{ours}_layer_norm.{kind}']
            for kind, word in (('weight', 'gamma'), ('bias', 'beta')):
                stored[f'{new}/ffn/layer_norm/{word}'] = state[f'{old}.final_layer_norm.{kind}']
                stored[f'{new}/ffn/linear_0/{kind}'] = state[f'{old}.fc1.{kind}']
                stored[f'{new}/ffn/linear_1/{kind}'] = state[f'{old}.fc2.{kind}']
        stored[f'{half}/layer_norm/gamma'] = state[f'{half}.layer_norm.weight']
        stored[f'{half}/layer_norm/beta'] = state[f'{half}.layer_norm.bias']
        stored[f'{half}/position_encodings/encodings'] = state[f'{half}.embed_positions.weight']
    stored['decoder/embeddings/weight'] = state['decoder.embed_tokens.weight']
    for conv in ('conv1', 'conv2'):
        for kind in ('weight', 'bias'):
            stored[f'encoder/{conv}/{kind}'] = state[f'encoder.{conv}.{kind}']
    out = [struct.pack('<I', 6), _text('WhisperSpec'), struct.pack('<II', 3, len(stored))]
    for name, tensor in sorted(stored.items()):
        data = (tensor if tensor.dim() == 0 else tensor.half()).numpy().tobytes()
        out += [_text(name), struct.pack(f'<B{tensor.dim()}I', tensor.dim(), *tensor.shape)]
        out += [struct.pack('<BI', dtype if tensor.dim() else 1, len(data)), data]
    out += [struct.pack('<I', 1), _text('decoder/projection/weight'), _text('decoder/embeddings/weight')]
    path.write_bytes(b''.join(out))
    return path


def _text(text: str) -> bytes:
    return struct.pack('<H', len(text) + 1) + text.encode() + b'\x00'


_GGUF = (
    ('model.layers.', 'blk.'),
    ('input_layernorm', 'attn_norm'),
    ('post_attention_layernorm', 'ffn_norm'),
    ('self_attn.q_proj', 'attn_q'),
    ('self_attn.k_proj', 'attn_k'),
    ('self_attn.v_proj', 'attn_v'),
    ('self_attn.o_proj', 'attn_output'),
    ('mlp.gate_proj', 'ffn_gate'),
    ('mlp.up_proj', 'ffn_up'),
    ('mlp.down_proj', 'ffn_down'),
    ('model.embed_tokens', 'token_embd'),
    ('model.norm', 'output_norm'),
)


def as_gguf(
    state: dict[str, Tensor],
    path: Path,
    architecture: str = 'llama',
    kind: gguf.GGMLQuantizationType | None = None,
) -> Path:
    """Write a Llama as llama.cpp does, matrices in `kind` if one is given, with a tokenizer of bytes and specials."""
    from tokenizers.pre_tokenizers import ByteLevel

    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_head_count(LLAMA_SIZES['num_attention_heads'])
    writer.add_head_count_kv(LLAMA_SIZES['num_key_value_heads'])
    tokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', *sorted(ByteLevel.alphabet()), 'he', '12', '<x>']
    writer.add_tokenizer_model('gpt2')
    writer.add_tokenizer_pre('smollm')
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(['h e', '1 2'])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template('{{ messages[0].content }}')
    for name, tensor in state.items():
        if name == 'lm_head.weight':
            continue
        for head, count in (('q_proj', 4), ('k_proj', 2)):
            if name.endswith(f'{head}.weight'):  # pairs of neighbours in place of halves
                tensor = tensor.unflatten(0, (count, 2, -1)).transpose(1, 2).flatten(0, 2)
        for ours, theirs in _GGUF:
            name = name.replace(ours, theirs)
        values = tensor.detach().float().contiguous().numpy()
        if kind is not None and values.ndim == 2:
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
