"""Sound → vectors: causal log-mel, then Qwen2.5-Omni's audio tower on each 400 ms chunk alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audio_interaction_ros.audio.logmel import FRAMES_PER_CHUNK, HISTORY_SAMPLES, CausalLogMel, Normalisation
from audio_interaction_ros.model.network import AudioTower
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
        chunks = mel.unflatten(-1, (-1, self.frames_per_chunk)).movedim(-2, -3)
        vectors = self.audio_tower.encode_chunks(chunks.reshape(-1, *chunks.shape[-2:]))
        return vectors.unflatten(0, chunks.shape[:-2])


class StreamingEncoder:
    """A `StreamingEncoder` encodes a stream chunk by chunk.

    Its state is the last 240 samples and the loudest log-mel value so far.

    With `streams`, so many at once, a chunk of each.
    """

    def __init__(self, encoder: ChunkEncoder, streams: int | None = None) -> None:
        self._encoder = encoder
        self._shape = () if streams is None else (streams,)
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next chunk does not continue the last one (new stream, or after a gap)."""
        self._history = torch.zeros(*self._shape, HISTORY_SAMPLES)
        self._peak = torch.full(self._shape, -torch.inf)

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Encode float32 [6400] as [10, dim] on the encoder's device; [streams, 6400] as [streams, 10, dim]."""
        tower = self._encoder.audio_tower
        samples = samples.to(tower.device)
        mel = self._encoder.logmel(samples, self._history.to(tower.device), self._peak.to(tower.device))
        self._history = samples[..., -HISTORY_SAMPLES:].clone()
        self._peak = mel.amax((-2, -1)).maximum(self._peak.to(tower.device))
        vectors: Tensor = tower.encode_chunks(mel.reshape(-1, *mel.shape[-2:]))
        return vectors.unflatten(0, (1, *self._shape)).squeeze(0)
