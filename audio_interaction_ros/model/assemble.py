"""A checkpoint is assembled from a change and the base weights that it stands on, once: whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from audio_interaction_ros.model.base_weights import EMBEDDINGS, LM_HEAD, fitted_table, open_tower, sha256_of
from audio_interaction_ros.model.cache import CHANGE
from audio_interaction_ros.model.change import GOLDEN, TENSORS, Base, Change
from audio_interaction_ros.model.checkpoint import (
    PROTOCOL,
    RECIPE,
    TOKENIZER,
    CheckpointConfig,
    digest_of,
    load_language,
)
from audio_interaction_ros.model.convert import SHARD_BYTES, Track
from audio_interaction_ros.model.golden import require_golden
from audio_interaction_ros.model.low_rank import LowRankUpdate, read_updates
from audio_interaction_ros.model.new_directory import require_new, whole_or_not_at_all
from audio_interaction_ros.model.weights import (
    ENCODER_PREFIX,
    INDEX,
    LANGUAGE_PREFIX,
    WEIGHTS,
    CheckpointError,
    Weights,
    open_weights,
    open_weights_of,
    write_weights,
)

ENCODER_UPDATES, LANGUAGE_UPDATES = 'encoder', 'language_model'  # the folders of a change
ASSEMBLED = 'assembled.json'
_PAPERS = ('README.md', 'ATTRIBUTIONS.csv', 'provenance.json')  # which a change may have
_LICENCE = 'LICENSE'  # of a part


@dataclass(frozen=True)
class Assembly:
    """An `Assembly` is a change and its base weights, opened; tensors are read when they are asked for."""

    change: Change
    directory: Path
    tower: Weights
    text: Weights

    @classmethod
    def open(cls, directory: Path, encoder: Path, language_model: Path) -> Assembly:
        """Open a change and the directories of its base weights, whose SHA-256 are compared.

        Raises CheckpointError: what is missing, damaged, of another format, or of other base weights.
        """
        change = Change.load(directory)
        _require_base(change.encoder, encoder, directory)
        _require_base(change.language_model, language_model, directory)
        tower = open_tower(encoder)
        assert tower is not None  # by its SHA-256 it is what the change was trained on
        return cls(change, directory, tower, open_weights(language_model))

    @property
    def tensors(self) -> int:
        """Return how many tensors the checkpoint has."""
        return sum(len(names) for names in self._names())

    def encoder(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors of the encoder, as the checkpoint stores them, by their names in `AudioTower`."""
        yield from self._half(self._names()[0], ENCODER_PREFIX, self.tower, ENCODER_UPDATES)

    def language_model(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the tensors of the language model, as the checkpoint stores them, by their names in `LanguageModel`."""
        yield from self._half(self._names()[1], LANGUAGE_PREFIX, self.text, LANGUAGE_UPDATES)

    def _names(self) -> tuple[list[str], list[str]]:
        config = self.change.config('', '')
        outlines = config.encoder_outline().audio_tower, config.language_model_outline()
        return list(outlines[0].state_dict()), list(outlines[1].state_dict())

    def _half(self, names: list[str], prefix: str, base: Weights, folder: str) -> Iterator[tuple[str, Tensor]]:
        changed = open_weights_of(self.directory / TENSORS)
        updates = read_updates(self.directory / folder) if (self.directory / folder).is_dir() else {}
        for name in names:
            rows = self.change.rows.get(name) if prefix == LANGUAGE_PREFIX else None
            if rows is None and prefix + name in changed:
                tensor = changed[prefix + name]
            else:
                tensor = self._from_base(name, base, rows, updates.get(name.removesuffix('.weight')))
                if rows is not None:
                    tensor[list(rows)] = changed[prefix + name].float()
            yield name, tensor.to(self._dtype(tensor)).contiguous()

    def _from_base(
        self, name: str, base: Weights, rows: tuple[int, ...] | None, update: LowRankUpdate | None
    ) -> Tensor:
        # A tied head is not stored, so a network that has one apart began with the table.
        stored = EMBEDDINGS if name == LM_HEAD and name not in base else name
        if stored not in base:
            raise CheckpointError(
                f"neither '{self.directory}' nor its base weights have {name}; restore the whole directory"
            )
        if rows is not None:
            return fitted_table(base[stored], self.change.text_config['vocab_size'])
        return base[stored] if update is None else update.added_to(base[stored])

    def _dtype(self, tensor: Tensor) -> torch.dtype:
        return torch.float16 if self.change.matrices == 'float16' and tensor.ndim > 1 else torch.float32


def assemble(
    directory: Path, parts: Path, out: Path, track: Track = lambda tensors, total: tensors
) -> tuple[CheckpointConfig, float]:
    """Write the checkpoint of a change to `out`; return its configuration and how far it hears from the golden file.

    `parts` has a directory for each base, as `python -m training parts` writes it. Until it is whole and has been
    compared it is called `out`.unfinished. Raises CheckpointError: `out` taken, no room, what `Assembly.open` and
    `require_golden` raise.
    """
    require_new(out)
    change = Change.load(directory)
    bases = [_directory(base, parts, directory) for base in (change.encoder, change.language_model)]
    assembly = Assembly.open(directory, *bases)
    with whole_or_not_at_all(out) as unfinished:
        halves = ((ENCODER_PREFIX, assembly.encoder()), (LANGUAGE_PREFIX, assembly.language_model()))
        tensors = chain.from_iterable(((prefix + name, tensor) for name, tensor in half) for prefix, half in halves)
        write_weights(unfinished, track(tensors, assembly.tensors), SHARD_BYTES)
        for name in (PROTOCOL, TOKENIZER, RECIPE):
            shutil.copyfile(directory / name, unfinished / name)
        for name in _PAPERS:
            if (directory / name).is_file():
                shutil.copyfile(directory / name, unfinished / name)
        for base in bases:
            if (base / _LICENCE).is_file():
                shutil.copyfile(base / _LICENCE, unfinished / f'{_LICENCE}.{base.name}')
        said = {'change': directory.resolve().name} | change.model_dump(
            mode='json', include={'encoder', 'language_model'}
        )
        (unfinished / ASSEMBLED).write_text(json.dumps(said, indent=1) + '\n')
        digests = [digest_of(open_weights(unfinished, prefix)) for prefix, _ in halves]
        config = change.config(*digests)
        load_language(unfinished, config.language_model_outline().config.vocab_size)
        config.save(unfinished)
        far = require_golden(unfinished, directory / GOLDEN)
    return config, far


def _directory(base: Base, parts: Path, directory: Path) -> Path:
    found = parts / base.part
    if not any((found / name).is_file() for name in (WEIGHTS, INDEX)):
        raise CheckpointError(
            f"'{directory}' stands on {base.part}, and there is no {WEIGHTS} in '{found}'; write it with: python -m "
            f'training parts {base.part} --out {parts}, or give the folder that has it with --parts'
        )
    return found


def _require_base(base: Base, found: Path, directory: Path) -> None:
    if (sha256 := sha256_of(open_weights(found))) != base.sha256:
        raise CheckpointError(
            f"the weights in '{found}' are not the {base.part} that '{directory}' was trained on: the SHA-256 of their "
            f'tensors is {sha256}, {base.sha256} expected; take those it was trained on, by their hash in {CHANGE}'
        )
