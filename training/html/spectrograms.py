"""Pictures of sounds: log-mel spectrograms over seconds, with what librosa finds in them and what a model decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from librosa.display import specshow
from librosa.feature import melspectrogram
from librosa.feature import tempo as estimate_tempo
from librosa.onset import onset_detect, onset_strength
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.html.svg import COLOURS, INK, embed, styled

LEFT_SHARE, WIDTH_SHARE = 0.07, 0.92  # of a stream's picture: where its time axis begins, and how long it is

_WINDOW, _HOP = 1_024, 256  # samples: 64 ms, 16 ms
_BANDS = 96
_DEEP_DB = 70.0
_MOST_COLUMNS = 700
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 2_000.0  # of a pitch
_SURE = 0.5  # probability from which a frame counts as voiced
_TICKS_HZ = (125, 500, 1_000, 2_000, 4_000)


@dataclass(frozen=True)
class Found:
    """A `Found` holds what librosa finds in a sound; None is what nobody asked for.

    `onsets_s` float [n]: seconds at which something begins. `tempo_per_min`: beats a minute, 0 where there is none.
    `pitch_hz` float [frames] at `times_s`: the fundamental by pYIN (Mauch & Dixon 2014), NaN where there is none.
    """

    onsets_s: NDArray[np.floating] | None = None
    tempo_per_min: float | None = None
    times_s: NDArray[np.floating] | None = None
    pitch_hz: NDArray[np.floating] | None = None

    def facts(self) -> dict[str, str]:
        """Return what was found in words, by name."""
        facts = {}
        if self.onsets_s is not None:
            facts['onsets'] = str(len(self.onsets_s))
        if self.tempo_per_min is not None:
            facts['tempo'] = f'{self.tempo_per_min:.0f} beats/min' if self.tempo_per_min else 'none'
        if self.pitch_hz is not None:
            voiced = self.pitch_hz[np.isfinite(self.pitch_hz)]
            share = len(voiced) / len(self.pitch_hz)
            facts['pitch'] = f'{np.median(voiced):.0f} Hz, {share:.0%} voiced' if len(voiced) else 'none'
        return facts


def listen(samples: Samples, onsets: bool = False, tempo: bool = False, pitch: bool = False) -> Found:
    """Return what librosa finds in a sound, float32 [n] at 16 kHz.

    Only what is asked for is computed, since each measure means little elsewhere.
    """
    times_s = pitch_hz = None
    # One window of silence before it: a sound that begins at once has no rise otherwise.
    padded = np.pad(samples, (_WINDOW, 0))
    onsets_s = tempo_per_min = None
    if onsets:
        found_s = onset_detect(y=padded, sr=SAMPLE_RATE_HZ, hop_length=_HOP, units='time')
        onsets_s = np.maximum(found_s - _WINDOW / SAMPLE_RATE_HZ, 0.0)
    if tempo:
        # Not `beat_track`, which would place beats that nobody asks for, by compiled code that needs seconds to load.
        rises = onset_strength(y=padded, sr=SAMPLE_RATE_HZ, hop_length=_HOP, aggregate=np.median)
        found_per_min = estimate_tempo(onset_envelope=rises, sr=SAMPLE_RATE_HZ, hop_length=_HOP)
        tempo_per_min = float(found_per_min[0]) if rises.any() else 0.0
    if pitch:
        f0, _, probability = librosa.pyin(
            samples, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ, sr=SAMPLE_RATE_HZ, frame_length=_WINDOW, hop_length=_HOP
        )
        pitch_hz = np.where(probability >= _SURE, f0, np.nan)
        times_s = librosa.times_like(pitch_hz, sr=SAMPLE_RATE_HZ, hop_length=_HOP)
    return Found(onsets_s, tempo_per_min, times_s, pitch_hz)


@styled
def sound_picture(samples: Samples, name: str, found: Found) -> Markup:
    """Return the spectrogram of a sound, float32 [n] at 16 kHz.

    It has ticks on top where something begins, and a line where a pitch is.
    """
    figure = Figure(figsize=(3.4, 1.9), layout='constrained')
    axes = figure.add_subplot()
    _draw(samples, axes)
    axes.set_xlabel('s')
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if found.onsets_s is not None:
        axes.plot(found.onsets_s, np.ones(len(found.onsets_s)), 'v', color=COLOURS[1], markersize=5,
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    if found.times_s is not None and found.pitch_hz is not None:
        axes.plot(found.times_s, found.pitch_hz, color='#7fe0ff', linewidth=1.4)
    facts = ''.join(f', {what} {value}' for what, value in found.facts().items())
    return embed(figure, f'Spectrogram of {name}, {len(samples) / SAMPLE_RATE_HZ:.1f} s{facts}', dpi=72)


@styled
def stream_picture(samples: Samples, probabilities: Sequence[tuple[float, float]] = (), name: str = '') -> Markup:
    """Return the spectrogram of a stream, float32 [n] at 16 kHz, over P(response) of every decision.

    `probabilities` are (second, P(response)); without any, the spectrogram stands alone. The time axis begins at
    `LEFT_SHARE` of the width and is `WIDTH_SHARE` of it long, so that what stands under the picture can be placed by
    the second.
    """
    seconds = len(samples) / SAMPLE_RATE_HZ
    heights_in = (1.5, 0.45) if probabilities else (1.5,)
    gap_in, bottom_in = 0.12, 0.28
    height_in = sum(heights_in) + gap_in * (len(heights_in) - 1) + bottom_in + 0.08
    figure = Figure(figsize=(8.6, height_in))
    top_in = height_in - 0.08
    panels = []
    for tall_in in heights_in:
        top_in -= tall_in
        panels.append(figure.add_axes((LEFT_SHARE, top_in / height_in, WIDTH_SHARE, tall_in / height_in)))
        top_in -= gap_in
    _draw(samples, panels[0])
    alt = f'Spectrogram of {name or "a stream"}, {seconds:.1f} s'
    if probabilities:
        times_s, chances = zip(*probabilities, strict=True)
        panels[1].fill_between(times_s, chances, step='pre', color=COLOURS[0], alpha=0.35, linewidth=0)
        panels[1].step(times_s, chances, where='pre', color=COLOURS[0], linewidth=1.2)
        panels[1].set(ylim=(0, 1), yticks=(0, 1), ylabel='P')
        panels[0].set_xticklabels([])
        at = int(np.argmax(chances))
        alt += f'; under it P(response), highest {chances[at]:.2f} at {times_s[at]:.1f} s'
    for panel in panels:
        panel.set_xlim(0, seconds)
    panels[-1].xaxis.set_major_formatter('{x:g} s')
    return embed(figure, alt)


def _draw(samples: Samples, axes: Axes) -> None:
    power = melspectrogram(
        y=samples, sr=SAMPLE_RATE_HZ, n_fft=_WINDOW, hop_length=_HOP, n_mels=_BANDS, fmax=SAMPLE_RATE_HZ / 2
    )
    # The loudest of some columns, so that a click is not lost in a long stream.
    together = -(-power.shape[1] // _MOST_COLUMNS)
    power = librosa.util.sync(power, range(0, power.shape[1], together), aggregate=np.max)
    # What is quieter than 70 dB below a hundredth of full scale is not drawn as the loudest there is.
    decibels = librosa.power_to_db(power, ref=max(float(power.max()), 1e-4), top_db=None)
    specshow(
        decibels, sr=SAMPLE_RATE_HZ, hop_length=_HOP * together, fmax=SAMPLE_RATE_HZ / 2, x_axis='s', y_axis='mel',
        ax=axes, cmap='magma', vmin=-_DEEP_DB, vmax=0.0, rasterized=True,
    )  # fmt: skip
    axes.set_yticks(_TICKS_HZ, [f'{hertz / 1_000:g}' for hertz in _TICKS_HZ])
    axes.minorticks_off()
    axes.set(xlabel='', ylabel='kHz', xlim=(0, len(samples) / SAMPLE_RATE_HZ))
    axes.tick_params(color=INK)
