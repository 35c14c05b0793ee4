"""A microphone's blocks, without the assistant's own voice: as one channel at 16 kHz, and who talks over it."""

from __future__ import annotations

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.echo import EchoCanceller
from audio_interaction_ros.audio.formats import PcmFormat, encode_s16le
from audio_interaction_ros.audio.resample import MonoResampler
from audio_interaction_ros.audio.sources import Block
from audio_interaction_ros.audio.talk_over import TalkOver
from audio_interaction_ros.audio.timeline import NS_PER_S, NS_PER_SAMPLE

PUBLISHED = PcmFormat(SAMPLE_RATE_HZ, 1, 'S16LE')
_GAP_NS = 20_000_000


class OwnVoiceFilter:
    """An `OwnVoiceFilter` takes the own voice out of the blocks of one microphone, which has one channel."""

    def __init__(self, pcm: PcmFormat, canceller: EchoCanceller, talk_over: TalkOver | None) -> None:
        """Begin with blocks in this format; without `talk_over` nobody is heard to talk over it."""
        self._pcm, self._canceller, self._talk_over = pcm, canceller, talk_over
        self._next_ns: int | None = None
        self._begin_again()

    @property
    def talks(self) -> bool:
        """Return whether somebody talks while the assistant does."""
        return self._talk_over is not None and self._talk_over.talks

    def push(self, block: Block) -> Block | None:
        """Return what of the sound up to this block is complete, as `PUBLISHED`; None where that is nothing yet."""
        samples = self._pcm.decode(block.data)
        held_ns = self._pushed * NS_PER_S // self._pcm.sample_rate_hz - self._resampled * NS_PER_SAMPLE
        if self._next_ns is not None and abs(block.stamp_ns - self._next_ns) > _GAP_NS:
            self._begin_again()
            held_ns = 0
        self._pushed += len(samples)
        self._next_ns = block.stamp_ns + len(samples) * NS_PER_S // self._pcm.sample_rate_hz
        resampled = self._resampler.push(samples)
        self._resampled += len(resampled)
        heard = self._canceller.push(resampled, block.stamp_ns - held_ns)
        if self._talk_over is not None:
            for piece in heard:
                self._talk_over.push(piece)
        if not heard:
            return None
        return Block(encode_s16le(np.concatenate([piece.samples for piece in heard])), heard[0].stamp_ns)

    def _begin_again(self) -> None:
        self._canceller.reset()
        if self._talk_over is not None:
            self._talk_over.reset()
        self._resampler = MonoResampler(self._pcm.sample_rate_hz)
        self._pushed = self._resampled = 0  # frames of the microphone, and samples at 16 kHz that came of them
