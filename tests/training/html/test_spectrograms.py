"""A picture shows what sounds at its frequency and second, and librosa finds what was put into the sound."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from training.html.spectrograms import LEFT_SHARE, WIDTH_SHARE, Found, listen, sound_picture, stream_picture


def tone(hertz: float, seconds: float) -> np.ndarray:
    at_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.5 * sum(np.sin(2 * np.pi * n * hertz * at_s) / n for n in (1, 2, 3))).astype(np.float32)


def clicks(period_s: float, count: int) -> np.ndarray:
    samples = np.zeros(round(period_s * count * SAMPLE_RATE_HZ), np.float32)
    burst = np.random.default_rng(1).normal(0, 0.3, 800) * np.exp(-np.arange(800) / 150)
    for number in range(count):
        at = round((number + 0.5) * period_s * SAMPLE_RATE_HZ)
        samples[at : at + 800] += burst.astype(np.float32)
    return samples


def brightness(svg: str) -> np.ndarray:
    """Of the spectrogram inside an SVG, float [rows, columns] in 0..255, the highest frequency first."""
    (coded,) = re.findall(r'data:image/png;base64,([^"]+)', svg)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(coded))).convert('L'), dtype=float)[
        ::-1
    ]  # the SVG turns it round


def test_onsets_tempo_and_pitch_are_those_of_the_sound() -> None:
    found = listen(clicks(0.5, 12), onsets=True, tempo=True)
    np.testing.assert_allclose(found.onsets_s, 0.25 + 0.5 * np.arange(12), atol=0.05)
    assert found.tempo_per_min == pytest.approx(120, rel=0.04)
    sung = listen(tone(220.0, 1.0), pitch=True)
    assert np.nanmedian(sung.pitch_hz) == pytest.approx(220.0, rel=0.02)
    assert sung.facts()['pitch'].startswith('220 Hz')


def test_a_sound_that_begins_at_once_has_an_onset_there() -> None:
    found = listen(clicks(1.0, 3)[round(0.5 * SAMPLE_RATE_HZ) :], onsets=True)
    np.testing.assert_allclose(found.onsets_s, [0.0, 1.0, 2.0], atol=0.05)


def test_noise_has_no_pitch_and_only_what_is_asked_for_is_found() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)
    assert listen(noise) == Found() and Found().facts() == {}
    pitch_hz = listen(noise, pitch=True).pitch_hz
    assert pitch_hz is not None and np.isnan(pitch_hz).mean() > 0.9


def test_a_tone_is_one_bright_line_that_rises_with_its_pitch() -> None:
    rows = {}
    for hertz in (500.0, 2_000.0):
        pure = (0.5 * np.sin(2 * np.pi * hertz * np.arange(32_000) / SAMPLE_RATE_HZ)).astype(np.float32)
        picture = brightness(stream_picture(pure))[:, 40:-40]
        rows[hertz] = np.median(np.argmax(picture, axis=0)) / len(picture)
        assert np.mean(picture > 128) < 0.15, 'one line'
    assert rows[2_000.0] < rows[500.0] - 0.2


def test_a_click_in_a_long_stream_is_not_lost() -> None:
    samples = np.zeros(600 * SAMPLE_RATE_HZ, np.float32)
    samples[300 * SAMPLE_RATE_HZ : 300 * SAMPLE_RATE_HZ + 200] = 0.5
    picture = brightness(stream_picture(samples))
    loudest = np.argmax(picture.max(axis=0)) / picture.shape[1]
    assert picture.max() > 150 and loudest == pytest.approx(0.5, abs=0.01)


def test_silence_is_dark_and_not_the_loudest_there_is() -> None:
    assert brightness(stream_picture(np.zeros(16_000, np.float32))).max() < 150


def test_the_time_axis_of_a_stream_lies_where_what_stands_under_it_expects_it() -> None:
    svg = stream_picture(tone(440.0, 2.0), [(0.4, 0.1), (0.8, 0.9)])
    root = ElementTree.fromstring(svg)
    width = float(root.attrib['viewBox'].split()[2])
    image = next(element for element in root.iter() if element.tag.endswith('}image'))
    assert float(image.attrib['x']) / width == pytest.approx(LEFT_SHARE, abs=0.005)
    assert float(image.attrib['width']) / width == pytest.approx(WIDTH_SHARE, abs=0.01)


def test_the_name_of_a_picture_says_what_was_found() -> None:
    svg = sound_picture(tone(220.0, 1.0), 'humming', Found(np.array([0.1, 0.6]), 120.0))
    assert 'aria-label="Spectrogram of humming, 1.0 s, onsets 2, tempo 120 beats/min"' in svg
    svg = stream_picture(tone(220.0, 1.0), [(0.4, 0.25), (0.8, 0.5)], 'a call')
    assert 'aria-label="Spectrogram of a call, 1.0 s; under it P(response), highest 0.50 at 0.8 s"' in svg
