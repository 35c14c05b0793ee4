"""The rules measure: identity, level, length, edges, band, and what sounds next to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dsp.fades import fade
from training.scenes.grammar import Grammar
from training.scenes.scenario import Acceptance, ClipInfo, Refinement, SubEvent
from training.scenes.verifier import Candidate, Neighbour, RuleVerifier, measure
from training.streams import Role

RATE = 16_000
VERIFIER = RuleVerifier(Grammar())


def noise(seconds=1.0, level_db=-20.0, seed=1):
    """Faded at both ends, so that nothing is wrong with it."""
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32)
    return fade(samples * np.float32(10 ** (level_db / 20)))


def tone(hz, seconds=1.0):
    return fade(0.1 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE).astype(np.float32))


def judge(samples, category='rain', tags=('rain',), role=Role.FOREGROUND, seconds=1.0, caption='', near=()):
    clip = ClipInfo(
        clip_id='a',
        category=category,
        caption=caption,
        duration_s=max(len(samples), 1) / RATE,
        respond=False,
        source='x',
    )
    event = SubEvent(name='rain', role=role, rough_duration_s=seconds, brief_description='rain')
    refinement = Refinement(query='rain on a tin roof', fallback_caption='Rain.', accept_tags=tags)
    return VERIFIER.verify(Candidate('A street.', event, refinement, tuple(near), clip, samples))


def test_a_clean_clip_of_the_right_length_is_accepted():
    verdict = judge(noise())
    assert (verdict.decision, verdict.conflicts, verdict.made_by) == (Acceptance.ACCEPT, (), 'rules')


@pytest.mark.parametrize(
    ('category', 'tags', 'decision'),
    [
        ('dog bark', ('Dog',), Acceptance.ACCEPT),
        ('clock tick', ('Clock ticking',), Acceptance.ACCEPT),
        ('sea', ('wind', 'sea waves'), Acceptance.ACCEPT),
        ('train', ('rain',), Acceptance.REJECT),
        ('dog bark', ('Cat',), Acceptance.REJECT),
    ],
)
def test_identity_is_a_matter_of_the_category(category, tags, decision):
    verdict = judge(noise(), category, tags)
    assert verdict.decision is decision
    assert decision is Acceptance.ACCEPT or verdict.reason.startswith('Identity')


@pytest.mark.parametrize(
    ('samples', 'reason'),
    [
        (np.zeros(RATE, np.float32), 'too quiet'),
        (np.zeros(0, np.float32), 'too quiet'),
        (noise(level_db=-80), 'too quiet'),
        (tone(60), 'all energy lies below'),
        (np.full(RATE, 0.3, np.float32), 'too quiet'),  # an offset is no sound
        (np.clip(noise(level_db=20), -1, 1), 'clipped'),
        (noise(0.4), 'too short'),
    ],
)
def test_what_cannot_be_mended_is_rejected(samples, reason):
    verdict = judge(samples)
    assert verdict.decision is Acceptance.REJECT and reason in verdict.reason


@given(st.floats(0.05, 6.0), st.floats(0.3, 3.0))
def test_length_decides_by_half_and_twice(seconds, wanted_s):
    samples = noise(seconds)
    ratio = len(samples) / RATE / wanted_s
    if min(abs(ratio - 0.5), abs(ratio - 2.0)) < 0.01:
        return  # the duration is rounded to a millisecond
    expected = Acceptance.REJECT if ratio < 0.5 else Acceptance.REPROCESS if ratio > 2 else Acceptance.ACCEPT
    assert judge(samples, seconds=wanted_s).decision is expected


@pytest.mark.parametrize('cut', [slice(1_000, None), slice(None, -1_000)], ids=['onset', 'offset'])
def test_a_sound_cut_off_at_an_edge_is_to_be_reprocessed(cut):
    verdict = judge(tone(400)[cut][:16_000])
    assert verdict.decision is Acceptance.REPROCESS and verdict.reason.startswith('Continuity')
    assert judge(fade(tone(400)[cut])).decision is Acceptance.ACCEPT


def test_a_sharp_attack_from_nothing_is_not_a_cut():
    struck = tone(900) * np.exp(-np.arange(RATE) / 2_000).astype(np.float32)
    struck[:8] *= np.linspace(0, 1, 8, dtype=np.float32) ** 2  # half a millisecond
    assert measure(struck).onset_db < -20
    assert judge(struck).decision is Acceptance.ACCEPT


def test_a_loop_may_be_long_and_cut_but_not_tiny():
    long = noise(5.0)[500:-500]
    assert judge(long, role=Role.AMBIENT, seconds=60.0).decision is Acceptance.ACCEPT
    assert 'too short to loop' in judge(noise(0.5), role=Role.AMBIENT, seconds=60.0).reason


def test_what_clashes_with_a_neighbour_is_rejected_by_name():
    crickets = Neighbour('crickets', ('insects',), together=False)  # never in one scene with rain
    verdict = judge(noise(), near=[crickets, Neighbour('door', ('door',), together=True)])
    assert (verdict.decision, verdict.conflicts) == (Acceptance.REJECT, ('crickets',))


@pytest.mark.parametrize(('together', 'decision'), [(True, Acceptance.REJECT), (False, Acceptance.ACCEPT)])
def test_speech_over_music_clashes_and_after_music_does_not(together, decision):
    near = [Neighbour('band', ('music',), together)]
    assert judge(noise(), 'speech', ('speech',), near=near).decision is decision


def test_a_second_source_in_the_caption_counts():
    near = [Neighbour('talk', ('speech',), together=True)]
    assert judge(noise(), caption='Rain on a tent.', near=near).decision is Acceptance.ACCEPT
    verdict = judge(noise(), caption='Rain while an orchestra plays.', near=near)
    assert (verdict.decision, verdict.conflicts) == (Acceptance.REJECT, ('talk',))


def test_measures_are_what_they_say():
    measured = measure(tone(1_000, 2.0))
    assert measured.duration_s == 2.0
    assert measured.level_dbfs == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.3)
    assert measured.low_hz == pytest.approx(1_000, abs=30) and measured.high_hz == pytest.approx(1_000, abs=30)
    assert measured.onset_db < -40 and measured.offset_db < -40
    offset = measure(tone(1_000, 2.0) + np.float32(0.5))
    assert offset.high_hz == pytest.approx(1_000, abs=30)
    assert measure(np.ones(RATE, np.float32)).clipped_share == 1.0
