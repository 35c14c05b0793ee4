"""Which microphones and loudspeakers there are, which one a name means, and which is the same one again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_ALSA_CARD = re.compile(r'\(hw:(\d+),(\d+)\)$')  # as PortAudio ends the name of a sound card's device
_SYSTEMS_CHOICE = ('default', 'sysdefault', 'pulse', 'pipewire')  # of ALSA's devices
_CONVERTER_CHANNELS = 32  # so many, or more, are offered by what converts: pulse, default, null …


class DeviceError(ValueError):
    """A `DeviceError` says that there is no such microphone, or that it cannot be opened."""


@dataclass(frozen=True)
class SoundDevice:
    """A `SoundDevice` is a device as PortAudio listed it: its index is good until it lists anew.

    `hardware` names a USB device by vendor, product and serial number, `socket` says where it is plugged in; both are
    empty where the system does not tell.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_rate_hz: int
    default: bool = False
    hardware: str = ''
    socket: str = ''

    def __str__(self) -> str:
        return f"'{self.name}' ({self.host_api})"

    @property
    def full_name(self) -> str:
        """Return the name with the host API, for a name that several of these have."""
        return f'{self.name}, {self.host_api}'

    @property
    def converts(self) -> bool:
        """Return whether it is no sound card but what converts for one, so that its channels are as many as asked."""
        return self.may_be_served and self.channels >= _CONVERTER_CHANNELS

    @property
    def is_systems_choice(self) -> bool:
        """Return whether it is whichever microphone the sound server, or the system, takes at the time."""
        return self.host_api == 'ALSA' and self.name in _SYSTEMS_CHOICE

    @property
    def may_be_served(self) -> bool:
        """Return whether a sound server may stand behind it, and so move it to another microphone."""
        return self.host_api == 'ALSA' and not _ALSA_CARD.search(self.name)

    def is_like(self, other: SoundDevice) -> bool:
        """Return whether this may be the other one, listed again: a card's number and the index do not count."""
        if (self._lasting_name, self.host_api, self.hardware) != (other._lasting_name, other.host_api, other.hardware):
            return False
        return bool(self.hardware) or self.channels == other.channels

    @property
    def _lasting_name(self) -> str:
        return _without_card(self.name)


class InputDevice(SoundDevice):
    """An `InputDevice` is a device to record from."""


class OutputDevice(SoundDevice):
    """An `OutputDevice` is a device to play through."""


Device = TypeVar('Device', bound=SoundDevice)


@dataclass(frozen=True)
class KnownDevice:
    """A `KnownDevice` is a device that was found once, and is to be found again among those listed later."""

    device: InputDevice
    alike: int  # how many of its kind there were, this one included
    place: int  # among those, from 0

    @classmethod
    def among(cls, device: InputDevice, devices: Sequence[InputDevice]) -> KnownDevice:
        """Return the device with what tells it from the others."""
        alike = [other for other in devices if other.is_like(device)]
        return cls(device, len(alike), alike.index(device))

    def again(self, devices: Sequence[InputDevice]) -> InputDevice:
        """Return the same device. Raises DeviceError where it is not there, or cannot be told from others like it."""
        alike = [other for other in devices if other.is_like(self.device)]
        if self.alike == len(alike) == 1:
            return alike[0]
        if not alike:
            start = ', or start the sound server' if self.device.may_be_served else ''
            raise DeviceError(
                f'microphone {self.device} is not there; plug it in{start}, and it is used again. No other is taken in '
                f'its place; there are: {listed(devices)}'
                + ('; to use one of these, set device and configure anew' if devices else '')
            )
        same_socket = [other for other in alike if other.socket == self.device.socket != '']
        if len(same_socket) == 1:
            return same_socket[0]
        if len(alike) == self.alike and not any(other.socket for other in alike):
            return alike[self.place]
        raise DeviceError(
            f'of microphone {self.device} there were {self.alike} and there are {len(alike)} now, and nothing tells '
            'which is which; plug in the missing one, into the socket that it was in, or set device and configure anew'
        )


def load_portaudio() -> Any:
    """Return PortAudio (the module `sounddevice`), which has just looked for devices.

    No stream may be open in this process. Raises DeviceError where PortAudio is not installed.
    """
    # Imported here: files play, and every other node runs, on machines without PortAudio.
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError(
            f'microphones need the Python module of PortAudio ({error}); install it (pip install sounddevice), or play '
            'a file'
        ) from error
    except OSError as error:
        raise DeviceError(
            f'microphones need PortAudio ({error}); install it (apt install libportaudio2), or play a file'
        ) from error
    # PortAudio lists devices once, at its start; one that was plugged in since then is found this way.
    sounddevice._terminate()
    sounddevice._initialize()
    return sounddevice


def input_devices(portaudio: Any) -> list[InputDevice]:
    """Return the devices to record from, in PortAudio's order."""
    return _devices(portaudio, InputDevice, 0, 'max_input_channels')


def output_devices(portaudio: Any) -> list[OutputDevice]:
    """Return the devices to play through, in PortAudio's order."""
    return _devices(portaudio, OutputDevice, 1, 'max_output_channels')


def find(wanted: str | int, devices: Sequence[InputDevice]) -> InputDevice:
    """Return the device that is meant by an index, a name, or a part of a name and host API that no other has.

    A whole name wins over parts of others, and '' is the system's default. Raises DeviceError, which lists the devices,
    where none matches or several do.
    """
    found = matching(wanted, devices)
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} microphones match '{wanted}': {listed(found)}; give one of "
            f'{", ".join(repr(word_for(device, devices)) for device in found)}'
        )
    sought = f"no microphone matches '{wanted}'" if wanted != '' else 'the system has no default microphone'
    cure = 'give one of these names, or a part of it that no other has, or an index' if devices else why_none()
    raise DeviceError(f'{sought}; there are: {listed(devices)}; {cure}')


def matching(wanted: str | int, devices: Sequence[Device]) -> list[Device]:
    """Return the devices that are meant by an index, a name, or a part of a name; '' means the system's default."""
    if wanted == '':
        return [device for device in devices if device.default]
    if isinstance(wanted, int):
        return [device for device in devices if device.index == wanted]
    return _named(wanted.strip(), devices)


def word_for(device: Device, devices: Sequence[Device]) -> str:
    """Return a text that `find` takes for this device and no other: its name, or a part that lasts, if that will do."""
    for word in (_ALSA_CARD.sub('', device.name).strip(), device.name, device.full_name):
        if word and word.strip() == word and not word.isdigit() and _named(word, devices) == [device]:
            return word
    return str(device.index)


def listed(devices: Iterable[SoundDevice]) -> str:
    """Return the devices in one line, with their indices; 'none' where there are none."""
    return ', '.join(f'{device.index} {device}' for device in devices) or 'none'


def why_none(folder: Path = Path('/dev/snd')) -> str:
    """Return, where PortAudio lists no microphone, what is likely to be the cause and what to do about it."""
    cards = sorted(folder.glob('pcm*c'))  # c: they capture
    if any(not os.access(card, os.R_OK | os.W_OK) for card in cards):
        return (
            f"a sound card is there, '{cards[0]}', but your user may not open it; add it to the group audio "
            '(sudo usermod -aG audio $USER), and log in anew'
        )
    if cards:
        return 'a sound card is there, but does not open; end what uses it (fuser -v /dev/snd/* tells which)'
    return (
        'the system knows no sound card that records; plug one in (a container needs --device /dev/snd), or start '
        "the sound server and install its plugin for ALSA (libasound2-plugins, or PipeWire's pipewire-alsa)"
    )


def hardware_of(name: str, sysfs: Path = Path('/sys')) -> tuple[str, str]:
    """Return which USB device a card of that name is, and where it is plugged in; empty where nothing tells."""
    card = _ALSA_CARD.search(name)
    if card is None:
        return '', ''
    try:
        folder = (sysfs / 'class' / 'sound' / f'card{card[1]}' / 'device').resolve(strict=True)
    except OSError:
        return '', ''
    for place in (folder, folder.parent):  # a USB sound card is an interface of the device above it
        if (vendor := _text(place / 'idVendor')) and (product := _text(place / 'idProduct')):
            return f'{vendor}:{product}:{_text(place / "serial")}', place.name
    return '', folder.name


def _devices(portaudio: Any, kind: type[Device], side: int, channels: str) -> list[Device]:
    apis = [api['name'] for api in portaudio.query_hostapis()]
    default = portaudio.default.device[side]
    found = []
    for index, device in enumerate(portaudio.query_devices()):
        if device[channels] > 0:
            hardware, socket = hardware_of(device['name'])
            found.append(
                kind(
                    index, device['name'], apis[device['hostapi']], int(device[channels]),
                    int(device['default_samplerate']), index == default, hardware, socket,
                )
            )  # fmt: skip
    return found


def _named(text: str, devices: Sequence[Device]) -> list[Device]:
    """Return what matches best: an index, then a whole name, one but for its card's number or case, and parts."""
    if text.isdecimal():
        return [device for device in devices if device.index == int(text)]
    if whole := [device for device in devices if text == device.full_name]:
        return whole
    if whole := [device for device in devices if text == device.name]:
        return whole
    if _ALSA_CARD.search(text) and (
        moved := [device for device in devices if _without_card(text) == device._lasting_name]
    ):
        return moved
    lower = text.lower()
    if whole := [device for device in devices if lower in (device.name.lower(), device.full_name.lower())]:
        return whole
    return [device for device in devices if lower in device.full_name.lower()]


def _without_card(name: str) -> str:
    # The number of the card is given anew when it is plugged in; that of the device on the card stays.
    return _ALSA_CARD.sub(r'(hw:*,\2)', name)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors='replace').strip()
    except OSError:
        return ''
