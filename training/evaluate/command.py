"""`python -m training evaluate …`: recordings, a corpus, the public benchmark, a robot's own bag."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from audio_interaction_ros.options import add_checkpoint_option, add_device_options
from training.errors import PARTLY
from training.evaluate import EvaluationError
from training.files import require_writable
from training.splits import SPLITS

if TYPE_CHECKING:
    from training.evaluate.hearing import Listener
    from training.evaluate.judge import Judge
    from training.evaluate.report import Evaluation

_TITLES = {
    'clips': 'Recordings, one a stream',
    'corpus': 'Corpus of streams',
    'psb': 'Proactive-Sound-Bench',
    'bag': 'Bag',
}


BENCHMARK_NAMES = ('mmau', 'librispeech', 'covost2-en-zh', 'covost2-zh-en')

# What is written beside the page: the end of its name, and its name in the JSON.
_BESIDE = {'clips': {'.csv': 'table', '-false-responses.html': 'false_responses'}}


def add_parser(commands: argparse._SubParsersAction) -> argparse._SubParsersAction:
    """Add the parser of `evaluate` and of its sub-commands, and return where later rooms add theirs.

    One that a later room adds sets its own `run`.
    """
    evaluate = commands.add_parser('evaluate', help='score how well a checkpoint hears').add_subparsers(
        dest='evaluate_command', required=True
    )
    clips = evaluate.add_parser(
        'clips', help='score recordings, each in a stream of its own, and an hour of ordinary sound'
    )
    clips.add_argument(
        'libraries',
        type=Path,
        nargs='+',
        metavar='library',
        help='folder with a manifest.csv, or such a file (columns path, category, respond), or several; all of it is '
        'scored',
    )
    clips.add_argument(
        '--held-out',
        action='store_true',
        help='score only what no stage trained on: the held-out recordings of each library and new renders of '
        'procedural hazards (default: the whole libraries)',
    )
    clips.add_argument(
        '--unseen',
        type=Path,
        nargs='+',
        default=[],
        metavar='LIBRARY',
        help='with --held-out: further libraries that nothing was trained on, of which everything is scored '
        '(default: none)',
    )
    clips.add_argument(
        '--against',
        type=Path,
        metavar='FILE.tflite',
        help='YAMNet, to be scored on the same streams: by its hazard classes and, with --held-out, by a linear probe '
        'that learns from the training side of the libraries; needs the package ai-edge-litert (default: none)',
    )
    clips.add_argument(
        '--snr',
        type=float,
        nargs='*',
        default=[20.0, 10.0, 5.0],
        metavar='DB',
        help='signal-to-noise ratios in dB at which every clip is scored once more (default: 20 10 5)',
    )
    clips.add_argument(
        '--ordinary-s',
        type=float,
        default=3_600.0,
        help='seconds of ordinary sound of each library in which false alarms are counted; 0 for none '
        '(default: %(default)g)',
    )
    corpus = evaluate.add_parser(
        'corpus', help='score the streams of a corpus: triggers, answers, word error rate, BLEU, stability'
    )
    corpus.add_argument('corpus', type=Path, help="folder that 'corpus build' made")
    corpus.add_argument(
        '--split',
        default='test',
        choices=SPLITS,
        help='side of the corpus that is scored (default: %(default)s)',
    )
    corpus.add_argument(
        '--streams', type=int, help='score at most so many streams, drawn by --seed (default: all of the split)'
    )
    bench = evaluate.add_parser('psb', help='score Proactive-Sound-Bench on the audio that its authors give out')
    bench.add_argument('--audio', type=Path, required=True, help="folder of the benchmark's audio files")
    bench.add_argument(
        '--manifest', type=Path, required=True, help="the benchmark's public manifest, proactive_reply_benchmark.jsonl"
    )
    bench.add_argument(
        '--out',
        type=Path,
        default=Path('psb-predictions.jsonl'),
        help="file for the predictions, in the public evaluator's format (default: %(default)s)",
    )
    bag = evaluate.add_parser('bag', help="score a robot's own recording against labels")
    bag.add_argument('bag', type=Path, help='bag of rosbag2 with an audio topic')
    bag.add_argument(
        '--labels',
        type=Path,
        required=True,
        help='CSV file with the columns onset_s, end_s (seconds from the first sound of the bag), category and respond '
        '(1 or 0; without it every event deserves an answer)',
    )
    bag.add_argument('--topic', help='audio topic of the bag, needed when it has several (default: its only one)')
    public = evaluate.add_parser(
        'bench', help='score a public benchmark: MMAU, LibriSpeech, CoVoST 2; run again to go on'
    )
    public.add_argument('name', choices=BENCHMARK_NAMES, help='which')
    public.add_argument(
        '--data', type=Path, required=True, metavar='DIR', help='folder of the benchmark, as its publisher lays it out'
    )
    public.add_argument(
        '--execution',
        choices=['offline', 'streaming'],
        default='offline',
        help='offline: hear all of a recording, then answer; streaming: decide while it is heard, with the question as '
        'the instruction (default: %(default)s)',
    )
    public.add_argument(
        '--spoken', type=Path, metavar='DIR', help='ask aloud: folder of <id>.wav, heard after the recordings'
    )
    public.add_argument(
        '--free', action='store_true', help='score what the model writes (default: the likeliest of the options)'
    )
    public.add_argument('--items', type=int, metavar='N', help='only the first so many (default: all)')
    public.add_argument(
        '--out',
        type=Path,
        help='file for the answers, from which the same command goes on (default: bench-<name>.jsonl)',
    )
    add_checkpoint_option(public)
    add_device_options(public)
    public.add_argument('--seed', type=int, default=1, help='seed of the bootstrap resamples (default: %(default)s)')
    ask = evaluate.add_parser(
        'ask', help='ask about held-out recordings while their streams go on; a table of the answers'
    )
    ask.add_argument(
        'libraries', type=Path, nargs='+', metavar='library', help='folder with a manifest.csv, or such a file'
    )
    ask.add_argument('--clips', type=int, default=20, metavar='N', help='recordings (default: %(default)s)')
    ask.add_argument('--question', metavar='TEXT', help='what is asked (default: one that the embedded one learnt)')
    ask.add_argument(
        '--out', type=Path, default=Path('evaluation-ask.md'), help='file for the table (default: %(default)s)'
    )
    add_checkpoint_option(ask)
    add_device_options(ask)
    ask.add_argument(
        '--seed', type=int, default=1, help='seed of recordings, options, levels and noises (default: %(default)s)'
    )
    alarms = evaluate.add_parser(
        'alarms', help='score the alarm signatures, without a checkpoint: recall and false alarms'
    )
    alarms.add_argument(
        '--clips', type=Path, required=True, help='clip library; apart from its category alarm, its sounds hold none'
    )
    alarms.add_argument(
        '--renders', type=int, default=12, help='how often each alarm is rendered (default: %(default)s)'
    )
    alarms.add_argument(
        '--choosing',
        action='store_true',
        help='use the half of the recordings that limits are chosen on (default: the other half)',
    )
    alarms.add_argument('--seed', type=int, default=1, help='seed of renders, noises and orders (default: %(default)s)')
    for name, sub in (('clips', clips), ('corpus', corpus), ('psb', bench), ('bag', bag)):
        add_checkpoint_option(sub)
        add_device_options(sub)
        sub.add_argument(
            '--seed',
            type=int,
            default=1,
            help='seed of levels, noises, orders and bootstrap resamples (default: %(default)s)',
        )
        beside = 'evaluation.html in the corpus' if name == 'corpus' else f'evaluation-{name}.html'
        sub.add_argument('--report', type=Path, help=f'file for the HTML page (default: {beside})')
    for sub in (corpus, bench):
        sub.add_argument(
            '--judge',
            type=Path,
            help='YAML file of a language model that also judges the answers, see docs/evaluation.md (default: none)',
        )
    return evaluate


def run(options: argparse.Namespace) -> int:
    """Evaluate, write the page and return the exit code; the last line printed is JSON.

    The code is PARTLY where recordings could not be read, or not to their end; the others were evaluated.

    Raises EvaluationError, and CheckpointError for a checkpoint that cannot be used.
    """
    name = options.evaluate_command
    if name == 'alarms':
        return _alarms(options)
    if name == 'bench':
        return _bench(options)
    if name == 'ask':
        return _ask(options)
    page = options.report or (
        options.corpus / 'evaluation.html' if name == 'corpus' else Path(f'evaluation-{name}.html')
    )
    outputs = {page: '--report'} | {_beside(page, end): '--report' for end in _BESIDE.get(name, ())}
    if name == 'psb':
        outputs[options.out] = '--out'
    require_outputs(outputs)
    evaluation = _EVALUATIONS[name](options)
    return publish(options, page, f'{_TITLES[name]}: {options.checkpoint}', evaluation)


def require_outputs(outputs: Mapping[Path, str]) -> None:
    """Raise EvaluationError unless each file can be written, before a run which may take hours and not after it.

    `outputs` has the option that names each.
    """
    for path, option in outputs.items():
        try:
            require_writable(path)
        except OSError as error:
            raise EvaluationError(_unwritable(path, error, option)) from error


def publish(options: argparse.Namespace, page: Path, title: str, evaluation: Evaluation) -> int:
    """Write the page of an evaluation, and what stands beside it; print its JSON and return the exit code."""
    from training.evaluate.report import write_report

    kinds = _BESIDE.get(options.evaluate_command, {})
    written = {'report': page} | {kinds[end]: _beside(page, end) for end in evaluation.beside}
    try:
        write_report(page, title, evaluation)
        for end, write in evaluation.beside.items():
            write(_beside(page, end))
    except OSError as error:
        raise EvaluationError(_unwritable(page, error, '--report')) from error
    print(
        json.dumps(
            evaluation.figures
            | {'checkpoint': options.checkpoint, 'precision': options.precision}
            | {kind: str(path) for kind, path in written.items()},
            ensure_ascii=False,
        )
    )
    return PARTLY if evaluation.figures.get('unreadable') or evaluation.figures.get('damaged') else 0


def _beside(page: Path, end: str) -> Path:
    return page.with_name(page.stem + end)


def _unwritable(path: Path, error: OSError, option: str) -> str:
    return f"'{path}' cannot be written ({error.strerror or error}); give another {option}"


def _alarms(options: argparse.Namespace) -> int:
    from training.evaluate.alarms import evaluate_alarms, recall_table

    figures = evaluate_alarms(options.clips, options.renders, options.choosing, options.seed)
    print(recall_table(figures))
    print(json.dumps(figures))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from training.evaluate.benchmarks.run import BenchmarkRun, run_benchmark, table

    out = options.out or Path(f'bench-{options.name}.jsonl')
    try:
        require_writable(out)
    except OSError as error:
        raise EvaluationError(_unwritable(out, error, '--out')) from error
    run = BenchmarkRun(
        options.name,
        options.data,
        out,
        options.execution,
        options.spoken,
        not options.free,
        options.items,
        options.seed,
    )
    figures = run_benchmark(_listener(options), run)
    print(table(figures))
    print(json.dumps(figures | {'precision': options.precision}, ensure_ascii=False))
    return PARTLY if figures['unreadable'] or figures['damaged'] else 0


def _ask(options: argparse.Namespace) -> int:
    from audio_interaction_ros.model.checkpoint import find_checkpoint
    from training.evaluate.asking import QUESTION, ask_about_clips, figures, table
    from training.evaluate.clip_sets import held_out_sets, open_libraries, recordings_trained_on
    from training.files import write_whole

    if options.clips < 1:
        raise EvaluationError(f'--clips {options.clips}: give one or more')
    try:
        require_writable(options.out)
    except OSError as error:
        raise EvaluationError(_unwritable(options.out, error, '--out')) from error
    trained_on = recordings_trained_on(find_checkpoint(options.checkpoint))
    sets, _ = held_out_sets(open_libraries(options.libraries), [], trained_on, options.seed)
    recorded = [one for one in sets if one.library is not None]
    asked = ask_about_clips(_listener(options), recorded, options.clips, options.seed, options.question or QUESTION)
    found = table(asked)
    write_whole(options.out, f'{found}\n'.encode())
    print(found)
    print(
        json.dumps(
            figures(asked)
            | {'checkpoint': options.checkpoint, 'precision': options.precision, 'table': str(options.out)},
            ensure_ascii=False,
        )
    )
    return 0


def _clips(options: argparse.Namespace) -> Evaluation:
    from audio_interaction_ros.model.checkpoint import find_checkpoint
    from training.evaluate.clip_sets import (
        held_out_sets,
        open_libraries,
        recordings_trained_on,
        training_sounds,
        whole_sets,
    )
    from training.evaluate.clips import evaluate_clips

    if options.unseen and not options.held_out:
        raise EvaluationError('--unseen is for --held-out: without it all of every library is scored; name it before')
    listener = _listener(options)
    opened = open_libraries([*options.libraries, *options.unseen])
    libraries, unseen = opened[: len(options.libraries)], opened[len(options.libraries) :]
    yamnet = None
    if options.against:
        from training.evaluate.yamnet import Yamnet

        yamnet = Yamnet(options.against)
    if options.held_out:
        trained_on = recordings_trained_on(find_checkpoint(options.checkpoint))
        sets, left_out = held_out_sets(libraries, unseen, trained_on, options.seed)
    else:
        sets, left_out = whole_sets(libraries)
    yardstick = None
    if yamnet and sets:
        from training.evaluate.yardstick import Yardstick

        known = training_sounds(libraries, options.seed) if options.held_out else []
        yardstick = Yardstick(yamnet, known, options.seed)
    return evaluate_clips(listener, sets, left_out, options.snr, options.ordinary_s, options.seed, yardstick)


def _corpus(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.corpus import evaluate_corpus

    if options.streams is not None and options.streams < 1:
        raise EvaluationError(f'--streams {options.streams}: give one or more, or leave it out for all')
    listener, judge = _listener(options), _judge(options)
    return evaluate_corpus(listener, options.corpus, options.split, options.streams, options.seed, judge)


def _psb(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.psb import evaluate_psb

    judge = _judge(options)
    return evaluate_psb(_listener(options), options.manifest, options.audio, options.out, options.seed, judge)


def _bag(options: argparse.Namespace) -> Evaluation:
    from training.evaluate.bag import evaluate_bag

    return evaluate_bag(_listener(options), options.bag, options.topic, options.labels, options.seed)


_EVALUATIONS = {'clips': _clips, 'corpus': _corpus, 'psb': _psb, 'bag': _bag}


def _listener(options: argparse.Namespace) -> Listener:
    from training.evaluate.hearing import Listener

    return Listener.load(options.checkpoint, options.device, options.precision)


def _judge(options: argparse.Namespace) -> Judge | None:
    if options.judge is None:
        return None
    from training.evaluate.judge import load_judge

    return load_judge(options.judge)
