"""Open texts: sentences, questions and remarks of packages and of a language model, filtered and credited."""

from __future__ import annotations

from training.errors import CorpusError


class TextsError(CorpusError):
    """A `TextsError` says that what texts are to be taken from is missing or is something else; it names the cure."""
