"""A verifier decides whether a clip may stand for a sub-event (paper B.1, Figure 14).

It looks at identity, cleanliness, duration fit and continuity.

Retrieved and generated clips are judged alike. In doubt, reprocess rather than accept, reject rather than reprocess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import scipy.fft

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.dsp.activity import FRAME_SAMPLES, activity
from training.llm import LlmClient
from training.procedural.registry import CRITERION_OF
from training.scenes.grammar import Grammar
from training.scenes.prompts import fill
from training.scenes.scenario import Acceptance, ClipInfo, Record, Refinement, SubEvent, Verdict
from training.streams import Role

FIT = (0.5, 2.0)  # times the rough duration (Figure 14)
SHORTEST_LOOP_S = 1.0  # an ambient is tiled; a shorter loop is heard as a rhythm
_EDGE_SAMPLES = 4  # ¼ ms: what comes from nothing has got nowhere by then, be its attack ever so sharp
_ABRUPT_DB = -20.0  # an edge this close to the sound's own level was cut
_LOWEST_HZ = 20.0  # an offset or a drift below it is not heard
_QUIETEST_DBFS = -65.0
_MOST_CLIPPED = 0.01
_LOWEST_TOP_HZ = 150.0  # below this a small loudspeaker or microphone gives nothing
# What a caption says about a second source, and the category that it then has in it.
_INTRUDERS = {
    'speech': r'speech|speak\w*|talk\w*|voices?|says?',
    'music': r'music|melody|song|piano|guitar|orchestra',
    'siren': r'sirens?|alarms?',
}


class Measured(Record):
    """A `Measured` clip is described by what can be said without understanding it.

    Levels of edges are in dB relative to the clip's own level.
    """

    duration_s: float
    level_dbfs: float
    onset_db: float
    offset_db: float
    low_hz: float
    high_hz: float
    clipped_share: float


@dataclass(frozen=True)
class Neighbour:
    """A `Neighbour` is a sub-event next to the candidate, or sounding `together` with it.

    `tags` are the categories that its clip may have.
    """

    name: str
    tags: tuple[str, ...]
    together: bool


@dataclass(frozen=True)
class Candidate:
    """A `Candidate` is a clip proposed for a sub-event.

    `samples` are float32 [n] at 16 kHz, as they would go into the scene.
    """

    scenario: str
    sub_event: SubEvent
    refinement: Refinement
    neighbours: tuple[Neighbour, ...]
    clip: ClipInfo
    samples: Samples


class Verifier(Protocol):
    """A `Verifier` judges one candidate."""

    def verify(self, candidate: Candidate) -> Verdict:
        """Return whether to accept, reprocess or reject the candidate, with the reason."""


def measure(samples: Samples) -> Measured:
    """Return the measures of float32 [n] at 16 kHz.

    The band holds 98 % of the energy above 20 Hz. Silence is −200 dBFS.
    """
    duration_s = len(samples) / SAMPLE_RATE_HZ
    power = np.square(samples, dtype=np.float32)
    if not len(samples) or power.max() < 1e-12:
        silent = dict.fromkeys(('level_dbfs', 'onset_db', 'offset_db'), -200.0)
        return Measured(duration_s=duration_s, low_hz=0.0, high_hz=0.0, clipped_share=0.0, **silent)
    spectrum = np.square(np.abs(scipy.fft.rfft(samples, scipy.fft.next_fast_len(len(samples), real=True))))
    inaudible = round(_LOWEST_HZ / (SAMPLE_RATE_HZ / 2) * len(spectrum))
    below, summed = float(spectrum[:inaudible].sum()), np.cumsum(spectrum[inaudible:])
    low, high = (inaudible + np.searchsorted(summed, summed[-1] * np.array([0.01, 0.99]))) / len(spectrum)
    audible = float(summed[-1]) / (below + float(summed[-1]))
    sounding = np.repeat(activity(samples), FRAME_SAMPLES)[: len(samples)]
    level_dbfs = _decibels(float(power[sounding].mean()) * audible)
    return Measured(
        duration_s=round(duration_s, 3),
        level_dbfs=round(level_dbfs, 1),
        onset_db=round(_decibels(float(power[:_EDGE_SAMPLES].max())) - level_dbfs, 1),
        offset_db=round(_decibels(float(power[-_EDGE_SAMPLES:].max())) - level_dbfs, 1),
        low_hz=round(float(low) * SAMPLE_RATE_HZ / 2, 1),
        high_hz=round(float(high) * SAMPLE_RATE_HZ / 2, 1),
        clipped_share=round(float((power >= 0.999**2).mean()), 4),
    )


def _decibels(power: float) -> float:
    return 10 * float(np.log10(power + 1e-20))


class RuleVerifier:
    """A `RuleVerifier` judges by the clip's category, its caption's words and what is measured.

    What it says is signed 'rules'.
    """

    stand_in: ClassVar[bool] = True

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def verify(self, candidate: Candidate) -> Verdict:
        """Return the verdict of the first criterion that is not met, the most final first; else accept."""
        clip, event = candidate.clip, candidate.sub_event
        if not any(_same(clip.category, tag) for tag in candidate.refinement.accept_tags):
            wanted = ', '.join(candidate.refinement.accept_tags)
            return _verdict(Acceptance.REJECT, f'Identity: {clip.category} is none of {wanted}.')
        if conflicts := self._conflicts(candidate):
            return _verdict(Acceptance.REJECT, f'Cleanliness: clashes with {", ".join(conflicts)}.', conflicts)
        measured = measure(candidate.samples)
        if measured.level_dbfs < _QUIETEST_DBFS:
            return _verdict(Acceptance.REJECT, f'Identity: {measured.level_dbfs:.0f} dBFS is too quiet to be heard.')
        if measured.high_hz < _LOWEST_TOP_HZ:
            return _verdict(Acceptance.REJECT, f'Identity: all energy lies below {measured.high_hz:.0f} Hz.')
        if measured.clipped_share > _MOST_CLIPPED:
            return _verdict(Acceptance.REJECT, f'Cleanliness: {measured.clipped_share:.1%} of the samples are clipped.')
        if event.role is Role.AMBIENT:
            if measured.duration_s < SHORTEST_LOOP_S:
                return _verdict(Acceptance.REJECT, f'Duration fit: {measured.duration_s:.1f} s is too short to loop.')
            return _verdict(Acceptance.ACCEPT, 'Identity, cleanliness and length are right for a loop.')
        ratio = measured.duration_s / event.rough_duration_s
        lasts = f'Duration fit: {measured.duration_s:.1f} s for {event.rough_duration_s:.1f} s'
        if ratio < FIT[0]:
            return _verdict(Acceptance.REJECT, f'{lasts} is too short.')
        if ratio > FIT[1]:
            return _verdict(Acceptance.REPROCESS, f'{lasts} is too long.')
        if max(measured.onset_db, measured.offset_db) > _ABRUPT_DB:
            return _verdict(Acceptance.REPROCESS, 'Continuity: cut off at an edge.')
        return _verdict(Acceptance.ACCEPT, 'Identity, cleanliness, duration and edges are right.')

    def _conflicts(self, candidate: Candidate) -> tuple[str, ...]:
        category, caption = candidate.clip.category, candidate.clip.caption.casefold()
        heard = [category]
        if category not in CRITERION_OF:  # an alarm's caption may well speak of an alarm
            heard += [name for name, words in _INTRUDERS.items() if re.search(rf'\b({words})\b', caption)]

        def meets(neighbour: Neighbour, tag: str) -> bool:
            if self._grammar.exclusive(category, tag):
                return True
            return neighbour.together and any(self._grammar.clash(sound, tag) for sound in heard)

        return tuple(n.name for n in candidate.neighbours if any(meets(n, tag) for tag in n.tags))


class LlmVerifier:
    """An `LlmVerifier` asks a chat model, which judges by caption and measures.

    The prompt is the same wherever the clip comes from.
    """

    stand_in: ClassVar[bool] = False

    def __init__(self, client: LlmClient) -> None:
        self._client = client

    def verify(self, candidate: Candidate) -> Verdict:
        """Return the chat model's verdict. Raises LlmError."""
        clip, event = candidate.clip, candidate.sub_event
        target = event.model_dump(mode='json') | {'accept_tags': candidate.refinement.accept_tags}
        prompt = fill(
            'verifier',
            scenario=candidate.scenario,
            target=target,
            neighbours=[{'name': n.name, 'sounds_together': n.together} for n in candidate.neighbours],
            clip={'caption': clip.caption or clip.category, 'category': clip.category, 'source': clip.source},
            measured=measure(candidate.samples).model_dump(),
        )
        return self._client.ask(prompt, Verdict).signed(self._client.made_by)


def _verdict(decision: Acceptance, reason: str, conflicts: tuple[str, ...] = ()) -> Verdict:
    return Verdict(decision=decision, reason=reason, conflicts=conflicts, made_by='rules')


def _same(category: str, tag: str) -> bool:
    """Return True if one name's words are all among the other's.

    So it is for 'dog bark' and 'Dog', 'clock tick' and 'clock ticking'.
    """
    ones, others = (set(map(_stem, re.findall(r'\w+', name.casefold()))) for name in (category, tag))
    return bool(ones and others) and (ones <= others or others <= ones)


def _stem(word: str) -> str:
    """Return enough of a word that its endings do not matter; English suffixes only."""
    for ending in ('ing', 'es', 's', 'e'):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
