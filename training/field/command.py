"""`python -m training evaluate field`: recordings of the real world against their labels, beside synthetic twins."""

from __future__ import annotations

import argparse
from pathlib import Path

from audio_interaction_ros.options import add_checkpoint_option, add_device_options
from training.evaluate import EvaluationError
from training.evaluate.command import publish, require_outputs

_PAGE = Path('evaluation-field.html')


def add_parser(evaluations: argparse._SubParsersAction) -> None:
    """Add `field` to the sub-parsers of `evaluate`."""
    field = evaluations.add_parser(
        'field', help='score recordings of the real world, of four scenes, beside synthetic twins (paper A.1)'
    )
    field.add_argument(
        'folder',
        type=Path,
        metavar='DIR',
        help='folder with travel, work, home, commute, in each bags or audio files and a CSV of labels beside each',
    )
    field.add_argument(
        '--clips',
        type=Path,
        nargs='+',
        default=[],
        metavar='LIBRARY',
        help='clip libraries whose held-out recordings the synthetic twins are made of (default: no twins)',
    )
    field.add_argument(
        '--windows',
        type=int,
        default=16,
        metavar='N',
        help='windows of 20 s in each scene that are looked at for continuity and heads (default: %(default)s)',
    )
    field.add_argument(
        '--instruction',
        metavar='TEXT',
        help='under which labelled words are written down (default: one that training has)',
    )
    add_checkpoint_option(field)
    add_device_options(field)
    field.add_argument(
        '--seed', type=int, default=1, help='seed of the twins and of bootstrap resamples (default: %(default)s)'
    )
    field.add_argument('--report', type=Path, default=_PAGE, help='file for the HTML page (default: %(default)s)')
    field.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, write the page and return the exit code; the last line printed is JSON.

    Raises EvaluationError, and CheckpointError for a checkpoint that cannot be used.
    """
    if options.windows < 1:
        raise EvaluationError(f'--windows {options.windows}: give one or more')
    require_outputs({options.report: '--report'})
    from audio_interaction_ros.model.checkpoint import find_checkpoint
    from training.evaluate.clip_sets import open_libraries, recordings_trained_on
    from training.evaluate.hearing import Listener
    from training.field.evaluation import evaluate_field
    from training.field.hearing import INSTRUCTION
    from training.field.recordings import find_recordings, read_field_recording
    from training.field.twins import TwinMaker

    found = find_recordings(options.folder)
    libraries = open_libraries(options.clips)
    listener = Listener.load(options.checkpoint, options.device, options.precision)
    recordings = [read_field_recording(scene, path) for scene, path in found]
    twins = []
    if libraries:
        # What a stand-in is made of would not be another recording of the same.
        not_these = recordings_trained_on(find_checkpoint(options.checkpoint)) | recordings_trained_on(options.folder)
        with TwinMaker(libraries, not_these, options.seed) as maker:
            twins = [maker.twin(recording, number) for number, recording in enumerate(recordings)]
    instruction = options.instruction or INSTRUCTION
    evaluation = evaluate_field(listener, recordings, twins, instruction, options.windows, options.seed)
    return publish(options, options.report, f'Field: {options.checkpoint}', evaluation)
