"""The ear of the other evaluations."""

from __future__ import annotations

from tests.training.evaluate.conftest import listener, listener_folder, one_thread  # noqa: F401
