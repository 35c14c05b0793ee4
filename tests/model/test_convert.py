"""Whatever the layout: whole or not at all, never over another, in little memory, and every half on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open

from audio_interaction_ros.model.checkpoint import CheckpointError, load_decoder, load_encoder
from audio_interaction_ros.model.convert import convert, open_source
from audio_interaction_ros.model.weights import open_weights
from tests.model.miniatures import Shape, draw_language_weights, write_release, write_tokenizer

MIB = 2**20


def test_every_file_holds_one_half_and_no_more_than_was_asked(converted):
    index = json.loads((converted / 'model.safetensors.index.json').read_text())
    files = sorted(path.name for path in converted.glob('*.safetensors'))
    assert files == sorted(set(index['weight_map'].values()))
    assert sum(file.startswith('audio_tower-') for file in files) > 1
    assert sum(file.startswith('language_model-') for file in files) > 3
    for file in files:
        with safe_open(converted / file, framework='pt') as opened:
            names = list(opened.keys())
            sizes = [opened.get_tensor(name).nbytes for name in names]
        assert {name.split('.')[0] for name in names} == {file.split('-')[0]}
        assert len(names) == 1 or sum(sizes) <= 100_000
    assert index['metadata']['total_size'] == sum(
        outline.nbytes for outline in open_weights(converted).outlines.values()
    )


def test_each_half_loads_without_the_files_of_the_other(converted, tmp_path):
    for half, load in (('audio_tower', load_encoder), ('language_model', load_decoder)):
        alone = tmp_path / half
        alone.mkdir()
        for path in converted.iterdir():
            if path.suffix != '.safetensors' or path.name.startswith(half):
                (alone / path.name).symlink_to(path)
        load(alone)


def test_the_numbers_are_of_the_type_asked_for(release, converted, tmp_path):
    convert(release, tmp_path / 'half', torch.bfloat16)
    assert {outline.dtype for outline in open_weights(tmp_path / 'half').outlines.values()} == {torch.bfloat16}
    stored = load_decoder(tmp_path / 'half').language_model
    assert stored.dtype == torch.bfloat16
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        model = load_decoder(converted, dtype=dtype).language_model
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
        tower = load_encoder(converted, dtype=dtype).encoder.audio_tower
        assert {parameter.dtype for parameter in tower.parameters()} == {dtype}
    exact = load_decoder(converted).language_model
    for name, parameter in stored.named_parameters():
        assert torch.equal(parameter, exact.get_parameter(name).bfloat16())


def test_a_directory_is_never_overwritten(release, converted, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in converted.iterdir()}
    with pytest.raises(CheckpointError, match='never overwritten'):
        convert(release, converted)
    assert before == {path.name: path.stat().st_mtime_ns for path in converted.iterdir()}


def test_a_failed_conversion_leaves_nothing(release, tmp_path):
    def fail_at_the_tenth(tensors, total):
        for number, pair in enumerate(tensors):
            if number == 10:
                raise OSError(28, 'No space left on device')
            yield pair

    with pytest.raises(CheckpointError, match='No space left'):
        convert(release, tmp_path / 'ours', shard_bytes=100_000, track=fail_at_the_tenth)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from audio_interaction_ros.model.convert import convert
def kill_at_the_end(tensors, total):
    yield from tensors
    os.kill(os.getpid(), signal.SIGKILL)
convert(Path(sys.argv[1]), Path(sys.argv[2]), shard_bytes=100_000, track=kill_at_the_end)
"""


@pytest.mark.slow
def test_what_a_killed_conversion_leaves_is_no_checkpoint(release, tmp_path):
    out = tmp_path / 'ours'
    done = subprocess.run([sys.executable, '-c', KILLED, release, out], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not out.exists()
    left = tmp_path / 'ours.unfinished'
    assert any(left.glob('*.safetensors'))
    with pytest.raises(CheckpointError, match=r'config\.json is missing'):
        load_decoder(left)
    with pytest.raises(CheckpointError, match='known kind'):
        open_source(left)
    with pytest.raises(CheckpointError, match='remove it'):
        convert(release, out)


def test_a_tokenizer_without_the_control_tokens_is_refused(release, tmp_path):
    bad = tmp_path / 'bad'
    bad.mkdir()
    for path in release.iterdir():
        (bad / path.name).symlink_to(path)
    (bad / 'tokenizer.json').unlink()
    write_tokenizer(bad / 'tokenizer.json', words=1_000)
    with pytest.raises(CheckpointError, match=r'no token 151602, which the protocol needs as chunk_end'):
        convert(bad, tmp_path / 'ours')
    (bad / 'tokenizer.json').unlink()
    with pytest.raises(CheckpointError, match=r'tokenizer\.json'):
        convert(bad, tmp_path / 'ours')


def test_a_directory_of_an_unknown_kind_says_what_is_known(tmp_path, tiny_checkpoint):
    (tmp_path / 'config.json').write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match=r'another kind of model .llama., a checkpoint of this package expected'):
        load_decoder(tmp_path)
    (tmp_path / 'config.json').unlink()
    with pytest.raises(CheckpointError, match=r'model_type qwen2_5_omni'):
        convert(tmp_path, tmp_path / 'ours')
    with pytest.raises(CheckpointError, match='already'):
        convert(tiny_checkpoint, tmp_path / 'ours')


MEASURED = """
import sys
from pathlib import Path
import torch
from audio_interaction_ros.model.checkpoint import load_decoder
from audio_interaction_ros.model.convert import convert

def status(name):
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def peak_of(action):
    before = status('VmRSS')
    Path('/proc/self/clear_refs').write_text('5')
    kept = action()
    return status('VmHWM') - before, kept

torch.set_num_threads(1)
source, out, warm = (Path(argument) for argument in sys.argv[1:4])
convert(source, warm, shard_bytes=int(sys.argv[4]))  # what code and libraries take themselves
load_decoder(warm)
print(peak_of(lambda: convert(source, out, shard_bytes=int(sys.argv[4])))[0])
print(peak_of(lambda: load_decoder(out))[0])
"""


@pytest.mark.slow
def test_converting_takes_the_memory_of_two_shards_and_loading_that_of_the_model(tmp_path, qwen_tokenizer):
    shape, shard_bytes = Shape(layers=20, inner=16_384), 20 * MIB
    write_release(tmp_path / 'release', qwen_tokenizer, draw_language_weights(shape), shape)
    total = sum(path.stat().st_size for path in (tmp_path / 'release').glob('*.safetensors'))
    arguments = [tmp_path / 'release', tmp_path / 'ours', tmp_path / 'warm', str(shard_bytes)]
    done = subprocess.run(
        [sys.executable, '-c', MEASURED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        # Memory that glibc keeps back for later would be counted.
        env=os.environ | {'MALLOC_MMAP_THRESHOLD_': '65536', 'MALLOC_TRIM_THRESHOLD_': '65536'},
    )
    assert done.returncode == 0, done.stderr
    converting, loading = (int(line) for line in done.stdout.split())
    print(f'{total / MIB:.0f} MiB in all: converting {converting / MIB:.0f}, loading {loading / MIB:.0f}')
    assert len(list((tmp_path / 'ours').glob('language_model-*.safetensors'))) >= 8
    assert total > 140 * MIB
    assert converting < 2 * shard_bytes + 16 * MIB
    assert loading < total + 1.5 * shard_bytes
