"""`audio-interaction replay`: a rosbag2 bag through the model, faster than real time, always the same."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.context_file import checked_context
from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.options import add_checkpoint_option, add_told_options

if TYPE_CHECKING:
    from audio_interaction_ros.audio.formats import PcmFormat
    from audio_interaction_ros.bags import AudioBagReader
    from audio_interaction_ros.streaming.replay import BagListener

_EPILOG = """\
Reads sqlite3 and MCAP bags with audio_common_msgs AudioDataStamped (or AudioData) and AudioInfo, or with
AudioStamped of the other audio_common_msgs, which describes itself; needs no ROS.
Writes into DIR:
  decisions.csv   one row a decision
  responses.json  what was said, with the bag's stamps
Both are the same, byte for byte, on every run. The last line printed is a JSON summary. heard_s and lost_s
together are the sound of the bag and what is missing in it; lost_s_by_cause has, in seconds,
  missing     it never came, by the stamps: messages were lost before the bag was written
  incomplete  less than 400 ms before a gap, or at the end of a stream
  twice       the same message again
  refused     it could not be read, or had no stamp
What --context gives is left out once it has expired, by the bag's stamps.
pause_s is the time without any sound for more than two seconds, after which a new stream begins.
Exit code 1 where the sound was not what the bag says of it, or where most of it was lost.

examples:
  audio-interaction replay night --out night-decisions
  audio-interaction replay night --topic /head/audio_stamped --out head
  audio-interaction replay old --sample-rate 16000 --out old-decisions  a bag without AudioInfo
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'replay',
        'a rosbag2 bag; decisions and responses as CSV and JSON',
        'Hear the audio of a rosbag2 bag as a robot would have that is never late.',
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
    parser.add_argument('--topic', metavar='NAME', help='audio topic to hear; needed when the bag has several')
    add_format_options(parser)
    add_told_options(parser)
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def add_recording_argument(parser: argparse.ArgumentParser) -> None:
    """Add the recording that a command is about, a bag or an audio file."""
    parser.add_argument('recording', type=Path, metavar='RECORDING', help='audio file, or rosbag2 bag')


def add_bag_options(parser: argparse.ArgumentParser) -> None:
    """Add which topic of a bag is the recording, and what its sound is, as `given_format` reads it."""
    parser.add_argument('--topic', metavar='NAME', help='audio topic of a bag; needed when it has several')
    add_format_options(parser)


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a bag's sound is, as `given_format` reads them."""
    parser.add_argument(
        '--sample-rate',
        type=int,
        metavar='HZ',
        help='sample rate of the sound, for a bag without AudioInfo, or with a wrong one',
    )
    parser.add_argument(
        '--channels', type=int, metavar='N', help='number of channels; goes with --sample-rate (default: 1)'
    )
    parser.add_argument(
        '--sample-format',
        metavar='NAME',
        help='sample format, as AudioInfo names it; goes with --sample-rate (default: S16LE)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Replay the bag and return 0, also when some messages were malformed: the summary counts them.

    Return 1 when most of the sound could not be used, or was not what the bag says of it.
    """
    from audio_interaction_ros.bags import AudioBagReader, BagError
    from audio_interaction_ros.streaming.replay import BagListener

    pcm = given_format(arguments)
    with reported(BagError), AudioBagReader(arguments.bag, arguments.topic, pcm) as bag:
        encoder, decoder = load_halves(arguments.checkpoint)
        context = checked_context(arguments.context, arguments.instruction, decoder)
        listener = BagListener(bag, encoder, decoder, arguments.instruction, context)
        return _replay(bag, listener, arguments.out)


def given_format(arguments: argparse.Namespace) -> PcmFormat | None:
    """Return the format that the options give, None where they give none. Raises CommandError."""
    from audio_interaction_ros.audio.formats import AudioFormatError, PcmFormat

    channels, sample_format = arguments.channels, arguments.sample_format
    if arguments.sample_rate is None:
        if channels is not None or sample_format is not None:
            raise CommandError('--channels or --sample-format is given and --sample-rate is not; give that too')
        return None
    with reported(AudioFormatError):
        return PcmFormat.from_info(arguments.sample_rate, channels or 1, sample_format or 'S16LE', '')


def _replay(bag: AudioBagReader, listener: BagListener, out: Path) -> int:
    from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
    from audio_interaction_ros.audio.chunk_stream import PAUSE
    from audio_interaction_ros.cli.reports import DECISION_FIELDS, decision_row, replay_report
    from audio_interaction_ros.streaming.loop import Decision

    started = time.monotonic()
    chunks, streams, responses = 0, set(), []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / 'decisions.csv').open('w', newline='') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerow(DECISION_FIELDS)
            for event in listener.hear():
                if isinstance(event, Decision):
                    table.writerow(decision_row(event))
                    chunks += event.chunks_drained
                    streams.add(event.chunk.stream_id)
                elif event.final:
                    responses.append(replay_report(event))
        text = json.dumps({'topic': bag.topic, 'responses': responses}, ensure_ascii=False, indent=2)
        (out / 'responses.json').write_text(text + '\n', encoding='utf-8')
    except OSError as error:
        raise CommandError(f"'{out}' cannot be written ({error}); give a directory you may write to") from error
    for remark in bag.remarks:
        _warn(remark)
    for reason in bag.complaints:
        _warn(f'message left out: {reason}')
    for fault in listener.faults.values():
        _warn(f"'{bag.path}', {bag.topic}: {fault.sentence}")
    if not chunks:
        cure = 'mend the driver as is said of them' if bag.malformed else 'let the driver send more than empty messages'
        raise CommandError(
            f"'{bag.path}', {bag.topic}: not one 400 ms chunk of readable sound "
            f'({bag.malformed} messages left out); {cure}, and record again'
        )
    lost = listener.lost.copy()
    pause = lost.pop(PAUSE, 0)
    summary = {
        'bag': str(bag.path),
        'topic': bag.topic,
        'streams': len(streams),
        'chunks': chunks,
        'responses': len(responses),
        'heard_s': round(listener.heard / SAMPLE_RATE_HZ, 3),
        'lost_s': round(lost.total() / SAMPLE_RATE_HZ, 3),
        'lost_s_by_cause': {
            cause: round(samples / SAMPLE_RATE_HZ, 3) for cause, samples in sorted(lost.items()) if samples
        },
        'pause_s': round(pause / SAMPLE_RATE_HZ, 3),
        'stamp_faults': sorted(listener.faults),
        'malformed_messages': bag.malformed,
        'times_real_time': round(chunks * CHUNK_S / (time.monotonic() - started), 1),
        'out': str(out),
    }
    print(json.dumps(summary, ensure_ascii=False), flush=True)
    return int(any(fault.unusable for fault in listener.faults.values()) or _mostly_lost(bag, listener.heard, lost))


def _mostly_lost(bag: AudioBagReader, heard: int, lost: Mapping[str, int]) -> bool:
    """Whether more was lost than heard, in samples; then that is said."""
    from audio_interaction_ros.audio import SAMPLE_RATE_HZ
    from audio_interaction_ros.audio.chunk_stream import TWICE

    if sum(samples for cause, samples in lost.items() if cause != TWICE) <= heard:
        return False
    causes = ', '.join(
        f'{cause} {samples / SAMPLE_RATE_HZ:.1f} s' for cause, samples in sorted(lost.items()) if samples
    )
    _warn(
        f"'{bag.path}', {bag.topic}: only {heard / SAMPLE_RATE_HZ:.1f} s of sound were heard, and more was lost "
        f'({causes}); record again, for what is missing was lost before it came into the bag, and '
        'mend what else is said'
    )
    return True


def _warn(sentence: str) -> None:
    print(f'audio-interaction: {sentence}', file=sys.stderr)
