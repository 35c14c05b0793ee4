"""Word and character error rate of what was written down, and BLEU of what was translated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jiwer
import numpy as np
from sacrebleu import BLEU
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from training.evaluate.hearing import end_s, language_of
from training.evaluate.replies import Comparison, ReplyResult, instruction
from training.metrics import interval_of_sums, interval_of_values, ratio, rounded

TRANSCRIBED = ('dictation', 'captions', 'command words')
_BLEU_RESAMPLES = 200  # each is a whole corpus score
TOKENIZERS = {'english': '13a', 'chinese': 'zh'}  # of sacrebleu


@functools.cache
def normaliser(language: str) -> Callable[[str], str]:
    """Return Whisper's published normaliser, so that figures compare with others'; of Chinese every sign is a word."""
    return BasicTextNormalizer(split_letters=True) if language == 'chinese' else EnglishTextNormalizer()


def recognition_errors(comparison: Comparison) -> tuple[str, int, int] | None:
    """Return (language, substitutions + deletions + insertions, words) of a stream that is transcribed, else None.

    Of Chinese, which has no spaces, the words are the characters. Everything that was said counts but what answers
    something else, such as a warning.
    """
    if comparison.stream.task not in TRANSCRIBED:
        return None
    wanted = [a for a in comparison.answers if _of_the_task(a, comparison)]
    said = [a.response for a in wanted if a.response] + [*comparison.false, *comparison.repeats]
    said.sort(key=lambda response: end_s(response.decision))
    text = ' '.join(a.reply.text for a in wanted)
    language = language_of(text)
    errors, words = edits(text, ' '.join(response.text for response in said), language)
    return (language, errors, words) if words else None


def edits(wanted: str, written: str, language: str) -> tuple[int, int]:
    """Return (substitutions + deletions + insertions, words wanted), both texts normalised; of no word 0 are wanted."""
    normalised = normaliser(language)
    reference, found = normalised(wanted).strip(), normalised(written)
    if not reference:
        return len(found.split()), 0
    aligned = jiwer.process_words(reference, found)
    words = aligned.hits + aligned.substitutions + aligned.deletions
    return aligned.substitutions + aligned.deletions + aligned.insertions, words


def _of_the_task(answer: ReplyResult, comparison: Comparison) -> bool:
    standing = instruction(comparison)
    return bool(answer.event.text) and not answer.from_history and answer.event.text != (standing or ('', ''))[1]


def word_error_rate(comparisons: Sequence[Comparison], seed: int) -> dict[str, Any]:
    """Return {wer, words, confidence_95} over the sub-tasks that write down what is said in English (jiwer)."""
    return _error_rate(comparisons, 'english', 'wer', 'words', seed)


def character_error_rate(comparisons: Sequence[Comparison], seed: int) -> dict[str, Any]:
    """Return {cer, characters, confidence_95} over the sub-tasks that write down what is said in Chinese (jiwer)."""
    return _error_rate(comparisons, 'chinese', 'cer', 'characters', seed)


def _error_rate(comparisons: Sequence[Comparison], language: str, rate: str, unit: str, seed: int) -> dict[str, Any]:
    counted = [(c.stream.id, *found) for c in comparisons if (found := recognition_errors(c)) is not None]
    rows = [(stream, errors, of) for stream, which, errors, of in counted if which == language]
    errors, of = [row[1] for row in rows], [row[2] for row in rows]
    return {
        rate: round(sum(errors) / sum(of), 4) if rows else None,
        unit: sum(of),
        'confidence_95': rounded(interval_of_sums([row[0] for row in rows], [errors, of], ratio, seed)),
    }


def translations(comparisons: Sequence[Comparison]) -> list[tuple[str, str, str, str]]:
    """Return every reply that translates what calls for it, as (stream, language, reference, what was said).

    What was said is empty where nothing was.
    """
    return [
        (c.stream.id, a.reply.language, a.reply.text, a.response.text if a.response else '')
        for c in comparisons
        if c.stream.category == 'streaming translation'
        for a in c.answers
        if _of_the_task(a, c)
        if c.stream.task == 'phrase' or language_of(a.event.text) != a.reply.language
    ]


def bleu(comparisons: Sequence[Comparison], seed: int) -> dict[str, Any]:
    """Return {bleu, segments, confidence_95} for each language that is translated into.

    BLEU is sacrebleu's, with its default tokenisation of the language.
    """
    rows = translations(comparisons)
    return {language: _bleu([row for row in rows if row[1] == language], language, seed) for language in TOKENIZERS}


def _bleu(rows: Sequence[tuple[str, str, str, str]], language: str, seed: int) -> dict[str, Any]:
    if not rows:
        return {'bleu': None, 'segments': 0, 'confidence_95': None}
    units, _, wanted, said = zip(*rows, strict=True)
    value, interval, _ = bleu_of(units, wanted, said, language, seed)
    return {'bleu': value, 'segments': len(rows), 'confidence_95': interval}


def bleu_of(
    units: Sequence[str], wanted: Sequence[str], said: Sequence[str], language: str, seed: int
) -> tuple[float, list[float] | None, str]:
    """Return sacrebleu's BLEU of segments, its 95 % interval and its signature; `units` as for `interval_of_values`."""
    metric = BLEU(tokenize=TOKENIZERS[language])

    def score(indices: np.ndarray) -> float:
        return metric.corpus_score([said[i] for i in indices], [[wanted[i] for i in indices]]).score

    interval = interval_of_values(units, score, seed, _BLEU_RESAMPLES)
    return round(score(np.arange(len(units))), 2), rounded(interval, 2), str(metric.get_signature())
