"""A single sound in a stream: a piece of it, where it lies, and when it could first be known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.sounds import SoundClip
from training.dsp.activity import FRAME_SAMPLES, evidence_end


@dataclass(frozen=True)
class PlacedSound:
    """A `PlacedSound` lies in samples `onset` … `end` of a stream.

    `known` is the sample by which `EVIDENCE_S` of it (or all of it) has been heard.
    """

    category: str
    respond: bool
    source_id: str
    onset: int
    end: int
    known: int
    active_chunks: tuple[int, ...]


def cut(sound: SoundClip, longest_s: float, rng: np.random.Generator) -> tuple[Samples, np.ndarray]:
    """Cut a piece of at most `longest_s` that starts with something to hear: (float32 [n], active frames)."""
    active = np.flatnonzero(sound.active)
    onsets = active[np.diff(active, prepend=-2) > 1]
    start = int(rng.choice(onsets if rng.random() < 0.7 else active)) * FRAME_SAMPLES
    latest = len(sound.samples) - int(longest_s * SAMPLE_RATE_HZ)
    if start > latest and rng.random() < 0.5:  # do not favour endings
        start = max(int(active[0]), latest // FRAME_SAMPLES) * FRAME_SAMPLES
    piece, frames = sound.excerpt(start, longest_s)
    last = int(np.flatnonzero(frames)[-1]) + 1 if frames.any() else len(frames)
    return piece[: last * FRAME_SAMPLES], frames[:last]


def place(piece: Samples, frames: np.ndarray, sound: SoundClip, onset: int) -> PlacedSound:
    """Return what `piece` becomes in a stream when it starts at sample `onset`."""
    known = onset + evidence_end(frames, len(piece))
    chunk_of_frame = (onset + np.flatnonzero(frames) * FRAME_SAMPLES) // CHUNK_SAMPLES
    active_chunks = tuple(int(chunk) for chunk in np.unique(chunk_of_frame))
    return PlacedSound(sound.category, sound.respond, sound.source_id, onset, onset + len(piece), known, active_chunks)
