"""Alarms with a standard signature, heard on the raw sound without any model: smoke, carbon monoxide, sirens.

Tones are followed over time and compared with what the standards fix: the rhythm of temporal three and four, the pitch
contours of evacuation signals and sirens, and how often they come again. Nothing is learnt, nothing can be mistrained,
and a broken checkpoint cannot silence it. It is no certified alarm receiver.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.safety.alarm_cycles import CycleFinder, Window
from audio_interaction_ros.safety.alarm_patterns import (
    DIN_SWEEP,
    NF_TWO_TONE,
    SLOW_WHOOP,
    Matcher,
    Pattern,
    match_hi_lo,
    match_wail,
    match_yelp,
)
from audio_interaction_ros.safety.alarm_rhythm import TEMPORAL_FOUR, TEMPORAL_THREE, RhythmDetector
from audio_interaction_ros.safety.alarm_spectrum import HOP_SAMPLES, PitchSalience, Spectrogram

REPORT_EVERY_S = 4.0  # an alarm that goes on is told again this often ...
TOLD_AGAIN_WITHIN_S = 7.0  # ... or with every cycle, of which that of temporal four is the longest, 5.2 to 6.3 s

# Every signature by name → what people call it.
SIGNATURES = {
    'temporal_three': 'the three pulses of a smoke or fire alarm',
    'temporal_four': 'the four pulses of a carbon monoxide alarm',
    'slow_whoop': 'the slow whoop of an evacuation alarm',
    'din_sweep': 'the falling sweep of an emergency alarm',
    'nf_two_tone': 'the two tones of an evacuation alarm',
    'wail': 'the wail of a siren',
    'yelp': 'the yelp of a siren',
    'hi_lo': 'the two tones of a siren',
}

# What each length of sound is searched for, the more particular pattern first.
_SEARCHES: tuple[tuple[Window, tuple[Matcher, ...]], ...] = (
    (Window(length_s=2.6, stride=1, shortest_s=0.16, longest_s=0.6), (NF_TWO_TONE.match, match_yelp)),
    (Window(length_s=5.2, stride=1, shortest_s=0.44, longest_s=2.3), (match_hi_lo, DIN_SWEEP.match)),
    (Window(length_s=13.0, stride=5, shortest_s=1.8, longest_s=7.0), (SLOW_WHOOP.match, match_wail)),
)
_AGREEING = 3  # chunks in a row must find the same pattern ...
_SAME_PERIOD = 0.04  # ... with the same period and pitches, to within these shares
_SAME_PITCH = 0.06
_PAUSE_CHUNKS = 2


@dataclass(frozen=True)
class Evidence:
    """An `Evidence` is a signature that was heard.

    `signature` is a key of SIGNATURES; `low_hz` and `high_hz` bound the fundamental (equal for a steady tone); `cycles`
    of the pattern were heard; `first_sample` is the 16 kHz position of the first one; `confidence` is 0 to 1.
    """

    signature: str
    low_hz: float
    high_hz: float
    cycles: int
    first_sample: int
    confidence: float

    @property
    def sentence(self) -> str:
        """Return the evidence in words for people."""
        hertz = f'{self.low_hz:.0f}' if self.low_hz == self.high_hz else f'{self.low_hz:.0f} to {self.high_hz:.0f}'
        return f'I hear {SIGNATURES[self.signature]} at {hertz} Hz, {self.cycles} times.'


class AlarmSignatures:
    """An `AlarmSignatures` hears alarms in sound; any split into pieces gives the same evidence.

    The state is some 2 MB and does not grow.
    """

    def __init__(self) -> None:
        self._position = 0
        self._carry: Samples
        self._begin()

    @property
    def position(self) -> int:
        """Return the 16 kHz position of the next sample, gaps included."""
        return self._position

    def reset(self, position: int = 0) -> None:
        """Forget what was heard so far, because sound is missing or another stream begins at `position`."""
        self._position = position
        self._begin()

    def feed(self, samples: Samples) -> list[Evidence]:
        """Hear samples, float32 [n] at 16 kHz, −1 to 1, and return what became certain with them."""
        self._carry = np.concatenate([self._carry, samples])
        self._position += len(samples)
        heard: list[Evidence] = []
        while len(self._carry) >= CHUNK_SAMPLES:
            heard += self._chunk(self._carry[:CHUNK_SAMPLES])
            self._carry = self._carry[CHUNK_SAMPLES:]
        return heard

    def _begin(self) -> None:
        self._origin = self._position
        self._carry = np.empty(0, np.float32)
        self._chunks = 0
        self._spectrogram, self._salience = Spectrogram(), PitchSalience()
        self._rhythms = [RhythmDetector(TEMPORAL_THREE), RhythmDetector(TEMPORAL_FOUR)]
        self._finders = [(CycleFinder(window), matchers) for window, matchers in _SEARCHES]
        self._followed: dict[str, _Followed] = {}

    def _chunk(self, chunk: Samples) -> list[Evidence]:
        levels_db = self._spectrogram.push(chunk)
        self._chunks += 1
        heard = []
        for detector in self._rhythms:
            if (rhythm := detector.push(levels_db)) is not None:
                first = self._origin + max(0, rhythm.first) * HOP_SAMPLES
                confidence = 1.0 - (1.0 - rhythm.fit) / rhythm.cycles
                hertz = rhythm.fundamental_hz
                heard.append(Evidence(rhythm.name, hertz, hertz, rhythm.cycles, first, confidence))
        salience = self._salience.of(levels_db)
        for finder, matchers in self._finders:
            cycle = finder.push(salience)
            if cycle is None:
                continue
            pattern = next((found for match in matchers if (found := match(cycle)) is not None), None)
            if pattern is not None and (evidence := self._follow(pattern)) is not None:
                heard.append(evidence)
        return heard

    def _follow(self, pattern: Pattern) -> Evidence | None:
        """Evidence when enough chunks agree, and then every few seconds."""
        followed = self._followed.get(pattern.name)
        if followed is None or not followed.agrees(pattern, self._chunks):
            # A pattern is found when two cycles of it have been heard.
            first = self._chunks * CHUNK_SAMPLES - round(2 * pattern.period_s * SAMPLE_RATE_HZ)
            followed = self._followed[pattern.name] = _Followed(self._origin + max(0, first))
        followed.add(pattern, self._chunks)
        chunk_s = CHUNK_SAMPLES / SAMPLE_RATE_HZ
        if followed.agreeing < _AGREEING or (self._chunks - followed.reported) * chunk_s < REPORT_EVERY_S:
            return None
        followed.reported = self._chunks
        heard_s = (self._origin + self._chunks * CHUNK_SAMPLES - followed.first_sample) / SAMPLE_RATE_HZ
        cycles = int(heard_s / pattern.period_s)
        confidence = 1.0 - (1.0 - pattern.fit) / followed.agreeing
        return Evidence(pattern.name, pattern.low_hz, pattern.high_hz, cycles, followed.first_sample, confidence)


class _Followed:
    """A pattern over the chunks in which it was found."""

    def __init__(self, first_sample: int) -> None:
        self.first_sample = first_sample
        self.agreeing = 0
        self.reported = -1_000
        self._chunk = 0
        self._last: Pattern | None = None

    def agrees(self, pattern: Pattern, chunk: int) -> bool:
        last = self._last
        return (
            last is not None
            and chunk - self._chunk <= _PAUSE_CHUNKS
            and abs(pattern.period_s / last.period_s - 1.0) <= _SAME_PERIOD
            and abs(pattern.low_hz / last.low_hz - 1.0) <= _SAME_PITCH
            and abs(pattern.high_hz / last.high_hz - 1.0) <= _SAME_PITCH
        )

    def add(self, pattern: Pattern, chunk: int) -> None:
        self._last, self._chunk = pattern, chunk
        self.agreeing += 1
