"""A chat model rewrites every sentence for speech before any is spoken, each once (paper B.4, Figure 16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from training.llm import LlmAnswerError, LlmClient, run_threads
from training.speech.normalise.spoken_form import Language, LlmRewriter, Rewriter, SpokenForm, rewrite

Forms = Mapping[tuple[str, Language], SpokenForm]  # (text, language) → what is said for it


def rewrite_by_model(texts: Iterable[tuple[str, Language]], client: LlmClient, threads: int) -> Forms:
    """Return the model's spoken form of every text; the rules' where the model has no usable answer.

    Raises LlmError where the server cannot be reached; what it has answered is not asked again.
    """
    by_model = LlmRewriter(client)
    forms: dict[tuple[str, Language], SpokenForm] = {}

    def one(text: tuple[str, Language]) -> int:
        try:
            forms[text] = by_model(*text)
        except LlmAnswerError:
            forms[text] = rewrite(*text)
        return 1

    run_threads('spoken forms', one, sorted(set(texts)), threads, 'sentence')
    return forms


def rewriter_of(forms: Forms) -> Rewriter:
    """Return what looks a text up in `forms`, and rewrites by the rules what is not there, such as half a sentence."""

    def look_up(text: str, language: Language) -> SpokenForm:
        return forms.get((text, language)) or rewrite(text, language)

    return look_up
