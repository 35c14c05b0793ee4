"""Word error rate of what was written down, and BLEU of what was translated."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np
from sacrebleu import BLEU
from whisper_normalizer.english import EnglishTextNormalizer

from training.evaluate.hearing import end_s, language_of
from training.evaluate.replies import Comparison, ReplyResult, instruction
from training.metrics import interval_of_sums, interval_of_values, ratio, rounded

TRANSCRIBED = ('dictation', 'captions', 'command words')
_BLEU_RESAMPLES = 200  # each is a whole corpus score
_TOKENIZE = {'english': '13a', 'chinese': 'zh'}


@functools.cache
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def word_errors(comparison: Comparison) -> tuple[int, int] | None:
    """Return (substitutions + deletions + insertions, words) of a stream that is transcribed, None for another.

    Everything that was said counts but what answers something else, such as a warning. Both sides are normalised by
    Whisper's published normaliser, so that the figure compares with others'.
    """
    if comparison.stream.task not in TRANSCRIBED:
        return None
    wanted = [a for a in comparison.answers if _of_the_task(a, comparison)]
    said = [a.response for a in wanted if a.response] + [*comparison.false, *comparison.repeats]
    said.sort(key=lambda response: end_s(response.decision))
    normalised = _normaliser()
    reference = normalised(' '.join(a.reply.text for a in wanted))
    if not reference:
        return None
    found = jiwer.process_words(reference, normalised(' '.join(response.text for response in said)))
    words = found.hits + found.substitutions + found.deletions
    return found.substitutions + found.deletions + found.insertions, words


def _of_the_task(answer: ReplyResult, comparison: Comparison) -> bool:
    standing = instruction(comparison)
    return bool(answer.event.text) and not answer.from_history and answer.event.text != (standing or ('', ''))[1]


def word_error_rate(comparisons: Sequence[Comparison], seed: int) -> dict[str, Any]:
    """Return {wer, words, confidence_95} over the sub-tasks that write down what is said (jiwer)."""
    rows = [(c.stream.id, counts) for c in comparisons if (counts := word_errors(c)) is not None]
    errors, words = [counts[0] for _, counts in rows], [counts[1] for _, counts in rows]
    interval = interval_of_sums([unit for unit, _ in rows], [errors, words], ratio, seed)
    return {
        'wer': round(sum(errors) / sum(words), 4) if rows else None,
        'words': sum(words),
        'confidence_95': rounded(interval),
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
    return {language: _bleu([row for row in rows if row[1] == language], language, seed) for language in _TOKENIZE}


def _bleu(rows: Sequence[tuple[str, str, str, str]], language: str, seed: int) -> dict[str, Any]:
    if not rows:
        return {'bleu': None, 'segments': 0, 'confidence_95': None}
    metric = BLEU(tokenize=_TOKENIZE[language])

    def score(indices: np.ndarray) -> float:
        return metric.corpus_score([rows[i][3] for i in indices], [[rows[i][2] for i in indices]]).score

    interval = interval_of_values([row[0] for row in rows], score, seed, _BLEU_RESAMPLES)
    return {
        'bleu': round(score(np.arange(len(rows))), 2),
        'segments': len(rows),
        'confidence_95': rounded(interval, 2),
    }
