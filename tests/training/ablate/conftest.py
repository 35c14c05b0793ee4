"""The micro corpus of the stages' tests, on one thread as there."""

from __future__ import annotations

from tests.training.stages.conftest import corpus, one_thread, reader, threads_as_before

__all__ = ['corpus', 'one_thread', 'reader', 'threads_as_before']
