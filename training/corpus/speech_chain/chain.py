"""Dialogues into checked speech: rewrite, render, listen back, keep all or nothing (paper B.4)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import jiwer
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio.formats import Samples
from training.corpus.speech import SpeechError
from training.corpus.speech_chain.asr import Recogniser
from training.corpus.speech_chain.rules import Change
from training.corpus.speech_chain.spoken_form import Language, Rewriter, normalise_for_wer, rewrite
from training.corpus.speech_chain.tts import TextToSpeech


class _Frozen(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class ChainSettings(_Frozen):
    """How strict the check is; the defaults are the paper's (Table 11)."""

    wer_threshold: float = Field(default=0.10, ge=0, description='τ_wer: the largest word error rate that is kept')
    retries: int = Field(
        default=2, ge=0, description='R: renderings of a turn after the first, before all is discarded'
    )
    seed: int = Field(default=0, ge=0, description='voices, rates and pitches follow from this and the dialogue')


class Turn(_Frozen):
    """What one speaker says, in written form."""

    speaker: str
    text: str


class Dialogue(_Frozen):
    """Turns in order. `id` is unique in a corpus: everything drawn for a dialogue follows from it."""

    id: str
    language: Language
    turns: tuple[Turn, ...] = Field(min_length=1)


class Attempt(_Frozen):
    """One rendering and what the recogniser made of it."""

    seed: int
    transcript: str
    wer: float


class TurnRecord(_Frozen):
    """Every decision about one turn."""

    speaker: str
    text: str
    rewritten: str
    changes: tuple[Change, ...]
    voice: str
    attempts: tuple[Attempt, ...]
    verdict: Literal['kept', 'discarded']


class DialogueRecord(_Frozen):
    """Every decision about a dialogue. A discarded one ends with the turn that failed; later turns were not tried."""

    id: str
    language: Language
    turns: tuple[TurnRecord, ...]
    verdict: Literal['kept', 'discarded']
    reason: str = ''


@dataclass(frozen=True)
class RenderedDialogue:
    """float32 [n] at 16 kHz for each turn, and how they came about."""

    turns: tuple[Samples, ...]
    record: DialogueRecord


@dataclass(frozen=True)
class Discarded:
    """A dialogue of which a turn could not be rendered so that it is understood."""

    record: DialogueRecord


class SpeechChain:
    """Rewriter, text-to-speech and recogniser in a row. Same settings and dialogue, same result, in any order."""

    def __init__(
        self,
        tts: TextToSpeech,
        recogniser: Recogniser,
        settings: ChainSettings | None = None,
        rewriter: Rewriter = rewrite,
    ) -> None:
        self._tts, self._recogniser, self._rewrite = tts, recogniser, rewriter
        self._settings = settings or ChainSettings()

    def render(self, dialogue: Dialogue) -> RenderedDialogue | Discarded:
        """All turns, each recognisable within the threshold, or none.

        Raises SpeechError or RecogniserError when a backend cannot work at all, which is no fault of the dialogue.
        """
        voices = self._cast(dialogue)
        rendered: list[Samples] = []
        records: list[TurnRecord] = []
        for turn in dialogue.turns:
            samples, record = self._turn(turn, dialogue, voices[turn.speaker])
            records.append(record)
            if samples is None:
                return Discarded(_record(dialogue, records, _reason(record)))
            rendered.append(samples)
        return RenderedDialogue(tuple(rendered), _record(dialogue, records, ''))

    def _cast(self, dialogue: Dialogue) -> dict[str, str]:
        """A voice for each speaker, different ones as long as there are enough."""
        pool = self._tts.voices(dialogue.language)
        if not pool:
            raise SpeechError(
                f'{type(self._tts).__name__} has no voice for {dialogue.language!r}; use another backend.'
            )
        order = np.random.default_rng(self._seed(dialogue, 'voices')).permutation(len(pool))
        speakers = dict.fromkeys(turn.speaker for turn in dialogue.turns)
        return {speaker: pool[order[number % len(pool)]] for number, speaker in enumerate(speakers)}

    def _seed(self, dialogue: Dialogue, *what: str) -> int:
        key = '\0'.join((str(self._settings.seed), dialogue.id, *what))
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], 'big')

    def _turn(self, turn: Turn, dialogue: Dialogue, voice: str) -> tuple[Samples | None, TurnRecord]:
        spoken = self._rewrite(turn.text, dialogue.language)
        reference = normalise_for_wer(spoken.text, dialogue.language)
        attempts: list[Attempt] = []
        kept: Samples | None = None
        for number in range(1 + self._settings.retries if reference else 0):
            # The same for all turns of a speaker, so that rate and pitch change only where a turn is tried again.
            seed = self._seed(dialogue, turn.speaker, str(number))
            samples = self._tts.speak(spoken.text, voice, seed)
            transcript = self._recogniser.transcribe(samples, dialogue.language)
            wer = float(jiwer.wer(reference, normalise_for_wer(transcript, dialogue.language)))
            attempts.append(Attempt(seed=seed, transcript=transcript, wer=wer))
            if wer <= self._settings.wer_threshold:
                kept = samples
                break
        return kept, TurnRecord(
            speaker=turn.speaker,
            text=turn.text,
            rewritten=spoken.text,
            changes=spoken.changes,
            voice=voice,
            attempts=tuple(attempts),
            verdict='discarded' if kept is None else 'kept',
        )


def _record(dialogue: Dialogue, turns: list[TurnRecord], reason: str) -> DialogueRecord:
    return DialogueRecord(
        id=dialogue.id,
        language=dialogue.language,
        turns=tuple(turns),
        verdict='discarded' if reason else 'kept',
        reason=reason,
    )


def _reason(turn: TurnRecord) -> str:
    if not turn.attempts:
        return f'nothing to say is left of {turn.text[:60]!r}'
    best = min(attempt.wer for attempt in turn.attempts)
    return f'{turn.rewritten[:60]!r} was not understood in {len(turn.attempts)} renderings (WER {best:.2f} at best)'
