"""Tensors in safetensors files, one or many: all shapes at once, each tensor only when it is asked for.

Many files follow Hugging Face's convention, an index that says which tensor lies in which file, so a reader of one
half opens only that half's files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

WEIGHTS, INDEX = 'model.safetensors', 'model.safetensors.index.json'
ENCODER_PREFIX, LANGUAGE_PREFIX = 'audio_tower.', 'language_model.'

_DTYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}

_PICKLES = ('.bin', '.pt', '.pth', '.ckpt')
_TAKE_SAFETENSORS = 'take the same weights as .safetensors'


class CheckpointError(ValueError):
    """A `CheckpointError` says that a checkpoint is missing, damaged, or does not fit together."""


class Weights(Mapping[str, Tensor]):
    """`Weights` map names to tensors on the CPU, read anew at every access; nothing is kept.

    `outlines` has the same names with tensors on the `meta` device: shapes and dtypes without data.
    """

    def __init__(self, places: Mapping[str, tuple[Path, str]], outlines: Mapping[str, Tensor]) -> None:
        """Take for each name the file and the name in it, and the outlines."""
        self._places = places
        self.outlines = outlines

    def __getitem__(self, name: str) -> Tensor:
        path, stored = self._places[name]
        try:
            with safe_open(path, framework='pt') as file:
                tensor: Tensor = file.get_tensor(stored)
                return tensor
        except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: PyTorch cannot map the file
            raise CheckpointError(unreadable(path, error)) from error

    def renamed(self, name_of: Callable[[str], str]) -> Weights:
        """Return the same tensors under other names."""
        places = {name_of(name): place for name, place in self._places.items()}
        return Weights(places, {name_of(name): outline for name, outline in self.outlines.items()})

    def stamps(self) -> frozenset[tuple[str, int, int, int]]:
        """Return path, inode, size and time of change of every file: they differ where one was written again."""
        paths = {path.resolve() for path, _ in self._places.values()}
        found = [(path, path.stat()) for path in paths]
        return frozenset((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def open_weights(directory: Path, prefix: str = '') -> Weights:
    """Open the tensors of `directory` whose names begin with `prefix`, under what follows it.

    Reads the files' headers only, and only of files that hold such tensors. Raises CheckpointError for a file that is
    missing, cut off or otherwise damaged.
    """
    places: dict[str, tuple[Path, str]] = {}
    outlines: dict[str, Tensor] = {}
    for path, listed in _files(directory, prefix).items():
        found = _outlines(path)
        if missing := [name for name in listed if name not in found]:
            raise CheckpointError(
                f"'{path}' lacks {missing[0]}, which {INDEX} says it holds; restore the checkpoint or convert it again"
            )
        for name, outline in found.items():
            if name.startswith(prefix):
                places[name.removeprefix(prefix)] = (path, name)
                outlines[name.removeprefix(prefix)] = outline
    return Weights(places, outlines)


def open_weights_of(path: Path) -> Weights:
    """Open the tensors of one file; raise CheckpointError where it is missing, cut off or otherwise damaged."""
    outlines = _outlines(path)
    return Weights({name: (path, name) for name in outlines}, outlines)


def _files(directory: Path, prefix: str) -> dict[Path, list[str]]:
    """Return the files to open, and what the index, if there is one, says they hold."""
    index = directory / INDEX
    if (directory / WEIGHTS).is_file() or not index.is_file():
        return {directory / WEIGHTS: []}
    try:
        entries = json.loads(index.read_text())['weight_map'].items()
        files: dict[Path, list[str]] = {}
        for name, file in sorted(entries):
            if name.startswith(prefix):
                files.setdefault(directory / Path(file).name, []).append(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"'{index}' is no index of weight files; restore it: {error}") from error
    return files


def _outlines(path: Path) -> dict[str, Tensor]:
    try:
        # As numpy, because PyTorch would map the file for writing, which the system may refuse for a large one.
        with safe_open(path, framework='numpy') as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (safe_open is no dict)
            return {
                name: torch.empty(piece.get_shape(), dtype=_DTYPES[piece.get_dtype()], device='meta')
                for name, piece in slices.items()
            }
    except KeyError as error:
        raise CheckpointError(
            f"'{path}' holds numbers of type {error}, one of {', '.join(_DTYPES)} expected; take unquantised weights"
        ) from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(unreadable(path, error)) from error


def unreadable(path: Path, error: Exception) -> str:
    """Return what a file is that should hold weights in safetensors and does not, and what to do."""
    try:
        with path.open('rb') as file:
            head = file.read(64)
    except FileNotFoundError:
        if pickles := sorted(other.name for other in path.parent.glob('*') if other.suffix in _PICKLES):
            return f"'{path}' is not there, but {pickles[0]}: pickles are not loaded; {_TAKE_SAFETENSORS}"
        return f"'{path}' is not there; copy or download the whole checkpoint again"
    except OSError as refused:  # which says why, as safetensors may not
        return f"'{path}' cannot be read ({refused.strerror}); give it to this user to read"
    if head.startswith(b'version https://git-lfs'):
        return f"'{path}' is a Git LFS pointer, which stands for the weights; run `git lfs pull` in its repository"
    if head.startswith((b'PK', b'\x80')):
        return f"'{path}' is a pickle of PyTorch under another name, and pickles are not loaded; {_TAKE_SAFETENSORS}"
    if head.startswith(b'GGUF'):
        return f"'{path}' holds weights in the format GGUF; {_TAKE_SAFETENSORS}"
    if head.lstrip()[:1] == b'<':
        return f"'{path}' is a web page, as a download that failed leaves it; download the checkpoint again"
    return f"'{path}' is damaged ({error}); copy or download the checkpoint again"


def write_weights(directory: Path, tensors: Iterable[tuple[str, Tensor]], shard_bytes: int) -> None:
    """Write named tensors, in the order given, to files of at most `shard_bytes`, and their index.

    A file holds tensors of one half only (what comes before the first dot) and is named after it. One file's tensors
    are in memory at a time. Raises OSError.
    """
    weight_map: dict[str, str] = {}
    shard: dict[str, Tensor] = {}
    half, number, total = '', 0, 0

    def flush() -> None:
        nonlocal number
        if shard:
            number += 1
            file = f'{half}-{number:05d}.safetensors'
            save_file(shard, directory / file, metadata={'format': 'pt'})
            weight_map.update(dict.fromkeys(shard, file))
            shard.clear()

    for name, tensor in tensors:
        of_half = name.split('.', 1)[0]
        if of_half != half or sum(kept.nbytes for kept in shard.values()) + tensor.nbytes > shard_bytes:
            flush()
            number = number if of_half == half else 0
            half = of_half
        shard[name] = tensor
        total += tensor.nbytes
    flush()
    index = {'metadata': {'total_size': total}, 'weight_map': dict(sorted(weight_map.items()))}
    (directory / INDEX).write_text(json.dumps(index, indent=1) + '\n')
