"""What `audio-interaction record` shows while it runs: how long, how loud, how large, and how much room is left."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.output import discard_output

if TYPE_CHECKING:
    from audio_interaction_ros.audio.formats import PcmFormat
    from audio_interaction_ros.bag_writer import BagWriter

_ON_TERMINAL_EVERY_S = 1.0
_ELSEWHERE_EVERY_S = 60.0  # a log of a night stays short
_FORMAT_WITHIN_S = 5.0
_ENOUGH_ROOM_S = 3600.0


def show(text: str, end: str = '\n') -> None:
    """Print a line; once the terminal or the pipe is closed, to nowhere: the recording goes on."""
    try:
        print(text, end=end, flush=True)
    except OSError:
        discard_output()


def say(text: str) -> None:
    """Print a sentence as `show` does."""
    show(f'audio-interaction: {text}')


class Progress:
    """A `Progress` prints one line that changes on a terminal, and a line a minute elsewhere; a fault when it begins.

    Nothing that it is told of ends the recording.
    """

    def __init__(self, writer: BagWriter) -> None:
        """Report on this writer."""
        from audio_interaction_ros.audio.level_watch import LevelWatch

        self._writer = writer
        self._watch = LevelWatch()
        self._pcm: PcmFormat | None = None
        self._terminal = sys.stdout.isatty()
        self._every_s = _ON_TERMINAL_EVERY_S if self._terminal else _ELSEWHERE_EVERY_S
        self._shown_s = time.monotonic()
        self._said: set[str] = set()

    def described(self, info: bytes) -> None:
        """Take a serialized AudioInfo."""
        from audio_interaction_ros.audio.formats import PcmFormat
        from audio_interaction_ros.bags import INFO, TYPES

        try:
            found: Any = TYPES.deserialize_cdr(info, INFO)
            self._pcm = PcmFormat.from_info(found.sample_rate, found.channels, found.sample_format, found.coding_format)
        except Exception as error:  # each kind of nonsense raises its own
            self._pcm = None
            self._say_once('format', f'{error}; it is recorded all the same, but replay cannot read it')

    def heard(self, sound: bytes) -> None:
        """Take a serialized AudioDataStamped."""
        from audio_interaction_ros.bags import STAMPED, TYPES

        if self._pcm is None:
            return
        try:
            message: Any = TYPES.deserialize_cdr(sound, STAMPED)
            samples = self._pcm.decode(message.audio.data)
        except Exception as error:  # likewise
            self._say_once('audio', f'{error}; it is recorded all the same, but replay leaves it out')
            return
        self._watch.told(samples, self._pcm)

    def show(self, recorded_s: float) -> None:
        """Print how it stands when it is time; `recorded_s` is the length of the recording in seconds."""
        if self._pcm is None and recorded_s > _FORMAT_WITHIN_S:
            self._say_once(
                'format',
                'no audio_info has come, and without it replay cannot read the sound; let the driver publish it',
            )
        if fault := self._watch.fault:
            self._say_once(fault.kind, fault.sentence)
        now_s = time.monotonic()
        if now_s - self._shown_s < self._every_s:
            return
        self._shown_s = now_s
        line = self._line(recorded_s)
        if self._terminal:
            show(f'\r{line}\x1b[K', end='')
        else:
            show(line)

    def end(self) -> None:
        """Leave the line that changed."""
        if self._terminal:
            show('')

    def _line(self, recorded_s: float) -> str:
        minutes, seconds = divmod(int(recorded_s), 60)
        levels = self._watch.levels
        level = f'{levels.level_dbfs:6.1f} dBFS, peak {levels.peak_dbfs:6.1f}' if levels else 'level unknown'
        size, parts = self._writer.size, self._writer.parts
        free = shutil.disk_usage(self._writer.path).free
        left_s = free / max(1.0, size / max(1.0, recorded_s))
        room = f'{free / 1e9:.1f} GB free'
        if left_s < _ENOUGH_ROOM_S:
            room += f', for {left_s / 60:.0f} min'
        return (
            f'{minutes // 60}:{minutes % 60:02}:{seconds:02}  {level}  {size / 1e6:.1f} MB in {parts} '
            f'{"file" if parts == 1 else "files"}  {room}'
        )

    def _say_once(self, what: str, sentence: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self.end()
            say(sentence)
