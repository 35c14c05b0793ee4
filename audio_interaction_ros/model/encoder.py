"""Sound → vectors: causal log-mel, then Qwen2.5-Omni's audio tower on each 400 ms chunk, alone or with those before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audio_interaction_ros.audio.logmel import FRAMES_PER_CHUNK, HISTORY_SAMPLES, CausalLogMel, Normalisation
from audio_interaction_ros.model.network import AudioTower, LeftContext
from audio_interaction_ros.model.shapes import AudioConfig


class ChunkEncoder(nn.Module):
    """A `ChunkEncoder` turns a waveform into ten vectors for every 400 ms.

    Another number of `frames_per_chunk` is for experiments in training; nothing streams with such an encoder.
    """

    def __init__(
        self,
        config: AudioConfig,
        normalisation: Normalisation = 'fixed',
        frames_per_chunk: int = FRAMES_PER_CHUNK,
    ) -> None:
        super().__init__()
        if config.n_window * 2 != frames_per_chunk:
            raise ValueError(
                f'n_window is {config.n_window}, but chunks of {10 * frames_per_chunk} ms need {frames_per_chunk // 2}'
            )
        self.frames_per_chunk = frames_per_chunk
        self.logmel = CausalLogMel(config.num_mel_bins, normalisation)
        self.audio_tower = AudioTower(config)

    def forward(self, waveform: Tensor) -> Tensor:
        """Encode float32 [..., n × 6400] at 16 kHz from the start of a stream as [..., n, 10, dim]."""
        return self.encode_mel(self.logmel(waveform))

    def encode_mel(self, mel: Tensor) -> Tensor:
        """Encode log-mel, float32 [..., mel_bins, n × 40], as [..., n, 10, dim]."""
        chunks = split_chunks(mel, self.frames_per_chunk)
        vectors = self.audio_tower.encode_streams(chunks.reshape(-1, *chunks.shape[-3:]))
        return vectors.reshape(*chunks.shape[:-2], *vectors.shape[-2:])


def split_chunks(mel: Tensor, frames: int) -> Tensor:
    """Return log-mel [..., mel_bins, n × frames] as [..., n, mel_bins, frames]."""
    return mel.unflatten(-1, (-1, frames)).movedim(-2, -3)


class StreamingEncoder:
    """A `StreamingEncoder` encodes a stream chunk by chunk, or several chunks at once.

    Its state is the last 240 samples, the loudest log-mel value so far, and with `left_context_chunks` the keys and
    values of so many chunks, and no more.

    With `streams`, so many at once, the same number of chunks of each.
    """

    def __init__(self, encoder: ChunkEncoder, streams: int | None = None) -> None:
        self._encoder = encoder
        self._shape = () if streams is None else (streams,)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next chunk does not continue the last one (new stream, or after a gap)."""
        self._history = torch.zeros(*self._shape, HISTORY_SAMPLES)
        self._peak = torch.full(self._shape, -torch.inf)
        self._left: LeftContext | None = None

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Encode float32 [6400] as [10, dim] on the encoder's device; [streams, 6400] as [streams, 10, dim]."""
        return self.encode_all(samples).squeeze(-3)

    @torch.inference_mode()
    def encode_all(self, samples: Tensor) -> Tensor:
        """Encode the next n chunks, float32 [n × 6400], as [n, 10, dim]; [streams, n × 6400] as [streams, n, 10, dim].

        The same as one after the other, within 1e-5 (contract 2).
        """
        tower = self._encoder.audio_tower
        samples = samples.to(tower.device)
        mel = self._encoder.logmel(samples, self._history.to(tower.device), self._peak.to(tower.device))
        self._history = samples[..., -HISTORY_SAMPLES:].clone()
        self._peak = mel.amax((-2, -1)).maximum(self._peak.to(tower.device))
        chunks = split_chunks(mel, self._encoder.frames_per_chunk)
        vectors, self._left = tower.encode_next(chunks.reshape(-1, *chunks.shape[-3:]), self._left)
        return vectors.reshape(*chunks.shape[:-2], *vectors.shape[-2:])
