"""`python -m training evaluate …`: recordings, a corpus, the public benchmark, a robot's own bag."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from audio_interaction_ros.options import add_checkpoint_option, add_device_options
from training.evaluate import EvaluationError

if TYPE_CHECKING:
    from training.evaluate.hearing import Ear
    from training.evaluate.judge import Judge
    from training.evaluate.report import Evaluation

_TITLES = {
    'clips': 'Recordings, one a stream',
    'corpus': 'Corpus of streams',
    'psb': 'Proactive-Sound-Bench',
    'bag': 'Bag',
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the parser of `evaluate` and of its sub-commands."""
    evaluate = commands.add_parser('evaluate', help='how well a checkpoint hears').add_subparsers(
        dest='evaluate_command', required=True
    )
    clips = evaluate.add_parser('clips', help='recordings as one-clip streams, and an hour of ordinary sound')
    clips.add_argument(
        'manifest', type=Path, help='a folder with a manifest.csv (path, category, respond): all of it is scored'
    )
    clips.add_argument('--held-out', action='store_true', help='only what no stage trained on, of that folder')
    clips.add_argument('--snr', type=float, nargs='*', default=[20.0, 10.0, 5.0], metavar='DB', help='again at these')
    clips.add_argument('--ordinary-s', type=float, default=3_600.0, help='ordinary sound (default: %(default)g s)')
    corpus = evaluate.add_parser('corpus', help='a corpus of streams: triggers, answers, WER, BLEU, stability')
    corpus.add_argument('corpus', type=Path)
    corpus.add_argument('--split', default='test', choices=('train', 'validation', 'test'))
    corpus.add_argument('--streams', type=int, help='at most so many, drawn by --seed (default: all)')
    bench = evaluate.add_parser('psb', help='Proactive-Sound-Bench, with the audio its authors give out')
    bench.add_argument('--audio', type=Path, required=True, help='folder of the audio')
    bench.add_argument(
        '--manifest', type=Path, required=True, help='its public manifest, proactive_reply_benchmark.jsonl'
    )
    bench.add_argument('--out', type=Path, default=Path('psb-predictions.jsonl'), help='default: %(default)s')
    bag = evaluate.add_parser('bag', help="a robot's own recording with labels")
    bag.add_argument('bag', type=Path)
    bag.add_argument(
        '--labels', type=Path, required=True, help='CSV: onset_s, end_s, category and, unless all deserve it, respond'
    )
    bag.add_argument('--topic', help='the audio topic, needed when the bag has several')
    alarms = evaluate.add_parser('alarms', help='the alarm signatures, without a checkpoint: recall and false alarms')
    alarms.add_argument('--clips', type=Path, required=True, help='clip library, whose sounds hold no alarm')
    alarms.add_argument('--renders', type=int, default=12, help='of every alarm (default: %(default)s)')
    alarms.add_argument('--choosing', action='store_true', help='on the half that limits are chosen on')
    alarms.add_argument('--seed', type=int, default=1, help='of renders, noises and orders')
    for name, sub in (('clips', clips), ('corpus', corpus), ('psb', bench), ('bag', bag)):
        add_checkpoint_option(sub)
        add_device_options(sub)
        sub.add_argument('--seed', type=int, default=1, help='of levels, noises, orders and resamples')
        beside = 'evaluation.html in the corpus' if name == 'corpus' else f'evaluation-{name}.html'
        sub.add_argument('--report', type=Path, help=f'the HTML page (default: {beside})')
    for sub in (corpus, bench):
        sub.add_argument(
            '--judge', type=Path, help='YAML of a language model that also judges the answers (see docs/evaluation.md)'
        )


def run(options: argparse.Namespace) -> int:
    """Evaluate, write the page and return the exit code; the last line printed is JSON.

    Raises EvaluationError, and CheckpointError for a checkpoint that cannot be used.
    """
    name = options.evaluate_command
    if name == 'alarms':
        return _alarms(options)
    page = options.report or (
        options.corpus / 'evaluation.html' if name == 'corpus' else Path(f'evaluation-{name}.html')
    )
    from training.evaluate.report import write_report

    evaluation = _EVALUATIONS[name](options)
    try:
        write_report(page, f'{_TITLES[name]}: {options.checkpoint}', evaluation)
    except OSError as error:
        raise EvaluationError(f"'{page}' cannot be written ({error}); give another --report") from error
    print(
        json.dumps(
            evaluation.figures
            | {'checkpoint': options.checkpoint, 'precision': options.precision, 'report': str(page)},
            ensure_ascii=False,
        )
    )
    return 0


def _alarms(options: argparse.Namespace) -> int:
    from training.evaluate.alarms import evaluate_alarms, recall_table

    figures = evaluate_alarms(options.clips, options.renders, options.choosing, options.seed)
    print(recall_table(figures))
    print(json.dumps(figures))
    return 0


def _clips(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.clips import NEEDED, clip_sounds, evaluate_clips, held_out_groups
    from training.sources.clip_library import load_library

    ear = _ear(options)
    folder = options.manifest.parent if options.manifest.is_file() else options.manifest
    if options.held_out:
        groups, left_out = held_out_groups(folder, options.seed)
    else:
        sounds, left_out = clip_sounds(load_library(folder, NEEDED))
        groups = {'clips': sounds}
    return evaluate_clips(ear, groups, left_out, options.snr, options.ordinary_s, options.seed)


def _corpus(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.corpus import evaluate_corpus

    if options.streams is not None and options.streams < 1:
        raise EvaluationError(f'--streams {options.streams}: give one or more, or leave it out for all')
    ear, judge = _ear(options), _judge(options)
    return evaluate_corpus(ear, options.corpus, options.split, options.streams, options.seed, judge)


def _psb(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.psb import evaluate_psb

    judge = _judge(options)
    return evaluate_psb(_ear(options), options.manifest, options.audio, options.out, options.seed, judge)


def _bag(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.bag import evaluate_bag

    return evaluate_bag(_ear(options), options.bag, options.topic, options.labels, options.seed)


_EVALUATIONS = {'clips': _clips, 'corpus': _corpus, 'psb': _psb, 'bag': _bag}


def _ear(options: argparse.Namespace) -> Ear:
    from training.evaluate.hearing import Ear

    return Ear.load(options.checkpoint, options.device, options.precision)


def _judge(options: argparse.Namespace) -> Judge | None:
    if options.judge is None:
        return None
    from training.evaluate.judge import load_judge

    return load_judge(options.judge)
