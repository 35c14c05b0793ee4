"""The same weights read from every layout are the same tensors, and what cannot be read is refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import gguf
import pytest
import torch

from audio_interaction_ros.model.base_weights import WHISPER_POSITIONS, sha256_of
from tests.training.parts.miniature import (
    as_ctranslate2,
    as_gguf,
    as_openai,
    as_safetensors,
    llama_part,
    whisper_part,
)
from training.parts import PartsError, network
from training.parts.layouts import ctranslate2, gguf_file, layout_of, openai, safetensors_files

WHISPER, LLAMA = whisper_part(), llama_part()


def _whisper_in(layout: str, state, folder: Path):
    if layout == 'safetensors':
        file = as_safetensors(state, folder / 'hub') / 'model.safetensors'
        return file, safetensors_files.read([file])
    if layout == 'openai':
        file = as_openai(state, folder / 'mini.pt')
        return file, openai.read(file)
    file = as_ctranslate2(state, folder / 'model.bin')
    return file, ctranslate2.read(file)


@pytest.mark.parametrize('layout', ['safetensors', 'openai', 'ctranslate2'])
def test_whisper_has_the_same_tensors_and_one_digest_in_every_layout(layout, whisper, tmp_path):
    file, read = _whisper_in(layout, whisper.state_dict(), tmp_path)
    assert layout_of(file) == layout
    tensors = network.canonical(WHISPER, read, str(file))
    assert tensors.keys() == whisper.state_dict().keys()
    assert all(torch.equal(tensors[name].float(), tensor) for name, tensor in whisper.state_dict().items())
    assert sha256_of(tensors) == sha256_of(whisper.state_dict())


def test_the_digest_sees_one_changed_value(whisper):
    changed = {name: tensor.clone() for name, tensor in whisper.state_dict().items()}
    changed['decoder.layers.0.fc1.bias'][3] += 0.01
    assert sha256_of(changed) != sha256_of(whisper.state_dict())


def test_a_llama_from_gguf_computes_what_it_was_written_from(llama, tmp_path):
    file = as_gguf(llama.state_dict(), tmp_path / 'mini.gguf')
    assert layout_of(file) == 'gguf'
    tensors = network.canonical(LLAMA, gguf_file.read(file).tensors, str(file))
    again = type(llama)(network.config_of(LLAMA)).eval()
    again.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    ids = torch.tensor([[1, 17, 42, 99, 5]])
    with torch.no_grad():
        assert torch.allclose(again(ids).logits, llama(ids).logits, atol=1e-5)


def test_quantised_weights_are_dequantised_to_near_the_original(llama, tmp_path):
    file = as_gguf(llama.state_dict(), tmp_path / 'mini.gguf', kind=gguf.GGMLQuantizationType.Q8_0)
    tensors = gguf_file.read(file).tensors
    for name, tensor in llama.state_dict().items():
        if name != 'lm_head.weight':
            assert (tensors[name] - tensor).abs().max() <= tensor.abs().max() / 200


def test_the_tokenizer_of_a_gguf_keeps_digits_apart_and_specials_whole(llama, tmp_path):
    file = as_gguf(llama.state_dict(), tmp_path / 'mini.gguf')
    tokenizer = gguf_file.tokenizer_of(gguf_file.read(file).fields, file)
    ids = tokenizer('<|im_start|>he 12')['input_ids']
    assert tokenizer.convert_ids_to_tokens(ids) == ['<|im_start|>', 'he', 'Ġ', '1', '2']  # though 1 2 is a merge
    assert tokenizer.decode(ids) == '<|im_start|>he 12'
    assert (tokenizer.bos_token, tokenizer.eos_token) == ('<|im_start|>', '<|im_end|>')
    assert tokenizer.chat_template


@pytest.mark.parametrize('layout', ['safetensors', 'openai', 'ctranslate2'])
@pytest.mark.parametrize('share', [0.3, 0.95, 0.999])
def test_a_file_of_whisper_that_is_cut_off_is_refused(layout, share, whisper, tmp_path):
    file, _ = _whisper_in(layout, whisper.state_dict(), tmp_path)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    reads = {'safetensors': lambda: safetensors_files.read([file]), 'openai': lambda: openai.read(file)}
    with pytest.raises(PartsError, match=r'(cut off|cannot be read).*fetch it again$'):
        reads.get(layout, lambda: ctranslate2.read(file))()


@pytest.mark.parametrize('share', [0.02, 0.3, 0.95])
def test_a_gguf_that_is_cut_off_is_refused(share, llama, tmp_path):
    file = as_gguf(llama.state_dict(), tmp_path / 'mini.gguf')
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(PartsError, match=r'cut off or no GGUF file .*fetch it again$'):
        gguf_file.read(file)


def test_a_gguf_of_another_network_is_named(llama, tmp_path):
    file = as_gguf(llama.state_dict(), tmp_path / 'mini.gguf', architecture='mamba')
    with pytest.raises(PartsError, match='network of kind mamba, a llama expected'):
        gguf_file.read(file)


def test_quantised_whisper_is_refused_with_what_to_take(whisper, tmp_path):
    file = as_ctranslate2(whisper.state_dict(), tmp_path / 'model.bin', dtype=1)
    with pytest.raises(PartsError, match=r'as torch.int8, floating point expected; take weights .*float16'):
        ctranslate2.read(file)


def test_no_code_in_a_pt_is_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / 'was-run',))

    torch.save({'model_state_dict': Evil()}, tmp_path / 'evil.pt')
    with pytest.raises(PartsError, match='code in it is never run'):
        openai.read(tmp_path / 'evil.pt')
    assert not (tmp_path / 'was-run').exists()


def test_a_pt_without_a_state_dictionary_is_no_whisper(tmp_path):
    torch.save({'other': torch.zeros(2)}, tmp_path / 'other.pt')
    with pytest.raises(PartsError, match='no model_state_dict'):
        openai.read(tmp_path / 'other.pt')


def test_a_file_of_an_unknown_layout_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / 'model.bin').write_bytes(b'RIFF1234WAVEfmt ')
    with pytest.raises(PartsError, match=r'unknown layout: a safetensors file.*GGUF.*expected'):
        layout_of(tmp_path / 'model.bin')


def test_weights_of_another_size_say_which_tensor_differs(whisper):
    wider = whisper_part(config=WHISPER.config | {'vocab_size': 41})
    message = re.escape('decoder.embed_tokens.weight is [40, 16], [41, 16] expected')
    with pytest.raises(PartsError, match=message):
        network.canonical(wider, whisper.state_dict(), 'mini')


def test_positions_that_are_no_sinusoids_are_refused(whisper):
    state = whisper.state_dict() | {WHISPER_POSITIONS: torch.zeros(20, 16)}
    with pytest.raises(PartsError, match='position embeddings'):
        network.canonical(WHISPER, state, 'mini')


def test_values_that_do_not_fit_are_refused(whisper):
    state = whisper.state_dict() | {'encoder.conv1.bias': torch.full((16,), 1e6)}
    with pytest.raises(PartsError, match=r'encoder.conv1.bias that are no finite float16'):
        network.canonical(WHISPER, state, 'mini')
