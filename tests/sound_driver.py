"""An audio driver for the tests of what comes of its sound: it knows what it captured, sent and lost."""

from __future__ import annotations

import contextlib

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.chunk_stream import MISSING, PAUSE, ChunkStream
from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat
from audio_interaction_ros.audio.timeline import NS_PER_S

START_NS = 1_700_000_000 * NS_PER_S
PCM = PcmFormat(16_000, 1, 'S16LE')
BLOCK = 640  # 40 ms at 16 kHz
MS = 1_000_000


class Driver:
    """Sends every sample of a ramp in order, so that what is heard says where it was captured."""

    def __init__(self, pcm=PCM):
        self.pcm, self.stream, self.chunks = pcm, ChunkStream(1), []
        self.captured = 0  # frames so far, those that never came included
        self.came = 0

    def send(self, frames=BLOCK, late_ns=0, stamp_ns=None):
        first = self.captured
        self.captured += frames
        return self.send_again(first, frames, late_ns, stamp_ns)

    def send_again(self, first, frames=BLOCK, late_ns=0, stamp_ns=None):
        at_ns = START_NS + first * NS_PER_S // self.pcm.sample_rate_hz
        # Positions as samples: exact in float32 up to 2 ** 24, and to_mono of equal channels keeps them.
        samples = np.repeat(np.arange(first, first + frames, dtype=np.float32)[:, None], self.pcm.channels, 1)
        self.came += frames
        with contextlib.suppress(AudioFormatError):
            self.chunks += self.stream.push(
                samples, self.pcm, at_ns + late_ns if stamp_ns is None else stamp_ns, at_ns + late_ns
            )

    def lose(self, frames=BLOCK):
        self.captured += frames

    @property
    def unheard(self):
        return self.stream.pending + self.stream.lost.total()

    def assert_every_sample_that_came_is_accounted_for(self):
        lost = self.stream.lost
        never_came = lost[MISSING] + lost[PAUSE]
        assert self.stream.heard == CHUNK_SAMPLES * len(self.chunks)
        assert self.stream.heard + self.unheard - never_came == self.came
