"""Casting settles who speaks which line of a script, and names a sentence in a voice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from training.scripts.script import Script
from training.speech.voices import SpeechError

Casting = dict[tuple[int, str], str]  # (speaker, language) → name of a voice


def cast(script: Script, voices: Callable[[str], Sequence[str]], rng: np.random.Generator) -> Casting:
    """Return a voice for every (speaker, language) of a script, kept for the whole stream (paper B.4).

    `voices` gives those of a language. Two speakers share one only where there are not enough. Raises SpeechError where
    there is none.
    """
    needed = sorted({(speech.speaker, speech.language) for speech in script.utterances()})
    casting: Casting = {}
    for speaker, language in needed:
        pool = voices(language)
        if not pool:
            raise SpeechError(
                f'the engine has no voice for {language} on this side of the split; give it at least three: one each '
                'for training, validation and test'
            )
        free = [voice for voice in pool if voice not in casting.values()] or pool
        casting[speaker, language] = free[int(rng.integers(len(free)))]
    return casting


def utterance_id(text: str, voice: str) -> str:
    """Return the library's name for a sentence in a voice."""
    return 'speech:' + hashlib.sha256(f'{voice}|{text}'.encode()).hexdigest()[:20]
