"""Causal log-mel: every frame looks back only, so a stream and a file give the same numbers (contract 2)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ

WINDOW_SAMPLES = 400  # 25 ms, as Whisper
HOP_SAMPLES = 160  # 10 ms
HISTORY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES  # what the first frame needs from the past
FRAMES_PER_CHUNK = CHUNK_SAMPLES // HOP_SAMPLES

_FLOOR = 1e-8  # mel power below this is silence: −80 dB under a full-scale tone
_WHISPER_FLOOR = 1e-10
WHISPER_RANGE = 2.0  # 80 dB under the maximum, in normalised units

Normalisation = Literal['fixed', 'running_maximum']


def mel_filters(mel_bins: int) -> np.ndarray:
    """Return Whisper's mel filters, float64 [201 frequencies, mel_bins].

    They are triangles of equal area on Slaney's scale from 0 to 8 kHz.
    """
    # Linear up to 1 kHz, 15 mel; from there 27 mel for a factor of 6.4 (Slaney, Auditory Toolbox, 1998).
    highest_mel = 15.0 + 27.0 * np.log(SAMPLE_RATE_HZ / 2 / 1_000.0) / np.log(6.4)
    mel = np.linspace(0.0, highest_mel, mel_bins + 2)
    edges_hz = np.where(mel < 15.0, mel * 200.0 / 3.0, 1_000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))
    frequencies_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 1 + WINDOW_SAMPLES // 2)[:, None]
    rising = (frequencies_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - frequencies_hz) / np.diff(edges_hz)[1:]
    return np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (edges_hz[2:] - edges_hz[:-2])


class CausalLogMel(nn.Module):
    """A `CausalLogMel` computes Whisper's log-mel, (log10(power) + 4) / 4, with windows that end at the newest sample.

    Whisper raises what is quieter than 80 dB under the maximum of the whole recording, which a stream cannot know.
    `fixed`: a fixed floor, so a frame depends on its 400 samples alone. `running_maximum`: 80 dB under the maximum so
    far, for weights that were trained on Whisper's.
    """

    def __init__(self, mel_bins: int, normalisation: Normalisation = 'fixed') -> None:
        super().__init__()
        self.normalisation = normalisation
        filters = mel_filters(mel_bins)
        self.register_buffer('filters', torch.from_numpy(filters.astype(np.float32)), persistent=False)
        # On the CPU also within `torch.device('meta')`: it is computed, not loaded.
        self.register_buffer('window', torch.hann_window(WINDOW_SAMPLES, device='cpu'), persistent=False)

    def forward(self, samples: Tensor, history: Tensor | None = None, peak: Tensor | None = None) -> Tensor:
        """Return the log-mel of float32 [..., n × 160] as float32 [..., mel_bins, n].

        `history`, float32 [..., 240], is what came just before, and `peak`, [...], the greatest value this gave since
        the start of the stream, which `running_maximum` needs. None means silence (the start of a stream).
        """
        if history is None:
            history = samples.new_zeros(*samples.shape[:-1], HISTORY_SAMPLES)
        frames = torch.cat([history, samples], dim=-1).unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES)
        power = torch.fft.rfft(frames * self.window).abs().square()
        running = self.normalisation == 'running_maximum'
        mel = (power @ self.filters).clamp_min(_WHISPER_FLOOR if running else _FLOOR).log10()
        mel = ((mel + 4.0) / 4.0).transpose(-1, -2)
        if not running:
            return mel
        highest = mel.amax(-2, keepdim=True).cummax(-1).values
        if peak is not None:
            highest = highest.maximum(peak[..., None, None])
        return mel.maximum(highest - WHISPER_RANGE)
