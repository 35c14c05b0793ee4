"""`audio-interaction replay`: a rosbag2 bag through the model, faster than real time, always the same."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.options import add_checkpoint_option

if TYPE_CHECKING:
    from audio_interaction_ros.bags import AudioBagReader
    from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf

_EPILOG = """\
Reads sqlite3 and MCAP bags with audio_common_msgs AudioDataStamped (or AudioData) and AudioInfo; needs no
ROS.
Writes into DIR:
  decisions.csv   one row a decision
  responses.json  what was said, with the bag's stamps
Both are the same, byte for byte, on every run. The last line printed is a JSON summary.

examples:
  audio-interaction replay night --out night-decisions
  audio-interaction replay night --topic /head/audio_stamped --out head
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'replay',
        'a rosbag2 bag; decisions and responses as CSV and JSON',
        'Hear the audio of a rosbag2 bag as the robot would have, always keeping up.',
        _EPILOG,
    )
    parser.add_argument(
        'bag', type=Path, metavar='BAG', help='rosbag2 bag to hear: its directory, or a single .mcap or .db3 file'
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        metavar='DIR',
        help='directory for decisions.csv and responses.json; made if missing',
    )
    parser.add_argument('--topic', help='audio topic to hear; needed when the bag has several')
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay the bag and return 0, also when some messages were malformed: the summary counts them."""
    from audio_interaction_ros.bags import AudioBagReader, BagError

    with reported(BagError), AudioBagReader(arguments.bag, arguments.topic) as bag:
        encoder, decoder = load_halves(arguments.checkpoint)
        return _replay(bag, encoder, decoder, arguments.out)


def _replay(bag: AudioBagReader, encoder: EncoderHalf, decoder: DecoderHalf, out: Path) -> int:
    from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
    from audio_interaction_ros.cli.reports import DECISION_FIELDS, decision_row, replay_report
    from audio_interaction_ros.streaming.loop import Decision
    from audio_interaction_ros.streaming.replay import hear_bag

    started = time.monotonic()
    chunks, lost_samples, streams, responses = 0, 0, set(), []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / 'decisions.csv').open('w', newline='') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerow(DECISION_FIELDS)
            for event in hear_bag(bag, encoder, decoder):
                if isinstance(event, Decision):
                    table.writerow(decision_row(event))
                    chunks += event.chunks_drained
                    lost_samples += event.chunk.dropped_before
                    streams.add(event.chunk.stream_id)
                elif event.final:
                    responses.append(replay_report(event))
        text = json.dumps({'topic': bag.topic, 'responses': responses}, ensure_ascii=False, indent=2)
        (out / 'responses.json').write_text(text + '\n', encoding='utf-8')
    except OSError as error:
        raise CommandError(f"'{out}' cannot be written ({error}); give a directory you may write to") from error
    for reason in bag.complaints:
        print(f'audio-interaction: message left out: {reason}', file=sys.stderr)
    if not chunks:
        raise CommandError(
            f"'{bag.path}', {bag.topic}: not one 400 ms chunk of readable sound "
            f'({bag.malformed} messages left out); check what was recorded'
        )
    summary = {
        'bag': str(bag.path),
        'topic': bag.topic,
        'streams': len(streams),
        'chunks': chunks,
        'responses': len(responses),
        'lost_s': round(lost_samples / SAMPLE_RATE_HZ, 3),
        'malformed_messages': bag.malformed,
        'times_real_time': round(chunks * CHUNK_S / (time.monotonic() - started), 1),
        'out': str(out),
    }
    print(json.dumps(summary, ensure_ascii=False), flush=True)
    return 0
