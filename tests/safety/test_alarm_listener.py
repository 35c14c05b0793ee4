"""Alarms in messages as they come: any rate, gaps declared by their stamps, the time it began."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from audio_interaction_ros.audio.formats import PcmFormat
from audio_interaction_ros.safety.alarm_listener import AlarmListener
from tests.alarm_sounds import in_noise, temporal_three

START_NS = 1_700_000_000_000_000_000
BLOCK_S = 0.04


def listen(sound, rate_hz=16_000, lost_s=(0.0, 0.0)):
    """(evidence, seconds after the start) of a recording in blocks, without those of `lost_s`."""
    listener, pcm = AlarmListener(), PcmFormat(rate_hz, 1, 'F32LE')
    block, heard = round(BLOCK_S * rate_hz), []
    for first in range(0, len(sound) - block + 1, block):
        if not lost_s[0] <= first / rate_hz < lost_s[1]:
            stamp_ns = START_NS + first * 1_000_000_000 // rate_hz
            heard += listener.push(sound[first : first + block, None], pcm, stamp_ns)
    return [(evidence, (stamp_ns - START_NS) / 1e9) for evidence, stamp_ns in heard], listener.gaps


@pytest.mark.parametrize('rate_hz', [16_000, 44_100])
def test_the_stamp_is_when_the_alarm_began(rate_hz):
    sound = in_noise(np.concatenate([np.zeros(32_000), temporal_three(10.0)]), 15)
    heard, gaps = listen(soxr.resample(sound, 16_000, rate_hz).astype(np.float32), rate_hz)
    assert [evidence.signature for evidence, _ in heard] == ['temporal_three']
    assert heard[0][1] == pytest.approx(2.0, abs=0.15)
    assert gaps == 0


def test_a_gap_in_the_rhythm_starts_it_afresh():
    sound = in_noise(temporal_three(22.0), 15)
    whole, _ = listen(sound)
    broken, gaps = listen(sound, lost_s=(5.0, 5.4))
    assert gaps == 1
    assert whole[0][1] < 1.0
    assert broken[0][1] > 5.4  # only groups after the gap count


def test_no_rhythm_goes_on_across_the_end_of_a_stream():
    sound = in_noise(temporal_three(30.0), 15)
    listener, pcm, heard_s = AlarmListener(), PcmFormat(16_000, 1, 'F32LE'), []
    for first in range(0, len(sound) - 640, 640):
        if first % (5 * 16_000) == 0:
            listener.end_stream()
        for _ in listener.push(sound[first : first + 640, None], pcm, START_NS + first * 62_500):
            heard_s.append(first / 16_000)
    assert heard_s == [], 'five seconds hold no two cycles, so they were put together across an end'
