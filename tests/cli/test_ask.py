"""ask answers a question about a recording in one JSON line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.cli import main

NOISE = (np.random.default_rng(1).normal(0, 0.1, 20_000) * 32_767).astype(np.int16)


@pytest.fixture
def files(tmp_path):
    for name in ('yard.wav', 'question.wav'):
        soundfile.write(tmp_path / name, NOISE, 16_000, 'PCM_16')
    return [str(tmp_path / name) for name in ('yard.wav', 'question.wav')]


def test_an_answer_or_the_likeliest_option_is_printed(files, capsys, tiny_checkpoint, tmp_path):
    yard, spoken = files
    use = ['--checkpoint', str(tiny_checkpoint)]
    assert main(['ask', yard, 'What is it?', '--max-tokens', '4', *use]) == 0
    assert main(['ask', yard, '--spoken', spoken, '--option', 'a dog', '--option', 'fire', *use]) == 0
    free, chosen = map(json.loads, capsys.readouterr().out.splitlines())
    (tmp_path / 'context.json').write_text('{"place": "kitchen"}')
    knowing = ['--context', str(tmp_path / 'context.json')]
    assert main(['ask', yard, '--spoken', spoken, '--option', 'a dog', '--option', 'fire', *use, *knowing]) == 0
    assert json.loads(capsys.readouterr().out)['options'] != chosen['options']
    assert set(free) == {'file', 'question', 'answer', 'emotion', 'complete'}
    assert chosen['question'] == spoken
    assert chosen['answer'] == chosen['options'][0]['option'] in ('a dog', 'fire')
    assert sum(option['share'] for option in chosen['options']) == pytest.approx(1, abs=1e-3)


def test_the_chosen_channel_is_heard_and_damage_is_told(files, capsys, tiny_checkpoint, tmp_path):
    soundfile.write(tmp_path / 'two.wav', np.stack([NOISE[::-1], NOISE], 1), 16_000, 'PCM_16')
    (tmp_path / 'cut.wav').write_bytes((tmp_path / 'yard.wav').read_bytes()[:-10_000])
    use = ['--option', 'a dog', '--option', 'fire', '--checkpoint', str(tiny_checkpoint)]
    for name, *channels in (('yard.wav',), ('two.wav', '--channels', '1'), ('two.wav',), ('cut.wav',)):
        assert main(['ask', str(tmp_path / name), 'What?', *channels, *use]) == 0
    whole, second, both, cut = map(json.loads, capsys.readouterr().out.splitlines())
    assert second['options'] == whole['options'] != both['options']
    assert 'warnings' not in whole and 'is damaged after 0.9 s' in cut['warnings'][0]


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        ([], 'no question found, one expected; give it in words, or with --spoken FILE'),
        (['What?', '--spoken', 'q.wav'], 'two questions found, one expected; give it in words'),
        (['What?', '--max-tokens', '0'], '--max-tokens is 0; give at least 1'),
        (['What?', '--option', 'a dog'], 'give at least two, all different'),
        (['What?', '--context', 'none.json'], "'none.json' cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(files, capsys, tiny_checkpoint, arguments, sentence):
    assert main(['ask', files[0], *arguments, '--checkpoint', str(tiny_checkpoint)]) == 1
    error = capsys.readouterr().err
    assert sentence in error and 'Traceback' not in error
