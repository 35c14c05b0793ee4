"""Every type of the library is what it says it is, in its place, and the alarms keep their standards' timing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.procedural.registry import ALL_TYPES, EXTRA_TYPES, SOUND_TYPES, render
from training.procedural.signature import MEASURES, Signature, in_tune, rhythm_hz, runs_s, t60_s
from training.procedural.synth import SAMPLE_RATE, SoundType
from training.procedural.taxonomy import CRITERIA, DOMAINS, event

SEEDS = 5


def _rng(kind: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *kind.encode()])


@pytest.mark.parametrize('name', sorted(EXTRA_TYPES))
def test_a_type_keeps_the_contract_and_measures_what_it_states(name: str) -> None:
    kind = EXTRA_TYPES[name]
    assert kind.name == name and kind.caption.endswith('.') and kind.signature.limits()
    sounds = [render(name, _rng(name, seed)) for seed in range(SEEDS)]
    np.testing.assert_array_equal(sounds[0], render(name, _rng(name, 0)))
    assert not np.array_equal(sounds[0][:9_000], sounds[1][:9_000])
    for sound in sounds:
        assert sound.dtype == np.float32 and sound.ndim == 1 and np.all(np.isfinite(sound))
        assert 0.0 < np.max(np.abs(sound)) <= 0.99
        assert 0.6 <= sound.size / SAMPLE_RATE <= 8.1
        assert np.argmax(np.abs(sound) > 0.04 * np.max(np.abs(sound))) / SAMPLE_RATE <= 0.05
        assert kind.signature.violations(sound) == []


def test_every_sub_category_is_covered_with_something_to_answer_and_something_to_leave() -> None:
    counts = Counter((kind.subcategory, kind.respond) for kind in ALL_TYPES.values())
    assert len(DOMAINS) == 17
    missing = {(subcategory, respond) for subcategory in DOMAINS for respond in (True, False)} - set(counts)
    assert missing == set()
    assert len(ALL_TYPES) == len(SOUND_TYPES) + len(EXTRA_TYPES), 'no name twice'


def test_a_type_is_answered_if_and_only_if_a_criterion_says_so() -> None:
    for kind in ALL_TYPES.values():
        assert kind.criterion in CRITERIA and kind.respond == (kind.criterion != 'none'), kind.name
    categories: dict[str, set[bool]] = {}
    for kind in ALL_TYPES.values():
        categories.setdefault(kind.category, set()).add(kind.respond)
    assert [category for category, labels in categories.items() if len(labels) > 1] == []


def test_the_types_that_a_run_trains_on_are_only_placed_never_changed() -> None:
    for name, kind in SOUND_TYPES.items():
        placed = ALL_TYPES[name]
        assert (placed.category, placed.respond, placed.caption) == (kind.category, kind.respond, kind.caption)
        assert placed.render is kind.render


def test_an_unknown_sub_category_or_criterion_is_refused() -> None:
    with pytest.raises(KeyError, match='Cooking'):
        event(SOUND_TYPES['rain'].render, 'Cooking', 'none', 'rain', 'Rain.')
    with pytest.raises(KeyError, match='v'):
        event(SOUND_TYPES['rain'].render, 'Meteorology', 'v', 'rain', 'Rain.')


def test_the_slow_whoop_rises_from_500_to_1200_hz_in_three_and_a_half_seconds_then_rests_half_a_second() -> None:
    for seed in range(SEEDS):
        sound = render('evacuation_slow_whoop', _rng('whoop', seed)).astype(np.float64)
        (_, rise_s), (_, rest_s), *_ = runs_s(sound, 0.1)
        assert rise_s == pytest.approx(3.5, rel=0.06) and rest_s == pytest.approx(0.5, rel=0.1)
        for share, target_hz in ((0.03, 500.0), (0.97, 1_200.0)):
            middle = int(share * rise_s * SAMPLE_RATE)
            part = sound[max(middle - 800, 0) : middle + 800]
            power = np.abs(np.fft.rfft(part * np.hanning(part.size), 16_000)) ** 2
            hertz = 300 + int(np.argmax(power[300:1_400]))  # the fundamental or, above it, nothing else
            assert hertz == pytest.approx(target_hz, rel=0.1)


def test_the_din_emergency_tone_falls_once_a_second() -> None:
    for seed in range(SEEDS):
        sound = render('evacuation_din_tone', _rng('din', seed)).astype(np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(sound, 1_024)[::512] * np.hanning(1_024)
        spectrum = np.abs(np.fft.rfft(frames, 8_192))[:, 230:640]  # 449 … 1248 Hz
        track = np.argmax(spectrum, axis=1)
        jumps = np.flatnonzero(np.diff(track) > 150)
        assert np.median(np.diff(jumps)) * 512 / SAMPLE_RATE == pytest.approx(1.0, rel=0.08)
        assert np.mean(np.diff(track) <= 0) > 0.85


@pytest.mark.parametrize(
    ('name', 'pulses', 'on_s', 'off_s', 'pause_s'),
    [('smoke_alarm_t3', 3, 0.5, 0.5, 1.5), ('smoke_alarm_520', 3, 0.5, 0.5, 1.5), ('co_alarm_t4', 4, 0.1, 0.1, 5.0)],
)
def test_temporal_three_and_four_keep_pulse_gap_pause_and_count(
    name: str, pulses: int, on_s: float, off_s: float, pause_s: float
) -> None:
    cycles = 0
    for seed in range(24):
        runs = runs_s(render(name, _rng(name, seed)), 0.25)
        groups: list[list[float]] = [[]]
        for index, (sounding, seconds) in enumerate(runs[:-1]):
            if sounding:
                groups[-1].append(seconds)
            elif index and seconds > 2.2 * off_s:
                assert seconds == pytest.approx(pause_s, rel=0.14), 'the pause between groups'
                groups.append([])
            elif index:
                assert seconds == pytest.approx(off_s, rel=0.2, abs=0.03), 'the gap between pulses'
        whole = groups[1:-1] if name != 'co_alarm_t4' else groups[:-1]  # the first group may be entered half way
        for group in whole:
            assert len(group) == pulses
            assert group[1:] == pytest.approx([on_s] * (pulses - 1), rel=0.14, abs=0.03)
            cycles += 1
    assert cycles >= 3


def test_the_monitor_alarm_groups_its_pulses_three_and_two() -> None:
    """IEC 60601-1-8, high priority: 3 – 2 – pause – 3 – 2; the gaps inside a group are shorter than those between."""
    for seed in range(SEEDS):
        gaps = [
            round(seconds, 2)
            for sounding, seconds in runs_s(render('monitor_alarm', _rng('alarm', seed)))
            if not sounding
        ]
        short = min(gaps)
        pattern = ['.' if gap < short + 0.06 else '-' for gap in gaps[:4]]
        assert pattern == ['.', '.', '-', '.']


def test_tuned_instruments_keep_one_scale_and_ruined_ones_do_not() -> None:
    def median(name: str) -> float:
        return float(np.median([in_tune(render(name, _rng(name, seed))) for seed in range(7)]))

    for tuned, ruined in (('piano_in_tune', 'piano_out_of_tune'), ('guitar_in_tune', 'guitar_out_of_tune')):
        assert median(tuned) > median(ruined) + 0.25


def test_the_measures_find_what_was_built_into_a_test_tone() -> None:
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    beeps = np.where(np.mod(time, 0.8) < 0.3, np.sin(2 * np.pi * 500.0 * time), 0.0)
    assert MEASURES['peak_hz'](beeps) == pytest.approx(500, abs=5)
    assert MEASURES['pitch_hz'](beeps) == pytest.approx(500, rel=0.02)
    assert MEASURES['harmonicity'](beeps) > 0.9
    assert rhythm_hz(beeps) == pytest.approx(1 / 0.8, rel=0.03)
    assert MEASURES['on_s'](beeps) == pytest.approx(0.3, abs=0.02)
    assert MEASURES['off_s'](beeps) == pytest.approx(0.5, abs=0.02)
    assert MEASURES['onsets_hz'](beeps) == pytest.approx(5 / 4)
    buzz = np.sin(2 * np.pi * 2_000.0 * time) * (np.mod(time * 50.0, 1.0) < 0.3)
    assert MEASURES['flutter_hz'](buzz) == pytest.approx(50, rel=0.03)
    hiss = np.random.default_rng(1).standard_normal(time.size)
    assert MEASURES['flatness'](hiss) > 0.9 and MEASURES['harmonicity'](hiss) < 0.4
    assert MEASURES['centroid_hz'](hiss) == pytest.approx(4_000, rel=0.03)
    assert t60_s(hiss * 10 ** (-3.0 * time / 1.5)) == pytest.approx(1.5, rel=0.1)
    rising = np.sin(2 * np.pi * np.cumsum(300.0 * 2.0**time) / SAMPLE_RATE)  # an octave a second
    assert MEASURES['sweep_octaves_s'](rising) == pytest.approx(1.0, rel=0.1)


def test_a_violated_signature_says_what_was_found_and_what_was_stated() -> None:
    kind: SoundType = EXTRA_TYPES['gas_leak']
    lines = Signature(centroid_hz=(10, 200)).violations(kind.render(_rng('x', 1)))
    assert len(lines) == 1 and lines[0].startswith('centroid_hz is') and lines[0].endswith('stated 10 to 200')
