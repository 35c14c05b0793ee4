"""The chain turns a sentence into checked speech: rewrite, render, listen back, try again, keep or discard (paper B.4).

The dialogue that B.4 discards as a whole is a stream here: one without all of its sentences is not performed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.speech.asr import Recogniser, Transcript
from training.speech.espeak import spoken_until_s
from training.speech.normalise.rules import Change
from training.speech.normalise.spoken_form import Language, Rewriter, normalise_for_wer, rewrite
from training.speech.tts import TextToSpeech
from training.speech.voices import Phone, Said, Word

# Who says when a word was spoken; by letters: nobody, the time is shared out in proportion to its letters.
WordsBy = Literal['engine', 'recogniser', 'letters']


class _Frozen(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class ChainSettings(_Frozen):
    """These settings say how strict the check of speech is; the defaults are the paper's (Table 11)."""

    wer_threshold: float = Field(default=0.10, ge=0, description='τ_wer: the largest word error rate that is kept')
    retries: int = Field(default=2, ge=0, description='R: renderings after the first, before a sentence is discarded')


class Attempt(_Frozen):
    """An `Attempt` is one rendering and what the recogniser made of it.

    `transcript` and `wer` are None where nobody listened.
    """

    seed: int
    transcript: str | None = None
    wer: float | None = None


class SpeechDecision(_Frozen):
    """A `SpeechDecision` is everything that was decided about a sentence.

    'unchecked' says that there is no recogniser that could judge it.
    """

    text: str
    language: Language
    rewritten: str
    changes: tuple[Change, ...]
    voice: str
    attempts: tuple[Attempt, ...]
    verdict: Literal['kept', 'discarded', 'unchecked']
    reason: str = ''
    words_by: WordsBy | None = None


@dataclass(frozen=True)
class Utterance:
    """An `Utterance` is float32 [n] at 16 kHz and the time of each written word.

    `samples` are None if it was discarded.
    """

    samples: Samples | None
    words: tuple[Word, ...]
    decision: SpeechDecision
    phones: tuple[Phone, ...] = ()


class SpeechChain:
    """A `SpeechChain` is rewriter, text-to-speech and recogniser in a row (paper B.4).

    The same settings and sentence give the same result, in any order, if the engine takes a seed.
    """

    def __init__(
        self,
        tts: TextToSpeech,
        recogniser: Recogniser | None,
        settings: ChainSettings | None = None,
        seed: int = 0,
        rewriter: Rewriter = rewrite,
    ) -> None:
        """Keep the links of the chain; without a recogniser the first rendering is taken."""
        self._tts, self._recogniser, self._rewrite = tts, recogniser, rewriter
        self._settings = settings or ChainSettings()
        self._seed = seed

    def say(self, text: str, language: Language, voice: str) -> Utterance:
        """Return a rendering of what one says for `text` that is recognisable within the threshold, or none.

        Rate and pitch follow from the voice, so that they change only where a sentence is tried again. Raises
        SpeechError or RecogniserError when a backend cannot work at all, which is no fault of the sentence.
        """
        spoken = self._rewrite(text, language)
        reference = normalise_for_wer(spoken.text, language)
        judge = self._recogniser if self._recogniser and self._recogniser.knows(spoken.text, language) else None
        attempts: list[Attempt] = []
        said, heard = None, None
        for number in range(1 + (self._settings.retries if judge else 0) if reference else 0):
            seed = self._attempt_seed(voice, number)
            rendered = self._tts.speak(spoken.text, voice, seed)
            if judge is None:
                attempts.append(Attempt(seed=seed))
                said = rendered
                break
            heard = judge.transcribe(rendered.samples, language)
            wer = float(jiwer.wer(reference, normalise_for_wer(heard.text, language)))
            attempts.append(Attempt(seed=seed, transcript=heard.text, wer=round(wer, 4)))
            if wer <= self._settings.wer_threshold:
                said = rendered
                break
        decision = SpeechDecision(
            text=text,
            language=language,
            rewritten=spoken.text,
            changes=spoken.changes,
            voice=voice,
            attempts=tuple(attempts),
            verdict='discarded' if said is None else 'kept' if judge else 'unchecked',
            reason='' if said else _reason(text, spoken.text, attempts),
        )
        if said is None:
            return Utterance(None, (), decision)
        words, words_by = _word_times(spoken.text, said, heard)
        end = int(words[-1][2] * SAMPLE_RATE_HZ)
        if spoken.changes:
            words = self._of_written(text, language, words)
        return Utterance(said.samples[:end], words, decision.model_copy(update={'words_by': words_by}), said.phones)

    def _of_written(self, text: str, language: Language, spoken: Sequence[Word]) -> tuple[Word, ...]:
        """Return the times of written words, of which one may be several spoken ones, or none: '7:30', '&', '😀'.

        A written word is over when the text up to it has been said.
        """
        written = text.split()
        words: list[Word] = []
        done = 0
        for number, word in enumerate(written, 1):
            said = len(self._rewrite(' '.join(written[:number]), language).text.split())
            until = len(spoken) if number == len(written) else min(max(done, said), len(spoken))
            start_s = spoken[done][1] if until > done else spoken[done - 1][2] if done else 0.0
            words.append((word, start_s, spoken[until - 1][2] if until else 0.0))
            done = until
        return tuple(words)

    def _attempt_seed(self, voice: str, number: int) -> int:
        key = f'{self._seed}\0{voice}\0{number}'
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], 'big')


def _reason(text: str, spoken: str, attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return f'nothing to say is left of {text[:60]!r}'
    best = min(attempt.wer for attempt in attempts if attempt.wer is not None)
    return f'{spoken[:60]!r} was not understood in {len(attempts)} renderings (WER {best:.2f} at best)'


def _word_times(spoken: str, said: Said, heard: Transcript | None) -> tuple[tuple[Word, ...], WordsBy]:
    """Return the time of each word between spaces of what was said, and who says so; the last ends with the sound."""
    if said.words:
        return said.words, 'engine'
    names = spoken.split()
    end_s = spoken_until_s(said.samples)
    if heard and heard.words and [_bare(name) for name in names] == [_bare(word) for word, _, _ in heard.words]:
        starts = [max(0.0, min(start, end_s)) for _, start, _ in heard.words]
        ends = [*starts[1:], end_s]
        return tuple((n, round(a, 3), round(b, 3)) for n, a, b in zip(names, starts, ends, strict=True)), 'recogniser'
    letters = [0]
    for name in names:
        letters.append(letters[-1] + len(name))
    edges = [round(end_s * count / letters[-1], 3) for count in letters]
    return tuple(zip(names, edges[:-1], edges[1:], strict=True)), 'letters'


def _bare(word: str) -> str:
    return ''.join(character for character in word.lower() if character.isalnum())
