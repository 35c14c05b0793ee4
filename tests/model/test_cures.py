"""A checkpoint that is refused is loaded once it is mended as the sentence says."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_interaction_ros.model.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    find_checkpoint,
    load_decoder,
    load_encoder,
)
from audio_interaction_ros.model.convert import convert
from audio_interaction_ros.model.deciding import EventClasses, Threshold
from audio_interaction_ros.model.describe import describe
from audio_interaction_ros.model.memory import require_memory
from audio_interaction_ros.model.precision import require_device
from audio_interaction_ros.model.verify import verify
from audio_interaction_ros.model.weights import write_weights
from tests.ordinary_user import ordinary_user

Change = Callable[[Path], object]


@pytest.fixture
def directory(tmp_path, eventful_checkpoint):
    return shutil.copytree(eventful_checkpoint, tmp_path / 'checkpoint')


def config(name: str, value: object) -> Change:
    """Set what is called so in config.json, such as streaming.thresholds; None takes it out."""

    def change(directory: Path) -> None:
        said = json.loads((directory / 'config.json').read_text())
        *sections, last = name.split('.')
        place = said
        for section in sections:
            place = place[section]
        if value is None:
            del place[last]
        else:
            place[last] = value
        (directory / 'config.json').write_text(json.dumps(said))

    return change


def text(name: str, content: str) -> Change:
    return lambda directory: (directory / name).write_text(content)


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def changed(directory: Path) -> None:
        tensors = load_file(directory / 'model.safetensors')
        change(tensors)
        save_file(tensors, directory / 'model.safetensors')

    return changed


def half(prefix: str, value: float) -> Change:
    """Fill every tensor of a half."""
    return weights(lambda tensors: [tensors[name].fill_(value) for name in tensors if name.startswith(prefix)])


def in_files(directory: Path, stolen: str = '') -> None:
    """The weights in several files with an index, which goes on naming a tensor that is stolen."""
    tensors = load_file(directory / 'model.safetensors')
    (directory / 'model.safetensors').unlink()
    write_weights(directory, sorted(tensors.items()), 1 << 30)
    if stolen:
        file = directory / 'audio_tower-00001.safetensors'
        save_file({name: tensor for name, tensor in load_file(file).items() if name != stolen}, file)


def with_bad_index(directory: Path) -> None:
    in_files(directory)
    (directory / 'model.safetensors.index.json').write_text('{}')


def with_nothing_finite(prefix: str, digest: str) -> Change:
    """NaN in the weights and, as no damage does, their digest in config.json: a training that went wrong."""

    def change(directory: Path) -> None:
        half(prefix, float('nan'))(directory)
        try:
            load_encoder(directory) if prefix == 'audio_tower.' else None
            problem = ' '.join(verify(directory))
        except CheckpointError as error:
            problem = str(error)
        config(digest, re.search(r'has digest (\w+)', problem)[1])(directory)

    return change


HALVES = (load_encoder, load_decoder)
FIRST_OF_TOWER = 'audio_tower.conv1.bias'


def loaded(directory: Path) -> None:
    """Raises CheckpointError where anything at all is wrong."""
    describe(directory)
    for load in HALVES:
        load(directory)
    verified(directory)


def verified(directory: Path) -> None:
    if problems := verify(directory):
        raise CheckpointError(' '.join(problems))


@pytest.mark.cures(
    'thresholds lack {sorted}; give one for each of',
    "'{path}' is damaged; restore it",
    "'{path}' is damaged or of another format; restore it",
    'is mixed from two checkpoints, restore it',
    'describes no encoder; restore it',
    'describes no language model; restore it',
    'the checkpoint is damaged or mixed from two, restore it',
    'is of another kind of model ({kind})',
    '(no format_version is in it); copy or download the checkpoint again',
    'update the package, or take a checkpoint that was made for it',
    'update the package or, if they were put in by hand, take them out',
    'expected; restore the checkpoint',
    "'{path}' cannot be read; restore it",
    "'{directory}' is damaged; restore it",
    'is not a token protocol; copy or download the checkpoint again',
    'restore its weights',
    'restore the checkpoint or convert it again',
    'is no index of weight files; restore it',
    'take unquantised weights',
    'holds weights in the format GGUF',
)
@pytest.mark.parametrize(
    ('spoil', 'sentence', 'mend'),
    [
        (config('streaming.thresholds', {}), 'give one for each of warning, remark, asked', None),
        (config('streaming.thresholds', {}), 'give one for each of', config('streaming.thresholds', {
            kind: {'at_once': 0.5, 'twice': 0.4} for kind in ('warning', 'remark', 'asked')
        })),
        (text('config.json', '{'), r"config\.json' is damaged; restore it", None),
        (config('encoder_digest', None), r"config\.json' is damaged or of another format; restore it", None),
        (config('text_config.hidden_size', 64), 'is mixed from two checkpoints, restore it', None),
        (config('audio_config.d_model', -1), 'audio_config in config.json describes no encoder; restore it', None),
        (config('text_config.hidden_size', -1), 'describes no language model; restore it', None),
        (config('encoder_digest', '0' * 16), 'damaged or mixed from two, restore it', None),
        (text('config.json', '{"model_type": "whisper"}'), r'kind of model \(whisper\).*convert one', None),
        (config('format_version', None), 'no format_version is in it.; copy or download the checkpoint again', None),
        (config('format_version', 99), 'update the package, or take a checkpoint that was made for it', None),
        (config('streaming.mood', 1), 'in by hand, take them out', config('streaming.mood', None)),
        (weights(lambda tensors: tensors.pop(FIRST_OF_TOWER)), 'expected; restore the checkpoint', None),
        (text('tokenizer.json', '{'), r"tokenizer\.json' cannot be read; restore it", None),
        (text('protocol.json', '{'), "is not a token protocol; copy or download the checkpoint again", None),
        (text('protocol.json', '{'), "checkpoint' is damaged; restore it", None),
        (text('recipe.yaml', '{'), "checkpoint' is damaged; restore it", None),
        (with_nothing_finite('audio_tower.', 'encoder_digest'), 'encoder .* NaN .*; restore its weights', None),
        (with_nothing_finite('language_model.', 'language_digest'), 'language model .*; restore its weights', None),
        (lambda there: in_files(there, FIRST_OF_TOWER), 'restore the checkpoint or convert it again', None),
        (with_bad_index, 'is no index of weight files; restore it', None),
        (weights(lambda tensors: tensors.update(
            {FIRST_OF_TOWER: tensors[FIRST_OF_TOWER].to(torch.int8)})), 'take unquantised weights', None),
        (text('model.safetensors', 'GGUF'), 'in the format GGUF; take the same weights as .safetensors', None),
    ],
)  # fmt: skip
def test_a_checkpoint_that_was_mended_as_was_said_is_loaded(directory, eventful_checkpoint, spoil, sentence, mend):
    spoil(directory)
    said = []
    for look in (describe, *HALVES, verified):
        try:
            look(directory)
        except CheckpointError as error:
            said.append(str(error))
    assert any(re.search(sentence, ' '.join(each.split())) for each in said), said
    if mend is None:  # restored
        shutil.rmtree(directory)
        shutil.copytree(eventful_checkpoint, directory)
    else:
        mend(directory)
    loaded(directory)


@pytest.mark.cures('streaming.warning_agreement needs the event head')
def test_a_checkpoint_without_event_head_asks_no_agreement(tmp_path, tiny_checkpoint):
    directory = shutil.copytree(tiny_checkpoint, tmp_path / 'checkpoint')
    config('streaming.warning_agreement', 0.5)(directory)
    with pytest.raises(CheckpointError, match='needs the event head, and there is none; set it to 0'):
        CheckpointConfig.load(directory)
    config('streaming.warning_agreement', 0)(directory)
    loaded(directory)


@pytest.mark.cures(
    'take the tokenizer that came with the weights', 'take weights and protocol from the same checkpoint'
)
def test_files_of_one_checkpoint_go_together(directory, eventful_checkpoint):
    for far, sentence in ((10**6, 'take the tokenizer that came with the weights'), (0, 'from the same checkpoint')):
        protocol = json.loads((directory / 'protocol.json').read_text())
        if far:
            protocol['response'] = far
        else:
            config('text_config.vocab_size', 200)(directory)
        (directory / 'protocol.json').write_text(json.dumps(protocol))
        with pytest.raises(CheckpointError, match=sentence):
            load_decoder(directory)
        for name in ('protocol.json', 'config.json'):
            shutil.copyfile(eventful_checkpoint / name, directory / name)
        load_decoder(directory)


@pytest.mark.cures("give a checkpoint directory or 'embedded'", 'give it to this user to read')
def test_a_checkpoint_that_is_there_and_may_be_read_is_found(tmp_path, eventful_checkpoint):
    with pytest.raises(CheckpointError, match="ships with the package; give a checkpoint directory or 'embedded'"):
        find_checkpoint('embeded')
    assert find_checkpoint('embedded').is_dir()
    assert find_checkpoint(str(eventful_checkpoint)) == eventful_checkpoint
    load_encoder(eventful_checkpoint)  # what is imported meanwhile may be root's
    with ordinary_user() as home:
        own = home / 'checkpoint'
        own.mkdir()
        usual = os.geteuid()
        os.seteuid(os.getuid())  # who may read what the fixture has written
        for file in eventful_checkpoint.iterdir():
            shutil.copyfile(file, own / file.name)
        (own / 'model.safetensors').chmod(0o600)
        os.seteuid(usual)
        if os.getuid() == usual:
            (own / 'model.safetensors').chmod(0o000)
        with pytest.raises(CheckpointError, match=r'Permission denied.*; give it to this user to read'):
            load_encoder(own)
        os.seteuid(os.getuid())
        (own / 'model.safetensors').chmod(0o644)
        os.seteuid(usual)
        load_encoder(own)


@pytest.mark.cures(
    'give each class once', 'name it there, or take it out here', 'give it one kind', 'give twice at most at_once'
)
@pytest.mark.parametrize(
    ('kind', 'wrong', 'sentence', 'right'),
    [
        (EventClasses, {'names': ('bell', 'bell')}, 'bell twice; give each class once', {'names': ('bell',)}),
        (
            EventClasses,
            {'names': ('bell',), 'warnings': ('siren',)},
            'no siren, .*; name it there, or take it out here',
            {'names': ('bell', 'siren'), 'warnings': ('siren',)},
        ),
        (
            EventClasses,
            {'names': ('bell',), 'warnings': ('bell',), 'remarks': ('bell',)},
            'bell is among the warnings and among the remarks; give it one kind',
            {'names': ('bell',), 'remarks': ('bell',)},
        ),
        (Threshold, {'twice': 0.9, 'at_once': 0.5}, 'give twice at most at_once', {'twice': 0.5, 'at_once': 0.5}),
    ],
)
def test_a_table_is_taken_when_it_is_corrected_as_was_said(kind, wrong, sentence, right):
    with pytest.raises(ValueError, match=sentence):
        kind(**wrong)
    assert kind(**right)


@pytest.mark.cures('load it as bfloat16, or take a smaller checkpoint', 'cannot be used ({reason}); give cpu')
def test_what_is_too_large_or_on_no_device_is_loaded_smaller_and_on_the_cpu():
    with pytest.raises(CheckpointError, match='close other programs, load it as bfloat16, or take a smaller'):
        require_memory(1 << 60, 'it', 'cpu')
    require_memory(1 << 20, 'it', 'cpu')
    with pytest.raises(ValueError, match=r"device 'cuda:99' cannot be used .*; give cpu"):
        require_device('cuda:99')
    require_device('cpu')


@pytest.fixture
def foreign(tmp_path, release):
    """A copy of the released directory, to spoil."""
    return shutil.copytree(release, tmp_path / 'release')


@pytest.mark.cures(
    'use it as it is',
    'expected config.json of this package, model_config.yaml of Audio-Interaction as released',
    'give a new directory, or remove it first',
    'wait for it, or remove it',
    'make room or give another directory',
    "does not describe Audio-Interaction's model; restore it",
    'is no state dict of an audio encoder; restore it',
    'take the {MODEL_CONFIG} that came with the weights',
    'is no configuration of Qwen2.5-Omni; restore it',
    'convert it first',
)
def test_a_foreign_checkpoint_that_is_mended_as_was_said_is_converted(foreign, tmp_path, eventful_checkpoint):
    ours, unfinished = tmp_path / 'ours', tmp_path / 'ours.unfinished'

    def refused(sentence: str, directory: Path = foreign, out: Path = ours) -> None:
        with pytest.raises(CheckpointError, match=sentence):
            convert(directory, out)

    refused('is a checkpoint of this package already; use it as it is', eventful_checkpoint)
    loaded(eventful_checkpoint)
    refused('is no checkpoint of a known kind; expected config.json of this package, model_config', tmp_path)
    for name, right, wrong, sentence in (
        ('model_config.yaml', b'n_layer: 2', b'n_layer: two', "describe Audio-Interaction's model; restore it"),
        ('model_config.yaml', b'n_query_groups: 2', b'n_query_groups: 4', 'take the model_config.yaml that came with'),
        ('audiointeraction_ChunkwisedEncoder.pth', b'PK', b'PX', 'is no state dict of an audio encoder; restore it'),
        ('qwen25OmniConfig/config.json', b'{', b'[', 'is no configuration of Qwen2.5-Omni; restore it'),
    ):
        whole = (foreign / name).read_bytes()
        (foreign / name).write_bytes(whole.replace(right, wrong))
        refused(sentence)
        (foreign / name).write_bytes(whole)
    unfinished.mkdir()
    refused('is what another command has in hand or a killed one left; wait for it, or remove it')
    unfinished.rmdir()
    refused('cannot be written; make room or give another directory', out=foreign / 'tokenizer.json' / 'ours')
    with pytest.raises(CheckpointError, match='convert it first: audio-interaction checkpoint convert'):
        verify(foreign)
    convert(foreign, ours)
    assert verify(ours) == []
    refused('is never overwritten; give a new directory, or remove it first')
    shutil.rmtree(ours)
    convert(foreign, ours)
