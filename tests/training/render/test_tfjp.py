"""TFJP: what every clip may rely on, operator by operator and as a whole, and what it does for junctions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.clip_library import miniature_clip_library
from tests.training.render.junctions import spectral_flux_at
from training.procedural.registry import SOUND_TYPES, render
from training.render.tfjp import (
    DEFAULTS,
    ClipTooShortError,
    SilentClipError,
    Spectrum,
    Tfjp,
    TfjpError,
    TfjpSettings,
    boundary_norm,
    core_locate,
    denoise,
    noise_profile,
    silence_cut,
    silent,
    spec_smooth,
    tfjp,
)
from training.sources.clip_library import load_library

RATE_HZ = 16_000
STEP = 3_200  # 200 ms
KEEP_PAUSES = TfjpSettings(silence_limit_ms=None)


def seconds(duration_s: float) -> int:
    return round(duration_s * RATE_HZ)


def noise(duration_s: float, level_db: float, seed: int = 0) -> np.ndarray:
    """White, `level_db` relative to full scale (root mean square)."""
    samples = np.random.default_rng(seed).standard_normal(seconds(duration_s)) * 10 ** (level_db / 20)
    return np.clip(samples, -1, 1).astype(np.float32)


def tone(duration_s: float, level_db: float, frequency_hz: float = 1_000.0) -> np.ndarray:
    """A sine whose peak is `level_db` relative to full scale."""
    at = np.arange(seconds(duration_s)) / RATE_HZ
    return (np.sin(2 * np.pi * frequency_hz * at) * 10 ** (level_db / 20)).astype(np.float32)


def zeros(duration_s: float) -> np.ndarray:
    return np.zeros(seconds(duration_s), np.float32)


def click(duration_s: float, level_db: float) -> np.ndarray:
    samples = zeros(duration_s)
    samples[len(samples) // 2] = 10 ** (level_db / 20)
    return samples


@st.composite
def clips(draw: st.DrawFn) -> np.ndarray:
    """0.2 to some 8 s of tones, noises, clicks and nothing, any of them loud or hardly there, over a noise floor."""
    pieces = []
    for kind in draw(st.lists(st.sampled_from(['noise', 'tone', 'click', 'zeros']), min_size=1, max_size=10)):
        duration_s = draw(st.floats(0.01, 0.8))
        level_db = draw(st.floats(-70, 0))
        if kind == 'noise':
            pieces.append(noise(duration_s, level_db, draw(st.integers(0, 99))))
        elif kind == 'tone':
            pieces.append(tone(duration_s, level_db, draw(st.floats(30, 7_900))))
        else:
            pieces.append(click(duration_s, level_db) if kind == 'click' else zeros(duration_s))
    pieces.append(tone(0.2, draw(st.floats(-70, 0))))  # long enough, and something to hear
    samples = np.concatenate(pieces)
    samples += noise(1, draw(st.floats(-110, -20)), 5)[np.arange(len(samples)) % RATE_HZ]
    return np.clip(samples, -1, 1)


def assert_promises(samples: np.ndarray, result: Tfjp) -> None:
    output = result.samples
    assert output.dtype == np.float32 and np.isfinite(output).all()
    assert len(output) % STEP == 0 and STEP <= len(output) <= len(samples)
    assert np.abs(output).max() <= min(np.abs(samples).max(), 1.0) * (1 + 1e-6)
    edges = np.array(result.kept)
    assert (np.diff(edges.ravel()) > 0).all() and edges[0, 0] >= 0 and edges[-1, 1] <= len(samples)
    assert np.diff(edges).sum() == len(output)
    spectrum = Spectrum.of(output)
    assert silence_cut(spectrum) is spectrum
    # The same without the gate: 40 dB below the loudest 20 ms is silence in any clip. A frame looks 10 ms to each side.
    quiet = np.abs(output) < 0.01 * np.sqrt(spectrum.energy.max())
    sounding = np.flatnonzero(~np.r_[False, quiet, False])
    assert np.diff(sounding).max() <= seconds(0.32)


def assert_settled(result: Tfjp) -> None:
    again = tfjp(result.samples)
    assert len(again.samples) == len(result.samples)
    error = np.square(again.samples - result.samples).sum() / np.square(result.samples).sum()
    assert error < 1e-4, 'within 1 %'


@settings(max_examples=80)
@given(clips())
def test_length_peak_silence_and_provenance_are_as_promised(samples: np.ndarray) -> None:
    assert_promises(samples, tfjp(samples))


@settings(max_examples=40)
@given(clips())
def test_the_promises_hold_when_the_passes_run_out(samples: np.ndarray) -> None:
    assert_promises(samples, tfjp(samples, TfjpSettings(max_passes=1)))


@settings(max_examples=80)
@given(clips())
def test_a_second_application_changes_nothing(samples: np.ndarray) -> None:
    result = tfjp(samples)
    if not result.capped:
        assert_settled(result)


def test_real_clips_keep_the_promises_and_hardly_ever_reach_the_cap() -> None:
    capped = []
    for clip in load_library(miniature_clip_library()):
        samples = clip.read().samples
        if len(samples) < STEP:
            continue
        result = tfjp(samples)
        assert_promises(samples, result)
        capped.append(result.capped)
        if not result.capped:
            assert_settled(result)
    assert len(capped) > 30
    assert not any(capped), 'paper B.1: fewer than one in fifty'


@given(st.integers(STEP, 20_000))
@settings(max_examples=20)
def test_analysis_and_synthesis_give_the_clip_back(length: int) -> None:
    samples = noise(2, -12)[:length]
    np.testing.assert_allclose(Spectrum.of(samples).synthesise(), samples[: length // 160 * 160], atol=1e-6)


def test_a_frame_has_the_mean_square_of_its_sound() -> None:
    spectrum = Spectrum.of(noise(2, -20))
    assert 10 * np.log10(spectrum.energy.mean()) == pytest.approx(-20, abs=0.2)
    np.testing.assert_allclose(spectrum.power.sum(axis=1), spectrum.energy)


@pytest.mark.parametrize('name', ['rain', 'fan', 'siren_wail', 'siren_hi_lo', 'fire_bell'])
def test_a_steady_sound_has_no_silence_and_no_noise_to_lose(name: str) -> None:
    for seed in range(4):
        spectrum = Spectrum.of(render(name, np.random.default_rng(seed)))
        assert not silent(spectrum)[1:-1].any()  # the first and last frame look half beyond the ends
        assert not noise_profile(spectrum).any()


def test_a_long_pause_becomes_300_ms_and_a_short_one_stays() -> None:
    samples = np.concatenate([tone(0.4, -6), zeros(0.29), tone(0.4, -6), zeros(1.5), tone(0.4, -6)])
    cut = silence_cut(Spectrum.of(samples + noise(3.0, -60)[: len(samples)]))
    pauses = scipy.signal.medfilt((np.abs(cut.synthesise()) < 0.02).astype(float), 101)
    edges = np.flatnonzero(np.diff(pauses, prepend=0, append=0))
    durations_s = (edges[1::2] - edges[::2]) / RATE_HZ
    np.testing.assert_allclose(durations_s, [0.29, 0.30], atol=0.02)


@pytest.mark.parametrize('level_db', [-45, -60, -90])
def test_silence_is_found_above_any_noise_floor(level_db: float) -> None:
    samples = np.concatenate([tone(0.6, -6), zeros(2.0), tone(0.6, -6)]) + noise(3.2, level_db)
    assert len(tfjp(samples).samples) < seconds(1.8)


def test_silence_at_the_ends_is_left_next_to_the_sound() -> None:
    samples = np.concatenate([zeros(2), tone(0.5, -6), zeros(1)])
    ((start, end),) = silence_cut(Spectrum.of(samples)).kept
    assert (start, end) == pytest.approx((seconds(1.7), seconds(2.8)), abs=320)


def test_a_smoke_alarm_keeps_its_cadence_if_told_to() -> None:
    alarm = render('smoke_alarm_t3', np.random.default_rng(3))
    kept, cut = tfjp(alarm, KEEP_PAUSES), tfjp(alarm)
    ((start, end),) = kept.kept
    assert end - start > len(alarm) - STEP and len(cut.samples) < len(kept.samples) - seconds(1)
    np.testing.assert_allclose(kept.samples[320:-320], alarm[start:end][320:-320], atol=1e-5)


def test_the_noise_profile_is_the_noise() -> None:
    hiss = scipy.signal.lfilter([1, 0.95], [1], noise(4, -42)).astype(np.float32)
    bursts = np.concatenate([zeros(1), tone(1, -6), zeros(1), tone(1, -6)])
    profile = noise_profile(Spectrum.of(bursts + hiss))
    expected = Spectrum.of(hiss).power.mean(axis=0)
    assert abs(10 * np.log10(profile.sum() / expected.sum())) < 1.5
    assert np.corrcoef(profile, expected)[0, 1] > 0.9


def test_subtraction_takes_at_least_ten_db_of_the_noise_and_never_more_than_twenty() -> None:
    spectrum = Spectrum.of(np.concatenate([zeros(1), tone(1, -6), zeros(1)]) + noise(3, -38))
    clean = denoise(spectrum, noise_profile(spectrum))
    gain_db = 20 * np.log10(np.abs(clean.bins) / np.maximum(np.abs(spectrum.bins), 1e-12) + 1e-12)
    assert gain_db[1:].min() > -20.01 and gain_db.max() < 1e-3
    pause, event = slice(10, 90), slice(110, 190)
    assert 10 * np.log10(clean.energy[pause].mean() / spectrum.energy[pause].mean()) < -10
    assert abs(10 * np.log10(clean.energy[event].mean() / spectrum.energy[event].mean())) < 0.1


def signal_to_noise_db(mixture: np.ndarray, event: np.ndarray) -> float:
    """Of what is in `mixture`, `event` at any scale against all else; the tapers at the ends left out."""
    mixture, event = mixture[320:-320].astype(float), event[320:-320].astype(float)
    heard = event * (mixture @ event) / (event @ event)
    return float(10 * np.log10(np.square(heard).sum() / np.square(mixture - heard).sum()))


@pytest.mark.parametrize('snr_db', [5, 15, 22, 30])
@pytest.mark.parametrize('name', ['smoke_alarm_t3', 'smoke_alarm_520', 'siren_wail', 'siren_hi_lo', 'glass_pane'])
def test_alarms_and_glass_stand_out_of_noise_no_less_than_before(name: str, snr_db: float) -> None:
    raised = []
    for seed in range(4):
        event = render(name, np.random.default_rng(seed)) * np.float32(0.5)
        loud = np.abs(event) > 0.05 * np.abs(event).max()
        level_db = 10 * np.log10(np.square(event[loud]).mean()) - snr_db
        hiss = noise(9, level_db, seed)[: len(event)]
        if seed % 2:  # brown rather than white
            hiss = scipy.signal.lfilter([0.25], [1, -0.97], hiss).astype(np.float32)
        result = tfjp(event + hiss, KEEP_PAUSES)
        ((start, end),) = result.kept
        assert np.square(event[start:end]).sum() > 0.9 * np.square(event).sum()
        before = signal_to_noise_db((event + hiss)[start:end], event[start:end])
        raised.append(signal_to_noise_db(result.samples, event[start:end]) - before)
    assert min(raised) > -0.1
    if name == 'smoke_alarm_t3' and snr_db in (22, 30):
        assert np.mean(raised) > 3, 'there are pauses to know the noise from'


def test_the_core_spans_events_and_the_pauses_between_them() -> None:
    events = np.concatenate([zeros(2.03), tone(0.1, -6), zeros(0.3), noise(0.1, -20), zeros(2)])
    first, last = core_locate(Spectrum.of(events + noise(4.53, -60)))
    assert first == pytest.approx(203, abs=3) and last == pytest.approx(253, abs=3)


def test_of_two_sounds_as_quiet_the_tonal_one_is_informative() -> None:
    loud = tone(1, -6)
    ends = [core_locate(Spectrum.of(np.concatenate([loud, quiet])))[1] for quiet in (tone(1, -37), noise(1, -40))]
    assert ends[0] > 190 and ends[1] < 110


@pytest.mark.parametrize('onset_s', [0.31, 0.49, 0.777, 1.0])
def test_an_onset_is_kept_however_it_lies_on_the_grid(onset_s: float) -> None:
    glass = render('glass_pane', np.random.default_rng(2))
    result = tfjp(np.concatenate([zeros(onset_s), glass, zeros(1)]))
    onset = seconds(onset_s) - result.span[0]
    assert 320 <= onset <= 800, 'after the taper, and soon'
    peak = int(np.abs(glass).argmax())
    np.testing.assert_allclose(result.samples[onset : onset + peak], glass[:peak], atol=1e-4)


@given(st.integers(21, 200), st.data())
@settings(max_examples=30)
def test_a_span_is_widened_to_whole_steps_where_the_clip_allows(frames: int, data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, frames - 1)] * 2)))
    spectrum = Spectrum.of(noise(0.01 * (frames - 1), -20))
    hops = boundary_norm(spectrum, (first, last)).hops
    assert (len(hops) - 1) % 20 == 0
    assert hops[0] <= first and (hops[-1] >= last or len(hops) + 20 > frames)


def test_tapered_ends_come_from_nothing_and_are_not_tapered_twice() -> None:
    samples = noise(0.4, -12)
    once = spec_smooth(samples)
    assert abs(once[0]) < 1e-6 and abs(once[-1]) < 1e-6
    np.testing.assert_array_equal(once[320:-320], samples[320:-320])
    np.testing.assert_array_equal(spec_smooth(once), once)


@pytest.mark.parametrize('burst_ms', [1, 3, 10])
def test_a_peak_under_the_taper_leaves_no_end_to_be_tapered_again(burst_ms: int) -> None:
    samples = tone(0.4, -50)  # whose end is loud only beside what is left when the burst is gone
    samples[: burst_ms * 16] += noise(burst_ms / 1_000, 0, 1)[: burst_ms * 16]
    once = spec_smooth(samples)
    np.testing.assert_array_equal(spec_smooth(once), once)
    assert np.abs(once[-4:]).max() < 0.01 * np.abs(once).max()


def test_clips_that_hold_nothing_are_refused_by_name() -> None:
    with pytest.raises(ClipTooShortError, match='10 ms found, at least 200 ms expected'):
        tfjp(tone(0.01, -6))
    with pytest.raises(ClipTooShortError):
        tfjp(zeros(0))
    with pytest.raises(SilentClipError, match='−100 dBFS'):
        tfjp(zeros(1))
    broken = tone(1, -6)
    broken[7] = np.nan
    with pytest.raises(TfjpError, match='NaN'):
        tfjp(broken)
    assert len(tfjp(tone(0.2, -6)).samples) == STEP
    assert len(tfjp(tone(0.39, -80)).samples) == STEP, 'quiet is not silent'


def test_louder_than_full_scale_comes_back_to_it() -> None:
    assert np.abs(tfjp(tone(1, 6)).samples).max() <= 1


def test_settings_that_cannot_work_are_refused() -> None:
    assert DEFAULTS.model_dump() == {
        'silence_limit_ms': 300,
        'gate_percentile': 10.0,
        'noise_share': 0.05,
        'subtraction': 1.0,
        'align_ms': 200,
        'taper_ms': 20,
        'max_passes': 3,
    }, 'paper B.1 and Table 11'
    with pytest.raises(ValidationError, match='more than align_ms'):
        TfjpSettings(silence_limit_ms=200)
    with pytest.raises(ValidationError, match='half of align_ms'):
        TfjpSettings(taper_ms=120)
    with pytest.raises(ValidationError, match='multiple of 10'):
        TfjpSettings(align_ms=205)
    with pytest.raises(ValidationError, match='tau_ms'):
        TfjpSettings.model_validate({'tau_ms': 300})


def test_a_click_has_more_flux_than_a_fade_and_silence_has_none() -> None:
    samples = np.concatenate([tone(0.5, -12, 440), -tone(0.5, -12, 440 * 1.5)[40:]])
    faded = np.concatenate([spec_smooth(samples[:8_000]), spec_smooth(samples[8_000:])])
    assert spectral_flux_at(samples, 8_000) > 2 * spectral_flux_at(faded, 8_000) > 0
    assert spectral_flux_at(samples, 8_000) > 10 * spectral_flux_at(samples, 4_000)
    assert spectral_flux_at(zeros(1), 8_000) == 0
    assert spectral_flux_at(samples, 0) > 0 and np.isfinite(spectral_flux_at(samples, len(samples)))


def test_junctions_click_less_with_tfjp_than_without() -> None:
    rng = np.random.default_rng(7)
    names = rng.choice(sorted(SOUND_TYPES), 20, replace=False)
    sounds = [render(str(name), rng) for name in names]
    flux = []
    while len(flux) < 200:
        raw, processed = [], []
        for _ in range(2):  # the middle of something, as from a retrieved or generated clip
            sound = sounds[int(rng.integers(len(sounds)))]
            start = int(rng.integers(max(1, len(sound) - seconds(1))))
            excerpt = sound[start : start + seconds(rng.uniform(1, 3))]
            if np.abs(excerpt).max() < 1e-3:
                excerpt = sound
            result = tfjp(excerpt).samples
            gain = np.float32(0.1 / np.sqrt(np.square(result).mean()))  # one level: flux grows with it
            raw.append(excerpt * gain)
            processed.append(result * gain)
        flux.append([spectral_flux_at(np.concatenate(pair), len(pair[0])) for pair in (raw, processed)])
    without, with_tfjp = np.median(flux, axis=0)
    assert with_tfjp < 0.7 * without
