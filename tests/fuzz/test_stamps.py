"""Whatever the stamps, formats and arrivals of messages are: heard + counted as lost = sent."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given
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


@dataclass(frozen=True)
class Honest:
    """A driver that stamps what it sends on arrival, a burst at a time, and loses some bursts on the way."""

    rate_hz: int
    block_ms: int
    burst: int
    jitter_ms: float
    drift_ppm: int
    losses: tuple[tuple[int, int], ...]  # so long (ms) is lost, and then comes; in whole bursts
    seed: int = 0

    @property
    def burst_ms(self) -> int:
        return self.burst * self.block_ms

    def bursts(self) -> Iterator[bool]:
        """Whether each burst comes; four seconds at the beginning and at the end do."""
        yield from [True] * (4_000 // self.burst_ms + 1)
        for lost_ms, then_ms in self.losses:
            yield from [False] * max(1, min(lost_ms, 1_900 - self.burst_ms) // self.burst_ms)
            yield from [True] * (then_ms // self.burst_ms + 1)
        yield from [True] * (max(4_000, 80 * self.block_ms) // self.burst_ms + 1)

    def sends(self) -> tuple[ChunkStream, int]:
        """The stream after all of it, and how many samples at 16 kHz were captured."""
        stream, rng, frames = ChunkStream(1), random.Random(self.seed), self.rate_hz * self.block_ms // 1_000
        pcm, captured = PcmFormat(self.rate_hz, 1, 'S16LE'), 0
        for comes in self.bursts():
            end_s = (captured + self.burst * frames) / self.rate_hz * (1 + self.drift_ppm * 1e-6)
            sent_ns = START_NS + round(end_s * NS_PER_S) + int(rng.uniform(0, self.jitter_ms) * MS)
            for number in range(self.burst):
                samples = np.arange(captured, captured + frames, dtype=np.float32)[:, None]
                captured += frames
                if comes:
                    at_ns = sent_ns + number * MS // 5
                    list(stream.push(samples, pcm, at_ns, at_ns))
                    assert not (stream.fault and stream.fault.unusable), stream.fault
        list(stream.finish())
        return stream, captured * 16_000 // self.rate_hz


HONEST = st.builds(
    Honest,
    st.sampled_from([8_000, 16_000, 44_100, 48_000]),
    st.sampled_from([5, 10, 20, 32, 40, 64, 100, 160, 250]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([0.0, 1.0, 5.0, 20.0]),
    st.integers(-250, 250),
    st.lists(st.tuples(st.integers(100, 1_500), st.sampled_from([1_000, 4_000])), max_size=3).map(tuple),
    st.integers(0, 2**16),
).filter(lambda driver: driver.burst_ms <= 1_000)


@cases(60)
@given(HONEST)
# Two losses within four seconds in the stamps of a driver that sends bursts were taken for a wrong format.
@example(Honest(16_000, 32, 2, 0.0, 250, ((1_152, 1_024), (1_152, 4_032))))
@example(Honest(48_000, 64, 8, 5.0, 100, ((512, 1_024), (1_024, 1_024))))
# So was the first burst of a driver that sends once a second.
@example(Honest(8_000, 250, 4, 0.0, 0, ()))
# A loss that was not yet counted when a second one began a new stream was in no count.
@example(Honest(16_000, 100, 4, 5.0, 0, ((1_200, 1_200), (1_200, 400), (1_200, 4_400))))
def test_what_an_honest_driver_lost_is_counted_whatever_its_bursts_jitter_and_drift(driver):
    stream, captured = driver.sends()
    # In a burst nobody knows which of its blocks the first sample after a pause was.
    pauses_ms = (stream.streams - 1) * driver.burst_ms
    off_ms = 20 + (2 + 3 * driver.jitter_ms) * (1 + len(driver.losses)) + pauses_ms
    assert stream.heard + stream.lost.total() == pytest.approx(captured, abs=16 * off_ms)
    assert stream.fault is None


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
