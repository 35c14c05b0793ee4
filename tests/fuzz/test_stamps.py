"""Whatever the stamps, formats and arrivals of messages are: heard + counted as lost = sent."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.chunk_stream import MISSING, PAUSE, TWICE, ChunkStream
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.timeline import NS_PER_S
from tests.fuzz.cases import cases
from tests.sound_driver import BLOCK, MS, START_NS, Driver

RATES_HZ = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(4_000, 384_000)
FORMATS = st.builds(PcmFormat, RATES_HZ, st.integers(1, 3), st.sampled_from(['S16LE', 'F32LE', 'U8']))
ANY_STAMP_NS = st.integers(-(2**31) * NS_PER_S, 2**31 * NS_PER_S)

# What a driver does next: its name, how many frames at its rate, and a number that the step needs.
FRAMES = st.integers(1, 3_000)
STEPS = st.one_of(
    st.tuples(st.just('send'), FRAMES, st.integers(0, 60) | st.integers(0, 5_000)),  # so many ms late
    st.tuples(st.just('lose'), st.integers(1, 80_000), st.just(0)),
    st.tuples(st.just('again'), FRAMES, st.just(0)),
    st.tuples(st.just('unstamped'), FRAMES, st.just(0)),
    st.tuples(st.just('stamped'), FRAMES, ANY_STAMP_NS),
    st.tuples(st.just('stopped'), FRAMES, st.just(START_NS)),
    st.tuples(st.just('unreadable'), FRAMES, st.just(0)),
    st.tuples(st.just('too long'), st.just(4_000_000), st.just(0)),
    st.tuples(st.just('nothing'), st.just(0), st.just(0)),
)


def do(driver: Driver, kind: str, frames: int, number: int) -> None:
    if kind in ('send', 'too long', 'nothing'):
        driver.send(frames, number * MS)
    elif kind == 'lose':
        driver.lose(frames)
    elif kind == 'again' and driver.captured >= frames:
        driver.send_again(driver.captured - frames, frames)
    elif kind in ('unstamped', 'stamped', 'stopped'):
        driver.send(frames, stamp_ns=number)
    elif kind == 'unreadable':
        driver.came += frames
        driver.captured += frames
        driver.stream.note_loss(frames / driver.pcm.sample_rate_hz)


@cases(300)
@given(st.lists(STEPS, max_size=60))
def test_every_sample_that_comes_is_heard_or_counted_whatever_the_stamps_say(sequence):
    driver = Driver()
    for step in sequence:
        do(driver, *step)
        driver.assert_every_sample_that_came_is_accounted_for()
    driver.chunks += driver.stream.finish()
    lost = driver.stream.lost
    assert driver.stream.heard + lost.total() - lost[MISSING] - lost[PAUSE] == driver.came
    assert driver.stream.pending == 0
    assert_the_chunks_are_in_order(driver.chunks)


@cases(150)
@given(st.lists(st.tuples(FORMATS, st.lists(STEPS, max_size=15)), max_size=4))
def test_so_it_is_in_any_format_and_when_formats_change(sequence):
    stream, chunks, came = ChunkStream(1), [], 0.0
    messages = 1
    for pcm, steps in sequence:
        driver = Driver(pcm)
        driver.stream = stream
        for step in steps:
            do(driver, *step)
            messages += 1
        chunks += driver.chunks
        came += driver.came * 16_000 / pcm.sample_rate_hz
    chunks += stream.finish()
    lost = stream.lost
    # A message or a piece between gaps has no whole number of samples at 16 kHz.
    assert stream.heard + lost.total() - lost[MISSING] - lost[PAUSE] == pytest.approx(came, abs=2 * messages)
    assert_the_chunks_are_in_order(chunks)


@cases(150)
@given(st.lists(st.tuples(FRAMES, ANY_STAMP_NS | st.just(START_NS), st.integers(0, 2**63)), max_size=40))
def test_so_it_is_whenever_messages_arrive(messages):
    stream, chunks, came = ChunkStream(1), [], 0
    for number, (frames, stamp_ns, arrived_ns) in enumerate(messages):
        came += frames
        samples = np.full((frames, 1), number / 64, np.float32)
        with contextlib.suppress(AudioFormatError):
            chunks += stream.push(samples, PcmFormat(16_000, 1, 'S16LE'), stamp_ns, arrived_ns)
    chunks += stream.finish()
    lost = stream.lost
    assert stream.heard + lost.total() - lost[MISSING] - lost[PAUSE] == came
    assert_the_chunks_are_in_order(chunks)


def assert_the_chunks_are_in_order(chunks):
    for before, after in itertools.pairwise(chunks):
        if after.stream_id == before.stream_id:
            assert after.chunk.index == before.chunk.index + 1
            assert after.chunk.first_sample == before.chunk.first_sample + CHUNK_SAMPLES + after.chunk.dropped_before
            assert after.chunk.dropped_before >= 0
        else:
            assert after.stream_id > before.stream_id
            assert not after.continues
            assert after.chunk.index == 0


@cases(60)
@given(
    st.lists(st.sampled_from(['send'] * 8 + ['lose', 'again', 'unstamped', 'unreadable']), min_size=1, max_size=150),
    st.sampled_from([0.0, 1.0, 20.0]),
    st.integers(0, 2**32 - 1),
)
def test_heard_and_counted_as_lost_is_what_was_sent(sequence, jitter_ms, seed):
    """Also of what never came, by the stamps of what did; none of the runs is long enough for a new stream."""
    driver, rng = Driver(), np.random.default_rng(seed)
    late_ns = lambda: int(rng.uniform(0, jitter_ms) * MS)  # noqa: E731
    for _ in range(75):
        driver.send(late_ns=late_ns())
    run = again = 0
    for kind in sequence:
        run = run + 1 if kind in ('lose', 'unstamped', 'unreadable') else 0
        if kind == 'lose' and run < 40:
            driver.lose()
        elif kind == 'unstamped' and run < 40:
            driver.send(stamp_ns=0)
        elif kind == 'unreadable' and run < 40:
            driver.lose()
            driver.stream.note_loss(BLOCK / 16_000)
        elif kind == 'again':
            at_ns = START_NS + driver.captured * 62_500
            driver.send(stamp_ns=at_ns)
            driver.send_again(driver.captured - BLOCK, stamp_ns=at_ns)
            again += BLOCK
        else:
            driver.send(late_ns=late_ns())
    for _ in range(200):
        driver.send(late_ns=late_ns())
    sent = driver.captured + again
    assert driver.stream.streams == 1
    assert driver.stream.lost[TWICE] == again
    assert driver.stream.heard + driver.unheard == pytest.approx(sent, abs=1 + 3 * 16 * jitter_ms)
