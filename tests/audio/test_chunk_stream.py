"""No sound is lost uncounted: whatever comes is in a chunk, waits for one, or is counted as lost by its cause.

Any sequence of messages is tried in tests/fuzz/test_stamps.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.chunk_stream import INCOMPLETE, MISSING, PAUSE, REFUSED, TWICE, ChunkStream
from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.audio.timeline import NS_PER_S
from tests.sound_driver import BLOCK, MS, PCM, START_NS, Driver

SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000).astype(np.float32)


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
