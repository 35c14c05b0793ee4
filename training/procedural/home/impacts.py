"""Struck things: harmless clinks, knocks, clicks and claps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.synth import (
    Points,
    Rng,
    Signal,
    add,
    beats,
    burst,
    finish,
    gate,
    log_uniform,
    modal,
    noise,
    ordinary,
    poisson,
    samples,
    shape,
)

Audio = NDArray[np.float32]


# Free-plate and cup-like mode ratios; what is struck keeps its own set through a whole sound.
RATIOS = (
    np.array([1.0, 2.32, 4.25, 6.63, 9.38]),
    np.array([1.0, 1.73, 2.33, 3.91, 4.11, 6.3]),
    np.array([1.0, 2.76, 5.4, 8.93]),
)


def clink(rng: Rng, base_hz: float, t60_s: float, body: Signal | None = None) -> Signal:
    """Return one tap on a cup, plate, spoon or coin: float64 [n] at 16 kHz.

    `base_hz` is the lowest mode and `t60_s` its decay by 60 dB. `body` holds the ratios of the modes to the lowest;
    without it a random body is struck.
    """
    ratios = RATIOS[rng.integers(3)] * rng.uniform(0.97, 1.03) if body is None else body
    pitch = base_hz * ratios
    t60 = t60_s / ratios ** rng.uniform(0.3, 1.0)
    out = modal(pitch, t60, rng.uniform(0.1, 1.0, ratios.size), samples(min(1.5, t60_s) + 0.05), rng)
    add(
        out,
        burst(rng, rng.uniform(0.003, 0.02), [(500, -20), (3000, 0), (7000, -6)]),
        0.0,
        rng.uniform(0.1, 0.8),
    )
    return out


def dishes(rng: Rng) -> Audio:
    """Render plates and cups that are set down or stacked: a few separate clinks of the same few bodies."""
    total = rng.uniform(0.8, 4.0)
    out = np.zeros(samples(total))
    bodies = [
        (
            log_uniform(rng, 450.0, 3500.0),
            RATIOS[rng.integers(3)] * rng.uniform(0.95, 1.05, 1),
            log_uniform(rng, 0.04, 0.6),
        )
        for _ in range(rng.integers(1, 5))
    ]
    for time in poisson(rng, total * 0.8, rng.uniform(0.5, 5.0)):
        base, ratios, t60 = bodies[rng.integers(len(bodies))]
        level = rng.uniform(0.1, 1.0)
        for bounce in range(rng.integers(1, 5)):  # a plate chatters before it rests
            add(
                out,
                clink(rng, base, t60, ratios),
                time + 0.045 * (1 - 0.6**bounce) / 0.4,
                level * 0.5**bounce,
            )
        if rng.random() < 0.5:  # the table under it
            add(out, burst(rng, rng.uniform(0.05, 0.15), [(80, 0), (400, -3), (2000, -25)]), time, 0.5 * level)
    return finish(out)


def cutlery(rng: Rng) -> Audio:
    """Render knives and forks against a plate or in a drawer: light, bright, quickly damped ticks."""
    total = rng.uniform(0.8, 4.0)
    out = np.zeros(samples(total))
    bodies = [(log_uniform(rng, 900.0, 4500.0), RATIOS[2] * rng.uniform(0.95, 1.05, 4)) for _ in range(4)]
    for time in poisson(rng, total * 0.9, rng.uniform(1.5, 10.0)):
        base, ratios = bodies[rng.integers(4)]
        add(out, clink(rng, base, log_uniform(rng, 0.03, 0.3), ratios), time, rng.lognormal(-1.0, 0.6))
    return finish(out)


def glasses_toast(rng: Rng) -> Audio:
    """Render glasses that are touched together: one to three long, clear rings and nothing falling."""
    out = np.zeros(samples(rng.uniform(0.9, 2.5)))
    for time in beats(rng, rng.uniform(0.05, 1.2), rng.uniform(0.25, 0.6), 0.4)[:3]:
        for _ in range(2):
            add(
                out,
                clink(rng, log_uniform(rng, 800.0, 3200.0), rng.uniform(0.4, 1.6)),
                time,
                rng.uniform(0.4, 1.0),
            )
    return finish(out)


def coins(rng: Rng) -> Audio:
    """Render one to five coins dropped on a table: each bounces ever faster until it rests."""
    total = rng.uniform(0.8, 2.5)
    out = np.zeros(samples(total))
    for _ in range(rng.integers(1, 6)):
        base, ratios = log_uniform(rng, 2500.0, 5500.0), RATIOS[1] * rng.uniform(0.97, 1.03, 6)
        ring, gap, level = log_uniform(rng, 0.05, 0.35), rng.uniform(0.08, 0.25), rng.uniform(0.3, 1.0)
        time, keep = rng.uniform(0.0, total * 0.5), rng.uniform(0.65, 0.85)
        while gap > 0.008 and time < total:
            add(out, clink(rng, base, ring, ratios), time, level)
            time, gap, level = time + gap, gap * keep, level * rng.uniform(0.6, 0.95)
    return finish(out)


def keys(rng: Rng) -> Audio:
    """Render a bunch of keys that is shaken: many small taps of the same few blades, in bursts."""
    total = rng.uniform(0.8, 3.5)
    out = np.zeros(samples(total))
    blades = [log_uniform(rng, 1800.0, 6500.0, 5) for _ in range(rng.integers(3, 7))]
    taps = [modal(blade, log_uniform(rng, 0.03, 0.15), rng.uniform(0.2, 1.0, 5), 2400, rng) for blade in blades]
    shake = rng.uniform(1.5, 6.0)
    for time in poisson(rng, total * 0.9, rng.uniform(15.0, 60.0)):
        level = rng.lognormal(-1.0, 0.7) * (0.1 + np.abs(np.sin(np.pi * shake * time)))
        add(out, taps[rng.integers(len(taps))], time, level)
    return finish(out)


def _wood(rng: Rng, base_hz: float) -> Signal:
    """A blow on wood: low, heavily damped modes with a dull contact noise."""
    pitch = base_hz * np.array([1.0, 1.7, 2.6, 3.7, 5.2, 7.1]) * rng.uniform(0.93, 1.07, 6)
    out = modal(pitch, log_uniform(rng, 0.05, 0.2) / np.sqrt(pitch / base_hz), rng.uniform(0.1, 1.0, 6), 5000, rng)
    add(
        out,
        burst(rng, rng.uniform(0.01, 0.05), [(100, 0), (1000, -3), (5000, -20)]),
        0.0,
        rng.uniform(0.3, 1.5),
    )
    return out


def knocks(rng: Rng) -> Audio:
    """Render two to six knocks of knuckles on a door."""
    base, gap = log_uniform(rng, 90.0, 400.0), rng.uniform(0.12, 0.4)
    times = beats(rng, gap * rng.integers(2, 7) - 0.05, gap, 0.15)
    out = np.zeros(samples(times[-1] + 0.5))
    for time in times:
        add(out, _wood(rng, base), time, rng.uniform(0.5, 1.0))
    return finish(out)


def footsteps(rng: Rng) -> Audio:
    """Render footsteps: heel and sole on a hard or soft floor, at a walking or hurried pace."""
    total, hard = rng.uniform(1.5, 6.0), rng.random()
    out = np.zeros(samples(total))
    heel: Points = [(60, 0), (300, -3), (2000, -30 + 24 * hard), (6000, -45 + 30 * hard)]
    for time in beats(rng, total - 0.3, rng.uniform(0.33, 0.75), 0.06):
        level = rng.uniform(0.6, 1.0)
        add(out, burst(rng, rng.uniform(0.06, 0.2), heel), time, level)
        add(
            out,
            burst(rng, rng.uniform(0.05, 0.2), [(200, -6), (1500, 0), (6000, -12)]),
            time + rng.uniform(0.05, 0.12),
            level * rng.uniform(0.05, 0.4),
        )
    return finish(out)


def hammering(rng: Rng) -> Audio:
    """Render a hammer on a nail in wood, whose pitch creeps up as the nail goes in."""
    total, base = rng.uniform(1.0, 5.0), log_uniform(rng, 120.0, 350.0)
    nail = log_uniform(rng, 1500.0, 4500.0)
    out = np.zeros(samples(total))
    for turn, time in enumerate(beats(rng, total - 0.3, rng.uniform(0.25, 0.8), 0.1)):
        add(out, _wood(rng, base), time, rng.uniform(0.7, 1.0))
        add(out, clink(rng, nail * (1.0 + 0.01 * turn), rng.uniform(0.03, 0.15)), time, rng.uniform(0.2, 0.7))
    return finish(out)


def door(rng: Rng) -> Audio:
    """Render a door that closes: in half of the draws a swish of air, then a slam, the latch and a rattling frame."""
    out = np.zeros(samples(rng.uniform(1.0, 2.2)))
    slam = rng.uniform(0.15, 0.4) if rng.random() < 0.5 else 0.0
    if slam:
        swish = noise(rng, samples(slam), [(100, 0), (600, -6), (4000, -25)])
        add(out, swish * np.linspace(0.1, 1.0, swish.size), 0.0, 0.08)
    add(out, burst(rng, rng.uniform(0.2, 0.7), [(40, 0), (150, 0), (800, -15), (5000, -35)]), slam, 1.0)
    add(out, _wood(rng, log_uniform(rng, 60.0, 160.0)), slam, 0.8)
    for lag in rng.uniform(0.0, 0.12, rng.integers(1, 4)):
        add(
            out,
            clink(rng, rng.uniform(700.0, 2500.0), rng.uniform(0.02, 0.08)),
            slam + lag,
            rng.uniform(0.05, 0.4),
        )
    return finish(out)


def drawer(rng: Rng) -> Audio:
    """Render a drawer that rolls and bumps shut, its contents rattling."""
    roll = rng.uniform(0.3, 1.0)
    out = np.zeros(samples(roll + 0.6))
    rumble = noise(rng, samples(roll), [(60, -6), (250, 0), (1500, -8), (6000, -25)])
    add(out, rumble * gate(rumble.size, 0.05, 0.05) * rng.uniform(0.6, 1.0), 0.0, 0.15)
    add(out, _wood(rng, log_uniform(rng, 80.0, 220.0)), roll, 1.0)
    for time in poisson(rng, 0.2, rng.uniform(0.0, 25.0)):
        add(
            out,
            clink(rng, rng.uniform(1000.0, 4000.0), rng.uniform(0.02, 0.1)),
            roll + time,
            rng.uniform(0.02, 0.2),
        )
    return finish(out)


def _clicks(rng: Rng, times: list[float] | Signal, total_s: float, bright_hz: float, t60_s: float) -> Signal:
    """Small plastic or metal clicks at the given times, each a double contact."""
    out = np.zeros(samples(total_s))
    body = bright_hz * rng.uniform(0.5, 1.6, 5)
    kinds = [
        shape(
            modal(body * rng.uniform(0.9, 1.1, 5), t60_s, rng.uniform(0.2, 1.0, 5), 1200, rng),
            [(100, -20), (800, 0), (8000, 0)],
        )
        for _ in range(6)
    ]
    for kind in kinds:
        add(kind, burst(rng, t60_s, [(200, -15), (bright_hz, 0), (7500, -10)]), 0.0, rng.uniform(0.3, 1.0))
    for time in times:
        level = rng.uniform(0.4, 1.0)
        add(out, kinds[rng.integers(6)], time, level)
        add(out, kinds[rng.integers(6)], time + rng.uniform(0.004, 0.02), level * rng.uniform(0.1, 0.5))
    return out


def typing(rng: Rng) -> Audio:
    """Render a computer keyboard: clicks of press and release in irregular runs."""
    total = rng.uniform(1.0, 6.0)
    times = np.concatenate([[0.0], np.cumsum(rng.gamma(2.0, rng.uniform(0.04, 0.12), 100))])
    times = times[times < total - 0.15]
    up = times + rng.uniform(0.05, 0.12, times.size)
    out = _clicks(rng, times, total, log_uniform(rng, 1200.0, 4000.0), rng.uniform(0.01, 0.04))
    out += rng.uniform(0.1, 0.5) * _clicks(rng, up, total, log_uniform(rng, 1500.0, 5000.0), 0.012)
    for time in times:  # the desk under the keyboard
        add(out, burst(rng, 0.05, [(80, 0), (300, 0), (1500, -25)]), time, rng.uniform(0.05, 0.4))
    return finish(out)


def mouse_clicks(rng: Rng) -> Audio:
    """Render double clicks of a computer mouse at random times."""
    total = rng.uniform(0.6, 3.0)
    times = poisson(rng, total * 0.8, rng.uniform(0.3, 2.0))
    times = np.concatenate([times, times + rng.uniform(0.07, 0.14)])
    return finish(_clicks(rng, times, total, log_uniform(rng, 1800.0, 5000.0), rng.uniform(0.006, 0.02)))


def indicator(rng: Rng) -> Audio:
    """Render a car's turn indicator: tick and tock in turn, 60-120 flashes a minute (UN R48)."""
    total, gap = rng.uniform(2.0, 7.0), rng.uniform(0.25, 0.5)
    out = np.zeros(samples(total))
    tick, tock = (_clicks(rng, [0.0], 0.1, log_uniform(rng, 700.0, 3000.0), rng.uniform(0.01, 0.04)) for _ in range(2))
    for turn, time in enumerate(beats(rng, total - 0.1, gap, 0.01)):
        add(out, tick if turn % 2 == 0 else tock, time)
    return finish(out)


def clock(rng: Rng) -> Audio:
    """Render a clock that ticks once to five times a second."""
    total = rng.uniform(2.0, 7.0)
    times = beats(rng, total - 0.1, rng.choice([1.0, 0.5, 0.4, 0.25, 0.2]), 0.01)
    return finish(_clicks(rng, times, total, log_uniform(rng, 1500.0, 5000.0), rng.uniform(0.008, 0.05)))


def applause(rng: Rng) -> Audio:
    """Render three to sixty people who clap, each at their own pace with their own hands."""
    total = rng.uniform(1.5, 6.0)
    out = np.zeros(samples(total))
    for _ in range(min(int(log_uniform(rng, 3, 200)), 60)):
        middle = log_uniform(rng, 700.0, 2500.0)
        clap = burst(rng, rng.uniform(0.02, 0.07), [(200, -20), (middle, 0), (middle * 1.8, -6), (7000, -25)])
        loud = rng.lognormal(-1.0, 0.6)
        for time in beats(rng, total, rng.uniform(0.18, 0.4), 0.12):
            add(out, clap, time + rng.uniform(0.0, 0.3), loud * rng.uniform(0.6, 1.0))
    return finish(out)


TYPES = (
    ordinary('dishes', 'dishes', 'Plates and cups clink.', dishes),
    ordinary('cutlery', 'cutlery', 'Cutlery clatters.', cutlery),
    ordinary('glasses_toast', 'glasses clinking', 'Glasses clink together.', glasses_toast),
    ordinary('coins', 'coins', 'Coins drop on a table.', coins),
    ordinary('keys', 'keys jingling', 'A bunch of keys jingles.', keys),
    ordinary('knocks', 'knocking', 'Someone knocks on a door.', knocks),
    ordinary('footsteps', 'footsteps', 'Someone walks past.', footsteps),
    ordinary('hammering', 'hammering', 'Someone hammers a nail.', hammering),
    ordinary('door', 'door closing', 'A door closes.', door),
    ordinary('drawer', 'drawer', 'A drawer slides shut.', drawer),
    ordinary('typing', 'keyboard typing', 'Someone types on a keyboard.', typing),
    ordinary('mouse_clicks', 'mouse click', 'A computer mouse clicks.', mouse_clicks),
    ordinary('indicator', 'turning indicator', "A car's turning indicator ticks.", indicator),
    ordinary('clock', 'clock ticking', 'A clock ticks.', clock),
    ordinary('applause', 'applause', 'People clap.', applause),
)
