"""One token protocol for training, inference and evaluation (contract 3).

Per chunk: `chunk_begin`, ten audio vectors, `chunk_end`, then one control token: `silent`, or
`response` + emotion + text + `eos`. The ids live in the checkpoint (protocol.json), never in code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

AUDIO_TOKENS_PER_CHUNK = 10


class ProtocolError(ValueError):
    """A `ProtocolError` says that protocol.json is missing, malformed or contradicts itself."""


class Protocol(BaseModel):
    """A `Protocol` gives token ids by role; the roles are those of the released model, under plain names."""

    model_config = ConfigDict(frozen=True, extra='forbid')

    online: int
    offline: int | None = None  # in training only: all is heard before anything is decided
    system: int
    chunk_begin: int
    chunk_end: int
    audio: int
    silent: int
    response: int
    eos: int
    languages: dict[str, int]
    emotions: dict[str, int]

    def special_ids(self) -> frozenset[int]:
        """Return every id that is not text."""
        single = (
            self.online,
            self.system,
            self.chunk_begin,
            self.chunk_end,
            self.audio,
            self.silent,
            self.response,
            self.eos,
        )
        offline = () if self.offline is None else (self.offline,)
        return frozenset((*single, *offline, *self.languages.values(), *self.emotions.values()))

    def role_of(self, token: int) -> str:
        """Return the roles of a token, for a message; in the released protocol one id may have two."""
        flat = self.model_dump(exclude={'languages', 'emotions'}) | self.languages | self.emotions
        return ' and '.join(role for role, id_ in flat.items() if id_ == token)

    def prefix(self, instruction_ids: Sequence[int], language: str = 'english', offline: bool = False) -> list[int]:
        """Return what every stream starts with: mode, language, and the system instruction."""
        mode = self.offline if offline and self.offline is not None else self.online
        return [mode, self.languages[language], self.system, self.system, *instruction_ids, self.eos]

    def emotion_of(self, token: int) -> str | None:
        """Return the emotion a token stands for, or None for any other token."""
        return next((name for name, id_ in self.emotions.items() if id_ == token), None)

    @classmethod
    def load(cls, path: Path) -> Protocol:
        """Read protocol.json; raise ProtocolError, which says what is wrong with the file."""
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise ProtocolError(
                f"'{path}' is not a token protocol; copy or download the checkpoint again: {error}"
            ) from error

    def save(self, path: Path) -> None:
        """Write protocol.json. Raises OSError."""
        path.write_text(self.model_dump_json(indent=2) + '\n')
