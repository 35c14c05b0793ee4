"""What a command is to tell the model, from its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio_interaction_ros.cli.errors import CommandError, reported

if TYPE_CHECKING:
    from audio_interaction_ros.model.checkpoint import DecoderHalf
    from audio_interaction_ros.streaming.context import DigitalContext


def checked_context(file: str | None, instruction: str, decoder: DecoderHalf) -> str:
    """Return the text of a context file, '' where none is named.

    Raises CommandError where it cannot be read, is no context, or the model cannot be told it with the instruction.
    """
    from audio_interaction_ros.streaming.context import ToldError
    from audio_interaction_ros.streaming.fifo import ChunkQueue
    from audio_interaction_ros.streaming.loop import told_loop

    context = _text_of(file)
    with reported(ToldError):
        told_loop(ChunkQueue(1), decoder, None, instruction, context)
    return context


def read_context(file: str | None) -> DigitalContext:
    """Return the context in a file, none where none is named; raise CommandError as `checked_context` does."""
    from audio_interaction_ros.streaming.context import DigitalContext, ToldError

    with reported(ToldError):
        return DigitalContext.parse(_text_of(file))


def _text_of(file: str | None) -> str:
    from audio_interaction_ros.streaming.context import MAX_CHARACTERS

    if file is None:
        return ''
    try:
        with open(file, encoding='utf-8') as opened:
            return opened.read(MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"'{file}' cannot be read ({error}); give a JSON file in UTF-8") from error
