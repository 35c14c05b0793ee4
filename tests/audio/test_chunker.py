"""Contract 1: exact chunks on one clock, however the input is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.chunker import Chunker
from audio_interaction_ros.audio.levels import level_dbfs

RAMP = np.arange(40_000, dtype=np.float32)


@given(st.lists(st.integers(0, len(RAMP)), max_size=12))
def test_any_split_of_the_input_gives_the_same_chunks(cuts):
    whole = list(Chunker().push(RAMP))
    chunker = Chunker()
    pieces = [chunk for piece in np.split(RAMP, sorted(cuts)) for chunk in chunker.push(piece)]
    assert len(pieces) == len(whole) == len(RAMP) // CHUNK_SAMPLES
    for piece, other in zip(pieces, whole, strict=True):
        assert (piece.index, piece.first_sample, piece.dropped_before) == (other.index, other.first_sample, 0)
        np.testing.assert_array_equal(piece.samples, other.samples)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15_000)), max_size=12))
def test_positions_stay_true_through_gaps(steps):
    """Samples carry their own position, so a wrong `first_sample` shows."""
    chunker, position, last_end = Chunker(), 0, 0
    for is_gap, length in steps:
        if is_gap:
            chunker.declare_gap(length)
        else:
            for chunk in chunker.push(np.arange(position, position + length, dtype=np.float32)):
                assert chunk.samples[0] == chunk.first_sample
                assert np.all(np.diff(chunk.samples) == 1)
                assert chunk.first_sample == last_end + chunk.dropped_before
                last_end = chunk.first_sample + CHUNK_SAMPLES
        position += length
        assert chunker.position == position


def test_the_chunk_cut_by_a_gap_is_counted_as_dropped():
    chunker = Chunker()
    assert not list(chunker.push(RAMP[:1_000]))
    chunker.declare_gap(500)
    (chunk,) = chunker.push(RAMP[:CHUNK_SAMPLES])
    assert (chunk.index, chunk.first_sample, chunk.dropped_before) == (0, 1_500, 1_500)


def test_the_end_of_a_recording_is_filled_up_with_zeros():
    chunker = Chunker()
    list(chunker.push(RAMP[:10]))
    (chunk,) = chunker.pad_last()
    assert len(chunk.samples) == CHUNK_SAMPLES
    assert not chunk.samples[10:].any()
    assert not list(chunker.pad_last())


def test_level_is_relative_to_full_scale():
    assert level_dbfs(np.ones(100, np.float32)) == 0.0
    assert abs(level_dbfs(np.full(100, 0.1, np.float32)) + 20.0) < 1e-4
    assert level_dbfs(np.zeros(100, np.float32)) == -120.0
