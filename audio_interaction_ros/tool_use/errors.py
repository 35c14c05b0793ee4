"""Why a tools file, a call or an answer is refused."""

from __future__ import annotations


class ToolsError(ValueError):
    """A `ToolsError` says why no tools can be had: of a file what is wrong with it, and what to change."""


class CallError(ValueError):
    """A `CallError` says why a call is refused; `kind` is under which name that is counted."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
