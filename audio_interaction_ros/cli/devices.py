"""`audio-interaction devices`: which microphones there are, how each would be opened, and the words to type."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.cli.parsers import add_command

if TYPE_CHECKING:
    from audio_interaction_ros.audio.devices import InputDevice

_EPILOG = """\
One line a microphone: its index, its name, what drives it (host API), and how it would be opened: at 16 kHz mono,
or at its own rate and channels where it cannot do that. A * marks the system's default. Below each stands the
word that means it and no other: its name, where no other has it. An index means another microphone after one was
plugged in or out, so a name is better.
'pulse', 'pipewire' and 'default' are no sound cards: the sound server decides which microphone they are (pavucontrol).
A microphone with several channels, an array, can be heard by some of them: set the parameter channels of
audio_capture to 0, or 0,1, or mix.

With --json it prints one object a line: {"index", "name", "host_api", "channels", "default",
"systems_choice", "word", "opened": {"sample_rate", "channels"}, "usable", "why_not"}.

examples:
  audio-interaction devices
  audio-interaction demo --mic 'USB PnP'   one of them, by a part of its name that no other has
"""


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser = add_command(
        commands,
        'devices',
        'the microphones that can be used, and how',
        'List the microphones of this computer, how each would be opened, and what to type for it.',
        _EPILOG,
    )
    parser.add_argument('--json', action='store_true', help='print one JSON object for each microphone')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the microphones; return 0. Raises CommandError where there is none, with what may be the cause."""
    from audio_interaction_ros.audio.devices import DeviceError, input_devices, load_portaudio, why_none

    with drivers_silenced(), reported(DeviceError):
        portaudio = load_portaudio()
        devices = input_devices(portaudio)
        rows = [describe(portaudio, device, devices) for device in devices]
    if not rows:
        raise CommandError(f'no microphone was found; {why_none()}')
    if arguments.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    print('\n'.join(line for row in rows for line in _lines(row)))
    chosen = next((row for row in rows if row['default'] and row['usable']), rows[0])
    print(f'\nto use one, for example {chosen["name"]!r}:\n' + '\n'.join(f'  {line}' for line in how(chosen['word'])))
    return 0


def describe(portaudio: Any, device: InputDevice, devices: list[InputDevice]) -> dict[str, Any]:
    """Return what is known of a device, as a JSON object; it is asked whether it opens, and is not recorded from."""
    from audio_interaction_ros.audio.channels import ChannelChoice
    from audio_interaction_ros.audio.devices import word_for
    from audio_interaction_ros.audio.sources import opened_format

    opened = opened_format(portaudio, device, ChannelChoice())
    why_not = ''
    try:
        portaudio.check_input_settings(
            device=device.index, channels=opened.channels, dtype='int16', samplerate=opened.sample_rate_hz
        )
    except portaudio.PortAudioError as error:
        why_not = str(error)
    return {
        'index': device.index,
        'name': device.name,
        'host_api': device.host_api,
        'channels': None if device.converts else device.channels,
        'default': device.default,
        'systems_choice': device.is_systems_choice,
        'word': word_for(device, devices),
        'opened': {'sample_rate': opened.sample_rate_hz, 'channels': opened.channels},
        'usable': not why_not,
        'why_not': why_not,
    }


def how(word: str) -> list[str]:
    """Return the lines that use a device, as they are typed into a shell or written into a parameter file."""
    quoted = json.dumps(word, ensure_ascii=False)  # as YAML takes it for text, whatever it looks like
    node = shlex.quote(f'device:={word if word.isdecimal() else quoted}')
    return [
        f'audio-interaction demo --mic {shlex.quote(word)}',
        f'ros2 launch audio_interaction_ros assistant.launch.py {shlex.quote(f"mic:={word}")}',
        f'ros2 run audio_interaction_ros audio_capture --ros-args -p {node}',
        f'device: {word if word.isdecimal() else quoted}   # of audio_capture, in a params_file',
    ]


@contextlib.contextmanager
def drivers_silenced() -> Iterator[None]:
    """Keep what ALSA and JACK write to the terminal while devices are looked for out of the way of the answer."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _lines(row: dict[str, Any]) -> list[str]:
    channels = '' if row['channels'] is None else f'{row["channels"]} channel{"s" * (row["channels"] != 1)}, '
    opened = row['opened']
    how_opened = f'{opened["sample_rate"]} Hz, ' + (
        'mono' if opened['channels'] == 1 else f'{opened["channels"]} channels'
    )
    state = f'opens at {how_opened}' if row['usable'] else f'cannot be opened now ({row["why_not"]}): is it in use?'
    if row['systems_choice']:
        state += ", whichever microphone is the sound server's choice"
    mark = '*' if row['default'] else ' '
    return [
        f'{mark}{row["index"]:3}  {row["name"]}  ({row["host_api"]})  {channels}{state}',
        f'      type: {shlex.quote(row["word"])}',
    ]
