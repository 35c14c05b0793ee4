"""Real engines speak, and programs that are absent, slow or broken are told of in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from audio_interaction_ros.voice.engines import EngineError, EspeakEngine, PiperEngine
from audio_interaction_ros.voice.manner import Manner, manner_of

needs_espeak = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')


def wanted() -> bool:
    return False


def speech(engine, text, manner=Manner()):  # noqa: B008
    return np.concatenate(list(engine.say(text, manner, wanted)))


def level(samples) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.fixture(scope='module')
def espeak():
    return EspeakEngine()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program of this name and these lines of shell before all others."""

    def put(name, lines):
        file = tmp_path / 'bin' / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'#!/bin/sh\n{lines}\n')
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv('PATH', f'{file.parent}:{os.environ["PATH"]}')
        return file

    return put


@needs_espeak
def test_espeak_speaks_at_its_rate_and_faster_where_it_is_urgent(espeak):
    assert espeak.rate_hz == 22_050
    plain = speech(espeak, 'A siren! An emergency vehicle is near.')
    urgent = speech(espeak, 'A siren! An emergency vehicle is near.', manner_of('urgent'))
    slow = speech(espeak, 'A siren! An emergency vehicle is near.', manner_of('normal', 0.5))
    assert level(plain) > 0.01
    assert 1.0 < len(plain) / espeak.rate_hz < 5.0
    assert len(urgent) < 0.95 * len(plain) < 0.7 * len(slow)


@needs_espeak
def test_espeak_speaks_chinese_where_a_text_is_written_in_it(espeak):
    in_mandarin = speech(EspeakEngine('cmn'), '我听到火烧的声音。')
    np.testing.assert_array_equal(speech(espeak, '我听到火烧的声音。'), in_mandarin)


@needs_espeak
@pytest.mark.parametrize(
    'text', ['-v nosuch', '--help', '-f /etc/passwd', '$(touch shell)', '; touch shell', '`touch shell`', '-w shell']
)
def test_a_text_is_no_option_and_no_command(espeak, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert level(speech(espeak, text)) > 0.01
    assert not list(tmp_path.iterdir())


@needs_espeak
def test_markup_is_said_as_words_and_not_obeyed(espeak):
    marked = speech(espeak, '<prosody volume="silent">fire</prosody>')
    assert len(marked) > 2 * len(speech(espeak, 'fire'))
    assert level(marked) > 0.01


@needs_espeak
@pytest.mark.cures('take a voice that espeak-ng --voices lists', 'give a name as espeak-ng --voices lists it')
@pytest.mark.parametrize(
    ('voice', 'sentence'), [('klingon-x', "failed with voice 'klingon-x'"), ('-x', "voice is '-x'; give a name")]
)
def test_a_voice_that_is_none_is_refused_and_one_of_the_list_taken(voice, sentence):
    with pytest.raises(EngineError, match=sentence):
        EspeakEngine(voice)
    assert EspeakEngine('de').rate_hz


@needs_espeak
@pytest.mark.cures("the program '{program}' is not there; install it (apt install espeak-ng)")
def test_an_engine_that_is_not_installed_is_named_with_what_to_install(monkeypatch):
    with monkeypatch.context() as bare:
        bare.setenv('PATH', '/nowhere')
        with pytest.raises(EngineError, match=r'install it \(apt install espeak-ng\)'):
            EspeakEngine()
        with pytest.raises(EngineError, match=r'install it \(pip install piper-tts\)'):
            PiperEngine('voice.onnx')
    assert EspeakEngine().rate_hz


@pytest.mark.parametrize(
    ('lines', 'sentence'),
    [
        ('sleep 600', 'it said nothing for 0.3 s'),
        ('exit 3', 'no sound came, status 3'),
        ('echo sorry >&2; exit 1', 'sorry, status 1'),
        ('echo this is no sound but a page of words that nobody can hear, at all', "begins with b'this'"),
        ('cat /dev/zero', "begins with b'"),
    ],
)
def test_a_program_that_hangs_fails_or_writes_nonsense_is_told_of_in_a_sentence(program, lines, sentence):
    program('espeak-ng', lines)
    with pytest.raises(EngineError, match=sentence):
        EspeakEngine(timeout_s=0.3 if 'for 0.3 s' in sentence else 60.0)


def test_what_is_unwanted_is_killed_at_once_with_its_children(program, tmp_path):
    pids = tmp_path / 'pids'
    program('piper', f'echo $$ > {pids}; sleep 600 & echo $! >> {pids}; wait')
    (tmp_path / 'v.onnx').write_bytes(b'')
    (tmp_path / 'v.onnx.json').write_text(json.dumps({'audio': {'sample_rate': 16_000}}))
    engine = PiperEngine(str(tmp_path / 'v.onnx'))

    def unwanted() -> bool:
        return pids.exists() and len(pids.read_text().split()) == 2

    assert list(engine.say('Hello.', Manner(), unwanted)) == []
    for pid in pids.read_text().split():
        status = Path(f'/proc/{pid}/status')
        deadline_s = time.monotonic() + 60.0
        while status.exists() and 'State:\tZ' not in status.read_text():
            assert time.monotonic() < deadline_s, 'it lives on'
            time.sleep(0.01)


def test_piper_gets_the_text_on_its_standard_input_and_its_options_as_a_list(program, tmp_path):
    program('piper', f'echo "$@" > {tmp_path}/options; head -c 8 > {tmp_path}/text; printf "\\000\\100\\000\\300\\000"')
    voice = tmp_path / '-- a voice.onnx'
    voice.write_bytes(b'')
    Path(f'{voice}.json').write_text(json.dumps({'audio': {'sample_rate': 16_000}, 'num_speakers': 2}))
    engine = PiperEngine(f'{voice}#1')
    assert speech(engine, '-v Hello', Manner(rate=2.0)).tolist() == [0.5, -0.5]  # a half sample is none
    assert engine.rate_hz == 16_000
    assert (tmp_path / 'text').read_text() == '-v Hello'
    assert (tmp_path / 'options').read_text() == f'--model {voice} --output-raw --length-scale 0.500 --speaker 1\n'


@pytest.mark.cures('give the path of the .onnx file of a voice', 'give # and a number from 0 to', 'download it again')
def test_a_voice_of_piper_is_taken_when_it_is_mended_as_said(program, tmp_path):
    program('piper', 'exit 0')
    voice, description = tmp_path / 'v.onnx', tmp_path / 'v.onnx.json'
    with pytest.raises(EngineError, match='there is no such voice of Piper; give the path'):
        PiperEngine(str(voice))
    voice.write_bytes(b'')
    for text in ('', '[]', '{"audio": 3}'):
        description.write_text(text)
        with pytest.raises(EngineError, match=r'does not describe a voice of Piper .*; download it again'):
            PiperEngine(str(voice))
    description.write_text(json.dumps({'audio': {'sample_rate': 22_050}, 'num_speakers': 2}))
    with pytest.raises(EngineError, match='the model has 2 speakers; give # and a number from 0 to 1, or none'):
        PiperEngine(f'{voice}#2')
    assert PiperEngine(f'{voice}#1').rate_hz == 22_050
