"""A card is measured by commands that run by themselves; what was measured is not measured again."""

from __future__ import annotations

import json

import pytest

from tests.tiny_checkpoint import write_tiny_checkpoint
from training.__main__ import main
from training.card import CardError
from training.card import measurements as measurements_module
from training.card.measurements import Asked, measure, measurements

SPEED_ALONE = Asked(without=frozenset({'corpus', 'demo', 'sessions'}))


def test_a_card_goes_on_where_it_was_and_measures_another_checkpoint_anew(tmp_path, monkeypatch, capfd):
    checkpoint, out = write_tiny_checkpoint(tmp_path / 'tiny'), tmp_path / 'out'
    (first,) = measure(checkpoint, SPEED_ALONE, out)
    assert first.figures['real_time_factor'] > 0 and first.figures['machine']['threads'] == 1
    assert 'cores, Python' in first.machine
    (kept,) = out.rglob('speed.json')
    assert json.loads(kept.read_text())['command'].startswith('OMP_NUM_THREADS=1 audio-interaction bench speed')

    def unexpected(*given):
        raise AssertionError(given)

    monkeypatch.setattr(measurements_module, 'run_for_json', unexpected)
    (again,) = measure(checkpoint, SPEED_ALONE, out)
    assert again == first and 'is there' in capfd.readouterr().err
    write_tiny_checkpoint(checkpoint, response_threshold=0.7)
    with pytest.raises(AssertionError):
        measure(checkpoint, SPEED_ALONE, out)
    assert kept.exists()


def test_a_command_that_fails_says_so_and_how_to_go_on(tmp_path):
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(CardError, match=r'bench speed .* ended with exit code \d.* mend it and run the same again'):
        measure(tmp_path, SPEED_ALONE, tmp_path / 'out')
    assert not list((tmp_path / 'out').rglob('*.json'))


def test_all_libraries_are_heard_in_one_run_which_depends_on_their_manifests(tmp_path):
    asked = Asked((tmp_path / 'a', tmp_path / 'b'), (tmp_path / 'c',), without=SPEED_ALONE.without | {'speed'})
    (clips,) = measurements(tmp_path, asked)
    assert clips.command.startswith(
        f'python -m training evaluate clips {tmp_path}/a {tmp_path}/b --held-out --unseen {tmp_path}/c '
    )
    (alone,) = measurements(tmp_path, Asked(unseen=(tmp_path / 'c',), without=asked.without))
    assert f'evaluate clips {tmp_path}/c --ordinary-s' in alone.command
    (tmp_path / 'config.json').write_text('{}')
    with pytest.raises(CardError, match=r'a/manifest\.csv. cannot be read .* give the folder that holds it'):
        measure(tmp_path, asked, tmp_path / 'out')


def test_bad_questions_get_a_sentence(tmp_path, capsys):
    for arguments, said in [
        ([str(tmp_path), '--beside', str(tmp_path)], 'the checkpoint itself; give another'),
        ([str(tmp_path), '--streams', '0'], 'give one or more, or leave it out for all'),
        ([str(tmp_path / 'nowhere'), '--without', 'demo'], 'config.json'),
    ]:
        assert main(['card', *arguments]) == 2
        assert said in capsys.readouterr().err
