"""`audio-interaction demo`: the four nodes as separate processes, a scene or a microphone, and the score."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import signal
import sys
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_interaction_ros.cli.errors import CommandError, reported
from audio_interaction_ros.options import add_checkpoint_option
from audio_interaction_ros.resources import shared_path

if TYPE_CHECKING:
    from audio_interaction_ros.cli.observer import Observer
    from audio_interaction_ros.cli.processes import NodeProcesses
    from audio_interaction_ros.cli.scoring import DemoScene
    from audio_interaction_ros.cli.timeline_view import TimelineView

_START_TIMEOUT_S = 120.0
_SOUND_TIMEOUT_S = 60.0  # from an open microphone to its first decision, on a busy machine
_STALL_S = 60.0  # without an event: a busy machine stands still for longer than one would think
_QUIET_S = 1.5
_LISTENERS = ('chunk_encoder', 'decoder', 'safety_alert')

_EPILOG = """\
Starts audio_capture, chunk_encoder, decoder and safety_alert as processes that talk over DDS, on this
machine only. Without --mic the scene is scored against the JSON file beside it: the table at the end says which
hazards were heard, by the model (its response) or by the alarm's signature (its alert), and what was said
without a cause. The last line of the output is the same as one JSON object.
"passed" in it is true when every hazard was heard by its name, nothing else was answered, no alert was raised
without a cause, and no chunk was lost. Ctrl-C ends a scene early, with the table of what was heard up to then.
Exit code 0: the scene was played and heard, whatever its score; with --strict: and it passed.
Exit code 1: it could not be heard, or with --strict did not pass. Exit code 130: it was ended early.

examples:
  audio-interaction demo
  audio-interaction demo --mic            until Ctrl-C
  audio-interaction demo --mic "USB PnP"  a microphone by name (audio-interaction devices lists them)
  audio-interaction demo --scene kitchen.flac
  audio-interaction demo --page           and a live page in the browser
  audio-interaction demo --strict         for a test: the exit code is the score
"""


@dataclass(frozen=True)
class _Sound:
    """A `_Sound` is what capture is to play: its parameters, and for a file its number of chunks and its scene."""

    parameters: dict[str, str]
    title: str
    chunks: int | None = None
    scene: DemoScene | None = None


def add_parser(commands: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'demo',
        help='the four nodes live, on a scene or the microphone',
        description='Run the four nodes on a recorded scene, or on a microphone, and show each decision as it is made.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--mic',
        nargs='?',
        const='',
        metavar='NAME',
        help='listen to a microphone (default: the system default)',
    )
    source.add_argument(
        '--scene', type=Path, metavar='FILE', help='a WAV or FLAC file (default: the scene of the package)'
    )
    parser.add_argument('--page', action='store_true', help='show it in a browser too (needs Bokeh)')
    parser.add_argument('--strict', action='store_true', help='exit with code 1 unless the demo passed')
    add_checkpoint_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 when it ran, or with `strict` when it passed.

    Raises CommandError when it could not run: a node did not start or ended, or no chunk of sound was decided on.
    """
    try:
        import rclpy

        from audio_interaction_ros import msg  # noqa: F401
    except ImportError as error:
        raise CommandError(
            f'the demo needs ROS 2 and the messages of this package ({error}); run `make setup`, '
            'or build with colcon and source its setup file'
        ) from error
    from audio_interaction_ros.audio import CHUNK_S
    from audio_interaction_ros.cli.observer import Observer
    from audio_interaction_ros.cli.processes import NodeProcesses, ros_environment
    from audio_interaction_ros.cli.scoring import count_chunks, scene_start_s, score, summary
    from audio_interaction_ros.cli.timeline_view import TimelineView, count
    from audio_interaction_ros.nodes.joining import JoinError, join
    from audio_interaction_ros.safety.hazards import HazardTaxonomy, default_taxonomy_path

    sound = _microphone(arguments.mic) if arguments.mic is not None else _scene(arguments.scene)
    environment = ros_environment()
    os.environ.update(environment)
    # The end asked for by a service manager or a closed terminal is Ctrl-C: the nodes are ended in order.
    asked_to_end: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        asked_to_end.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with reported(JoinError):
        join([])
    view = TimelineView()
    observer = Observer(view)
    interrupted = False
    try:
        with NodeProcesses(environment) as nodes, view:
            if arguments.page:
                _show_page(nodes, observer, view, arguments.checkpoint)
            _start(nodes, observer, view, sound, arguments.checkpoint)
            _watch(nodes, observer, sound)
    except KeyboardInterrupt:
        interrupted = True
    except Exception:
        # An interrupt in the middle of a call into ROS can surface as that call's own failure.
        if not asked_to_end:
            raise
        interrupted = True
    finally:
        observer.close()
        rclpy.try_shutdown()
    if interrupted and not (sound.scene and observer.decisions):
        raise KeyboardInterrupt
    scored = None
    if sound.scene:
        taxonomy = HazardTaxonomy.load(default_taxonomy_path())
        start_s = scene_start_s(observer.decisions)
        scored = score(
            sound.scene,
            start_s,
            observer.responses,
            observer.alerts,
            lambda category: taxonomy.hazard_of(category).name,
            observer.decisions[-1].stamp_s + CHUNK_S - start_s if interrupted else math.inf,
        )
        if interrupted:
            view.result(scored, None, count_chunks(observer.decisions)[1])
            raise KeyboardInterrupt
    report = summary(scored, observer.decisions, len(observer.responses), _machine(), sound.chunks)
    if scored:
        view.result(scored, report['passed'], report['chunks_lost'])
    else:
        heard, lost = count(report['chunks'], 'chunk'), count(report['chunks_lost'], 'chunk')
        view.note(f'{heard} heard, {lost} lost, {count(report["responses"], "response")}')
    print(json.dumps(report, ensure_ascii=False), flush=True)
    return int(arguments.strict and not report['passed'])


def _microphone(name: str) -> _Sound:
    """Return the microphone, which is found now: before the minute that the nodes may take to start."""
    from audio_interaction_ros.audio.devices import DeviceError, find, input_devices, load_portaudio, word_for
    from audio_interaction_ros.cli.devices import drivers_silenced

    with drivers_silenced(), reported(DeviceError):
        devices = input_devices(load_portaudio())
        device = find(name, devices)
    # Not '': which microphone is the system's default may change until capture starts.
    return _Sound({'device': word_for(device, devices)}, f'microphone {device}')


def _scene(path: Path | None) -> _Sound:
    from audio_interaction_ros.audio import CHUNK_S
    from audio_interaction_ros.audio.file_reader import AudioFile
    from audio_interaction_ros.audio.formats import AudioFormatError
    from audio_interaction_ros.cli.scoring import DemoScene

    found = path or shared_path('demo/scene.flac')
    if found is None:
        raise CommandError("the demo scene 'demo/scene.flac' is not installed; give a recording with --scene FILE")
    with reported(AudioFormatError), AudioFile(found) as file:
        duration_s = file.promised_s
    if duration_s is None:
        raise CommandError(f"the header of '{found}' does not say how long it is; write it again with a tool that does")
    description = found.with_suffix('.json')
    scene = DemoScene.load(description) if description.exists() else None
    chunks = int(duration_s / CHUNK_S + 1e-6)
    title = f'{found.name}, {duration_s:.0f} s'
    if scene:
        title += f', {len(scene.hazards)} hazards among {len(scene.events)} sounds'
    return _Sound({'file': str(found.resolve())}, title, chunks, scene)


def _start(nodes: NodeProcesses, observer: Observer, view: TimelineView, sound: _Sound, checkpoint: str) -> None:
    started = time.monotonic()
    view.note(f'starting four nodes (ROS_DOMAIN_ID {os.environ["ROS_DOMAIN_ID"]}) …')
    for name in _LISTENERS:
        nodes.start(name, {} if name == 'safety_alert' else {'checkpoint': checkpoint})
    for name in _LISTENERS:
        _wait_active(nodes, observer, name)
    if sound.chunks is None:
        view.note(f'the model is loaded after {time.monotonic() - started:.1f} s; opening {sound.title} …')
        observer.hold()
    else:
        view.note(f'ready after {time.monotonic() - started:.1f} s, listening to {sound.title}')
    if (subscriber := shared_path('examples/subscriber.py')) is not None:
        view.note(f'listen along: {_listen_along(subscriber)}')
    nodes.start('audio_capture', sound.parameters)
    _wait_active(nodes, observer, 'audio_capture')
    if sound.chunks is None:
        how = observer.wait_sound(_SOUND_TIMEOUT_S, nodes.check)
        view.note(f'ready after {time.monotonic() - started:.1f} s, listening to {sound.title}, {how}; Ctrl-C ends')
        observer.release()


def _show_page(nodes: NodeProcesses, observer: Observer, view: TimelineView, checkpoint: str) -> None:
    """First of all, so that it shows everything."""
    from audio_interaction_ros.nodes.parameters import MonitorParameters

    given = MonitorParameters.model_validate({})
    url = f'http://{given.address}:{given.port}/'
    nodes.start('monitor', {'checkpoint': checkpoint})
    _wait_active(nodes, observer, 'monitor')
    view.note(f'the page is at {url}')
    webbrowser.open(url)


def _listen_along(subscriber: Path) -> str:
    """Return the line that starts the subscriber in another terminal, in the same folder, in this domain."""
    settings = [f'{name}={os.environ[name]}' for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')]
    here = Path.cwd()
    program = [Path(sys.executable), subscriber]
    return shlex.join(settings + [str(path.relative_to(here) if here in path.parents else path) for path in program])


def _wait_active(nodes: NodeProcesses, observer: Observer, name: str) -> None:
    try:
        observer.wait_active(name, _START_TIMEOUT_S, nodes.check)
    except CommandError as error:
        if name in str(error) and 'last lines' not in str(error):
            raise CommandError(f'{error}; its last lines:\n{nodes.log_tail(name)}') from None
        raise


def _watch(nodes: NodeProcesses, observer: Observer, sound: _Sound) -> None:
    """Spin until the file is over and what it set off has been said, or until Ctrl-C.

    Raises CommandError when no decision arrived.
    """
    from audio_interaction_ros.audio import CHUNK_S

    _listen(nodes, observer, sound)
    if not observer.decisions:
        raise CommandError(
            f'not one chunk of sound, {CHUNK_S} s, arrived; give a longer file or another microphone; audio_capture '
            'wrote last:\n'
            f'{nodes.log_tail("audio_capture")}'
        )


def _listen(nodes: NodeProcesses, observer: Observer, sound: _Sound) -> None:
    observer.last_event_s = time.monotonic()
    try:
        while True:
            observer.spin(0.2)
            nodes.check()
            quiet_s = time.monotonic() - observer.last_event_s
            if sound.chunks is None:
                continue
            over = sum(decision.chunks_drained for decision in observer.decisions) >= sound.chunks
            if over and not observer.speaking and quiet_s > _QUIET_S:
                return
            if quiet_s > _STALL_S:
                return
    except KeyboardInterrupt:
        if sound.chunks is not None:
            raise


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), model)
    except OSError:
        pass  # not Linux
    return f'{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}'
