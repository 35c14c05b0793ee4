"""Is the assistant still listening? A deaf one must say so itself. Time is a number given by the caller."""

from __future__ import annotations

_SILENT_FOR_S = 1.4  # of nothing from a stage: three chunks of 0.4 s and a little
_FLOWS_S = 0.5  # between two messages of sound that goes on
_BEGIN_WITHIN_S = 60.0  # of the start: time for models to load


class Supervisor:
    """A `Supervisor` is told of every sign of life along the way of the sound, and knows which stage is missed.

    Nothing is expected before the first decision, within reason, nor after the end of a file.
    """

    def __init__(self, now_s: float) -> None:
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        self._expected = False
        self._over = False
        self._began_s = self._sound_s = self._encoded_s = self._decided_s = now_s
        self._dead = ''

    def sound(self, now_s: float, dead: str = '') -> None:
        """Note that a message of raw sound came, and why nothing can be heard in it, if so."""
        if self._over:  # sound after the end of a file: another one, or a microphone
            self._begin(now_s)
        self._sound_s, self._dead = now_s, dead

    def encoded(self, now_s: float) -> None:
        """Note that a chunk's vectors came."""
        self._encoded_s = now_s

    def decided(self, now_s: float) -> None:
        """Note that a decision came: from now on more are expected."""
        self._decided_s = now_s
        if not self._over:
            self._expected = True

    def spoke(self, now_s: float) -> None:
        """Note that a piece of a response came: nothing is decided while it is being written."""
        self._decided_s = now_s

    def over(self) -> None:
        """Note that the file has ended: silence is as it should be."""
        self._over = True

    @property
    def begun(self) -> bool:
        """Return whether a decision has come since the start, or since the end of the last file."""
        return self._expected

    def problem(self, now_s: float) -> str | None:
        """Return what is wrong, in a sentence; None where all is well or nothing is expected."""
        if self._over:
            return None
        if not self._expected:
            if now_s - self._began_s <= _BEGIN_WITHIN_S:
                return None
            return 'The assistant has not begun to listen; see which node is not active, and what its log says.'
        if now_s - self._sound_s > _SILENT_FOR_S:
            return (
                'The assistant cannot hear: no sound comes from the microphone; plug it in, and start audio_capture '
                'where it does not run.'
            )
        if self._dead:
            return f'The assistant cannot hear: {self._dead}.'
        if now_s - self._sound_s > _FLOWS_S:
            return None  # the stages behind may have nothing to do: wait until it is clear that no sound comes
        if now_s - self._encoded_s > _SILENT_FOR_S:
            return (
                'The assistant cannot hear: sound comes in, but is not encoded; start chunk_encoder, or see what it '
                'says.'
            )
        if now_s - self._decided_s > _SILENT_FOR_S:
            return (
                'The assistant cannot hear: sound comes in, but nothing is decided on it; start decoder, or see what '
                'it says.'
            )
        return None
