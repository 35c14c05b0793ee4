"""`audio-interaction bench`: how fast this machine runs a checkpoint, each figure beside what would be possible."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_action, add_command
from audio_interaction_ros.options import add_checkpoint_option, add_device_options

if TYPE_CHECKING:
    from audio_interaction_ros.audio.formats import Samples

_EPILOG = """\
Each prints a table and ends with one line of JSON. What the figures mean: docs/performance.md.

examples:
  audio-interaction bench speed                     encoding, deciding, writing: times, floors, real-time factor
  audio-interaction bench fifo                      the FIFO scheduler beside a synchronous one, in real time
  audio-interaction bench speed --checkpoint random-3b --device cuda   the released size, whatever it learnt
  audio-interaction bench fifo --pass-ms 2.2        the same as on a GPU that reads a 3B model in 2.2 ms
  audio-interaction bench sessions                  how many microphones can this machine hear at once?
  audio-interaction bench soak --hours 24 --out soak  a day of sound, as fast as it goes: memory, times, a page
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'bench',
        'how fast does it listen here?',
        'How fast this machine runs a checkpoint, each figure beside the least that it could be.',
        _EPILOG,
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    speed = add_action(
        actions, 'speed', 'measure the time of one forward pass of each kind, the memory, and the real-time factor'
    )
    speed.add_argument(
        '--repeats', type=int, default=200, metavar='N', help='how often to time each forward pass (default: 200)'
    )
    speed.set_defaults(run=run_speed)
    fifo = add_action(actions, 'fifo', 'compare FIFO with synchronous scheduling, side by side, in real time')
    fifo.add_argument(
        '--pairs', type=int, default=5, metavar='N', help='how often to run both schedulers, in turn (default: 5)'
    )
    fifo.add_argument(
        '--seconds',
        type=float,
        default=40.0,
        metavar='S',
        help='seconds of sound in each run, at least 20 (default: 40)',
    )
    fifo.add_argument(
        '--pass-ms',
        type=float,
        default=30.0,
        metavar='MS',
        help='let a forward pass of the language model take at least MS milliseconds (default: 30, a 3B model in '
        'bfloat16 read at 205 GB/s, the memory of a Jetson AGX Orin); 0 lets it take what it takes',
    )
    fifo.add_argument('--seed', type=int, default=0, help='random seed of the scripted responses (default: 0)')
    fifo.set_defaults(run=run_fifo)
    soak = add_action(actions, 'soak', 'hear hours of sound, as fast as it goes, and watch memory and times')
    soak.add_argument('--hours', type=float, default=24.0, metavar='H', help='hours of sound to hear (default: 24)')
    soak.add_argument(
        '--instruction',
        metavar='TEXT',
        help="system instruction that tells the model what to do (default: the checkpoint's own)",
    )
    soak.add_argument(
        '--probe',
        metavar='FILE',
        help='recording to hear at the start and again at the end, to see whether it is answered alike',
    )
    soak.add_argument(
        '--out', type=Path, metavar='DIR', help='directory for soak.html and soak.json (default: none are written)'
    )
    soak.set_defaults(run=run_soak)
    sessions = add_action(actions, 'sessions', 'find how many streams one process can hear at once')
    sessions.add_argument(
        '--periods',
        type=int,
        default=25,
        metavar='N',
        help='periods of 400 ms to run with each number of streams (default: 25)',
    )
    sessions.add_argument(
        '--threads', type=int, default=2, metavar='N', help='number of CPU threads for PyTorch (default: 2)'
    )
    sessions.set_defaults(run=run_sessions)
    for action in (speed, fifo, soak, sessions):
        add_checkpoint_option(action)
        add_device_options(action)
        action.add_argument(
            '--audio', metavar='FILE', help='recording to hear, over and over (default: the demo scene)'
        )


def run_fifo(arguments: argparse.Namespace) -> int:
    """Compare the schedulers and return 0: the figures are for whoever asked."""
    from tqdm import tqdm

    from audio_interaction_ros.audio import SAMPLE_RATE_HZ
    from audio_interaction_ros.bench import fifo

    if arguments.pairs < 1 or arguments.seconds < 20 or arguments.pass_ms < 0:
        raise CommandError(
            f'--pairs is {arguments.pairs}, --seconds {arguments.seconds} and --pass-ms {arguments.pass_ms}; '
            'give at least 1, 20 and 0'
        )
    encoder, decoder = load_halves(arguments.checkpoint, arguments.device, arguments.precision)
    samples = _looped(_audio(arguments.audio), int(arguments.seconds * SAMPLE_RATE_HZ))
    with tqdm(total=2 * arguments.pairs, desc='runs', unit='run') as progress:
        result = fifo.run(
            encoder, decoder, samples, arguments.pairs, arguments.pass_ms / 1_000, arguments.seed, progress
        )
    rows = [
        ('', 'FIFO', 'synchronous'),
        *(
            (f'{label} ({q})', *(f'{result[name][key][q]:.1f} ms' for name in ('fifo', 'synchronous')))
            for label, key in (
                ('first-chunk latency', 'first_chunk_latency_ms'),
                ('resume latency', 'resume_latency_ms'),
                ('between two tokens', 'token_gap_ms'),
            )
            for q in ('p50', 'p99')
        ),
        ('stalled periods', *(f'{result[name]["stall_share"]:.1%}' for name in ('fifo', 'synchronous'))),
        ('longest backlog', *(f'{result[name]["backlog_chunks"]:g} chunks' for name in ('fifo', 'synchronous'))),
    ]
    _print_rows(rows)
    print(
        f'listens again {result["resume_speedup"]} times as soon; passes of {result["pass_ms"]} ms, '
        f'{result["slowed_by"]} times this model’s own; medians of {result["pairs"]} pairs'
    )
    print(json.dumps(result))
    return 0


def run_speed(arguments: argparse.Namespace) -> int:
    """Time the forward passes and return 0."""
    from audio_interaction_ros.bench import speed

    if arguments.repeats < 3:
        raise CommandError(f'--repeats is {arguments.repeats}; give at least 3')
    encoder, decoder = load_halves(arguments.checkpoint, arguments.device, arguments.precision)
    result = speed.run(encoder, decoder, _audio(arguments.audio), arguments.repeats)
    rows = [('pass', 'median', 'p99', 'floor', 'ratio')]
    for name, row in result['passes'].items():
        times = (f'{row[key]:.3f} ms' for key in ('p50_ms', 'p99_ms', 'floor_ms'))
        rows.append((name.replace('_', ' '), *times, f'{row["ratio"]:.1f}'))
    _print_rows(rows)
    machine, memory = result['machine'], result['memory']
    print(
        f'one core: {result["real_time_factor"]:.0f} times real time; copies {machine["copy_gb_s"]} GB/s, multiplies '
        f'{machine["matrix_gflop_s"]} GFLOP/s; {memory["weights_mb"]} MB of weights, {memory["cache_mb"]} MB a session'
    )
    print(json.dumps(result))
    return 0


def run_sessions(arguments: argparse.Namespace) -> int:
    """Find the number of streams and return 0."""
    import torch

    from audio_interaction_ros.bench import sessions

    if arguments.periods < 2 or arguments.threads < 1:
        raise CommandError(f'--periods is {arguments.periods} and --threads {arguments.threads}; give at least 2 and 1')
    encoder, decoder = load_halves(arguments.checkpoint, arguments.device, arguments.precision)
    torch.set_num_threads(arguments.threads)
    result = sessions.run(encoder, decoder, _audio(arguments.audio), arguments.periods)
    rows = [('streams', 'median', 'p99', 'stalls')]
    for number, row in result['tried'].items():
        rows.append((number, f'{row["p50_ms"]} ms', f'{row["p99_ms"]} ms', f'{row["stall_share"]:.0%}'))
    _print_rows(rows)
    print(f'{result["sessions"]} streams without a stall, on {result["threads"]} threads')
    print(json.dumps(result))
    return 0


def run_soak(arguments: argparse.Namespace) -> int:
    """Hear hours of sound and return 0 when no decision was skipped, else 1."""
    from audio_interaction_ros.bench import soak

    if arguments.hours <= 0:
        raise CommandError(f'--hours is {arguments.hours:g}; give more than 0')
    encoder, decoder = load_halves(arguments.checkpoint, arguments.device, arguments.precision)
    probe = _audio(arguments.probe) if arguments.probe else None
    result = soak.run(encoder, decoder, _audio(arguments.audio), arguments.hours, arguments.instruction, probe)
    if arguments.out is not None:
        soak.write(result, arguments.out)
        print(f'written: {arguments.out / "soak.html"}')
    summary = {name: value for name, value in result.items() if name != 'by_hour'}
    _print_rows([(name.replace('_', ' '), str(value)) for name, value in summary.items()])
    print(json.dumps(summary))
    return 1 if result['decisions_skipped'] else 0


def _audio(file: str | None) -> Samples:
    """Return the recording, float32 [n] at 16 kHz. Raises CommandError."""
    from audio_interaction_ros.audio.file_reader import read_recording
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.resources import shared_path

    path = file or shared_path('demo/scene.flac')
    if path is None:
        raise CommandError('the demo scene is not installed; give a recording with --audio')
    with reported(AudioFormatError):
        return read_recording(path).samples


def _looped(samples: Samples, length: int) -> Samples:
    import numpy as np

    return np.resize(samples, length)


def _print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print(row[0].ljust(widths[0]), *cells, sep='  ')
