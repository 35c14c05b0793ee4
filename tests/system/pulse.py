"""A PulseAudio server of our own, whose null sink's monitor is the default microphone: a real device path."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SINK = 'test'
PID = 'pulseaudio.pid'
# Without rewinds its buffer is 50 ms, as a sound card's, and not 2 s, which every reopening would have to wait for.
_NULL_SINK = ('module-null-sink', f'sink_name={SINK}', 'rate=16000', 'channels=1', 'norewinds=1')


@contextmanager
def pulse_null_sink(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which ALSA's default device, and `paplay -d SINK`, reach that server."""
    runtime = folder / 'runtime'
    runtime.mkdir(mode=0o700)
    (folder / '.asoundrc').write_text('pcm.!default pulse\nctl.!default pulse\npcm.pulse { type pulse }\n')
    socket = runtime / 'pulse' / 'native'
    environment = {'XDG_RUNTIME_DIR': str(runtime), 'HOME': str(folder), 'PULSE_SERVER': f'unix:{socket}'}
    server = subprocess.Popen(
        [
            'pulseaudio', '-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no',
            '-L', 'module-native-protocol-unix',
            '-L', ' '.join(_NULL_SINK),
        ],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (folder / PID).write_text(str(server.pid))
    try:
        deadline = time.monotonic() + 60.0
        while not socket.exists():
            assert server.poll() is None and time.monotonic() < deadline, 'PulseAudio did not start'
            time.sleep(0.1)
        yield environment
    finally:
        server.kill()
        server.wait()


def server_pid(environment: dict[str, str]) -> int:
    """Of the server, which a busy machine keeps from running too."""
    return int((Path(environment['HOME']) / PID).read_text())


def unplug(environment: dict[str, str]) -> None:
    """The microphone goes away, and the sink that it hears with it."""
    _pactl(environment, 'unload-module', _NULL_SINK[0])


def plug_in(environment: dict[str, str]) -> None:
    """It is there again."""
    _pactl(environment, 'load-module', *_NULL_SINK)


def play_to(environment: dict[str, str], name: str) -> None:
    """Who names no sink plays to this one."""
    _pactl(environment, 'set-default-sink', name)


class Microphones:
    """Microphones by name, each the monitor of a null sink of that name: plugged in, they are devices of ALSA too."""

    def __init__(self, environment: dict[str, str], *names: str, channels: int = 1) -> None:
        self._environment, self._channels = environment, channels
        self._settings = Path(environment['HOME']) / '.asoundrc'
        self._modules: dict[str, str] = {}
        for name in names:
            self.plug_in(name)

    def plug_in(self, name: str) -> None:
        """It is listed last."""
        module = ('module-null-sink', f'sink_name={name}', 'rate=16000', f'channels={self._channels}', 'norewinds=1')
        self._modules[name] = _pactl(self._environment, 'load-module', *module).strip()
        self._write()

    def unplug(self, name: str) -> None:
        _pactl(self._environment, 'unload-module', self._modules.pop(name))
        self._write()

    def suspend(self, name: str, on: bool) -> None:
        """It is there, opens, and delivers nothing."""
        _pactl(self._environment, 'suspend-sink', name, str(int(on)))

    def make_default(self, name: str) -> None:
        """The server takes it for who names none, and moves to it what was unplugged."""
        _pactl(self._environment, 'set-default-source', f'{name}.monitor')

    def _write(self) -> None:
        devices = [f'pcm.{name} {{ type pulse device "{name}.monitor" }}' for name in self._modules]
        general = ['pcm.!default pulse', 'ctl.!default pulse', 'pcm.pulse { type pulse }']
        self._settings.write_text('\n'.join([*devices, *general, '']))


def _pactl(environment: dict[str, str], *arguments: str) -> str:
    command = ['pactl', *arguments]
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    return done.stdout
