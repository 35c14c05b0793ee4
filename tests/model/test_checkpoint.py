"""A checkpoint loads as it was saved, or says what is wrong with it."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_interaction_ros.model import checkpoint as checkpoint_module
from audio_interaction_ros.model.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    EncoderHalf,
    digest_of,
    find_checkpoint,
    load_decoder,
    load_encoder,
)
from audio_interaction_ros.model.checkpoint_format import PACKAGE_OF_FORMAT
from audio_interaction_ros.model.deciding import Sounding
from audio_interaction_ros.model.describe import describe
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.precision import open_decoder
from audio_interaction_ros.model.protocol import Protocol, ProtocolError
from audio_interaction_ros.model.shapes import TextConfig
from audio_interaction_ros.model.verify import verify
from tests.tiny_checkpoint import DIM, EVENTS, OTHER_FAMILIES, make_protocol, make_tokenizer, write_tiny_checkpoint

FILES = ('config.json', 'protocol.json', 'tokenizer.json', 'model.safetensors')


@pytest.fixture
def copy(tiny_checkpoint, tmp_path):
    return shutil.copytree(tiny_checkpoint, tmp_path / 'copy')


def load_both(directory):
    return load_encoder(directory), load_decoder(directory)


def test_a_checkpoint_survives_a_round_trip(tmp_path):
    one = load_both(write_tiny_checkpoint(tmp_path / 'one', seed=3))
    two = load_both(write_tiny_checkpoint(tmp_path / 'two', seed=3))
    other = load_encoder(write_tiny_checkpoint(tmp_path / 'other', seed=4))
    assert one[0].digest == two[0].digest == one[1].config.encoder_digest != other.digest
    for name, tensor in one[1].language_model.state_dict().items():
        assert torch.equal(tensor, two[1].language_model.state_dict()[name])
    assert one[1].protocol == make_protocol(make_tokenizer())
    assert one[1].tokenizer.decode(one[1].tokenizer.encode('Glass!').ids) == 'Glass!'


def test_the_recipe_travels_with_the_checkpoint(tiny_checkpoint):
    assert (tiny_checkpoint / 'recipe.yaml').read_text() == 'recipe: tiny\n'


def test_the_event_head_is_part_of_the_language_model_and_of_its_digest(eventful_checkpoint, eventful_half, tmp_path):
    head = eventful_half.language_model.event_head
    assert head.out.bias.shape == (1 + len(EVENTS.names),) and head.mean.shape == (4 * DIM,)
    assert eventful_half.config.events == EVENTS
    assert eventful_half.digest == digest_of(eventful_half.language_model.state_dict())
    assert verify(eventful_checkpoint) == []
    copy = shutil.copytree(eventful_checkpoint, tmp_path / 'copy')
    tensors = load_file(copy / 'model.safetensors')
    tensors['language_model.event_head.out.bias'] += 1.0
    save_file(tensors, copy / 'model.safetensors')
    assert 'the language model' in verify(copy)[0] and 'has digest' in verify(copy)[0]


@pytest.mark.parametrize(
    ('events', 'problem'),
    [
        ({'names': ['alarm', 'rain']}, r"do not fit .* 'event_head.out.bias' is \[5\], \[3\] expected; restore"),
        (None, r"do not fit .* 'event_head.deviation' is \[128\], no such tensor expected; restore"),
        ({'names': ['alarm', 'rain', 'rain', 'siren']}, 'name rain twice; give each class once'),
        ({'names': ['a', 'b', 'c', 'd'], 'warnings': ['e']}, 'have no e, which is among their warnings'),
        ({'names': ['a', 'b', 'c', 'd'], 'warnings': ['a'], 'remarks': ['a']}, 'a is among the warnings and among'),
        ({'names': []}, 'events.names'),
    ],
)
def test_event_classes_that_do_not_fit_the_head_or_each_other_are_refused(
    eventful_checkpoint, tmp_path, events, problem
):
    copy = shutil.copytree(eventful_checkpoint, tmp_path / 'copy')
    config = json.loads((copy / 'config.json').read_text())
    (copy / 'config.json').write_text(json.dumps(config | {'events': events}))
    with pytest.raises(CheckpointError, match=problem):
        load_decoder(copy)


@pytest.mark.parametrize(
    ('heard', 'kind', 'deserved'),
    [
        ({None: 0.9, 'siren': 0.1}, 'asked', 1.0),
        ({'siren': 0.3, 'alarm': 0.3, 'rain': 0.4}, 'warning', 0.6),  # which of two dangers it is does not matter
        ({'doorbell': 0.5, 'siren': 0.3, None: 0.2}, 'remark', 0.8),
        ({'rain': 0.6, 'siren': 0.4}, 'asked', 0.4),
    ],
)
def test_the_classes_together_say_of_what_kind_a_response_would_be(heard, kind, deserved):
    probabilities = torch.tensor([heard.get(name, 0.0) for name in (None, *EVENTS.names)])
    sounding = Sounding(EVENTS, probabilities)
    assert sounding.kind == kind
    assert sounding.deserves(kind) == pytest.approx(deserved)


@pytest.mark.parametrize('name', FILES)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_both(copy)


@pytest.mark.parametrize('name', FILES)
def test_a_damaged_file_is_named(copy, name):
    (copy / name).write_bytes(b'\x00\xffdamaged')
    with pytest.raises(CheckpointError, match=name):
        load_both(copy)


def test_weights_of_another_encoder_are_refused(copy):
    path = copy / 'model.safetensors'
    tensors = load_file(path)
    tensors['audio_tower.proj.bias'] += 1.0
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match='digest'):
        load_encoder(copy)


def test_an_encoder_is_hashed_once_for_a_process_until_its_file_changes(copy, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        checkpoint_module, 'digest_of', lambda tensors: (hashed.append(len(tensors)), digest_of(tensors))[1]
    )
    loaded = [load_encoder(copy) for _ in range(3)]
    assert len(hashed) == 1 and len({half.digest for half in loaded}) == 1
    tensors = load_file(copy / 'model.safetensors')
    tensors['audio_tower.proj.bias'] += 1.0
    save_file(tensors, copy / 'model.safetensors')
    with pytest.raises(CheckpointError, match='digest'):
        load_encoder(copy)


def test_the_language_models_digest_is_kept_with_it_and_not_computed_when_it_is_loaded(copy, monkeypatch):
    loaded = load_decoder(copy)
    monkeypatch.setattr(checkpoint_module, 'digest_of', None)  # as long as it would take: nobody calls it
    kept = json.loads((copy / 'config.json').read_text())['language_digest']
    assert load_decoder(copy).digest == kept
    monkeypatch.undo()
    assert kept == digest_of(loaded.language_model.state_dict())
    assert load_decoder(copy, dtype=torch.bfloat16).digest == kept  # it names the checkpoint, not how it is computed


def test_a_checkpoint_without_the_language_models_digest_still_says_which_it_is(copy):
    config = json.loads((copy / 'config.json').read_text())
    kept = config.pop('language_digest')
    (copy / 'config.json').write_text(json.dumps(config))
    assert load_decoder(copy).digest == kept


def test_weights_that_do_not_fit_the_configuration_are_refused(copy):
    config = json.loads((copy / 'config.json').read_text())
    config['text_config']['intermediate_size'] = 96
    (copy / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='do not fit'):
        load_decoder(copy)


def test_a_tokenizer_without_a_control_token_is_refused(copy):
    tokenizer = json.loads((copy / 'tokenizer.json').read_text())
    assert tokenizer['added_tokens'].pop()['content'] == '<|urgent|>'
    (copy / 'tokenizer.json').write_text(json.dumps(tokenizer))
    with pytest.raises(CheckpointError, match='the protocol needs as urgent'):
        load_decoder(copy)


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_read(copy):
    """A terabyte of weights that is a hole in the file: only the header and the configuration say how large it is."""
    config = json.loads((copy / 'config.json').read_text())
    width, rows = config['text_config']['hidden_size'], 2**40 // 4 // config['text_config']['hidden_size']
    config['text_config']['vocab_size'] = rows
    (copy / 'config.json').write_text(json.dumps(config))
    small = load_file(copy / 'model.safetensors')
    large = {'language_model.lm_head.weight', 'language_model.model.embed_tokens.weight'}
    header, end = {}, 0
    for name, tensor in small.items():
        shape = [rows, width] if name in large else list(tensor.shape)
        size = 4 * math.prod(shape)
        header[name] = {'dtype': 'F32', 'shape': shape, 'data_offsets': [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    with (copy / 'model.safetensors').open('wb') as file:
        file.write(len(encoded).to_bytes(8, 'little') + encoded)
        file.truncate(8 + len(encoded) + end)
    with pytest.raises(CheckpointError, match=r'needs 2048\.0 GiB'):
        load_decoder(copy)


def test_a_checkpoint_written_before_a_setting_existed_loads_with_its_default(copy):
    config = json.loads((copy / 'config.json').read_text())
    del config['log_mel'], config['streaming']['silent_between_chunks']
    (copy / 'config.json').write_text(json.dumps(config))
    encoder, decoder = load_both(copy)
    assert encoder.encoder.logmel.normalisation == 'fixed'
    assert not decoder.config.streaming.silent_between_chunks


def edit_config(directory, **changes):
    config = json.loads((directory / 'config.json').read_text())
    (directory / 'config.json').write_text(json.dumps(config | changes))
    return config


def test_a_checkpoint_of_a_later_format_says_which_package_it_needs(copy):
    edit_config(copy, format_version=99, needs_package='7.0.0', unheard_of={'of': 'later'})
    with pytest.raises(CheckpointError, match=r'format 99 and needs audio_interaction_ros 7\.0\.0 or later'):
        load_decoder(copy)


def test_a_checkpoint_without_a_format_is_refused(copy):
    edit_config(copy, format_version=None)
    with pytest.raises(CheckpointError, match='no format_version is in it'):
        load_decoder(copy)


def test_an_event_head_makes_a_checkpoint_of_format_two_and_what_is_off_is_not_written(tmp_path):
    config = json.loads((write_tiny_checkpoint(tmp_path / 'head', events=EVENTS) / 'config.json').read_text())
    assert config['format_version'] == 2 and config['events']
    config = json.loads((write_tiny_checkpoint(tmp_path / 'none') / 'config.json').read_text())
    of_two = {'events', 'thresholds', 'warning_agreement', 'layer_mix', 'left_context_chunks'}
    assert not of_two & {*config, *config['streaming'], *config['audio_config']}


@pytest.mark.parametrize('setting', [{'layer_mix': True}, {'left_context_chunks': 2}])
def test_a_setting_that_older_packages_would_pass_over_makes_a_checkpoint_of_format_two(tmp_path, setting):
    def config_of(directory, **settings):
        write_tiny_checkpoint(directory, **settings)
        return json.loads((directory / 'config.json').read_text())

    without, used = config_of(tmp_path / 'without'), config_of(tmp_path / 'used', audio_settings=setting)
    assert without['format_version'] == 1 and 'needs_package' not in without  # older packages go on reading it
    assert used['format_version'] == 2 and used['needs_package'] == PACKAGE_OF_FORMAT[2]
    config = load_encoder(tmp_path / 'used').encoder.audio_tower.config
    assert config.model_dump().items() >= setting.items()


@pytest.mark.parametrize('family', OTHER_FAMILIES)
def test_a_language_model_of_another_family_makes_a_checkpoint_of_format_three(tmp_path, family):
    """One table is stored once, and is one again when it is loaded, in eight bits and whole."""
    directory = write_tiny_checkpoint(tmp_path / 'other', text_settings=OTHER_FAMILIES[family])
    config = json.loads((directory / 'config.json').read_text())
    assert config['format_version'] == 3 and config['needs_package'] == PACKAGE_OF_FORMAT[3]
    assert verify(directory) == []
    tied = config['text_config']['tie_word_embeddings']
    assert ('language_model.lm_head.weight' in load_file(directory / 'model.safetensors')) != tied
    model, stored = (load_decoder(directory, dtype=dtype).language_model for dtype in (torch.bfloat16, None))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert model.config == TextConfig(**config['text_config'])
    shown = describe(directory)['language_model']
    assert (shown['model_type'], shown['tie_word_embeddings']) == (family, tied)
    assert shown['parameters'] == sum(parameter.numel() for parameter in stored.parameters())
    low = open_decoder(str(directory), precision='int8').language_model
    assert low.lm_head.weight.dtype == torch.int8 and low.model.embed_tokens.weight.dtype == torch.float32
    read = torch.randn(1, 12, DIM, generator=torch.Generator().manual_seed(0))
    exact, near = (engine.forward([engine.new_cache(12)], read) for engine in (Engine(stored), Engine(low)))
    assert torch.allclose(near, exact, atol=0.05 * float(exact.abs().max()))


def test_the_format_and_every_byte_of_the_shipped_configuration_stay(tmp_path):
    shipped = find_checkpoint('embedded')
    CheckpointConfig.load(shipped).save(tmp_path)
    assert (tmp_path / 'config.json').read_bytes() == (shipped / 'config.json').read_bytes()


@pytest.mark.parametrize(
    ('section', 'name'),
    [('', 'event_horizon'), ('streaming', 'treshold'), ('audio_config', 'layer_mixt'), ('text_config', 'rope_thetta')],
)
def test_an_unknown_setting_is_refused_by_name(tmp_path, section, name):
    directory = write_tiny_checkpoint(tmp_path / 'two', audio_settings={'layer_mix': True})
    config = json.loads((directory / 'config.json').read_text())
    (config[section] if section else config)[name] = 1
    (directory / 'config.json').write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=rf'does not know and would not honour: {section}\.?{name};'):
        load_both(directory)


def test_an_unknown_name_says_what_to_give(tmp_path):
    with pytest.raises(CheckpointError, match="'embedded'"):
        find_checkpoint('no-such-checkpoint')
    with pytest.raises(CheckpointError, match=r'config\.json is missing'):
        load_encoder(tmp_path)


def test_a_protocol_without_a_role_is_refused(tmp_path):
    (tmp_path / 'protocol.json').write_text('{"online": 1}')
    with pytest.raises(ProtocolError, match='silent'):
        Protocol.load(tmp_path / 'protocol.json')


def test_matrices_may_be_stored_in_sixteen_bits_and_are_computed_with_in_as_many_as_before(tmp_path):
    full = write_tiny_checkpoint(tmp_path / 'full')
    half = write_tiny_checkpoint(tmp_path / 'half', matrices=torch.float16)
    sizes = [(directory / 'model.safetensors').stat().st_size for directory in (full, half)]
    assert sizes[1] < 0.65 * sizes[0]
    for read, wanted in zip(load_both(half), load_both(full), strict=True):
        of_both = [(each.encoder.audio_tower if isinstance(each, EncoderHalf) else each.language_model).state_dict()
                   for each in (read, wanted)]  # fmt: skip
        for name, tensor in of_both[0].items():
            assert tensor.dtype is torch.float32
            exact = of_both[1][name]
            torch.testing.assert_close(tensor, exact.half().float() if exact.ndim > 1 else exact, rtol=0, atol=0)
    assert verify(half) == []


def as_git_leaves_it(weights):
    weights.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 14\n')


def as_a_failed_download_leaves_it(weights):
    weights.write_text('<!DOCTYPE html><title>Not found</title>')


def as_a_pickle(weights):
    torch.save({'weight': torch.ones(1)}, weights)


def as_a_pickle_beside(weights):
    torch.save({'weight': torch.ones(1)}, weights.with_name('pytorch_model.bin'))
    weights.unlink()


def cut(weights):
    weights.write_bytes(weights.read_bytes()[:1_000])


@pytest.mark.cures(
    'is a Git LFS pointer',
    'is a web page',
    'is a pickle of PyTorch under another name',
    'pickles are not loaded; take the same weights',
    'is not there; copy or download the whole checkpoint',
    'is damaged ({error}); copy or download',
)
@pytest.mark.parametrize(
    ('replaced', 'sentence'),
    [
        (as_git_leaves_it, 'is a Git LFS pointer, which stands for the weights; run `git lfs pull`'),
        (as_a_failed_download_leaves_it, 'is a web page, as a download that failed leaves it; download'),
        (
            as_a_pickle,
            'is a pickle of PyTorch under another name, and pickles are not loaded; take the same weights as',
        ),
        (as_a_pickle_beside, 'is not there, but pytorch_model.bin: pickles are not loaded; take the same weights as'),
        (lambda weights: weights.unlink(), 'is not there; copy or download the whole checkpoint again'),
        (cut, r'is damaged \(.*\); copy or download the checkpoint again'),
    ],
)
def test_what_is_no_weights_is_called_by_its_name_and_with_the_weights_it_loads(copy, replaced, sentence):
    weights = copy / 'model.safetensors'
    safe = weights.read_bytes()
    replaced(weights)
    with pytest.raises(CheckpointError, match=sentence):
        load_encoder(copy)
    weights.write_bytes(safe)
    assert load_encoder(copy).digest


@pytest.mark.cures('is one file of a checkpoint', 'no checkpoint at')
def test_a_path_beside_the_checkpoint_is_corrected(copy):
    with pytest.raises(CheckpointError, match='is one file of a checkpoint; give its directory') as refused:
        find_checkpoint(str(copy / 'model.safetensors'))
    assert load_encoder(find_checkpoint(str(refused.value).split("'")[-2])).digest
    with pytest.raises(CheckpointError, match='give a checkpoint directory such as') as refused:
        CheckpointConfig.load(copy.parent)
    assert load_encoder(find_checkpoint(str(refused.value).split("'")[3])).digest


def test_the_configuration_of_another_model_is_called_by_its_kind(copy):
    (copy / 'config.json').write_text('{"model_type": "bert"}')
    with pytest.raises(
        CheckpointError, match=r'another kind of model \(bert\), .*audio-interaction checkpoint convert'
    ):
        CheckpointConfig.load(copy)
