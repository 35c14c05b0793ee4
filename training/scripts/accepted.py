"""Accepted sounds are kept as the verifier accepted them, from a scene's grounding until the scripts are written."""

from __future__ import annotations

import hashlib
import threading

import numpy as np

from audio_interaction_ros.audio.formats import Samples
from training.clips.store import StoredClip

ACCEPTED = 'accepted:'  # at the beginning of their ids


class Accepted(threading.local):
    """`Accepted` holds sounds by id, for each thread its own: one script at a time is written in it."""

    def __init__(self) -> None:
        self.clips: dict[str, tuple[StoredClip, Samples]] = {}

    def keep(self, clip: StoredClip, samples: Samples) -> StoredClip:
        """Return `clip` with an id that is its sound's; `samples` are float32 [n] at 16 kHz, as they are to be mixed.

        What else is known of it stays: recording, licence, side of the split.
        """
        digest = hashlib.sha256(f'{clip.id}|'.encode() + np.ascontiguousarray(samples).tobytes()).hexdigest()
        kept = clip.model_copy(update={'id': f'{ACCEPTED}{digest[:20]}'})
        self.clips[kept.id] = kept, samples
        return kept
