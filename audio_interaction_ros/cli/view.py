"""`audio-interaction view`: a recording as one page, with its sound, every decision, and what was said."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, bokeh_reported, reported
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.cli.replay import add_bag_options, add_recording_argument, given_format
from audio_interaction_ros.options import add_checkpoint_option

if TYPE_CHECKING:
    from audio_interaction_ros.view.recording import HeardRecording, Progress

_EPILOG = """\
The page is one HTML file that needs nothing else and asks nothing of the network: spectrogram, waveform,
P(response) after every drain, what was said, and labels; it zooms, and plays the sound from where it is clicked.
A recording is heard anew by the checkpoint, as `listen` and `replay` hear it. The sound itself is in the page,
about 10 MB an hour; --no-sound leaves it out.
Needs Bokeh: pip install 'audio_interaction_ros[view]'

examples:
  audio-interaction view kitchen.wav
  audio-interaction view night --out night.html --labels night.csv
  audio-interaction view night --no-sound --checkpoint ./mine
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'view',
        'a file or bag as a page: sound, decisions, what was said',
        'Make one HTML page of a recording: its sound, what was decided after every 400 ms, and what was said.',
        _EPILOG,
    )
    add_recording_argument(parser)
    parser.add_argument('--out', type=Path, metavar='FILE', help='page to write (default: RECORDING.html, here)')
    parser.add_argument('--labels', type=Path, metavar='CSV', help='what sounds when, as `evaluate bag` reads it')
    parser.add_argument('--no-sound', action='store_true', help='leave the sound out of the page')
    add_bag_options(parser)
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print a JSON summary; return 0, or 1 where the recording is damaged."""
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.bags import BagError
    from audio_interaction_ros.files import replacing
    from audio_interaction_ros.labels import LabelsError, read_labels

    with bokeh_reported():
        from audio_interaction_ros.view.page import recording_page
    with reported(LabelsError):
        labels = read_labels(arguments.labels) if arguments.labels else []
    out = arguments.out or Path(f'{arguments.recording.name}.html')
    with reported(AudioFormatError, BagError), _progress(arguments.recording.name) as progress:
        heard, thresholds = _hear(arguments, progress)
    page = recording_page(heard, thresholds, arguments.checkpoint, labels)
    try:
        with replacing(out) as file:
            file.write(page.encode())
    except OSError as error:
        raise CommandError(f"'{out}' cannot be written ({error}); give --out a file you may write") from error
    summary = {
        'out': str(out),
        'duration_s': round(heard.picture.duration_s, 3),
        'decisions': len(heard.moments),
        'responses': len(heard.sayings),
        'megabytes': round(out.stat().st_size / 1e6, 1),
    }
    print(json.dumps(summary | ({'remarks': heard.remarks} if heard.remarks else {}), ensure_ascii=False), flush=True)
    return int(bool(heard.remarks))


def _hear(arguments: argparse.Namespace, progress: Progress) -> tuple[HeardRecording, Any]:
    from audio_interaction_ros.bag_files import is_bag
    from audio_interaction_ros.view.recording import hear_bag, hear_file

    path, with_sound = arguments.recording, not arguments.no_sound
    pcm = given_format(arguments)
    encoder, decoder = load_halves(arguments.checkpoint)
    if is_bag(path):
        heard = hear_bag(path, arguments.topic, pcm, encoder, decoder, with_sound, progress)
    else:
        heard = hear_file(path, encoder, decoder, with_sound, progress)
    return heard, decoder.config.streaming.table


@contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A line that counts the seconds heard, where there is a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn('{task.description}'), TextColumn('{task.completed:.0f} s heard'), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda seconds: bar.update(task, completed=seconds)
