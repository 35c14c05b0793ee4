"""listen prints one JSON line a file, whatever the file is."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import soundfile

from audio_interaction_ros.cli import main

# Whole numbers, which both formats keep as they are.
NOISE = (np.random.default_rng(1).normal(0, 0.1, 20_000) * 32_767).astype(np.int16)


def test_each_file_is_heard_from_a_fresh_start(tmp_path, capsys, tiny_checkpoint):
    files = [str(tmp_path / name) for name in ('one.wav', 'two.flac')]
    for file in files:
        soundfile.write(file, NOISE, 16_000, 'PCM_16')
    assert main(['listen', '--checkpoint', str(tiny_checkpoint), *files]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line['file'] for line in lines] == files
    assert [line['chunks'] for line in lines] == [4, 4]
    assert lines[0]['responses'] == lines[1]['responses']
    for response in lines[0]['responses']:
        assert set(response) == {'t_s', 'text', 'emotion', 'probability'}
        assert response['t_s'] in (0.4, 0.8, 1.2, 1.6)


def test_an_unreadable_file_is_reported_and_the_next_is_heard(tmp_path, capsys, tiny_checkpoint):
    (tmp_path / 'text.wav').write_text('not audio')
    soundfile.write(tmp_path / 'nan.wav', np.full(8_000, np.nan, np.float32), 16_000, 'FLOAT')
    soundfile.write(tmp_path / 'stereo.wav', np.stack([NOISE, NOISE], 1), 44_100, 'PCM_16')
    names = ('missing.wav', 'text.wav', 'nan.wav', 'stereo.wav')
    assert main(['listen', '--checkpoint', str(tiny_checkpoint), *(str(tmp_path / name) for name in names)]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ['error' in line for line in lines] == [True, True, True, False]
    assert lines[3]['chunks'] == 2


def test_a_missing_checkpoint_is_one_sentence(tmp_path, capsys):
    assert main(['listen', '--checkpoint', str(tmp_path / 'none'), 'a.wav']) == 1
    error = capsys.readouterr().err
    assert "give a checkpoint directory or 'embedded'" in error
    assert 'Traceback' not in error


def test_help_comes_without_loading_the_model():
    code = (
        'import sys\n'
        'from audio_interaction_ros.cli import main\n'
        'try:\n'
        '    main(["--help"])\n'
        'except SystemExit:\n'
        '    sys.exit(int(not sys.modules.keys().isdisjoint({"torch", "rclpy", "rosbags"})))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'examples:' in done.stdout


def test_a_level_that_cannot_be_right_is_said_with_the_file(tmp_path, capsys, tiny_checkpoint):
    noise = np.random.default_rng(0).normal(0, 0.05, 48_000).astype(np.float32)
    soundfile.write(tmp_path / 'well.wav', noise, 16_000)
    soundfile.write(tmp_path / 'dc.wav', noise + 0.0708, 16_000)
    names = ('well.wav', 'dc.wav')
    assert main(['listen', '--checkpoint', str(tiny_checkpoint), *(str(tmp_path / name) for name in names)]) == 0
    well, dc = map(json.loads, capsys.readouterr().out.splitlines())
    assert 'warnings' not in well
    assert 'a constant (DC) of -23 dBFS' in dc['warnings'][0]
