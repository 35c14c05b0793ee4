"""`audio-interaction label`: a local page to mark on the waveform what sounds when, by keys; saved as it goes."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, bokeh_reported, reported
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.cli.replay import add_bag_options, add_recording_argument, given_format

if TYPE_CHECKING:
    from bokeh.document import Document

    from audio_interaction_ros.view.picture import SoundPicture

PORT = 8645
# What the page offers when a category is typed; any other may be.
_USUAL = (
    'alarm', 'announcement', 'baby cry', 'car horn', 'cough', 'crash', 'crowd', 'dishes', 'dog bark', 'door',
    'doorbell', 'engine', 'fan', 'fire crackling', 'footsteps', 'glass breaking', 'laughter', 'music', 'person sneeze',
    'phone ring', 'rain', 'scream', 'siren', 'smoke alarm', 'speech', 'traffic', 'train horn', 'typing', 'water',
    'wind',
)  # fmt: skip
_EPILOG = """\
The page is served on this machine alone, for a browser on it: spectrogram, waveform, marks. Keys do everything:
  space play | e, s, w begin and end a mark: deserves an answer, deserves silence, spoken words | enter names it
  n, p next and previous | [ ] move its onset, its end | r answer or silence | x remove | u undo
Every mark is saved when it is made, into a CSV beside the recording (kitchen.csv for kitchen.wav or the bag kitchen),
which `view --labels`, `evaluate bag` and `evaluate field` read. Marks that are there are opened. Ends on Ctrl-C.
Needs Bokeh: pip install 'audio_interaction_ros[view]'

examples:
  audio-interaction label kitchen.wav
  audio-interaction label field/home/kitchen              a bag of `audio-interaction record`
  audio-interaction label night --labels mine.csv --port 9000
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'label',
        'mark on the waveform of a file or bag what sounds when',
        'Mark sounds and spoken words of a recording on a local page, by keys.',
        _EPILOG,
    )
    add_recording_argument(parser)
    parser.add_argument(
        '--labels', type=Path, metavar='CSV', help='file of the marks (default: beside the recording, under its name)'
    )
    parser.add_argument('--port', type=int, default=PORT, help='port of the page on 127.0.0.1 (default: %(default)s)')
    add_bag_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C and return 0."""
    from audio_interaction_ros.labels import LabelsError, labels_beside

    with bokeh_reported():
        from audio_interaction_ros.monitor.server import Access, MonitorError, require_free, serve
        from audio_interaction_ros.view.labelling import LabellingPage
    from audio_interaction_ros.view.marks import Marks

    picture, sound = _sound(arguments)
    labels = arguments.labels or labels_beside(arguments.recording)
    with reported(LabelsError, MonitorError):
        marks = Marks(labels, picture.duration_s)
        access = Access('127.0.0.1', arguments.port)
        require_free(access)
        known = sorted({*_USUAL, *(event.category for event in marks.events)})
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: ended.set())
        print(f"open {access.url} in a browser; marks go to '{labels}', Ctrl-C ends", flush=True)
        name = arguments.recording.name

        def fill(document: Document) -> None:
            LabellingPage(document, name, picture, sound, marks, known)  # which the document's callbacks keep

        serve(access, fill, ended)
    marks.retry()
    if marks.problem:
        raise CommandError(marks.problem)
    print(f"{len(marks.events)} marks in '{labels}'")
    return 0


def _sound(arguments: argparse.Namespace) -> tuple[SoundPicture, bytes]:
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.bag_files import is_bag
    from audio_interaction_ros.bags import BagError
    from audio_interaction_ros.view.picture import SoundPicture
    from audio_interaction_ros.view.recording import see_bag, see_file

    path, picture = arguments.recording, SoundPicture()
    with reported(AudioFormatError, BagError):
        if is_bag(path):
            see_bag(path, arguments.topic, given_format(arguments), picture)
        else:
            for remark in see_file(path, picture):
                print(f'audio-interaction: {remark}', file=sys.stderr)
    if not picture.duration_s:
        raise CommandError(f"'{path}' holds no sound; give a recording with some")
    return picture, picture.mp3() or b''
