"""The human voice and breath: coughing, choking, snoring, crying, laughing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.procedural.people.voice import (
    VOWELS,
    Person,
    breath,
    contour,
    cough,
    glottis,
    hump,
    laugh,
    person,
    scream,
    tract,
)
from training.procedural.synth import SAMPLE_RATE, Rng, add, finish, gate, harmonics, log_uniform, samples, slow
from training.procedural.taxonomy import event

Audio = NDArray[np.float32]


def light_cough(rng: Rng) -> Audio:
    """Render one person who coughs once or twice and is done."""
    who, out = person(rng), np.zeros(samples(1.3))
    for turn in range(rng.integers(1, 3)):
        add(out, cough(rng, who, 0.8**turn), turn * rng.uniform(0.35, 0.5))
    return finish(out)


def coughing_fit(rng: Rng) -> Audio:
    """Render a long fit: bouts of three to seven coughs without a breath, each ended by a hoarse gasp for air."""
    who, total = person(rng), rng.uniform(4.5, 7.5)
    out, now = np.zeros(samples(total)), 0.0
    while now < total:
        gap = rng.uniform(0.28, 0.42)
        for _ in range(rng.integers(3, 8)):
            add(out, cough(rng, who, rng.uniform(0.7, 1.0)), now)
            now += gap * rng.uniform(0.9, 1.15)
        count = samples(rng.uniform(0.4, 0.7))
        hoarse = tract(glottis(rng, contour(count, who.pitch_hz * 2.0, who.pitch_hz * 3.0), 1.0, 1.0), VOWELS['a'])
        gasp = breath(rng, count, who, 'a') + rng.uniform(0.0, 0.5) * hoarse
        add(out, gasp * hump(count, 0.6), now, rng.uniform(0.05, 0.12))
        now += count / SAMPLE_RATE + rng.uniform(0.0, 0.15)
    return finish(out)


def choking(rng: Rng) -> Audio:
    """Render a person who chokes: stridor of 300-900 Hz as air is drawn past the obstruction, and strangled coughs."""
    who, total = person(rng), rng.uniform(3.5, 6.5)
    out, now = np.zeros(samples(total)), 0.0
    while now < total:
        count = samples(rng.uniform(0.5, 1.0))
        tone = log_uniform(rng, 350.0, 850.0)
        stridor = glottis(rng, contour(count, tone * 0.8, tone * 1.1, tone), 0.8, 0.6)
        add(out, (tract(stridor, VOWELS['u'], who.size) + 0.3 * breath(rng, count, who)) * hump(count, 0.6, 0.7), now)
        now += count / SAMPLE_RATE + rng.uniform(0.02, 0.15)
        for _ in range(rng.integers(1, 4)):
            gag = samples(rng.uniform(0.12, 0.22))
            voice = glottis(rng, contour(gag, who.pitch_hz * 1.4, who.pitch_hz), 0.9, 1.0)
            throat = tract(voice, VOWELS['o'], who.size)
            add(out, throat * hump(gag, 0.15), now, rng.uniform(0.5, 1.0))
            add(out, cough(rng, who), now, rng.uniform(0.1, 0.4))
            now += gag / SAMPLE_RATE + rng.uniform(0.08, 0.2)
    return finish(out)


def wheezing(rng: Rng) -> Audio:
    """Render an asthma attack: long outward breaths that whistle, quick gasps in.

    Each outward breath whistles on the same one to three tones of 250-900 Hz.
    """
    who, total = person(rng), rng.uniform(4.0, 7.5)
    out, now = np.zeros(samples(total)), 0.0
    tones = log_uniform(rng, 250.0, 900.0, int(rng.integers(1, 4)))
    while now < total:
        size = samples(rng.uniform(0.9, 1.6))
        whistle = np.zeros(size)
        for tone in tones:
            pitch = tone * contour(size, 1.05, 0.9) * (1.0 + 0.004 * slow(rng, size, 9.0))
            whistle += harmonics(pitch, [1.0, 0.15], size, rng)
        add(out, (whistle + rng.uniform(0.15, 0.4) * breath(rng, size, who)) * hump(size, 0.3, 0.7), now)
        now += size / SAMPLE_RATE + rng.uniform(0.02, 0.1)
        gasp = samples(rng.uniform(0.3, 0.5))
        add(out, breath(rng, gasp, who, 'e') * hump(gasp, 0.6), now, rng.uniform(0.3, 0.6))
        now += gasp / SAMPLE_RATE + rng.uniform(0.02, 0.1)
    return finish(out)


def breathing(rng: Rng) -> Audio:
    """Render a person who breathes quietly: 12-24 breaths a minute, brighter in than out, nothing tonal."""
    who, total = person(rng), rng.uniform(5.0, 8.0)
    out, now = np.zeros(samples(total)), 0.0
    cycle = 60.0 / rng.uniform(12.0, 24.0)
    while now < total:
        inward, outward = samples(cycle * rng.uniform(0.32, 0.4)), samples(cycle * rng.uniform(0.4, 0.48))
        add(out, breath(rng, inward, who, 'e') * hump(inward, 0.55), now, rng.uniform(0.5, 0.9))
        add(out, breath(rng, outward, who, 'neutral') * hump(outward, 0.3), now + cycle * 0.42, rng.uniform(0.6, 1.0))
        now += cycle * rng.uniform(0.97, 1.05)
    return finish(out)


def snoring(rng: Rng) -> Audio:
    """Render a person who snores: the soft palate flutters at 25-60 Hz on each breath in; soft breaths out."""
    who, total = person(rng, 90.0, 160.0), rng.uniform(6.5, 8.0)
    out, now = np.zeros(samples(total)), 0.0
    flutter, cycle = rng.uniform(28.0, 60.0), rng.uniform(2.2, 3.0)
    while now < total:
        size = samples(cycle * rng.uniform(0.4, 0.5))
        source = glottis(rng, flutter * contour(size, 0.9, 1.1, 1.0) * (1 + 0.04 * slow(rng, size, 12)), 0.5, 0.4)
        snore = tract(source, (320.0, 900.0, 1900.0, 3000.0), who.size, 3.0) + 0.3 * breath(rng, size, who)
        add(out, snore * hump(size, 0.6, 0.7), now)
        size = samples(cycle * 0.35)
        add(out, breath(rng, size, who) * hump(size, 0.3), now + cycle * 0.55, rng.uniform(0.05, 0.15))
        now += cycle * rng.uniform(0.97, 1.03)
    return finish(out)


def throat_clearing(rng: Rng) -> Audio:
    """Render a person who clears the throat: one to three rough, low, closed-mouth pulses."""
    who, out, now = person(rng), np.zeros(samples(2.0)), 0.0
    for _ in range(rng.integers(1, 4)):
        size = samples(rng.uniform(0.22, 0.5))
        voice = glottis(rng, contour(size, who.pitch_hz * 1.1, who.pitch_hz * 0.8), 1.1, 1.0)
        add(out, (tract(voice, VOWELS['o'], who.size) + 0.2 * breath(rng, size, who)) * hump(size, 0.25), now)
        now += size / SAMPLE_RATE + rng.uniform(0.06, 0.2)
    return finish(out)


def humming(rng: Rng) -> Audio:
    """Render a person who hums a tune with the mouth closed."""
    who, total = person(rng, 120.0, 320.0), rng.uniform(3.0, 7.0)
    out, now = np.zeros(samples(total)), 0.0
    while now < total:
        size = samples(rng.choice([0.3, 0.3, 0.6, 0.9]) * rng.uniform(0.95, 1.05))
        pitch = who.pitch_hz * 2.0 ** (rng.choice([0, 2, 4, 5, 7]) / 12.0)
        voice = glottis(rng, contour(size, pitch * 0.97, pitch, pitch), 2.2, 0.02)
        add(out, tract(voice, VOWELS['hum'], who.size) * gate(size, 0.06, 0.08), now)
        now += size / SAMPLE_RATE * 0.97
    return finish(out)


def laughter(rng: Rng) -> Audio:
    """Render a person who laughs: one to three bouts of four to nine calls."""
    who, out, now = person(rng), np.zeros(samples(6.0)), 0.0
    for _ in range(rng.integers(1, 4)):
        bout = laugh(rng, who, int(rng.integers(4, 10)))
        add(out, bout, now)
        now += bout.size / SAMPLE_RATE + rng.uniform(0.0, 0.3)
    return finish(out)


def screaming(rng: Rng) -> Audio:
    """Render a person who screams once to three times, 0.7-1.7 s each."""
    who, out, now = person(rng, 150.0, 300.0), np.zeros(samples(6.0)), 0.0
    for _ in range(rng.integers(1, 4)):
        cry = scream(rng, who, rng.uniform(0.7, 1.7))
        add(out, cry, now)
        now += cry.size / SAMPLE_RATE + rng.uniform(0.1, 0.4)
    return finish(out)


def cry_of_pain(rng: Rng) -> Audio:
    """Render a cry of pain, 'ow!': a loud vowel that jumps up and slides down an octave, then groans."""
    who, out = person(rng), np.zeros(samples(3.5))
    size = samples(rng.uniform(0.45, 0.9))
    top = who.pitch_hz * rng.uniform(2.2, 3.2)
    voice = glottis(rng, contour(size, top * 0.8, top, top * 0.75, top * 0.5), 0.8, rng.uniform(0.2, 0.6))
    share = np.linspace(0.0, 1.0, size)
    cry = tract(voice, VOWELS['a'], who.size) * (1 - share) + tract(voice, VOWELS['u'], who.size) * share
    add(out, cry * hump(size, 0.15, 0.6), 0.0)
    now = size / SAMPLE_RATE + rng.uniform(0.05, 0.2)
    for _ in range(rng.integers(1, 4)):
        size = samples(rng.uniform(0.3, 0.7))
        groan = glottis(rng, contour(size, who.pitch_hz * 1.3, who.pitch_hz * 0.9), 1.1, 0.7)
        add(out, tract(groan, VOWELS['neutral'], who.size) * hump(size, 0.2), now, rng.uniform(0.25, 0.5))
        now += size / SAMPLE_RATE + rng.uniform(0.1, 0.3)
    return finish(out)


def baby_cry(rng: Rng) -> Audio:
    """Render an infant that cries: 0.6-1.4 s wails on 350-550 Hz, rising then falling, breath caught between them."""
    total = rng.uniform(4.0, 7.5)
    who, out, now = Person(log_uniform(rng, 350.0, 550.0), 1.7), np.zeros(samples(total)), 0.0
    while now < total:
        size = samples(rng.uniform(0.6, 1.4))
        pitch = who.pitch_hz * contour(size, 0.85, 1.1, 1.05, 0.75) * (1 + 0.012 * slow(rng, size, 14))
        wail = tract(glottis(rng, pitch, 0.8, rng.uniform(0.0, 0.4)), VOWELS['a'], who.size, 6.0)
        add(out, wail * hump(size, 0.3, 0.5), now, rng.uniform(0.7, 1.0))
        now += size / SAMPLE_RATE + rng.uniform(0.02, 0.08)
        catch = samples(rng.uniform(0.15, 0.3))
        add(out, breath(rng, catch, who, 'e') * hump(catch, 0.6), now, rng.uniform(0.05, 0.15))
        now += catch / SAMPLE_RATE + rng.uniform(0.02, 0.1)
    return finish(out)


# fmt: off
TYPES = (
    event(light_cough, 'Physiological States', 'none', 'light cough', 'Someone coughs once or twice.',
          onsets_hz=(0.6, 4.5), depth=(0.7, 3.0)),
    event(coughing_fit, 'Physiological States', 'i', 'coughing fit', 'Someone has a long coughing fit.',
          onsets_hz=(1.3, 3.6), depth=(0.7, 2.0)),
    event(choking, 'Physiological States', 'i', 'choking', 'Someone chokes and gasps for air.',
          harmonicity=(0.5, 1.0), depth=(0.4, 1.2), centroid_hz=(250, 1500)),
    event(wheezing, 'Physiological States', 'i', 'wheezing', 'Someone wheezes and struggles for breath.',
          peak_hz=(220, 960), flatness=(0.0, 0.05), onsets_hz=(0.3, 1.6)),
    event(breathing, 'Physiological States', 'none', 'breathing', 'Someone breathes calmly.',
          harmonicity=(0.0, 0.45), depth=(0.3, 0.9)),
    event(snoring, 'Physiological States', 'none', 'snoring', 'Someone snores.',
          rhythm_hz=(0.3, 0.5), flutter_hz=(12, 70), centroid_hz=(150, 1200)),
    event(throat_clearing, 'Physiological States', 'none', 'throat clearing', 'Someone clears their throat.',
          centroid_hz=(200, 1200), onsets_hz=(0.5, 5.0)),
    event(humming, 'Physiological States', 'none', 'humming', 'Someone hums a tune.',
          pitch_hz=(110, 520), harmonicity=(0.8, 1.0), centroid_hz=(100, 650)),
    event(laughter, 'Emotion Expression', 'none', 'laughter', 'Someone laughs.',
          onsets_hz=(2.0, 6.0), pitch_hz=(120, 560)),
    event(screaming, 'Emotion Expression', 'i', 'scream', 'Someone screams.',
          pitch_hz=(480, 1700), centroid_hz=(800, 3200)),
    event(cry_of_pain, 'Emotion Expression', 'i', 'cry of pain', 'Someone cries out in pain.',
          harmonicity=(0.6, 1.0), pitch_hz=(80, 850), depth=(0.5, 1.5)),
    event(baby_cry, 'Emotion Expression', 'i', 'baby cry', 'A baby cries.',
          pitch_hz=(290, 640), harmonicity=(0.75, 1.0), on_s=(0.4, 1.8), off_s=(0.1, 0.8)),
)
# fmt: on
