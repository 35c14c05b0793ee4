"""Another machine speaks: a real server on loopback that is good, slow, silent, endless, wrong and gone."""

from __future__ import annotations

import time

import numpy as np
import pytest

from audio_interaction_ros.voice.engines import EngineError
from audio_interaction_ros.voice.manner import Manner, manner_of
from audio_interaction_ros.voice.speech_server import KEY, SpeechServerEngine
from tests.voice.speech_server import RATE_HZ, speech_server


@pytest.fixture
def server():
    with speech_server() as it:
        yield it


@pytest.fixture
def engine(server):
    engine = SpeechServerEngine(server.voice(), timeout_s=60.0)
    server.requests.clear()
    yield engine
    engine.close()


def seconds(engine, text, manner=Manner()):  # noqa: B008
    return sum(len(block) for block in engine.say(text, manner, lambda: False)) / RATE_HZ


def test_a_text_is_spoken_by_the_model_and_the_voice_that_are_named(server, engine):
    blocks = list(engine.say('A siren!', Manner(), lambda: False))
    samples = np.concatenate(blocks)
    assert len(samples) / RATE_HZ == pytest.approx(0.4, abs=0.01)
    assert np.abs(samples).max() == pytest.approx(8_000 / 32_768, abs=0.001)
    assert server.requests == [
        {'model': 'tiny', 'voice': 'hum', 'input': 'A siren!', 'response_format': 'pcm', 'speed': 1.0}
    ]


def test_what_is_urgent_is_asked_for_faster(server, engine):
    assert seconds(engine, 'A siren!' * 5, manner_of('urgent')) < 0.95 * seconds(engine, 'A siren!' * 5)


def test_sound_is_given_while_it_comes_and_what_is_unwanted_is_asked_for_no_longer(server, engine):
    server.manner = 'slow'
    heard = []
    for block in engine.say('A long story about a robot. ' * 20, Manner(), lambda: len(heard) >= 3):
        heard.append(block)
    assert 3 <= len(heard) < 8
    assert server.gone.wait(60.0)
    server.manner = 'well'
    assert seconds(engine, 'A siren!') == pytest.approx(0.4, abs=0.01)


def test_a_silent_server_is_left_at_once_when_nobody_wants_it(server, engine):
    server.manner = 'silent'
    began_s = time.monotonic()
    assert list(engine.say('A siren!', Manner(), lambda: time.monotonic() - began_s > 0.1)) == []
    assert time.monotonic() - began_s < 20.0  # not the 30 s of the server, nor the 60 s of the engine


@pytest.mark.cures("see that it runs and has model '{_model}' and voice '{_voice}'")
@pytest.mark.parametrize(
    ('manner', 'sentence'),
    [
        ('refuses', r'answers 401 \(no key\); see that it runs'),
        ('silent', 'does not answer .*; see that it runs'),
        ('endless', 'spoke for more than 60 s; see that it runs'),
    ],
)
def test_a_server_that_cannot_speak_is_told_of_and_speaks_again_when_it_can(server, engine, manner, sentence):
    server.manner = manner
    usual = engine._client.timeout
    engine._client.timeout = 0.5 if manner == 'silent' else usual
    with pytest.raises(EngineError, match=sentence):
        seconds(engine, 'A siren!')
    server.manner, engine._client.timeout = 'well', usual
    assert seconds(engine, 'A siren!') == pytest.approx(0.4, abs=0.01)


def test_a_server_that_says_nothing_or_is_not_there_is_known_before_the_first_response(server):
    server.manner = 'empty'
    with pytest.raises(EngineError, match='says nothing; see that it runs'):
        SpeechServerEngine(server.voice())
    with pytest.raises(EngineError, match=r'does not answer .*; see that it runs'):
        SpeechServerEngine('http://127.0.0.1:9/v1#tiny/hum')


@pytest.mark.cures('give a speech server as URL#MODEL/VOICE')
@pytest.mark.parametrize(
    'voice', ['', 'localhost:8880', 'file:///etc/passwd#a/b', 'http://localhost/v1', 'http://#a/b']
)
def test_a_voice_names_address_model_and_voice(voice, server):
    with pytest.raises(EngineError, match='give a speech server as URL#MODEL/VOICE'):
        SpeechServerEngine(voice)
    SpeechServerEngine(server.voice()).close()


def test_the_key_comes_from_the_environment_and_stands_in_no_sentence(server, monkeypatch):
    monkeypatch.setenv(KEY, 'secret')
    SpeechServerEngine(server.voice()).close()
    assert server.keys == ['Bearer secret']
    server.manner = 'refuses'
    with pytest.raises(EngineError) as refused:
        SpeechServerEngine(server.voice())
    assert 'secret' not in str(refused.value)
