"""The `audio-interaction` command: hear files and bags, record, the live demo, event logs, checkpoints, speed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from audio_interaction_ros.cli import (
    ask,
    bench,
    checkpoint,
    demo,
    devices,
    events,
    label,
    levels,
    listen,
    record,
    replay,
    view,
)
from audio_interaction_ros.cli.errors import CommandError
from audio_interaction_ros.output import OutputError, quietly

_DESCRIPTION = """\
An always-on ear and judgement for robots: after every 400 ms of sound it stays silent or responds.
"""
_EPILOG = """\
examples:
  audio-interaction demo                          a scene through the four nodes, live
  audio-interaction demo --mic                    the same with your microphone
  audio-interaction devices                       which microphones there are, and what to type for each
  audio-interaction listen kitchen.wav            what would it say to this recording?
  audio-interaction ask kitchen.wav "What is it?" one question about this recording
  audio-interaction levels                        is the microphone loud enough?
  audio-interaction record --out night            audio topics into a rosbag2 bag
  audio-interaction replay night --out decisions  the bag through the model, faster than real time
  audio-interaction view night --out night.html   a page of it to look at and listen to
  audio-interaction label kitchen.wav             mark by keys what sounds when, on a local page
  audio-interaction events explain ~/events.db    why did you say that?
  audio-interaction checkpoint info embedded      what is this checkpoint?
  audio-interaction bench fifo                    how fast does it listen here?

`audio-interaction COMMAND --help` says more about each.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the exit code: 0 done, 1 failed (one sentence says why), 2 wrong usage.

    It is that of SIGPIPE, 141, where the pipe or the terminal was closed that the output went to; nothing is said then.
    """
    return quietly(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        'audio-interaction',
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    for command in (demo, devices, listen, ask, levels, record, replay, view, label, events, checkpoint, bench):
        command.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except (CommandError, OutputError) as error:
        print(f'audio-interaction: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code
