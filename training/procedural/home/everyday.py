"""Harmless machines and vehicles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
    add,
    beats,
    burst,
    finish,
    harmonics,
    log_uniform,
    noise,
    ordinary,
    resonance,
    samples,
    shape,
    slow,
)

Audio = NDArray[np.float32]


def length(rng: Rng) -> int:
    """Return a random number of samples, 2-7 s at 16 kHz, for a sound that just goes on."""
    return samples(rng.uniform(2.0, 7.0))


def drift(rng: Rng, count: int, rate_hz: float, depth: float) -> Signal:
    """Return a level that wanders slowly around one and never falls under 0.05: float64 [count].

    It turns about `rate_hz` times a second; `depth` is about its standard deviation.
    """
    return np.maximum(1.0 + depth * slow(rng, count, rate_hz), 0.05)


def _air(rng: Rng, count: int, tilt_db: float) -> Signal:
    """Rushing air: noise falling `tilt_db` an octave above some hundred Hz, with a few broad resonances."""
    knee = log_uniform(rng, 120.0, 500.0)
    hertz = np.geomspace(knee, 8000.0, 7)
    level = -tilt_db * np.log2(hertz / knee) + rng.uniform(-5.0, 5.0, 7)
    return noise(rng, count, [(40.0, -15.0), *zip(hertz.tolist(), level.tolist(), strict=True)])


def _motor(rng: Rng, count: int, base_hz: float, spin_s: float, partials: int, fall: float) -> Signal:
    """Motor whine: random-strength harmonics of a slightly unsteady shaft, running up over `spin_s`."""
    time = np.arange(count) / SAMPLE_RATE
    run_up = 1.0 - 0.8 * np.exp(-time / spin_s) if spin_s else 1.0
    pitch = base_hz * run_up * (1.0 + 0.004 * slow(rng, count, 6.0))
    levels = rng.exponential(1.0, partials) / np.arange(1, partials + 1) ** fall
    return harmonics(pitch, levels / np.sqrt(np.sum(levels**2) / 2), count, rng)


def fan(rng: Rng) -> Audio:
    """Render a table or computer fan: soft air, a blade tone at 20-250 Hz, a slight throb."""
    count = length(rng)
    blade = log_uniform(rng, 20.0, 250.0)
    out = _air(rng, count, rng.uniform(3.0, 8.0)) * (
        1.0 + rng.uniform(0, 0.3) * harmonics(blade / 3, [1.0], count, rng)
    )
    return finish(out + rng.uniform(0.1, 0.8) * _motor(rng, count, blade, 0.0, 8, 1.0))


def air_conditioner(rng: Rng) -> Audio:
    """Render an air conditioner: a compressor's hum near the mains frequency or twice it, under broad air noise."""
    count = length(rng)
    hum = _motor(rng, count, float(rng.choice([49.0, 59.0, 99.0])) * rng.uniform(0.96, 1.01), 0.0, 10, 0.8)
    return finish(_air(rng, count, rng.uniform(4.0, 9.0)) * drift(rng, count, 0.7, 0.08) + rng.uniform(0.2, 1.2) * hum)


def vacuum_cleaner(rng: Rng) -> Audio:
    """Render a vacuum cleaner: loud bright air and a 220-650 Hz whine, in a third of the draws heard spinning up."""
    count = length(rng)
    spin = rng.uniform(0.2, 0.9) if rng.random() < 0.35 else 0.0
    whine = _motor(rng, count, rng.uniform(220.0, 650.0), spin, 14, 0.4)
    stroke = drift(rng, count, rng.uniform(0.5, 1.5), 0.15)
    air = _air(rng, count, rng.uniform(0.5, 3.0)) * (1 - np.exp(-np.arange(count) / (spin * 16000)) if spin else 1.0)
    return finish((air + rng.uniform(0.2, 1.2) * whine) * stroke + 0.01)


def hair_dryer(rng: Rng) -> Audio:
    """Render a hair dryer: bright steady air with a thin whine of 300-900 Hz."""
    count = length(rng)
    air = _air(rng, count, rng.uniform(-0.5, 2.0)) * drift(rng, count, 1.0, 0.1)
    return finish(air + rng.uniform(0.05, 0.6) * _motor(rng, count, rng.uniform(300.0, 900.0), 0.0, 8, 0.3))


def shaver(rng: Rng) -> Audio:
    """Render an electric shaver or trimmer: a buzz of 90-220 Hz with many harmonics that sags under load."""
    count = length(rng)
    pitch = rng.uniform(90.0, 220.0) * drift(rng, count, 2.0, 0.02)
    levels = rng.uniform(0.2, 1.0, 35) / np.arange(1, 36) ** rng.uniform(0.1, 0.7)
    tone = shape(harmonics(pitch, levels, count), resonance(rng, 200.0, 6000.0))
    return finish(tone / np.std(tone) + rng.uniform(0.1, 0.6) * _air(rng, count, 1.0))


def washing_machine(rng: Rng) -> Audio:
    """Render a washing machine: the rumble of the drum, a slosh with each turn, the whine of the motor."""
    count = length(rng)
    turn = rng.uniform(0.6, 1.6)
    slosh = noise(rng, count, [(100, -12), (500, 0), (2500, -8), (7000, -30)])
    cycle = np.sin(np.pi * turn * np.arange(count) / SAMPLE_RATE + rng.uniform(0, np.pi)) ** 2
    out = slosh * cycle ** rng.uniform(1.0, 4.0) * rng.uniform(0.3, 1.0)
    out += rng.uniform(0.5, 1.5) * noise(rng, count, [(30, -6), (90, 0), (300, -15), (1500, -40)])
    return finish(out + rng.uniform(0.1, 0.5) * _motor(rng, count, rng.uniform(120.0, 400.0), 0.0, 10, 0.6))


def _firing(rng: Rng, count: int, rate_hz: float | Signal, wobble: float) -> Signal:
    """A piston engine: exhaust pulses at the firing rate, uneven between cylinders, through a pipe."""
    pitch = np.asarray(rate_hz) / 4.0 * (1.0 + wobble * slow(rng, count, 6.0))
    levels = rng.uniform(0.05, 0.35, 60)
    levels[3::4] = rng.uniform(0.6, 1.0, 15)
    levels /= 1.0 + (np.arange(1, 61) * np.mean(pitch) / rng.uniform(120.0, 400.0)) ** 1.5
    return harmonics(pitch, levels, count)


def engine_idle(rng: Rng) -> Audio:
    """Render a car or motorcycle engine that idles: 20-60 firings a second, uneven, with valve clatter."""
    count = length(rng)
    out = _firing(rng, count, rng.uniform(20.0, 60.0), 0.02)
    out = out / np.std(out)
    clatter = noise(rng, count, [(500, -25), (2000, 0), (6000, -10)]) * np.maximum(out, 0.0)
    return finish(out + rng.uniform(0.02, 0.25) * clatter + rng.uniform(0.05, 0.3) * _air(rng, count, 5.0))


def car_passing(rng: Rng) -> Audio:
    """Render a car that drives by: tyre and engine noise that swells, brightens and falls off in level and pitch."""
    count = samples(rng.uniform(3.0, 8.0))
    time = np.arange(count) / SAMPLE_RATE
    along = (time - time[-1] * rng.uniform(0.35, 0.65)) * rng.uniform(8.0, 25.0)
    near = rng.uniform(3.0, 10.0)
    distance = np.hypot(along, near)
    factor = 1.0 - along / distance * rng.uniform(0.03, 0.07)
    tyres: Points = [(60, -12), (300, -4), (900, 0), (1800, -5), (6000, -25)]
    dull: Points = [(40, -5), (150, 0), (600, -8), (3000, -35)]
    mix = near / distance
    engine = _firing(rng, count, rng.uniform(60.0, 130.0) * factor, 0.005)
    out = noise(rng, count, tyres) * mix + 0.5 * noise(rng, count, dull)
    return finish((out + rng.uniform(0.1, 0.6) * engine / np.std(engine)) * mix**0.8)


def _rotor(rng: Rng, rate: tuple[float, float], sharp: float, air: float) -> Audio:
    count = length(rng)
    pitch = rng.uniform(*rate) * drift(rng, count, 0.5, 0.008)
    levels = rng.uniform(0.5, 1.0, 40) * np.exp(-np.arange(40) / sharp)
    blades = harmonics(pitch, levels, count)
    blades /= np.std(blades)
    wash = _air(rng, count, rng.uniform(3.0, 7.0)) * (1.0 + 0.5 * np.clip(blades, -1.5, 2.0))
    return finish((blades + air * wash) * drift(rng, count, 0.4, 0.25))


def propeller_plane(rng: Rng) -> Audio:
    """Render a light aeroplane: a 60-110 Hz propeller drone with many harmonics."""
    return _rotor(rng, (60.0, 110.0), rng.uniform(3.0, 9.0), rng.uniform(0.1, 0.5))


def helicopter(rng: Rng) -> Audio:
    """Render a helicopter: 10-26 blade slaps a second over turbine and air noise."""
    return _rotor(rng, (10.0, 26.0), rng.uniform(8.0, 20.0), rng.uniform(0.3, 1.0))


def train(rng: Rng) -> Audio:
    """Render a passing train: a low rumble, the roar of the rail and paired wheel knocks at the joints."""
    count = length(rng)
    out = noise(rng, count, [(30, 0), (120, 0), (400, -8), (2000, -20), (6000, -35)]) * drift(rng, count, 1.0, 0.2)
    knock = burst(rng, 0.18, [(50, -3), (200, 0), (1200, -8), (5000, -25)])
    for time in beats(rng, count / SAMPLE_RATE, rng.uniform(0.5, 1.2), 0.05):
        for lag in (0.0, rng.uniform(0.1, 0.18)):
            add(out, knock, time + lag, rng.uniform(0.6, 1.6))
    return finish(out + rng.uniform(0.0, 0.3) * noise(rng, count, [(500, -20), (1500, 0), (4000, -12)]))


TYPES = (
    ordinary('fan', 'fan', 'A fan blows.', fan),
    ordinary('air_conditioner', 'air conditioner', 'An air conditioner hums.', air_conditioner),
    ordinary('vacuum_cleaner', 'vacuum cleaner', 'A vacuum cleaner runs.', vacuum_cleaner),
    ordinary('hair_dryer', 'hair dryer', 'A hair dryer blows.', hair_dryer),
    ordinary('shaver', 'electric shaver', 'An electric shaver buzzes.', shaver),
    ordinary('washing_machine', 'washing machine', 'A washing machine turns.', washing_machine),
    ordinary('engine_idle', 'engine', 'An engine idles.', engine_idle),
    ordinary('car_passing', 'car passing', 'A car drives past.', car_passing),
    ordinary('propeller_plane', 'aeroplane', 'A propeller plane drones overhead.', propeller_plane),
    ordinary('helicopter', 'helicopter', 'A helicopter flies over.', helicopter),
    ordinary('train', 'train', 'A train rumbles past.', train),
)
