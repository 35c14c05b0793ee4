"""Whether a part is what its name says: by the SHA-256 of its file, or by that of its tensors, and what is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audio_interaction_ros.model.base_weights import sha256_of as sha256_of_tensors
from training.parts import PartsError, network
from training.parts.find import KOKORO_FILES, Found, sha256_of
from training.parts.layouts import (
    CTRANSLATE2,
    GGUF,
    ONNX,
    OPENAI,
    SAFETENSORS,
    ctranslate2,
    gguf_file,
    layout_of,
    openai,
    safetensors_files,
)
from training.parts.registry import Part

_LAYOUTS_OF = {'whisper': (SAFETENSORS, OPENAI, CTRANSLATE2), 'llama': (SAFETENSORS, GGUF), 'kokoro': (ONNX,)}
_STYLE_SHAPE = (1, 256)  # of one length of text


@dataclass(frozen=True)
class Checked:
    """A `Checked` part has its tensors, as they are to be written, and what its identity rests on.

    `tensors_sha256` is empty for Kokoro, whose network stays an ONNX file; its tensors are the style vectors then.
    `unpinned` has what no known SHA-256 vouches for.
    """

    layout: str
    tensors: Mapping[str, Tensor]
    files_sha256: Mapping[str, str]
    tensors_sha256: str
    verified_by: tuple[str, ...]
    unpinned: tuple[str, ...]
    tokenizer: object | None = None


def check(part: Part, found: Found) -> Checked:
    """Read a part's files and compare them with what is known of it.

    Raises PartsError: a layout that is unknown or none of this part's, a file that is cut off, the tensors of another
    network, and a SHA-256 that is not the one known for this layout.
    """
    weights = found.weights[0]
    layout = layout_of(weights)
    if layout not in (allowed := _LAYOUTS_OF[part.kind]):
        raise PartsError(f"'{weights}' is of the layout {layout}, {part.name} as {' or '.join(allowed)} expected")
    files = {path.name: sha256_of(path) for path in found.weights}
    files |= {name: sha256_of(path) for name, path in found.others.items()}
    verified = [f'SHA-256 of {name} ({part.file_pins[sha]})' for name, sha in files.items() if sha in part.file_pins]
    unpinned = [name for name, sha in files.items() if sha not in part.file_pins]
    if part.kind == 'kokoro':
        _require_pinned(part, weights, files[weights.name])
        return Checked(layout, _styles(found), files, '', tuple(verified), tuple(unpinned))
    tokenizer = None
    if layout == GGUF:
        model = gguf_file.read(weights)
        tensors = network.canonical(part, model.tensors, str(weights))
        tokenizer = gguf_file.tokenizer_of(model.fields, weights)
    else:
        tensors = network.canonical(part, _READERS[layout](found), str(weights))
    digest = sha256_of_tensors(tensors)
    pinned = part.tensor_pins.get(layout)
    if pinned is not None and digest != pinned:
        raise PartsError(
            f"'{weights}' has the shape of {part.name} and not its values: the SHA-256 of its tensors is {digest}, "
            f'{pinned} expected; it is another training or quantisation of it, or damaged: fetch it again'
        )
    if pinned is not None:
        verified.append(f'SHA-256 of the tensors ({layout})')
        unpinned = [name for name in unpinned if name in found.others]
    return Checked(layout, tensors, files, digest, tuple(verified), tuple(unpinned), tokenizer)


_READERS = {
    SAFETENSORS: lambda found: safetensors_files.read(list(found.weights)),
    OPENAI: lambda found: openai.read(found.weights[0]),
    CTRANSLATE2: lambda found: ctranslate2.read(found.weights[0]),
}


def _require_pinned(part: Part, path: Path, sha256: str) -> None:
    if sha256 not in part.file_pins:
        known = ', '.join(f'{sha} ({word})' for sha, word in part.file_pins.items())
        raise PartsError(
            f"'{path}' is not {part.name}: its SHA-256 is {sha256}, one of {known} expected; fetch it again"
        )


def _styles(found: Found) -> dict[str, Tensor]:
    """Return the style vectors by voice, float32, [lengths, 1, 256]."""
    if missing := [name for name in KOKORO_FILES if name not in found.others]:
        raise PartsError(
            f"{missing[0]} is not beside '{found.weights[0]}'; put it there, Kokoro cannot speak without it"
        )
    path = found.others['voices.npz']
    try:
        with np.load(path, allow_pickle=False) as voices:
            styles = {name: torch.from_numpy(np.array(voices[name], np.float32)) for name in voices.files}
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise PartsError(f"'{path}' is no archive of style vectors ({error}); fetch it again") from error
    if not styles or any(style.shape[1:] != _STYLE_SHAPE for style in styles.values()):
        raise PartsError(f"'{path}' has no style vectors of shape [lengths, 1, 256]; give Kokoro's")
    return styles
