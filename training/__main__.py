"""`python -m training …`: make a checkpoint and find out how well it hears."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import sys
from typing import Any

from audio_interaction_ros.output import quietly
from training.ablate import command as ablate_command
from training.card import command as card_command
from training.corpus import command as corpus_command
from training.evaluate import command as evaluate_command
from training.field import command as field_command
from training.inspect import command as inspect_command
from training.make import command as make_command
from training.parts import command as parts_command
from training.proof import command as proof_command
from training.render import scene_command
from training.stages import command as train_command
from training.texts import command as texts_command

_COMMANDS: dict[str, Any] = {  # as they are listed; each module has add_parser and run
    'train': train_command,
    'make': make_command,
    'scene': scene_command,
    'corpus': corpus_command,
    'parts': parts_command,
    'texts': texts_command,
    'evaluate': evaluate_command,
    'card': card_command,
    'ablate': ablate_command,
    'inspect': inspect_command,
    'prove': proof_command,
}
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0, or 2 after one sentence on stderr about what is wrong.

    3 (PARTLY) is that of a command that did its work, but for recordings that it could not read. Where the pipe or the
    terminal that the output goes to is closed, it is 141, and nothing is said.
    """
    return quietly(lambda: _run(argv))


def _run(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog='python -m training',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python -m training make embedded --clips ~/clips --out checkpoints/mine --work work\n'
        '  python -m training train --recipe embedded --corpus corpus --out checkpoints/mine\n'
        '  python -m training train --recipe paper --dry-run\n'
        '  python -m training evaluate clips ~/clips --checkpoint checkpoints/embedded\n'
        '  python -m training inspect --checkpoint checkpoints/embedded --corpus corpus\n'
        '  python -m training ablate --hours 5 --steps 200 --out ablation\n'
        '  python -m training corpus build --clips ~/clips --hours 2 --out corpus\n'
        '  python -m training parts whisper-base --out parts\n'
        '  python -m training card checkpoints/mine --clips ~/clips --corpus corpus\n'
        "A clip library is a folder with audio files and a manifest.csv; see 'Clip libraries' in docs/training.md.\n"
        'Exit code: 0; 2 where something is to be mended, which one sentence says; 3 where all was done, but for\n'
        'recordings that cannot be read or are damaged, one line each (evaluate clips | psb | bench, corpus build);\n'
        '1 where `corpus verify` finds anything, or `prove` has a part that did not pass.',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    parsers = {name: command.add_parser(commands) for name, command in _COMMANDS.items()}
    field_command.add_parser(parsers['evaluate'])
    options = parser.parse_args(argv)
    try:
        if options.command in ('train', 'evaluate', 'inspect', 'ablate'):
            _share_cores(options.command)
        perform = getattr(options, 'perform', _COMMANDS[options.command].run)
        return perform(options)
    except _mendable() as error:
        print(f'python -m training: {error}', file=sys.stderr)
        return 2


def _share_cores(command: str) -> None:
    import torch

    # One stream's passes are too small to share between cores; those of a batch of streams are not.
    # Processes of this computer, as `torchrun` and `deepspeed` say it.
    processes = int(os.environ.get('LOCAL_WORLD_SIZE') or os.environ.get('LOCAL_SIZE') or 1)
    threads = len(os.sched_getaffinity(0)) // processes
    torch.set_num_threads(1 if command == 'evaluate' else max(1, threads))
    _keep_memory()


def _keep_memory() -> None:
    """Have glibc, where it is, keep freed memory for the next step.

    It would give every large tensor back to the kernel, which clears the pages each time: a quarter of a step's time.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most it takes
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def _mendable() -> tuple[type[Exception], ...]:
    """The errors whose message says what to do. Imported when there is one, because PyTorch takes seconds."""
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.model.weights import CheckpointError
    from training.card import CardError
    from training.errors import CorpusError
    from training.evaluate import EvaluationError
    from training.inspect import InspectionError
    from training.make import MakeError
    from training.parts import PartsError
    from training.proof import ProofError
    from training.recipe_file import RecipeError
    from training.sources.clip_library import ClipLibraryError
    from training.speech.voices import SpeechError
    from training.stages import TrainingError

    return (
        AudioFormatError,
        CardError,
        CheckpointError,
        ClipLibraryError,
        CorpusError,
        EvaluationError,
        InspectionError,
        MakeError,
        PartsError,
        ProofError,
        RecipeError,
        SpeechError,
        TrainingError,
    )


if __name__ == '__main__':
    raise SystemExit(main())
