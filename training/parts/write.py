"""A checked part becomes a directory: safetensors, config.json, tokenizer, licence and origin, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from training.parts import PartsError, network
from training.parts.check import Checked
from training.parts.find import Found, sha256_of
from training.parts.registry import Part

WEIGHTS, ONNX, VOICES, CONFIG, LICENCE, ORIGIN = (
    'model.safetensors',
    'model.onnx',
    'voices.safetensors',
    'config.json',
    'LICENSE',
    'origin.json',
)
_LICENCES = Path(__file__).parent / 'licences'
_APACHE = Path(__file__).parents[2] / 'LICENSE'  # this project's own


def written(part: Part, folder: Path) -> dict[str, Any] | None:
    """Return the origin of a part that is at `folder` already, None where nothing is.

    Raises PartsError if what is there is something else, or not as it was written.
    """
    if not folder.exists():
        return None
    try:
        origin: dict[str, Any] = json.loads((folder / ORIGIN).read_text())
        same = origin['name'] == part.name and all(
            (folder / name).is_file() and sha256_of(folder / name) == sha for name, sha in origin['files'].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same = False
    if not same:
        raise PartsError(
            f"'{folder}' is there and is not {part.name} as it was written; remove it, or give another --out"
        )
    return origin


def write(part: Part, found: Found, checked: Checked, folder: Path) -> dict[str, Any]:
    """Write a part's directory and return its origin; raise PartsError where it cannot be written."""
    temporary = folder.with_name(f'{folder.name}.{os.getpid()}.tmp')
    try:
        temporary.mkdir(parents=True)
        _write_files(part, found, checked, temporary)
        for path in temporary.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone
        origin = {
            'name': part.name,
            'origin': part.origin,
            'licence': part.licence,
            'from': found.where,
            'layout': checked.layout,
            'source_sha256': dict(checked.files_sha256),
            'tensors_sha256': checked.tensors_sha256,
            'verified_by': list(checked.verified_by),
            'unpinned': list(checked.unpinned),
            'files': {path.name: sha256_of(path) for path in sorted(temporary.iterdir())},
        }
        (temporary / ORIGIN).write_text(json.dumps(origin, indent=1, ensure_ascii=False) + '\n')
        temporary.rename(folder)
    except OSError as error:
        raise PartsError(f"'{folder}' cannot be written ({error}); give another --out, or make room") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return origin


def _write_files(part: Part, found: Found, checked: Checked, folder: Path) -> None:
    texts = [(_APACHE if name == 'Apache-2.0' else _LICENCES / name).read_text().strip() for name in part.licences]
    (folder / LICENCE).write_text(f'{part.origin}. {part.licence}.\n\n' + '\n\n----\n\n'.join(texts) + '\n')
    if part.kind == 'kokoro':
        shutil.copyfile(found.weights[0], folder / ONNX)
        shutil.copyfile(found.others['vocab.json'], folder / 'vocab.json')
        save_file(dict(checked.tensors), folder / VOICES)
        config = {'model_type': 'kokoro', 'sample_rate_hz': 24000, 'voices': sorted(checked.tensors)}
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + '\n')
        return
    save_file(dict(checked.tensors), folder / WEIGHTS, metadata={'format': 'pt'})
    configuration = network.config_of(part)
    configuration.dtype = next(iter(checked.tensors.values())).dtype
    configuration.save_pretrained(folder)
    for name, path in found.others.items():
        shutil.copyfile(path, folder / name)
    if checked.tokenizer is not None:
        checked.tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    if part.kind == 'whisper':
        network.write_whisper_settings(part, folder)
