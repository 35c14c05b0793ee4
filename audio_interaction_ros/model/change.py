"""A change is a directory with all that training changed of base weights, and their SHA-256: not yet a checkpoint.

change.json holds what config.json of the checkpoint will, and what belongs to what; change.safetensors the tensors that
replace whole ones, and of the tables of tokens the rows that do; encoder/ and language_model/ the low-rank updates, as
PEFT lays them out; golden.json what the checkpoint hears. model/assemble.py makes a checkpoint of it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from audio_interaction_ros.audio.logmel import Normalisation
from audio_interaction_ros.model.cache import CHANGE
from audio_interaction_ros.model.checkpoint import CONFIG, CheckpointConfig, StreamingDefaults
from audio_interaction_ros.model.deciding import EventClasses
from audio_interaction_ros.model.weights import CheckpointError

TENSORS, GOLDEN = 'change.safetensors', 'golden.json'
_FORMAT, _PACKAGE = 1, '0.2.0'  # and the first version of the package that reads it


class Base(BaseModel):
    """A `Base` is the pretrained part that one half stands on: its name, and the SHA-256 of its tensors."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    part: str
    sha256: str


class Change(BaseModel):
    """A `Change` is what change.json holds.

    `matrices`: in what the checkpoint stores matrices. `rows`: of which rows the tables in change.safetensors are, by
    the table's name in the language model; what is not named there is whole. `files`: the SHA-256 of every file that
    is read to assemble it.
    """

    model_config = ConfigDict(extra='forbid')

    format_version: int = _FORMAT
    needs_package: str = _PACKAGE
    encoder: Base
    language_model: Base
    audio_config: dict[str, Any]
    text_config: dict[str, Any]
    log_mel: Normalisation
    events: EventClasses | None
    streaming: StreamingDefaults
    matrices: Literal['float32', 'float16']
    rows: dict[str, tuple[int, ...]]
    files: dict[str, str]

    @classmethod
    def load(cls, directory: Path) -> Change:
        """Read change.json and compare the files that it names; raise CheckpointError, one sentence."""
        path = directory / CHANGE
        if not path.is_file():
            is_checkpoint = (directory / CONFIG).is_file()
            raise CheckpointError(
                f"'{directory}' is a checkpoint and stands on nothing else; use it as it is"
                if is_checkpoint
                else f"no change at '{directory}' ({CHANGE} is missing); give a directory that has one"
            )
        try:
            said = json.loads(path.read_text())
        except ValueError as error:
            raise CheckpointError(f"'{path}' is damaged; restore it: {error}") from error
        number = said.get('format_version') if isinstance(said, dict) else None
        if number != _FORMAT:
            needs = said.get('needs_package', 'a later version') if isinstance(said, dict) else 'a later version'
            raise CheckpointError(
                f"'{path}' has change format {number} and needs audio_interaction_ros {needs}; this one reads format "
                f'{_FORMAT}; update the package, or take a change that was made for it'
            )
        try:
            change = cls.model_validate(said)
        except ValidationError as error:
            raise CheckpointError(f"'{path}' is damaged or of another format; restore it: {error}") from error
        for name, sha256 in change.files.items():
            if not (directory / name).is_file() or sha256_of_file(directory / name) != sha256:
                raise CheckpointError(f"'{directory / name}' is not as {CHANGE} has it; restore the whole directory")
        return change

    def save(self, directory: Path) -> None:
        """Write change.json, as the last file that it names. Raises OSError."""
        (directory / CHANGE).write_text(self.model_dump_json(indent=1) + '\n')

    def config(self, encoder_digest: str, language_digest: str) -> CheckpointConfig:
        """Return the configuration of the checkpoint that is assembled, with the digests of its halves."""
        return CheckpointConfig(
            audio_config=self.audio_config,
            text_config=self.text_config,
            encoder_digest=encoder_digest,
            language_digest=language_digest,
            log_mel=self.log_mel,
            events=self.events,
            streaming=self.streaming,
        )


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open('rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
