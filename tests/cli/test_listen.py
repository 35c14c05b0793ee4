"""listen prints one JSON line a file, whatever the file is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audio_interaction_ros.audio.level_watch import LevelWatch
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


@pytest.mark.cures('give a JSON file in UTF-8')
def test_what_the_model_is_told_changes_what_it_makes_of_the_sound(tmp_path, capsys, talkative_checkpoint):
    soundfile.write(tmp_path / 'one.wav', NOISE, 16_000, 'PCM_16')
    context = tmp_path / 'context.json'

    def heard(*options):
        status = main(['listen', '--checkpoint', str(talkative_checkpoint), *options, str(tmp_path / 'one.wav')])
        said = capsys.readouterr()
        return [each['probability'] for each in json.loads(said.out)['responses']] if status == 0 else said.err

    told = '--context', str(context)
    assert 'context.json' in heard(*told) and 'give a JSON file in UTF-8' in heard(*told)
    context.write_text('{"place": 5}')
    assert heard(*told).startswith("audio-interaction: 'place' is a number, a text or an object")
    context.write_text('{"place": "kitchen", "expires": "1970-01-01T00:00:00Z"}')  # of a recording nobody knows when
    alone = heard()
    assert len({tuple(each) for each in (alone, heard(*told), heard('--instruction', 'Be brief.'))}) == 3
    context.write_text('{}')
    assert heard(*told) == alone


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


def test_the_chosen_channels_alone_are_heard_and_averaging_that_cancels_is_said(tmp_path, capsys, talkative_checkpoint):
    noise = np.random.default_rng(0).normal(0, 0.05, 96_000).astype(np.float32)
    soundfile.write(tmp_path / 'one.wav', noise, 16_000)
    soundfile.write(tmp_path / 'three.wav', np.stack([noise[::-1], noise, -noise], 1), 16_000)

    def heard(name, *options):
        failed = main(['listen', '--checkpoint', str(talkative_checkpoint), str(tmp_path / name), *options])
        found = json.loads(capsys.readouterr().out)
        assert failed == ('error' in found)
        return {key: value for key, value in found.items() if key != 'file'}

    assert heard('three.wav', '--channels', '1') == heard('one.wav')
    cancelled = heard('three.wav', '--channels', '1,2')['warnings']
    assert len(cancelled) == 1 and 'the 2 channels cancel' in cancelled[0] and 'take channel 1 alone' in cancelled[0]
    assert 'warnings' not in heard('three.wav', '--channels', 'mix')
    assert heard('three.wav', '--channels', 'mix') == heard('three.wav')
    assert 'channel 3 was asked for and there are 3' in heard('three.wav', '--channels', '3')['error']
    assert main(['listen', str(tmp_path / 'three.wav'), '--channels', 'left']) == 1
    assert "channels is 'left'" in capsys.readouterr().err


def test_a_file_that_was_cut_off_is_heard_up_to_there_and_the_exit_code_says_so(tmp_path, capsys, tiny_checkpoint):
    soundfile.write(tmp_path / 'cut.wav', NOISE, 16_000, 'PCM_16')
    os.truncate(tmp_path / 'cut.wav', 44 + 2 * 12_800)
    soundfile.write(tmp_path / 'whole.wav', NOISE[:12_800], 16_000, 'PCM_16')
    names = [str(tmp_path / name) for name in ('cut.wav', 'whole.wav')]
    assert main(['listen', '--checkpoint', str(tiny_checkpoint), *names]) == 1
    cut, whole = map(json.loads, capsys.readouterr().out.splitlines())
    assert 'after 0.8 s: it ends there, and its header promises 1.2 s' in cut['damaged']
    assert 'damaged' not in whole
    assert (cut['chunks'], cut['responses']) == (whole['chunks'], whole['responses'])


def test_whatever_a_file_does_to_its_reader_the_next_one_is_heard(tmp_path, capsys, tiny_checkpoint, monkeypatch):
    for name in ('one.wav', 'two.wav'):
        soundfile.write(tmp_path / name, NOISE, 16_000, 'PCM_16')
    told = LevelWatch.told

    def fails_once(self, samples, pcm):
        monkeypatch.setattr(LevelWatch, 'told', told)
        raise MemoryError('no room')

    monkeypatch.setattr(LevelWatch, 'told', fails_once)
    names = [str(tmp_path / name) for name in ('one.wav', 'two.wav')]
    assert main(['listen', '--checkpoint', str(tiny_checkpoint), *names]) == 1
    captured = capsys.readouterr()
    one, two = map(json.loads, captured.out.splitlines())
    assert 'MemoryError: no room' in one['error']
    assert two['chunks'] == 4
    assert captured.err == ''


LISTEN = (sys.executable, '-m', 'audio_interaction_ros.cli', 'listen', '--checkpoint')


@pytest.mark.parametrize('closed', ['pipe', 'terminal'])
def test_a_closed_pipe_or_terminal_ends_it_quietly(tmp_path, tiny_checkpoint, closed):
    soundfile.write(tmp_path / 'a.wav', NOISE, 16_000, 'PCM_16')
    ours, theirs = os.pipe() if closed == 'pipe' else os.openpty()
    # As under nohup: who does not ignore SIGHUP is ended by it without a word.
    ignored = (
        'import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])'
    )
    command = [sys.executable, '-c', ignored, *LISTEN, str(tiny_checkpoint), *[str(tmp_path / 'a.wav')] * 3]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        os.close(ours)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (141, '')


def test_a_hang_up_ends_it_without_a_word(tmp_path, tiny_checkpoint):
    soundfile.write(tmp_path / 'a.wav', NOISE, 16_000, 'PCM_16')
    command = [*LISTEN, str(tiny_checkpoint), *[str(tmp_path / 'a.wav')] * 2_000]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGHUP, '')


def test_a_full_disk_behind_the_output_is_one_sentence(tmp_path, tiny_checkpoint):
    soundfile.write(tmp_path / 'a.wav', NOISE, 16_000, 'PCM_16')
    with open('/dev/full', 'w') as full:
        command = [*LISTEN, str(tiny_checkpoint), str(tmp_path / 'a.wav')]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith('audio-interaction: the output cannot be written (No space left on device)')
    assert done.stderr.count('\n') == 1


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path, tiny_checkpoint):
    code = (
        'import resource, sys\n'
        'from audio_interaction_ros.cli import main\n'
        'grown = []\n'
        'for file in sys.argv[2:]:\n'
        '    assert main(["listen", "--checkpoint", sys.argv[1], file]) == 0\n'
        '    grown.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n'
        'print(grown[1] - grown[0])\n'
    )
    ten_s = np.zeros((480_000, 8), np.int16)
    files = []
    for times in (1, 8):  # as float32 eight are 123 MB
        files.append(str(tmp_path / f'{times}.flac'))
        with soundfile.SoundFile(files[-1], 'w', 48_000, 8, 'PCM_16') as file:
            for _ in range(times):
                file.write(ten_s)
    done = subprocess.run(
        [sys.executable, '-c', code, str(tiny_checkpoint), *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _, heard, grown_mib = done.stdout.splitlines()
    assert json.loads(heard)['chunks'] == 200
    assert int(grown_mib) < 40
