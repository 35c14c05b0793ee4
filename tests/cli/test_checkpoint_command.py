"""checkpoint info, verify and convert: a table for people, JSON in the last line, one sentence where it fails."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from audio_interaction_ros.cli import main
from tests.model.miniatures import ROWS, Shape, draw_language_weights, write_release, write_tokenizer


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp('foreign')
    tokenizer = write_tokenizer(folder / 'tokenizer.json')
    write_release(folder / 'release', tokenizer, draw_language_weights(Shape(layers=1)), Shape(layers=1))
    return folder / 'release'


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_info_tells_what_ships(capsys):
    assert main(['checkpoint', 'info', 'embedded']) == 0
    printed = capsys.readouterr().out
    assert 'encoder_digest' in printed.rsplit('\n', 2)[0]  # in the table too
    found = json.loads(printed.splitlines()[-1])
    assert found['layout'] == 'audio_interaction_ros'
    assert found['encoder']['d_model'] == 192 and found['encoder']['dtype'] == 'float32'
    assert 3_000_000 < found['encoder']['parameters'] + found['language_model']['parameters'] < 4_000_000
    assert found['streaming']['instruction'].startswith('Listen')
    assert found['recipe']['name'] == 'embedded'
    assert found['protocol']['languages']['english'] >= 0


def test_a_release_is_told_converted_verified_and_told_again(release, tmp_path, capsys):
    assert main(['checkpoint', 'info', str(release)]) == 0
    foreign = last_line(capsys)
    assert foreign['layout'] == 'Audio-Interaction, as released'
    assert foreign['language_model']['vocab_size'] == ROWS

    out = tmp_path / 'full'
    told = ['--dtype', 'bf16', '--instruction', 'Translate what you hear.']
    assert main(['checkpoint', 'convert', str(release), str(out), *told]) == 0
    digest = last_line(capsys)['encoder_digest']

    assert main(['checkpoint', 'verify', str(out)]) == 0
    assert last_line(capsys) == {'checkpoint': str(out), 'problems': []}

    assert main(['checkpoint', 'info', str(out)]) == 0
    ours = last_line(capsys)
    assert ours['encoder_digest'] == digest
    assert ours['streaming']['instruction'] == 'Translate what you hear.'
    assert ours['protocol']['silent'] == 151605
    assert ours['language_model'] == foreign['language_model'] | {'dtype': 'bfloat16'}
    assert ours['recipe'] == yaml.safe_load((out / 'recipe.yaml').read_text())
    assert ours['recipe']['dtype'] == 'bfloat16'

    assert main(['checkpoint', 'convert', str(release), str(out)]) == 1
    assert 'never overwritten' in capsys.readouterr().err


def test_verify_says_what_is_wrong_and_fails(tiny_checkpoint, tmp_path, capsys):
    bad = shutil.copytree(tiny_checkpoint, tmp_path / 'bad')
    (bad / 'tokenizer.json').unlink()
    assert main(['checkpoint', 'verify', str(bad)]) == 1
    printed = capsys.readouterr().out.splitlines()
    (problem,) = json.loads(printed[-1])['problems']
    assert problem == printed[0] and 'tokenizer.json' in problem


@pytest.mark.parametrize('action', [['info', '{}'], ['verify', '{}'], ['convert', '{}', '{}/out']])
def test_a_directory_of_an_unknown_kind_is_one_sentence(action, tmp_path, capsys):
    assert main(['checkpoint', *(word.format(tmp_path) for word in action)]) == 1
    error = capsys.readouterr().err
    assert 'known kind' in error and 'Traceback' not in error


def test_a_directory_that_is_not_there_is_one_sentence(tmp_path, capsys):
    for action in ('info', 'verify'):
        assert main(['checkpoint', action, str(tmp_path / 'none')]) == 1
        assert "give a checkpoint directory or 'embedded'" in capsys.readouterr().err
