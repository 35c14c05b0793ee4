"""People in motion and in crowds: falls, games, cheers, panic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.home.everyday import drift
from training.procedural.home.impacts import applause
from training.procedural.nature.outdoors import crowd_murmur
from training.procedural.people.voice import VOWELS, Person, contour, glottis, hump, laugh, person, scream, tract
from training.procedural.synth import (
    SAMPLE_RATE,
    Points,
    Rng,
    Signal,
    add,
    beats,
    burst,
    finish,
    gate,
    modal,
    noise,
    poisson,
    samples,
    shape,
)
from training.procedural.taxonomy import event

Audio = NDArray[np.float32]


def body_fall(rng: Rng) -> Audio:
    """Render a person who falls: one or two stumbling steps, a heavy soft thud, limbs after it.

    The floor's low modes ring with each blow, and in most draws a faint groan follows.
    """
    out, now = np.zeros(samples(2.8)), 0.0
    for _ in range(rng.integers(1, 3)):
        add(out, burst(rng, 0.12, [(80, 0), (300, -4), (3000, -20)]), now, rng.uniform(0.2, 0.4))
        now += rng.uniform(0.12, 0.3)
    thud: Points = [(25, -3), (60, 0), (150, -4), (600, -18), (4000, -36)]
    floor = modal(rng.uniform(40.0, 110.0, 3), rng.uniform(0.15, 0.4, 3), rng.uniform(0.3, 1.0, 3), 8000, rng)
    for turn, lag in enumerate(np.cumsum(rng.uniform(0.06, 0.2, rng.integers(2, 5)))):
        level = (1.0, 0.7, 0.4, 0.25)[turn]
        add(out, burst(rng, rng.uniform(0.25, 0.45), thud), now + lag, level)
        add(out, floor, now + lag, 0.8 * level)
        add(out, burst(rng, 0.2, [(300, -10), (1500, 0), (6000, -10)]), now + lag, 0.06 * level)
    if rng.random() < 0.6:
        who, size = person(rng), samples(rng.uniform(0.3, 0.7))
        groan = tract(glottis(rng, contour(size, who.pitch_hz * 1.5, who.pitch_hz), 1.1, 0.8), VOWELS['o'], who.size)
        add(out, groan * hump(size, 0.2), now + rng.uniform(0.5, 0.9), rng.uniform(0.03, 0.1))
    return finish(out)


def ball_bouncing(rng: Rng) -> Audio:
    """Render a basketball that is dribbled: even, hollow bounces with the ball's 70-110 Hz air mode."""
    total, out = rng.uniform(2.5, 6.0), np.zeros(samples(6.0))
    pitch = rng.uniform(70.0, 110.0) * np.array([1.0, 2.3, 5.9, 8.1, 11.4])
    t60, levels = np.array([0.2, 0.12, 0.25, 0.2, 0.1]), np.array([1.0, 0.5, 0.15, 0.1, 0.05])
    for time in beats(rng, total - 0.3, rng.uniform(0.32, 0.75), 0.04):
        level = rng.uniform(0.75, 1.0)
        add(out, modal(pitch, t60, levels, 4000, rng), time, level)
        add(out, burst(rng, 0.03, [(100, -5), (600, 0), (5000, -15)]), time, 0.8 * level)
    return finish(out[: samples(total)])


def skipping_rope(rng: Rng) -> Audio:
    """Render rope skipping: two to three turns a second, each a whoosh, a tick of the rope and soft feet."""
    total, out = rng.uniform(2.5, 6.0), np.zeros(samples(6.0))
    whoosh = noise(rng, samples(0.22), [(200, -15), (700, 0), (2500, -10), (7000, -25)]) * hump(samples(0.22), 0.7, 2.0)
    for time in beats(rng, total - 0.3, 1.0 / rng.uniform(1.9, 2.9), 0.03):
        add(out, whoosh, time, rng.uniform(0.12, 0.2))
        add(out, burst(rng, 0.02, [(500, -12), (2500, 0), (7000, -4)]), time + 0.18, rng.uniform(0.8, 1.2))
        add(out, burst(rng, 0.1, [(60, 0), (250, -3), (2000, -20)]), time + 0.22, rng.uniform(0.8, 1.2))
    return finish(out[: samples(total)])


def _shout(rng: Rng, who: Person, length_s: float, vowel: str) -> Signal:
    size = samples(length_s)
    high = who.pitch_hz * rng.uniform(1.8, 2.6)
    voice = glottis(rng, contour(size, high * 0.8, high, high * 0.85), 0.5, rng.uniform(0.1, 0.4))
    return tract(voice, VOWELS[vowel], who.size) * hump(size, 0.3, 0.6)


def cheering(rng: Rng) -> Audio:
    """Render a crowd that cheers and claps: sixteen long open vowels over a roar, with no gap between them."""
    total = rng.uniform(4.0, 7.0)
    out = np.zeros(samples(total))
    for start in rng.uniform(-1.0, total - 0.8, 16):
        shout = _shout(rng, person(rng, 110.0, 280.0), rng.uniform(0.9, 2.2), ('a', 'e', 'u')[rng.integers(3)])
        add(out, shout, start, rng.uniform(0.3, 1.0))
    roar = tract(noise(rng, out.size, [(100, -12), (500, 0), (6000, -12)]), VOWELS['a'], 1.1, 2.0)
    clapping = np.zeros(out.size)
    add(clapping, applause(rng).astype(np.float64), 0.0)
    out = out + rng.uniform(0.8, 1.6) * roar * drift(rng, out.size, 0.7, 0.15) + rng.uniform(0.5, 2.0) * clapping
    return finish(out * gate(out.size, 0.2, 0.5))


def group_laughter(rng: Rng) -> Audio:
    """Render five to nine people who laugh at once."""
    out = np.zeros(samples(rng.uniform(3.0, 6.0)))
    for _ in range(rng.integers(5, 10)):
        bout = laugh(rng, person(rng), int(rng.integers(5, 11)))
        add(out, bout, rng.uniform(0.0, out.size / SAMPLE_RATE - 1.2), rng.uniform(0.3, 1.0))
    return finish(out)


def panicking_crowd(rng: Rng) -> Audio:
    """Render a crowd in panic: overlapping screams and shouts, running feet, over an agitated murmur."""
    total = rng.uniform(4.5, 7.5)
    out = np.zeros(samples(total))
    for start in rng.uniform(-0.4, total - 0.5, int(rng.integers(6, 11))):
        add(out, scream(rng, person(rng, 150.0, 300.0), rng.uniform(0.6, 1.6)), start, rng.uniform(0.3, 1.0))
    for start in rng.uniform(-0.3, total - 0.5, 6):
        add(out, _shout(rng, person(rng), rng.uniform(0.4, 0.8), 'a'), start, rng.uniform(0.3, 0.8))
    step = burst(rng, 0.1, [(60, 0), (250, -3), (2500, -20)])
    for time in poisson(rng, total, rng.uniform(12.0, 25.0)):
        add(out, step, time, rng.uniform(0.2, 0.9))
    add(out, crowd_murmur(rng).astype(np.float64), 0.0, rng.uniform(0.5, 1.5))
    return finish(shape(out, [(60, -6), (200, 0), (8000, -rng.uniform(0.0, 12.0))]))


# fmt: off
TYPES = (
    event(body_fall, 'Body Movements', 'i', 'fall', 'Someone falls heavily to the floor.',
          centroid_hz=(40, 400), crest_db=(14, 30)),
    event(ball_bouncing, 'Body Movements', 'none', 'ball bouncing', 'Someone dribbles a basketball.',
          rhythm_hz=(1.2, 3.3), depth=(0.8, 3.0), peak_hz=(60, 280)),
    event(skipping_rope, 'Body Movements', 'none', 'rope skipping', 'Someone skips a rope.',
          rhythm_hz=(1.8, 3.1), crest_db=(12, 30)),
    event(cheering, 'Collective Ambience', 'none', 'cheering', 'A crowd cheers and claps.',
          depth=(0.0, 0.5), centroid_hz=(500, 2200), flatness=(0.005, 0.4)),
    event(group_laughter, 'Collective Ambience', 'none', 'group laughter', 'A group of people laughs.',
          depth=(0.25, 1.2), centroid_hz=(400, 2000)),
    event(panicking_crowd, 'Collective Ambience', 'i', 'panicking crowd', 'A crowd screams and runs in panic.',
          centroid_hz=(700, 2600), harmonicity=(0.4, 1.0)),
)
# fmt: on
