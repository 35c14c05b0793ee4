"""`audio-interaction listen`: audio files through a fresh session each, offline."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.context_file import checked_context
from audio_interaction_ros.cli.errors import reported
from audio_interaction_ros.cli.models import load_halves
from audio_interaction_ros.cli.parsers import add_command
from audio_interaction_ros.options import add_checkpoint_option, add_told_options
from audio_interaction_ros.output import print_line

if TYPE_CHECKING:
    from audio_interaction_ros.audio.channels import ChannelChoice
    from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf

_EPILOG = """\
One JSON line a file, in the order given:
  {"file": "kitchen.wav", "chunks": 75,
   "responses": [{"t_s": 12.4, "text": "...", "emotion": "urgent", "probability": 0.97}]}
t_s is the end of the 400 ms chunk that triggered the response, in seconds from the file's start.
"warnings" is there where the level is wrong for a while (too quiet, clipped, channels that cancel), or where a WAV was
never finished by its writer.
A recording may be of any length: it is read block by block.
A file that cannot be read gives {"file", "error"}. One that is damaged, or cut off, is heard up to there, an OGG or
MP3 also after it where it can be decoded, and "damaged" says where. In both cases the other files are heard too, and
the exit code is 1.

examples:
  audio-interaction listen kitchen.wav
  audio-interaction listen array.wav --channels 0
  audio-interaction listen recordings/*.flac > heard.jsonl
  audio-interaction listen call.wav --instruction "Correct what is wrong." --context calendar.json
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'listen',
        'audio files, each through a fresh session; one JSON line a file',
        'Hear audio files offline, each from a fresh start, and print what would be said.',
        _EPILOG,
    )
    parser.add_argument(
        'files',
        nargs='+',
        metavar='FILE',
        help='recording to hear: WAV, FLAC, OGG …, of any sample rate and channel count',
    )
    add_channels_option(parser)
    add_told_options(parser)
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def add_channels_option(parser: argparse.ArgumentParser) -> None:
    """Add which channels of a recording are heard, as `chosen_channels` reads it."""
    parser.add_argument(
        '--channels',
        default='',
        metavar='NUMBERS',
        help='channels to hear of a recording with several, as of audio_capture: 0 is the first, 0,1 the first two, '
        'mix the average of all (default: mix)',
    )


def chosen_channels(arguments: argparse.Namespace) -> ChannelChoice:
    """Return the channels that the option names. Raises CommandError."""
    from audio_interaction_ros.audio.channels import ChannelChoice
    from audio_interaction_ros.audio.formats import AudioFormatError

    with reported(AudioFormatError):
        return ChannelChoice.parse(arguments.channels)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for every file; return 0 when every one could be read to its end, else 1."""
    channels = chosen_channels(arguments)
    encoder, decoder = load_halves(arguments.checkpoint)
    context = checked_context(arguments.context, arguments.instruction, decoder)
    failed = False
    for file in arguments.files:
        try:
            heard = hear_file(file, encoder, decoder, arguments.instruction, context, channels)
        except Exception as error:  # whatever it is, the other files are heard
            heard = {'file': file, 'error': f"'{file}' cannot be heard ({type(error).__name__}: {error}); leave it out"}
        failed |= not heard.keys().isdisjoint(('error', 'damaged'))
        print_line(json.dumps(heard, ensure_ascii=False))
    return int(failed)


def hear_file(
    file: str,
    encoder: EncoderHalf,
    decoder: DecoderHalf,
    instruction: str = '',
    context: str = '',
    channels: ChannelChoice | None = None,
) -> dict[str, Any]:
    """Return the JSON line of one file, as a dictionary; `instruction` and `context` are as in `told_loop`."""
    from audio_interaction_ros.audio.channels import ALL
    from audio_interaction_ros.audio.file_reader import AudioFile
    from audio_interaction_ros.audio.formats import AudioFormatError, Samples
    from audio_interaction_ros.audio.level_watch import LevelWatch
    from audio_interaction_ros.audio.resample import pieces_at_16k
    from audio_interaction_ros.cli.reports import response_report
    from audio_interaction_ros.streaming.loop import Decision, listen

    chunks, responses = 0, []

    def watched(sound: AudioFile, levels: LevelWatch) -> Iterator[Samples]:
        for block in sound.blocks():
            levels.told(block, sound.pcm)
            yield block

    try:
        with AudioFile(file, channels or ALL) as sound:
            levels = LevelWatch(sound.numbers)
            pieces = pieces_at_16k(watched(sound, levels), sound.pcm.sample_rate_hz)
            for event in listen(encoder, decoder, pieces, instruction=instruction, context=context):
                if isinstance(event, Decision):
                    chunks += event.chunks_drained
                elif event.final:
                    responses.append(response_report(event))
    except AudioFormatError as error:
        return {'file': file, 'error': str(error)}
    heard: dict[str, Any] = {'file': file, 'chunks': chunks, 'responses': responses}
    if warnings := [*filter(None, [sound.unfinished]), *(fault.sentence for fault in levels.faults.values())]:
        heard['warnings'] = warnings
    if sound.damage:
        heard['damaged'] = sound.damage
    return heard
