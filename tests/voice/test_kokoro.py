"""Kokoro speaks in this process: a network in miniature of its shape, real ONNX Runtime and real espeak-ng."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest

from audio_interaction_ros.voice.engines import EngineError
from audio_interaction_ros.voice.kokoro import RATE_HZ, KokoroEngine
from audio_interaction_ros.voice.manner import Manner
from tests.tiny_kokoro import write_miniature

pytestmark = pytest.mark.skipif(shutil.which('espeak-ng') is None, reason='espeak-ng is not installed')
TEXT = 'Tell me when the kettle whistles, please.'


@pytest.fixture
def part(tmp_path):
    return write_miniature(tmp_path / 'part')


@pytest.fixture
def engine(part):
    engine = KokoroEngine(str(part))
    yield engine
    engine.close()


def speech(engine, text, manner=Manner()):  # noqa: B008
    return np.concatenate([np.empty(0, np.float32), *engine.say(text, manner, lambda: False)])


def pitch_hz(samples) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE_HZ / len(samples))


def test_a_clause_lasts_as_long_as_its_symbols_and_less_where_it_is_urgent(engine):
    plain, fast = speech(engine, TEXT), speech(engine, TEXT, Manner(rate=2.0))
    assert plain.dtype == np.float32
    assert 2 * 0.2 * 30 * 0.5 < len(plain) / RATE_HZ < 2 * 0.2 * 60  # 0.2 s a symbol
    assert len(fast) == pytest.approx(len(plain) / 2, rel=0.01)


def test_the_style_that_is_named_speaks_and_the_first_where_none_is(part):
    pitches = []
    for voice in (f'{part}', f'{part}#style 0', f'{part}#style 2'):
        engine = KokoroEngine(voice)
        pitches.append(pitch_hz(speech(engine, TEXT)))
        engine.close()
    assert pitches == pytest.approx([200.0, 200.0, 600.0], abs=2.0)


@pytest.mark.parametrize('text', ['…', '   ', '?!', '漢字'])
def test_what_has_nothing_to_pronounce_in_english_is_at_most_a_word(engine, text):
    assert len(speech(engine, text)) < 10 * RATE_HZ


def test_a_text_with_more_symbols_than_kokoro_has_styles_for_is_said_as_far_as_it_has(engine):
    assert len(speech(engine, 'kettle ' * 60)) / RATE_HZ == pytest.approx(0.2 * 121, abs=0.3)


def test_what_is_unwanted_is_not_said(engine):
    began_s = time.monotonic()
    assert list(engine.say(TEXT, Manner(), lambda: True)) == [] or time.monotonic() - began_s < 1.0


@pytest.mark.cures(
    'give the folder that python -m training parts kokoro-82m', 'give # and one of', 'write it anew with python -m'
)
def test_a_voice_is_taken_when_it_is_mended_as_said(part):
    with pytest.raises(EngineError, match=r'there is no model\.onnx of Kokoro in it; give the folder'):
        KokoroEngine('')
    with pytest.raises(EngineError, match=r"no such style; give # and one of \['style 0', 'style 1', 'style 2'\]"):
        KokoroEngine(f'{part}#af_heart')
    vocabulary = (part / 'vocab.json').read_text()
    for text in ('', '[]', json.dumps({'vocab': {'a': 'b'}})):
        (part / 'vocab.json').write_text(text)
        with pytest.raises(EngineError, match=r"does not hold Kokoro's symbols and styles .*; write it anew"):
            KokoroEngine(str(part))
    (part / 'vocab.json').write_text(vocabulary)
    network = (part / 'model.onnx').read_bytes()
    (part / 'model.onnx').write_bytes(network[: len(network) // 2])
    with pytest.raises(EngineError, match=r'no network that ONNX Runtime can run .*; write it anew'):
        KokoroEngine(str(part))
    (part / 'model.onnx').write_bytes(network)
    KokoroEngine(f'{part}#style 1').close()


@pytest.mark.cures('apt install espeak-ng')
def test_without_espeak_nobody_knows_how_words_are_spoken(part, monkeypatch):
    with monkeypatch.context() as bare:
        bare.setenv('PATH', '/nowhere')
        with pytest.raises(EngineError, match=r'install it \(apt install espeak-ng\)'):
            KokoroEngine(str(part))
    KokoroEngine(str(part)).close()
