"""Procedural sounds: every type's contract, and the acoustic signatures of the hazards."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from training.procedural.registry import SOUND_TYPES, render
from training.procedural.synth import SAMPLE_RATE


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _envelope(sound: np.ndarray, window_s: float = 0.01) -> np.ndarray:
    """Root mean square in steps of ``window_s``."""
    size = int(window_s * SAMPLE_RATE)
    cut = sound[: sound.size // size * size].reshape(-1, size)
    return np.sqrt(np.mean(cut.astype(np.float64) ** 2, axis=1))


def _runs(active: np.ndarray) -> list[tuple[bool, int]]:
    """Lengths of the runs of equal values, in order."""
    edges = np.flatnonzero(np.diff(active.astype(int))) + 1
    return [(bool(part[0]), part.size) for part in np.split(active, edges)]


def _power(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Hz, power) of the whole sound."""
    windowed = sound * np.hanning(sound.size)
    return np.fft.rfftfreq(sound.size, 1 / SAMPLE_RATE), np.abs(np.fft.rfft(windowed)) ** 2


def _centroid(sound: np.ndarray) -> float:
    hertz, power = _power(sound)
    return float(np.sum(hertz * power) / np.sum(power))


def _fundamental(sound: np.ndarray, low: float, high: float, window: int = 2048) -> np.ndarray:
    """The strongest frequency between two limits, every 64 ms."""
    hertz = np.fft.rfftfreq(4 * window, 1 / SAMPLE_RATE)
    band = (hertz >= low) & (hertz <= high)
    starts = range(0, sound.size - window, 1024)
    frames = np.stack([sound[start : start + window] * np.hanning(window) for start in starts])
    return hertz[band][np.argmax(np.abs(np.fft.rfft(frames, 4 * window))[:, band], axis=1)]


@pytest.mark.parametrize('name', sorted(SOUND_TYPES))
def test_every_type_keeps_the_contract(name: str) -> None:
    first, again, other = (render(name, _generator(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert first.size != other.size or not np.allclose(first, other, atol=1e-3)
    for sound in (first, other):
        assert sound.dtype == np.float32 and sound.ndim == 1
        assert np.all(np.isfinite(sound))
        assert 0.0 < np.max(np.abs(sound)) <= 0.99
        assert 0.6 <= sound.size / SAMPLE_RATE <= 8.1
        onset = np.argmax(np.abs(sound) > 0.04 * np.max(np.abs(sound))) / SAMPLE_RATE
        assert onset <= 0.05


def test_the_table_names_hazards_and_enough_ordinary_sounds() -> None:
    hazards = {kind.category for kind in SOUND_TYPES.values() if kind.respond}
    assert hazards == {'smoke alarm', 'siren', 'glass breaking', 'car horn'}
    ordinary = [kind for kind in SOUND_TYPES.values() if not kind.respond]
    assert len(ordinary) >= 25
    assert not hazards & {kind.category for kind in ordinary}
    assert all(name == kind.name and kind.caption.endswith('.') for name, kind in SOUND_TYPES.items())
    with pytest.raises(KeyError):
        render('no such sound', _generator(0))


@pytest.mark.parametrize(('name', 'low', 'high'), [('smoke_alarm_t3', 2900, 3500), ('smoke_alarm_520', 460, 580)])
def test_temporal_three_has_three_half_second_pulses_and_a_long_pause(name: str, low: int, high: int) -> None:
    checked = 0
    for seed in range(12):
        sound = render(name, _generator(seed))
        hertz, power = _power(sound)
        assert low <= hertz[np.argmax(power)] <= high
        envelope = _envelope(sound)
        # The first run may be a pulse entered half way, the last may be cut by the end: leave both out.
        runs = _runs(envelope > 0.25 * envelope.max())
        if not runs[0][0]:
            assert runs.pop(0)[1] <= 3, 'starts with a sound, which may rise for some 30 ms'
        for active, length in runs[1:-1]:
            seconds = length * 0.01
            if active:
                assert 0.43 <= seconds <= 0.62
            else:
                assert 0.4 <= seconds <= 0.58 or 1.3 <= seconds <= 1.68
        pauses = [index for index, (active, length) in enumerate(runs) if not active and length > 100]
        checked += len(pauses) >= 2
        for before, after in pairwise(pauses):
            assert after - before == 6, 'three pulses between long pauses'
    assert checked >= 1, 'some render shows a whole cycle'


def test_temporal_four_has_four_short_pulses() -> None:
    for seed in range(8):
        envelope = _envelope(render('co_alarm_t4', _generator(seed)), 0.005)
        runs = _runs(envelope > 0.2 * envelope.max())
        pulses = [length * 0.005 for active, length in runs if active]
        assert all(0.07 <= length <= 0.15 for length in pulses[:4])
        gaps = [length * 0.005 for active, length in runs[:7] if not active]
        assert len(gaps) >= 3 and all(0.05 <= length <= 0.13 for length in gaps[:3])


def test_a_wail_sweeps_slowly_over_more_than_an_octave_and_a_yelp_fast() -> None:
    for seed in range(4):
        pitch = _fundamental(render('siren_wail', _generator(seed)), 350, 2000)
        assert np.percentile(pitch, 3) < 1000 and np.percentile(pitch, 97) > 900
    turns = {}
    for name in ('siren_wail', 'siren_yelp'):
        tracks = [np.diff(_fundamental(render(name, _generator(seed)), 350, 2000, 1024)) for seed in range(8)]
        turns[name] = np.mean([np.mean(np.sign(track[1:]) * np.sign(track[:-1]) < 0) for track in tracks])
    assert turns['siren_yelp'] > 2 * turns['siren_wail']


def test_hi_lo_alternates_between_two_tones() -> None:
    good = 0
    for seed in range(8):
        # The strongest partial jumps by the ratio of the tones and holds in between (Doppler is slow).
        track = _fundamental(render('siren_hi_lo', _generator(seed)), 350, 1100, 1024)
        steps = np.abs(np.diff(np.log(track)))
        jumps = steps[steps > 0.06]
        good += np.mean(steps < 0.03) > 0.5 and jumps.size >= 2 and 1.08 < np.exp(np.median(jumps)) < 1.8
    assert good >= 7


def test_a_car_horn_holds_two_fundamentals_about_a_third_apart() -> None:
    dual = 0
    for seed in range(10):
        hertz, power = _power(render('car_horn', _generator(seed)))
        spectrum = np.where((hertz > 310) & (hertz < 560), power, 0.0)
        first = hertz[np.argmax(spectrum)]
        second = hertz[np.argmax(np.where(np.abs(hertz / first - 1) > 0.1, spectrum, 0.0))]
        ratio = max(first, second) / min(first, second)
        dual += 1.15 <= ratio <= 1.30
        assert np.sum(power[hertz > 700]) > 0.05 * np.sum(power), 'rich harmonics'
    assert dual >= 7


@pytest.mark.parametrize('name', ['glass_pane', 'glass_vessel', 'glass_bottle'])
def test_breaking_glass_is_bright_inharmonic_and_dies_away(name: str) -> None:
    centroids = []
    for seed in range(6):
        sound = render(name, _generator(seed))
        centroids.append(_centroid(sound))
        third = sound.size // 3
        assert np.sum(sound[:third] ** 2) > 2 * np.sum(sound[-third:] ** 2)
        assert np.max(np.abs(sound[-800:])) < 0.25 * np.max(np.abs(sound)), 'falls silent at the end'
        hertz, power = _power(sound)
        bright = power[hertz > 1500]
        assert np.max(bright) < 0.3 * np.sum(bright), 'no single tone carries the sound'
    assert np.median(centroids) > 3000


def test_dishes_ring_with_fewer_partials_than_glass_breaks() -> None:
    def flatness(name: str) -> float:
        values = []
        for seed in range(6):
            _, power = _power(render(name, _generator(seed)))
            power = power[power.size // 4 :]
            values.append(np.exp(np.mean(np.log(power + 1e-12))) / np.mean(power))
        return float(np.median(values))

    assert flatness('glass_pane') > 2 * flatness('glasses_toast')


def test_low_and_high_ordinary_sounds_keep_their_place() -> None:
    assert _centroid(render('thunder', _generator(1))) < 300
    assert _centroid(render('brown_noise', _generator(1))) < 400
    assert 3600 < _centroid(render('white_noise', _generator(2))) < 4400
    hertz, power = _power(render('crickets', _generator(1)))
    assert 3700 < hertz[np.argmax(power)] < 5600
    hertz, power = _power(render('microwave_beeps', _generator(1)))
    assert 1400 < hertz[np.argmax(power)] < 2800
