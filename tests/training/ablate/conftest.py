"""The micro corpus of the stages' tests, on one thread as there."""

from __future__ import annotations

from tests.training.stages.conftest import collator, corpus, one_thread, threads_as_before

__all__ = ['collator', 'corpus', 'one_thread', 'threads_as_before']
