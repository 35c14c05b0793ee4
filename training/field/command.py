"""`python -m training evaluate field`: recordings of the real world against their labels, beside synthetic twins."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audio_interaction_ros.options import add_checkpoint_option, add_device_options
from training.evaluate import EvaluationError
from training.evaluate.command import publish, require_outputs

if TYPE_CHECKING:
    from training.field.hearing import Ears
    from training.field.twins import Twin

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
    field.add_argument(
        '--yamnet',
        type=Path,
        metavar='FILE.tflite',
        help='YAMNet over a threshold, which is chosen on the twins, as a baseline; needs the package ai-edge-litert '
        '(default: none)',
    )
    field.add_argument(
        '--whisper',
        type=Path,
        metavar='DIR',
        help='with --text-model: voice activity, this Whisper and the text model one after another, as a baseline; '
        'needs the package silero-vad (default: none)',
    )
    field.add_argument(
        '--text-model', type=Path, metavar='DIR', help='the text model of that baseline, with a chat template'
    )
    add_checkpoint_option(field)
    add_device_options(field)
    field.add_argument(
        '--seed', type=int, default=1, help='seed of the twins and of bootstrap resamples (default: %(default)s)'
    )
    field.add_argument('--report', type=Path, default=_PAGE, help='file for the HTML page (default: %(default)s)')
    field.set_defaults(perform=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate, write the page and return the exit code; the last line printed is JSON.

    Raises EvaluationError, and CheckpointError for a checkpoint that cannot be used.
    """
    if options.windows < 1:
        raise EvaluationError(f'--windows {options.windows}: give one or more')
    if (options.whisper is None) is not (options.text_model is None):
        raise EvaluationError('one of --whisper and --text-model is given; the cascade takes both, give the other too')
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
    baselines = _baselines(options, twins)
    evaluation = evaluate_field(listener, recordings, twins, instruction, options.windows, options.seed, baselines)
    return publish(options, options.report, f'Field: {options.checkpoint}', evaluation)


def _baselines(options: argparse.Namespace, twins: Sequence[Twin]) -> list[Ears]:
    """What the options ask for, and silence; each part that is missing is said before anything is heard."""
    from training.field.baselines import AlwaysSilent, Cascade, YamnetOverThreshold, chosen_threshold

    baselines: list[Ears] = [AlwaysSilent()]
    if options.yamnet is not None:
        from training.evaluate.yamnet import Yamnet

        yamnet = Yamnet(options.yamnet)
        threshold = chosen_threshold(yamnet, [twin.recording for twin in twins])
        baselines.append(YamnetOverThreshold(yamnet, threshold))
    if options.whisper is not None:
        baselines.append(Cascade(options.whisper, options.text_model, options.device))
    return baselines
