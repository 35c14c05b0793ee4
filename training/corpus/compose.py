"""Single sounds: pieces of them, their level, the noise beneath, and when each could first be known."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus.clips import FRAME_SAMPLES as FRAME
from training.corpus.sounds import Sound

FADE_SAMPLES = 320  # 20 ms Hann taper (paper B.1, ω)
EVIDENCE_S = 0.8  # of active sound before an answer can be expected; contract: within 2 s of the onset


@dataclass(frozen=True)
class Event:
    """A sound in a stream; `known` is the sample by which `EVIDENCE_S` of it (or all of it) has been heard."""

    category: str
    respond: bool
    source_id: str
    onset: int
    end: int
    known: int
    active_chunks: tuple[int, ...]


@functools.cache
def _noise_beds() -> np.ndarray:
    """96 noises of 30 s, each with its own power law (white to brown) and band emphasis, at unit level. float32."""
    length = 30 * SAMPLE_RATE_HZ
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 20.0)
    beds = np.empty((96, length), np.float32)
    for number, bed in enumerate(beds):
        rng = np.random.default_rng([4, number])
        centre_hz, width_octaves = np.exp(rng.uniform(np.log(100), np.log(5_000))), rng.uniform(0.5, 3.0)
        emphasis = np.exp(-np.square(np.log2(frequency_hz / centre_hz) / width_octaves))
        shape = frequency_hz ** -rng.uniform(0.0, 1.1) * (1.0 + rng.uniform(0.0, 3.0) * emphasis)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * shape, length)
        bed[:] = noise / noise.std()
    return beds


def noise_bed(length: int, level_dbfs: float, rng: np.random.Generator) -> Samples:
    """Stationary noise of a random colour. float32 [length], at most 30 s."""
    # Cut from ready-made noise: shaping it anew for each stream would cost as much as a tenth of the model.
    beds = _noise_beds()
    start = int(rng.integers(beds.shape[1] - length + 1))
    return beds[int(rng.integers(len(beds))), start : start + length] * np.float32(10 ** (level_dbfs / 20))


def cut(sound: Sound, longest_s: float, rng: np.random.Generator) -> tuple[Samples, np.ndarray]:
    """A piece of at most `longest_s` that starts with something to hear → (float32 [n], active frames)."""
    active = np.flatnonzero(sound.active)
    onsets = active[np.diff(active, prepend=-2) > 1]
    start = int(rng.choice(onsets if rng.random() < 0.7 else active)) * FRAME
    latest = len(sound.samples) - int(longest_s * SAMPLE_RATE_HZ)
    if start > latest and rng.random() < 0.5:  # do not favour endings
        start = max(int(active[0]), latest // FRAME) * FRAME
    piece, frames = sound.excerpt(start, longest_s)
    last = int(np.flatnonzero(frames)[-1]) + 1 if frames.any() else len(frames)
    return piece[: last * FRAME], frames[:last]


def scale(piece: Samples, frames: np.ndarray, level_dbfs: float) -> Samples:
    """Bring the active part to a level (root mean square), without clipping; 20 ms tapers at both ends."""
    mask = np.repeat(frames, FRAME)[: len(piece)]
    rms = float(np.sqrt(np.square(piece[mask] if mask.any() else piece).mean())) + 1e-9
    gain = min(10 ** (level_dbfs / 20) / rms, 0.98 / (float(np.abs(piece).max(initial=0)) + 1e-9))
    taper = np.hanning(2 * FADE_SAMPLES).astype(np.float32)
    if len(piece) > 4 * FADE_SAMPLES:
        piece[: FADE_SAMPLES // 4] *= taper[:FADE_SAMPLES:4]
        piece[-FADE_SAMPLES:] *= taper[FADE_SAMPLES:]
    return piece * gain


def evidence_end(frames: np.ndarray, length: int) -> int:
    """The sample by which `EVIDENCE_S` of active sound has been heard, or all of it; frames as from `activity`."""
    heard = np.cumsum(frames) * FRAME / SAMPLE_RATE_HZ
    enough = min(EVIDENCE_S, float(heard[-1]))
    return min((int(np.searchsorted(heard, enough - 1e-6)) + 1) * FRAME, length)


def place(piece: Samples, frames: np.ndarray, sound: Sound, onset: int) -> Event:
    """The event that `piece` becomes when it starts at sample `onset`."""
    known = onset + evidence_end(frames, len(piece))
    chunk_of_frame = (onset + np.flatnonzero(frames) * FRAME) // CHUNK_SAMPLES
    active_chunks = tuple(int(chunk) for chunk in np.unique(chunk_of_frame))
    return Event(sound.category, sound.respond, sound.source_id, onset, onset + len(piece), known, active_chunks)
