"""No sound is lost uncounted: whatever comes is in a chunk, waits for one, or is counted as lost by its cause."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.chunk_stream import INCOMPLETE, MISSING, PAUSE, REFUSED, TWICE, ChunkStream
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.timeline import NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S
PCM = PcmFormat(16_000, 1, 'S16LE')
BLOCK = 640
MS = 1_000_000
SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000).astype(np.float32)


class Driver:
    """Sends every sample of a ramp in order, so that what is heard says where it was captured."""

    def __init__(self, pcm=PCM):
        self.pcm, self.stream, self.chunks = pcm, ChunkStream(1), []
        self.captured = 0  # frames so far, those that never came included
        self.came = 0

    def send(self, frames=BLOCK, late_ns=0, stamp_ns=None):
        first = self.captured
        self.captured += frames
        return self.send_again(first, frames, late_ns, stamp_ns)

    def send_again(self, first, frames=BLOCK, late_ns=0, stamp_ns=None):
        at_ns = START_NS + first * NS_PER_S // self.pcm.sample_rate_hz
        # Positions as samples: exact in float32 up to 2 ** 24, and to_mono of equal channels keeps them.
        samples = np.repeat(np.arange(first, first + frames, dtype=np.float32)[:, None], self.pcm.channels, 1)
        self.came += frames
        with contextlib.suppress(AudioFormatError):
            self.chunks += self.stream.push(
                samples, self.pcm, at_ns + late_ns if stamp_ns is None else stamp_ns, at_ns + late_ns
            )

    def lose(self, frames=BLOCK):
        self.captured += frames

    @property
    def unheard(self):
        return self.stream.pending + self.stream.lost.total()

    def assert_every_sample_that_came_is_accounted_for(self):
        lost = self.stream.lost
        never_came = lost[MISSING] + lost[PAUSE]
        assert self.stream.heard == CHUNK_SAMPLES * len(self.chunks)
        assert self.stream.heard + self.unheard - never_came == self.came


steps = st.one_of(
    st.tuples(st.just('send'), st.integers(1, 3_000), st.integers(0, 60) | st.integers(0, 5_000)),
    st.tuples(st.just('lose'), st.integers(1, 80_000), st.just(0)),
    st.tuples(st.just('again'), st.integers(1, 3_000), st.just(0)),
    st.tuples(st.just('unstamped'), st.integers(1, 3_000), st.just(0)),
    st.tuples(st.just('stamped'), st.integers(1, 3_000), st.integers(1, 2**62)),
    st.tuples(st.just('stopped'), st.integers(1, 3_000), st.just(0)),
    st.tuples(st.just('unreadable'), st.integers(1, 3_000), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=60))
def test_every_sample_that_comes_is_heard_or_counted_whatever_the_stamps_say(sequence):
    driver = Driver()
    for kind, frames, number in sequence:
        if kind == 'send':
            driver.send(frames, number * MS)
        elif kind == 'lose':
            driver.lose(frames)
        elif kind == 'again' and driver.captured >= frames:
            driver.send_again(driver.captured - frames, frames)
        elif kind == 'unstamped':
            driver.send(frames, stamp_ns=0)
        elif kind == 'stamped':
            driver.send(frames, stamp_ns=number)
        elif kind == 'stopped':
            driver.send(frames, stamp_ns=START_NS)
        elif kind == 'unreadable':
            driver.came += frames
            driver.captured += frames
            driver.stream.note_loss(frames / 16_000)
        driver.assert_every_sample_that_came_is_accounted_for()
    driver.chunks += driver.stream.finish()
    lost = driver.stream.lost
    assert driver.stream.heard + lost.total() - lost[MISSING] - lost[PAUSE] == driver.came
    assert driver.stream.pending == 0


@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize(('rate_hz', 'channels'), [(44_100, 2), (48_000, 1), (8_000, 1)])
def test_at_other_rates_too_all_is_accounted_for(rate_hz, channels):
    driver = Driver(PcmFormat(rate_hz, channels, 'F32LE'))
    block = rate_hz // 25
    for n in range(200):
        if n % 50 == 25:
            driver.lose(block * 10)
        driver.send(block)
    driver.chunks += driver.stream.finish()
    sent = driver.captured * 16_000 / rate_hz
    assert driver.stream.heard + driver.stream.lost.total() == pytest.approx(sent, abs=20)
    assert driver.stream.lost[MISSING] == pytest.approx(40 * 640, abs=5)


def test_what_is_heard_was_captured_when_its_chunk_says():
    driver, rng = Driver(), np.random.default_rng(0)
    for n in range(400):
        driver.lose(BLOCK * 7 if n % 90 == 80 else 0)
        driver.send(late_ns=int(rng.uniform(0, 5) * MS))
    for placed in driver.chunks[8:]:
        captured_ns = START_NS + int(placed.chunk.samples[0]) * 62_500
        assert abs(placed.stamp_ns - captured_ns) < 10 * MS
        assert placed.chunk.first_sample == pytest.approx(placed.chunk.samples[0], abs=160)


@pytest.mark.parametrize('blocks', [4, 10, 25])
def test_bursts_stamped_on_arrival_are_heard_without_a_gap(blocks):
    driver = Driver()
    for n in range(250):
        driver.send(late_ns=(blocks - 1 - n % blocks) * 40 * MS + n % blocks * 200_000)
    assert len(driver.chunks) == 25
    assert driver.stream.lost.total() == 0
    assert driver.stream.fault is None
    assert all(placed.chunk.samples[0] == n * CHUNK_SAMPLES for n, placed in enumerate(driver.chunks))


def test_one_stamp_on_every_message_is_heard_and_named():
    driver = Driver()
    for n in range(250):
        driver.send(stamp_ns=START_NS)
        if n == 45:
            assert driver.stream.fault.kind == 'one_stamp'
    assert len(driver.chunks) == 25
    assert driver.stream.lost.total() == 0
    assert abs(driver.chunks[-1].stamp_ns - driver.chunks[-11].stamp_ns) == 4 * NS_PER_S, 'counted on'


def test_a_message_that_comes_twice_is_heard_once():
    driver = Driver()
    for n in range(100):
        driver.send()
        driver.send_again(n * BLOCK)
    assert len(driver.chunks) == 10
    assert +driver.stream.lost == {TWICE: 100 * BLOCK}
    assert driver.stream.fault is None


@pytest.mark.parametrize(
    ('said', 'real_hz', 'channels', 'cure'),
    [
        (PcmFormat(16_000, 1, 'S16LE'), 48_000, 1, '48000 Hz or 3 channels would fit'),
        (PcmFormat(48_000, 1, 'S16LE'), 16_000, 1, '16000 Hz would fit'),
        (PcmFormat(44_100, 1, 'S16LE'), 48_000, 1, '48000 Hz would fit'),
        (PcmFormat(16_000, 1, 'S16LE'), 16_000, 2, '32000 Hz or 2 channels would fit'),
        (PcmFormat(16_000, 2, 'S16LE'), 16_000, 1, '8000 Hz or 1 channel would fit'),
    ],
)
def test_a_format_that_does_not_fit_is_named_with_what_would_within_two_seconds(said, real_hz, channels, cure):
    stream, first_s = ChunkStream(1), None
    for n in range(100):
        frames = real_hz // 25 * channels // said.channels
        at_ns = START_NS + n * 40 * MS
        list(stream.push(SOUND[n * 100 :][: frames * said.channels].reshape(-1, said.channels), said, at_ns, at_ns))
        if stream.fault and first_s is None:
            first_s = n * 0.04
    assert stream.fault.kind == 'wrong_format'
    assert stream.fault.unusable
    assert cure in stream.fault.sentence
    assert first_s < 2.0 if real_hz != 48_000 or said.sample_rate_hz != 44_100 else 4.0


@pytest.mark.parametrize('rate', [0.5, 1.3, 3.0])
def test_stamps_of_another_clock_place_nothing_and_are_named(rate):
    driver = Driver()
    for n in range(250):
        at_ns = START_NS + n * 40 * MS
        samples = SOUND[n * BLOCK :][:BLOCK, None]
        driver.chunks += driver.stream.push(samples, PCM, START_NS + int(n * 40 * MS * rate), at_ns)
    assert driver.stream.fault.kind == 'other_clock'
    assert f'{rate:.2f} times' in driver.stream.fault.sentence
    assert len(driver.chunks) >= 21, 'deaf for no longer than it takes to see it'


def test_a_machine_that_stands_still_now_and_then_loses_nothing_and_blames_nobody():
    """Stamped on arrival: what waited meanwhile comes all at once."""
    driver, rng = Driver(), np.random.default_rng(0)
    arrived_ms = np.arange(1_500) * 40.0
    for stall in range(100, 1_500, 125):
        arrived_ms[stall:] = np.maximum(arrived_ms[stall:], arrived_ms[stall] + rng.uniform(300, 1_500))
    for n, at_ms in enumerate(np.maximum.accumulate(arrived_ms)):
        driver.send(late_ns=int(at_ms * MS) - n * 40 * MS)
        assert driver.stream.fault is None
    assert len(driver.chunks) == 150
    assert driver.stream.lost.total() == 0


def test_two_publishers_of_one_clock_are_heard_and_named():
    stream, chunks = ChunkStream(1), []
    for n in range(250):
        at_ns = START_NS + n // 2 * 40 * MS + n % 2 * 7 * MS
        chunks += stream.push(SOUND[n * BLOCK :][:BLOCK, None], PCM, at_ns, at_ns)
    assert stream.fault.unusable
    assert 'two publishers' in stream.fault.sentence
    assert len(chunks) == 25


def test_two_publishers_with_different_clocks_are_heard_and_named():
    driver = Driver()
    for _ in range(125):
        driver.send()
        driver.send(late_ns=-5 * NS_PER_S)
    assert driver.stream.fault.kind == 'jumping_stamps'
    assert len(driver.chunks) >= 20
    driver.assert_every_sample_that_came_is_accounted_for()


def test_sound_that_is_well_again_is_without_fault():
    driver = Driver()
    for _ in range(100):
        driver.send(stamp_ns=START_NS)
    assert driver.stream.fault
    for _ in range(150):
        driver.send()
    assert driver.stream.fault is None


def test_an_incomplete_chunk_is_never_dropped_unsaid():
    driver = Driver()
    driver.send(5_000)
    driver.lose(16_000 * 3)
    driver.send(1_000)
    assert +driver.stream.lost == {INCOMPLETE: 5_000, PAUSE: 16_000 * 3}
    driver.send(5_400)
    driver.lose(16_000)
    driver.send(6_400)
    assert driver.stream.lost[MISSING] == 16_000
    assert len(driver.chunks) == 2
    driver.send(640, stamp_ns=0)
    assert driver.stream.lost[REFUSED] == 640
