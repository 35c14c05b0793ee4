"""From stamped pieces to chunks: one clock, gaps declared, new streams when the old one cannot go on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.streaming.ingest import AudioIngest
from audio_interaction_ros.streaming.loop import encode_waveform

START_NS = 1_700_000_000_000_000_000
PCM = PcmFormat(16_000, 1, 'S16LE')
SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, (40_000, 1)).astype(np.float32)


def stamp_ns(frame, rate_hz=16_000):
    return START_NS + frame * 1_000_000_000 // rate_hz


def push(ingest, first, last, pcm=PCM, sound=SOUND):
    return list(ingest.push(sound[first:last], pcm, stamp_ns(first, pcm.sample_rate_hz)))


@settings(max_examples=25)
@given(st.lists(st.integers(1, len(SOUND) - 1), max_size=20, unique=True))
def test_any_split_into_messages_gives_the_offline_chunks(encoder_half, cuts):
    ingest = AudioIngest(encoder_half, 7)
    edges = [0, *sorted(cuts), len(SOUND)]
    chunks = [c for first, last in itertools.pairwise(edges) for c in push(ingest, first, last)]
    chunks += ingest.finish()
    offline = list(encode_waveform(encoder_half, SOUND[:, 0], start_ns=START_NS))
    assert len(chunks) == len(offline) == 7
    for chunk, other in zip(chunks, offline, strict=True):
        assert (chunk.stream_id, chunk.index, chunk.first_sample, chunk.dropped_before) == (
            7,
            other.index,
            other.first_sample,
            0,
        )
        assert abs(chunk.stamp_ns - other.stamp_ns) < 1_000  # whole nanoseconds are cut off
        torch.testing.assert_close(chunk.vectors, other.vectors, atol=1e-5, rtol=0)


@settings(max_examples=25)
@given(st.integers(1_700, 30_000), st.integers(0, 6_400), st.sampled_from([16_000, 44_100, 48_000]))
def test_a_gap_is_declared_with_its_length(encoder_half, lost, before, rate_hz):
    """Whatever was lost, stamps after the gap are those of the messages, and positions follow the stamps."""
    pcm, scale = PcmFormat(rate_hz, 2, 'S16LE'), rate_hz / 16_000
    sound = np.zeros((int(60_000 * scale), 2), np.float32)
    ingest = AudioIngest(encoder_half, 1)
    first_end = int((6_400 + before) * scale)
    second = first_end + int(lost * scale)
    chunks = push(ingest, 0, first_end, pcm, sound)
    chunks += push(ingest, second, second + int(7_000 * scale), pcm, sound) + list(ingest.finish())
    assert [chunk.stream_id for chunk in chunks] == [1] * len(chunks)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    after = next(chunk for chunk in chunks if chunk.dropped_before)
    assert abs(after.first_sample - second / scale) <= 2
    assert abs(after.stamp_ns - stamp_ns(second, rate_hz)) < 200_000
    assert after.first_sample == chunks[after.index - 1].first_sample + 6_400 + after.dropped_before


@pytest.mark.parametrize('jump_ns', [3_000_000_000, -3_000_000_000])
def test_a_clock_that_jumps_begins_a_new_stream(encoder_half, jump_ns):
    ingest = AudioIngest(encoder_half, 1)
    (first,) = push(ingest, 0, 7_000)
    (second,) = ingest.push(SOUND[:7_000], PCM, stamp_ns(7_000) + jump_ns)
    assert (first.stream_id, second.stream_id) == (1, 2)
    assert (second.index, second.first_sample, second.dropped_before) == (0, 0, 0)
    assert second.stamp_ns == stamp_ns(7_000) + jump_ns
    torch.testing.assert_close(second.vectors, first.vectors)  # nothing of the old stream is left in it


def test_another_format_begins_a_new_stream(encoder_half):
    ingest = AudioIngest(encoder_half, 1)
    (first,) = push(ingest, 0, 7_000)
    (second,) = ingest.push(SOUND[:7_000], PcmFormat(16_000, 1, 'F32LE'), stamp_ns(7_000))
    assert (first.stream_id, second.stream_id) == (1, 2)


def test_a_refused_message_leaves_a_gap(encoder_half):
    ingest = AudioIngest(encoder_half, 1)
    push(ingest, 0, 640)
    with pytest.raises(AudioFormatError, match='without a stamp'):
        list(ingest.push(SOUND[640:1_280], PCM, 0))
    push(ingest, 1_280, 1_920)
    (chunk,) = push(ingest, 1_920, 1_280 + 6_400)
    assert (chunk.first_sample, chunk.dropped_before) == (1_280, 1_280)


def test_a_high_pass_removes_a_constant_before_it_is_encoded(encoder_half):
    dc = SOUND + np.float32(0.3)
    filtered = push(AudioIngest(encoder_half, 1, high_pass_hz=2.0), 0, len(SOUND), sound=dc)
    plain = push(AudioIngest(encoder_half, 1), 0, len(SOUND))
    with_dc = push(AudioIngest(encoder_half, 1), 0, len(SOUND), sound=dc)
    for chunk, well, ill in list(zip(filtered, plain, with_dc, strict=True))[2:]:
        assert chunk.level_dbfs == pytest.approx(well.level_dbfs, abs=0.1)
        off, was_off = (float((each.vectors - well.vectors).abs().mean()) for each in (chunk, ill))
        assert off < was_off / 3


def test_a_message_of_absurd_length_is_refused(encoder_half):
    with pytest.raises(AudioFormatError, match='40 s of sound'):
        list(AudioIngest(encoder_half, 1).push(np.zeros((160_000, 1), np.float32), PcmFormat(4_000, 1, 'S16LE'), 1))


def test_an_ended_stream_shares_nothing_with_the_next_although_no_sample_was_lost(encoder_half):
    ingest = AudioIngest(encoder_half, 7)
    before = push(ingest, 0, 10_000)
    ingest.end_stream()
    after = push(ingest, 10_000, 20_000)
    assert [(chunk.stream_id, chunk.index) for chunk in before + after] == [(7, 0), (8, 0)]
    assert after[0].stamp_ns == stamp_ns(10_000)
    fresh = push(AudioIngest(encoder_half, 1), 10_000, 20_000)
    torch.testing.assert_close(after[0].vectors, fresh[0].vectors, atol=0, rtol=0)
