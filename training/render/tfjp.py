"""TFJP, the time-frequency joint preprocessing of a clip before it is stitched into a stream.

Paper §3.2, Algorithm 1 and appendix B.1: long silences are shortened, stationary noise is subtracted, the informative
span is found, its length brought to the half-chunk grid and its ends tapered. All operators work on one short-time
spectrum; where the paper leaves a choice open, the constants below name it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.fft
import scipy.ndimage
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples

WINDOW = 320  # samples, 20 ms
HOP = WINDOW // 2  # 10 ms: a divisor of τ, δ and ω
HOP_MS = HOP * 1_000 // SAMPLE_RATE_HZ
SILENT_CLIP_POWER = 1e-10  # −100 dBFS

# A tenth of any clip lies below its 10th percentile, rain and sirens too. So the percentile only estimates the floor,
# the gate stands GATE_MARGIN_DB above it, and background is what is at least BACKGROUND_DB below the loudest frame.
# What is AUDIBLE_DB below is silence wherever the floor is.
GATE_MARGIN_DB = 6.0
GATE_STEP_DB = 5.0  # cutting raises the percentile a little; in steps the gate stays where it was
BACKGROUND_DB = 20.0
AUDIBLE_DB = 40.0
# Noise stands still: above its quietest 5 % the next 5 % are hardly louder. The end of a word, a lull in the wind and
# what is left after one subtraction do not.
STATIONARY_DB = 3.0
NOISE_FRAMES = 10  # at the least
# Subtraction never takes more than this: bins that fall to zero one by one are heard as musical noise.
SUBTRACTION_FLOOR_DB = -20.0
SMOOTHING = (3, 5)  # frames × bins that the gain of a bin is decided by, for the same reason
INFORMATIVE_SCORE = 0.15  # of the best frame's
PAUSE_COST = 0.02  # a frame: one informative frame pays for a pause of a third of a second or more

_ROOT_HANN = np.sqrt(np.hanning(WINDOW + 1)[:WINDOW]).astype(np.float32)
_BIN_WEIGHTS = np.full(HOP + 1, 2.0 / (WINDOW * HOP), np.float32)  # Parseval, to mean square under the window
_BIN_WEIGHTS[[0, -1]] /= 2


class TfjpError(ValueError):
    """The clip cannot be preprocessed."""


class ClipTooShortError(TfjpError):
    """The clip is shorter than one alignment step, so that no whole step of it could be kept."""


class SilentClipError(TfjpError):
    """There is nothing to hear in the clip."""


class TfjpSettings(BaseModel):
    """The settings of TFJP are the paper's (Algorithm 1, B.1, Table 11).

    `silence_limit_ms` None keeps every pause, for sounds whose cadence is their meaning: a temporal-three smoke alarm
    with its 1.5 s pauses cut to 0.3 s is another signal.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    silence_limit_ms: int | None = Field(default=300, multiple_of=HOP_MS, description='τ; None: keep every pause')
    gate_percentile: float = Field(default=10.0, gt=0, lt=100, description='of frame energy: the floor')
    noise_share: float = Field(default=0.05, gt=0, lt=1, description='of the frames, the quietest: the noise')
    subtraction: float = Field(default=1.0, ge=0, description='γ, times the noise that is subtracted')
    align_ms: int = Field(default=200, gt=0, multiple_of=HOP_MS, description='δ, half a chunk')
    taper_ms: int = Field(default=20, gt=0, multiple_of=HOP_MS, description='ω')
    max_passes: int = Field(default=3, ge=1, description='K')

    @model_validator(mode='after')
    def _check_lengths(self) -> TfjpSettings:
        # Then a clip of one step has no silence to cut, and cutting never leaves less than a step.
        if self.silence_limit_ms is not None and self.silence_limit_ms <= self.align_ms:
            raise ValueError(f'silence_limit_ms is {self.silence_limit_ms}; give more than align_ms ({self.align_ms})')
        if 2 * self.taper_ms > self.align_ms:
            raise ValueError(f'taper_ms is {self.taper_ms}; give at most half of align_ms ({self.align_ms})')
        return self


DEFAULTS = TfjpSettings()


@dataclass(frozen=True)
class Spectrum:
    """A `Spectrum` is the short-time spectrum that all operators share: 20 ms root-Hann frames at hops of 10 ms.

    There is one frame more than there are hops. `bins` complex64 [frames, 161]; `hops` int64 [frames]: where in the
    input each frame is centred. Dropping frames and synthesising cross-fades what is left over 10 ms, since neighbours
    overlap by half.
    """

    bins: np.ndarray
    hops: np.ndarray

    @classmethod
    def of(cls, samples: Samples, hops: np.ndarray | None = None) -> Spectrum:
        """Transform float32 [n] at 16 kHz; less than a hop at the end is left out."""
        count = len(samples) // HOP
        padded = np.zeros((count + 2) * HOP, np.float32)
        padded[HOP:-HOP] = samples[: count * HOP]
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        return cls(scipy.fft.rfft(frames * _ROOT_HANN), np.arange(count + 1) if hops is None else hops)

    @cached_property
    def power(self) -> np.ndarray:
        """Return the power, float32 [frames, 161], scaled so that a frame's sum is its mean square."""
        return (np.square(self.bins.real) + np.square(self.bins.imag)) * _BIN_WEIGHTS

    @cached_property
    def energy(self) -> np.ndarray:
        """Return the mean square of each frame, float32 [frames]."""
        return self.power.sum(axis=1)

    @cached_property
    def level_db(self) -> np.ndarray:
        """Return the level of each frame relative to the loudest, float32 [frames], at least −120 dB."""
        return 10 * np.log10(np.maximum(self.energy / self.energy.max(), 1e-12))

    def take(self, frames: np.ndarray | slice) -> Spectrum:
        """Return the spectrum of some of the frames."""
        return Spectrum(self.bins[frames], self.hops[frames])

    def synthesise(self) -> Samples:
        """Return float32 [(frames − 1) × 160] by overlap-add, which is exact where frames are untouched."""
        frames = scipy.fft.irfft(self.bins, WINDOW) * _ROOT_HANN
        return (frames[:-1, HOP:] + frames[1:, :HOP]).ravel()

    @property
    def kept(self) -> tuple[tuple[int, int], ...]:
        """Return the input pieces, [start, end) in samples, that it is made of; lengths add up to the output's."""
        breaks = np.flatnonzero(np.diff(self.hops) != 1)
        starts, ends = self.hops[np.r_[0, breaks + 1]] * HOP, self.hops[np.r_[breaks, -1]] * HOP
        ends[:-1] += HOP  # each but the last fades out over one hop more, while the next fades in
        pieces = zip(starts.tolist(), ends.tolist(), strict=True)
        return tuple((start, end) for start, end in pieces if start < end)  # a lone last frame only fades in


@dataclass(frozen=True)
class Tfjp:
    """A `Tfjp` is what preprocessing made of a clip.

    `samples` float32 [n × 3200 by default] at 16 kHz; `passes` through Algorithm 1; `capped`: the cap K was reached
    before another pass would change nothing; `kept`: the input pieces, [start, end) in samples, that follow each other
    in the output.
    """

    samples: Samples
    passes: int
    capped: bool
    kept: tuple[tuple[int, int], ...]

    @property
    def span(self) -> tuple[int, int]:
        """Return [start, end) in input samples, pauses that were cut included."""
        return self.kept[0][0], self.kept[-1][1]


def silent(spectrum: Spectrum, settings: TfjpSettings = DEFAULTS) -> np.ndarray:
    """Return which frames the energy gate finds silent, bool [frames].

    The floor is a percentile, the gate stands above it and far below the loudest. A stationary sound has no silent
    frame: its floor is too near its loudest frame.
    """
    rank = int(len(spectrum.hops) * settings.gate_percentile / 100)
    floor_db = np.partition(spectrum.level_db, rank)[rank]
    gate_db = np.round((floor_db + GATE_MARGIN_DB) / GATE_STEP_DB) * GATE_STEP_DB
    return spectrum.level_db < np.clip(gate_db, -AUDIBLE_DB, -BACKGROUND_DB)


def silence_cut(spectrum: Spectrum, settings: TfjpSettings = DEFAULTS) -> Spectrum:
    """Shorten silences longer than τ to τ, out of their middle; those at the ends, from outside.

    A run of frames lasts from where the first begins to where the last ends. Returns `spectrum` itself if nothing is
    cut.
    """
    if settings.silence_limit_ms is None:
        return spectrum
    edges = np.diff(silent(spectrum, settings).astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    limit = settings.silence_limit_ms // HOP_MS - 1
    keep = np.ones(len(spectrum.hops), bool)
    for start, end in zip(starts, ends, strict=True):
        if end - start > limit:
            lead = 0 if start == 0 else limit if end == len(keep) else limit // 2
            keep[start + lead : end - (limit - lead)] = False
    return spectrum if keep.all() else spectrum.take(keep)


def noise_profile(spectrum: Spectrum, settings: TfjpSettings = DEFAULTS) -> np.ndarray:
    """Return the mean power of the quietest 5 % of the frames, float32 [161].

    It is zero where they are no background: too near the loudest frame to be told from a steady sound, or inaudible.
    """
    frames = len(spectrum.hops)
    count = min(max(NOISE_FRAMES, int(frames * settings.noise_share)), (frames - 1) // 2)
    order = np.argpartition(spectrum.energy, [count, 2 * count])
    profile = spectrum.power[order[:count]].mean(axis=0)
    level_db = 10 * np.log10(max(float(profile.sum() / spectrum.energy.max()), 1e-12))
    background = -AUDIBLE_DB < level_db < -BACKGROUND_DB
    stationary = spectrum.level_db[order[2 * count]] - level_db < STATIONARY_DB
    return profile if background and stationary else np.zeros_like(profile)


def denoise(spectrum: Spectrum, profile: np.ndarray, settings: TfjpSettings = DEFAULTS) -> Spectrum:
    """Subtract γ times the noise magnitude from the spectrum, down to −20 dB at most.

    `profile`: power, float32 [161]. Returns `spectrum` itself where there is no noise.
    """
    if not profile.any():
        return spectrum
    power = scipy.ndimage.uniform_filter(spectrum.power, SMOOTHING, mode='nearest')
    gain = 1 - settings.subtraction * np.sqrt(profile / np.maximum(power, 1e-20))
    return replace(spectrum, bins=spectrum.bins * np.maximum(gain, np.float32(10 ** (SUBTRACTION_FLOOR_DB / 20))))


def stable(spectrum: Spectrum, settings: TfjpSettings = DEFAULTS) -> bool:
    """Return whether there is neither silence left to cut nor noise to subtract."""
    return silence_cut(spectrum, settings) is spectrum and not noise_profile(spectrum, settings).any()


def core_locate(spectrum: Spectrum) -> tuple[int, int]:
    """Return the first and last of the contiguous frames with the greatest sum of an energy / spectral-entropy score.

    Score: level over the audible range, 0 … 1, by one plus the spectrum's normalised entropy, relative to the best
    frame. Frames that carry little cost little, so that events are not torn apart at a pause.
    """
    share = spectrum.power / np.maximum(spectrum.energy, 1e-20)[:, None]
    entropy = -(share * np.log(np.maximum(share, 1e-20))).sum(axis=1) / np.log(share.shape[1])
    score = np.maximum(1 + spectrum.level_db / AUDIBLE_DB, 0) / (1 + entropy)
    gain = np.maximum(score / score.max() - INFORMATIVE_SCORE, -PAUSE_COST)
    total = np.concatenate([[0.0], np.cumsum(gain, dtype=np.float64)])
    last = int(np.argmax(total[1:] - np.minimum.accumulate(total)[:-1]))
    return int(np.argmin(total[: last + 1])), last


def boundary_norm(spectrum: Spectrum, core: tuple[int, int], settings: TfjpSettings = DEFAULTS) -> Spectrum:
    """Return the span from just before the core's onset whose length is the next multiple of δ.

    The length is rounded up, since the nearest step may cost the 100 ms in which glass breaks; down where the clip has
    no more. Returns `spectrum` itself if that is all of it.
    """
    hops, step = len(spectrum.hops) - 1, settings.align_ms // HOP_MS
    margin = settings.taper_ms // HOP_MS + 1  # the taper is to spare every frame of the core
    first, last = max(core[0] - margin, 0), min(core[1] + margin, hops)
    length = min(-(-(last - first) // step), hops // step) * step
    first = min(first, hops - length)
    return spectrum if length == hops else spectrum.take(slice(first, first + length + 1))


def spec_smooth(samples: Samples, settings: TfjpSettings = DEFAULTS) -> Samples:
    """Taper both ends with a Hann window of length ω, float32 [n].

    An end that comes from nothing already stays as it is.
    """
    count = settings.taper_ms * SAMPLE_RATE_HZ // 1_000
    rise = np.square(np.sin(np.arange(count, dtype=np.float32) * np.float32(np.pi / 2 / count)))
    smooth = samples.copy()
    ends = (smooth[:count], smooth[::-1][:count])
    while True:
        # What a taper has left of the first quarter millisecond: a second one would eat into the sound. Where the peak
        # itself lay under a taper it is measured anew, so that a second application finds nothing to do.
        landed = 8 * rise[3] * np.abs(smooth).max(initial=0)
        loud = [end for end in ends if np.abs(end[:4]).max(initial=0) > landed]
        if not loud:
            return smooth
        for end in loud:
            end *= rise


def tfjp(samples: Samples, settings: TfjpSettings = DEFAULTS) -> Tfjp:
    """Algorithm 1 on one clip, float32 [n] at 16 kHz mono, n at least 3200 (δ).

    The output is no longer than the input, its peak no higher (nor above 1), its length a multiple of δ, and no silence
    in it lasts longer than τ. So a clip that sounds to its very end loses up to δ there: append δ of zeros if the end
    matters. A second application keeps the length and, within 1 % of the root mean square, the samples, unless the
    first was `capped`. Both loops of the algorithm share one count of passes.

    Raises ClipTooShortError, SilentClipError (nothing above −100 dBFS), or TfjpError for samples that are not finite.
    """
    if len(samples) * 1_000 < settings.align_ms * SAMPLE_RATE_HZ:
        raise ClipTooShortError(
            f'a clip of {len(samples) * 1_000 / SAMPLE_RATE_HZ:g} ms found, at least {settings.align_ms} ms expected; '
            'leave it out or join it with its neighbour'
        )
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise TfjpError('NaN or infinite samples found, finite ones expected; write the clip again from its source')
    spectrum = Spectrum.of(samples)
    if spectrum.energy.max() < SILENT_CLIP_POWER:
        raise SilentClipError('nothing louder than −100 dBFS found, a sound expected; leave the clip out')

    for passes in range(1, settings.max_passes + 1):
        spectrum = silence_cut(spectrum, settings)
        spectrum = denoise(spectrum, noise_profile(spectrum, settings), settings)
        if passes < settings.max_passes and not stable(spectrum, settings):
            continue
        spectrum = boundary_norm(spectrum, core_locate(spectrum), settings)
        output, spectrum = _render(spectrum, min(peak, 1.0), settings)
        settled = stable(spectrum, settings) and boundary_norm(spectrum, core_locate(spectrum), settings) is spectrum
        if settled:
            break
    # The cap may end the passes, not the promise. Each turn drops δ or more; a clip of one δ has no silence to cut.
    while (cut := silence_cut(spectrum, settings)) is not spectrum:
        whole = boundary_norm(cut, (0, len(cut.hops) - 1), settings)
        output, spectrum = _render(whole, min(peak, 1.0), settings)
    return Tfjp(output, passes, not settled, spectrum.kept)


def _render(spectrum: Spectrum, peak: float, settings: TfjpSettings) -> tuple[Samples, Spectrum]:
    output = spec_smooth(spectrum.synthesise(), settings)
    # Taking a part of a spectrum away can raise the peak of what is left.
    output *= np.float32(min(1.0, peak / max(float(np.abs(output).max()), 1e-20)))
    return output, Spectrum.of(output, spectrum.hops)
