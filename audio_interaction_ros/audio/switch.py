"""Whether to listen: one switch, which may outlive the process."""

from __future__ import annotations

from pathlib import Path

from audio_interaction_ros.files import replacing

_WORDS = {True: 'true', False: 'false'}


class SwitchError(ValueError):
    """A `SwitchError` says that the file that remembers the switch cannot be read or written."""


class ListeningSwitch:
    """A `ListeningSwitch` is `on` as it was set last; with a file, by any process before.

    A crash must not switch a microphone on.
    """

    def __init__(self, on_at_start: bool, file: str) -> None:
        """Read what `file` remembers, which outweighs `on_at_start`; '' is no file. Raises SwitchError."""
        self._file = Path(file).expanduser() if file else None
        self.on = on_at_start
        if self._file is not None and self._file.exists():
            self.on = _read(self._file)

    def set(self, on: bool) -> None:
        """Set the switch; raise SwitchError when that cannot be remembered, and set it nevertheless."""
        self.on = on
        if self._file is None:
            return
        try:
            with replacing(self._file) as file:
                file.write(f'{_WORDS[on]}\n'.encode())
        except OSError as error:
            raise SwitchError(
                f"listening is {_WORDS[on]}, but '{self._file}' cannot remember it over a restart ({error}); give a "
                'listening_file that can be written'
            ) from error


def _read(file: Path) -> bool:
    try:
        word = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SwitchError(f"'{file}' cannot be read ({error}); delete it or give another listening_file") from error
    if word not in _WORDS.values():
        raise SwitchError(f"'{file}' says '{word[:20]}'; true or false expected, or delete it")
    return word == _WORDS[True]
