"""Algorithm 4: what is mixed lies where it is said to lie, as loud as it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.dsp.fades import FADE_SAMPLES, tile
from training.dsp.levels import mean_power
from training.dsp.rooms import far_field, room
from training.errors import MixingError
from training.render.mix import Mixing, Part, mix
from training.streams import Role


def tone(hz: float, seconds: float, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype(
        np.float32
    )


def noise(seed: int, seconds: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def power_near(samples: np.ndarray, hz: float) -> float:
    """Mean square of what lies within 20 Hz of `hz`, by Parseval."""
    spectrum = np.square(np.abs(np.fft.rfft(samples.astype(np.float64))))
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ) - hz) < 20
    return float(2 * spectrum[near].sum() / len(samples) ** 2)


def test_foreground_parts_lie_where_the_mix_says_in_their_order_and_with_their_gaps():
    parts = [Part(tone(500, 1.0), tag='a'), Part(tone(900, 0.5), gap_s=0.4, tag='b'), Part(tone(700, 0.5), gap_s=-0.2)]
    result = mix(parts, noise(1), noise(2), 10, Mixing(room_share=0.0), np.random.default_rng(3))
    assert [place.tag for place in result.placed] == ['a', 'b', None]
    assert [place.onset for place in result.placed] == [0, 22_400, 30_400 - 3_200]
    assert [place.end for place in result.placed] == [16_000, 30_400, 35_200]
    b = result.placed[1]
    inside, before = result.samples[b.onset + 800 : b.onset + 4_000], result.samples[b.onset - 4_000 : b.onset - 800]
    assert power_near(inside, 900) > 100 * power_near(before, 900)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 4), chunks=st.integers(8, 30))
def test_the_snr_of_what_comes_out_is_the_snr_that_was_drawn(seed: int, parts: int, chunks: int):
    """The noise is a high tone and the foreground low ones, so both can be measured in the finished stream."""
    rng = np.random.default_rng(seed)
    rows = [
        Part(tone(float(rng.uniform(300, 900)), float(rng.uniform(0.3, 1.5))), gap_s=float(rng.uniform(0, 1)))
        for _ in range(parts)
    ]
    # Whole periods in the loop that `tile` makes, so that the tone stays one line.
    event, ambient = tone(4_000, 2.02)[: 32_000 + 320], tone(6_000, 2.02)[: 32_000 + 320]
    result = mix(rows, event, ambient, chunks, Mixing(room_share=0.0), rng)
    sounding = np.zeros(len(result.samples), bool)
    for place in result.placed:
        sounding[place.onset : place.end] = True
    event_power, ambient_power = power_near(result.samples, 4_000), power_near(result.samples, 6_000)
    foreground = mean_power(result.samples, sounding) - event_power - ambient_power
    assert 10 * np.log10(foreground / event_power) == pytest.approx(result.event_snr_db, abs=0.5)
    assert 10 * np.log10(foreground / ambient_power) == pytest.approx(result.ambient_snr_db, abs=0.5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_clips_and_nothing_is_longer_than_its_chunks(seed: int):
    rng = np.random.default_rng(seed)
    parts = [Part(noise(seed + i, float(rng.uniform(0.1, 3))) * 0.9, far=bool(i % 2)) for i in range(3)]
    parts += [Part(noise(7, 5.0), Role.BACKGROUND), Part(noise(8, 1.0), Role.AMBIENT)]
    result = mix(parts, noise(9), noise(10), 12, Mixing(stream_rms_dbfs=(-3.0, 0.0)), rng)
    assert result.samples.shape == (12 * CHUNK_SAMPLES,) and result.samples.dtype == np.float32
    assert float(np.abs(result.samples).max()) < 1.0
    assert all(0 <= place.onset < place.end <= len(result.samples) for place in result.placed)


def test_layers_are_six_and_twelve_decibels_below_the_foreground():
    loud = Mixing(part_spread_db=0.0, room_share=0.0, snr_db=(60.0, 60.0))
    parts = [
        Part(tone(500, 4.0)),
        Part(tone(1_500, 4.0), Role.BACKGROUND),
        Part(tone(3_000, 2.02)[:32_320], Role.AMBIENT),
    ]
    result = mix(parts, noise(1), noise(2), 10, loud, np.random.default_rng(4))
    foreground, background, ambient = (power_near(result.samples, hz) for hz in (500, 1_500, 3_000))
    assert 10 * np.log10(background / foreground) == pytest.approx(-6.0, abs=0.3)
    assert 10 * np.log10(ambient / foreground) == pytest.approx(-12.0, abs=0.3)


def test_a_part_that_does_not_fit_whole_is_left_out_with_all_that_follow():
    parts = [Part(tone(500, 1.0), tag=1), Part(tone(600, 9.0), tag=2), Part(tone(700, 0.5), tag=3)]
    result = mix(parts, noise(1), noise(2), 10, Mixing(), np.random.default_rng(5))
    assert [place.tag for place in result.placed] == [1]
    with pytest.raises(MixingError, match='shorter parts or longer streams'):
        mix(parts[1:2], noise(1), noise(2), 10, Mixing(), np.random.default_rng(5))


def test_a_silent_part_is_refused_by_name():
    with pytest.raises(MixingError, match='silent'):
        mix([Part(np.zeros(8_000, np.float32))], noise(1), noise(2), 4, Mixing(), np.random.default_rng(6))


def test_tiled_noise_has_no_seam():
    """A tone whose period divides the loop goes on without a jump, and noise keeps its power at the seams."""
    samples = tile(noise(11, 0.5), 10 * SAMPLE_RATE_HZ, 123)
    loop = int(0.5 * SAMPLE_RATE_HZ) - FADE_SAMPLES
    seams = np.arange(1, 19) * loop - 123
    at_seams = np.mean([np.square(samples[s : s + FADE_SAMPLES]).mean() for s in seams])
    assert at_seams == pytest.approx(float(np.square(samples).mean()), rel=0.15)


def test_far_speech_is_quieter_duller_and_rings():
    rng = np.random.default_rng(12)
    click = np.zeros(16_000, np.float32)
    click[0] = 0.5
    heard = far_field(click, room(rng))
    assert mean_power(heard) < 0.5 * mean_power(click)
    assert mean_power(heard[200:]) > 0
    hiss = noise(13)
    dull = far_field(hiss, np.zeros(10, np.float32))
    spectrum = np.square(np.abs(np.fft.rfft(dull))) / np.square(np.abs(np.fft.rfft(hiss)))
    frequency = np.fft.rfftfreq(len(hiss), 1 / SAMPLE_RATE_HZ)
    treble, bass = np.median(spectrum[frequency > 7_000]), np.median(spectrum[frequency < 1_000])
    assert 10 * np.log10(treble / bass) == pytest.approx(-3.0, abs=0.3)
