"""A robot's bad day: `python -m tests.system.chaos --minutes 30 --seed 1`, or `make chaos MINUTES=30 SEED=1`.

The five nodes as processes, each with a standby, started again when they end as launch does it (use_respawn,
use_standby; `--alone` for no standby), on real sound through a PulseAudio null sink. Every half a minute something
breaks: a node is killed, frozen or restarted, the microphone is unplugged and plugged in again, the clock of the
microphone's computer is set, messages are lost, repeated, come late or are nonsense by the hundred. The last line is
JSON:

  faults, recovered    how many there were, and after how many all was well again within a minute
  recovery_s           from the end of a fault until sound captured after it has been decided on and the node that
                       broke has reported: p50 and p99
  chunks_lost          chunks that are missing from the decisions without having been declared lost
  stale_responses      responses to sound that was more than 3 s old when they began
  alerts_missed        times without a decision for more than 2.5 s in which `listening_lost` was not raised
  memory_slope_mb_per_h  of the node that grows fastest, over the time that it ran undisturbed for longest

Run by hand, not by pytest: tests/system/test_chaos.py holds the bookkeeping.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from audio_common_msgs.msg import AudioDataStamped
from diagnostic_msgs.msg import DiagnosticArray

from audio_interaction_ros.msg import AudioEmbedding, Decision, Response, SafetyAlert
from audio_interaction_ros.nodes import qos
from audio_interaction_ros.nodes.messages import bytes_array, nanoseconds_of, stamp_of
from tests.system.pulse import SINK, plug_in, pulse_null_sink, unplug
from tests.system.ros import START_TIMEOUT_S, Process, Ros

NODES = ('event_log', 'safety_alert', 'decoder', 'chunk_encoder', 'audio_capture')
RESPAWN_S = 0.5  # as in assistant.launch.py
FROZEN_S = 5.0
UNPLUGGED_S = 5.0
STALE_S = 3.0
DEAF_S = 2.5  # 2 s for the alert, and what it takes to be heard here
_RECOVERS_WITHIN_S = 60.0
_FLOOD = 300
_LOST = 40  # messages of sound, some of them more than a chunk
_STEP_S = 3_600.0


@dataclass
class Record:
    """What was seen; times are of the steady clock."""

    decided_s: list[float] = field(default_factory=list)
    reported_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    deaf_alerts_s: list[float] = field(default_factory=list)
    responses: int = 0
    stale_responses: int = 0
    undeclared: int = 0
    _stream: int | None = None
    _newest: int = -1
    _declared: int = 0
    _begun: set[str] = field(default_factory=set)

    def decision(self, decision: Decision, now_s: float) -> None:
        """Within a stream, every chunk is drained or declared lost; a decoder that starts anew starts to count anew."""
        self.decided_s.append(now_s)
        if decision.stream_id == self._stream and decision.chunks_lost >= self._declared:
            missing = decision.chunk_index - self._newest - decision.chunks_drained
            self.undeclared += max(0, missing - (decision.chunks_lost - self._declared))
        self._stream, self._newest, self._declared = decision.stream_id, decision.chunk_index, decision.chunks_lost

    def decoder_began(self) -> None:
        """A new decoder hears from now on; of what came before it knows nothing, and neither does it say so."""
        self._stream = None

    def response(self, response: Response, age_s: float) -> None:
        if response.id not in self._begun:
            self._begun.add(response.id)
            self.responses += 1
            self.stale_responses += age_s > STALE_S

    def alert(self, alert: SafetyAlert, now_s: float) -> None:
        if alert.hazard == 'listening_lost' and alert.state != SafetyAlert.CLEARED:
            self.deaf_alerts_s.append(now_s)

    def alerts_missed(self, excused: list[tuple[float, float]]) -> int:
        """Gaps between decisions in which nobody said so; while safety_alert itself was out, nobody could."""
        missed = 0
        for before, after in zip(self.decided_s, self.decided_s[1:], strict=False):
            silent = after - before > DEAF_S
            told = any(before < at <= after for at in self.deaf_alerts_s)
            missed += silent and not told and not any(begin < after and before < end for begin, end in excused)
        return missed


class Keeper:
    """The nodes' processes, started again when they end."""

    def __init__(
        self,
        ros: Ros,
        locks: Path,
        parameters: dict[str, dict[str, object]],
        began: Callable[[str], None],
        processes_each: int,
    ) -> None:
        """`began` is told the name of every node that begins; two processes each: one of them is a standby."""
        self._ros, self._locks, self._parameters, self._began = ros, locks, parameters, began
        self._processes = {name: [self._start(name) for _ in range(processes_each)] for name in NODES}
        self._ended_s: dict[Process, float] = {}
        self._pids: dict[str, int] = {}
        self.began_s: dict[str, float] = {}
        self._memory: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.longest: dict[str, list[tuple[float, float]]] = {}

    def _start(self, name: str) -> Process:
        remapped = Microphone.REMAPPED if name == 'audio_capture' else ()
        return self._ros.start(name, *remapped, lock=self._lock(name), **self._parameters.get(name, {}))

    def _lock(self, name: str) -> Path:
        return self._locks / f'{name}.lock'

    def node(self, name: str) -> Process | None:
        """The process that is this node, while there is one."""
        text = self._lock(name).read_text() if self._lock(name).exists() else ''
        alive = (process for process in self._processes[name] if process.alive)
        return next((process for process in alive if text == f'{process.popen.pid}\n'), None)

    def look(self, now_s: float) -> None:
        for name, processes in self._processes.items():
            for number, process in enumerate(processes):
                if not process.alive and now_s - self._ended_s.setdefault(process, now_s) >= RESPAWN_S:
                    del self._ended_s[process]
                    processes[number] = self._start(name)
            if node := self.node(name):
                if self._pids.get(name) != node.popen.pid:
                    self._pids[name], self._memory[name], self.began_s[name] = node.popen.pid, [], now_s
                    self._began(name)
                if not math.isnan(memory_mb := _memory_mb(node.popen.pid)):
                    self._memory[name].append((now_s, memory_mb))
                if len(self._memory[name]) > len(self.longest.get(name, ())):
                    self.longest[name] = self._memory[name]

    def slope_mb_per_h(self) -> tuple[float, str]:
        """Of the node that grows fastest, and its name; see `slope_mb_per_h`."""
        return max((slope_mb_per_h(samples), name) for name, samples in self.longest.items())


def slope_mb_per_h(samples: list[tuple[float, float]]) -> float:
    """(seconds, megabytes) of one process → growth, without the first minute; 0 for less than five minutes.

    Of each minute the least: the decoder's context swells and is compacted, which is no growth.
    """
    began_s = samples[0][0] if samples else 0.0
    least: dict[int, float] = {}
    for at_s, mb in samples:
        minute = int((at_s - began_s) // 60.0)
        least[minute] = min(mb, least.get(minute, mb))
    least.pop(0, None)
    least.pop(max(least, default=0), None)  # not a whole one
    return float(np.polyfit(list(least), list(least.values()), 1)[0]) * 60.0 if len(least) >= 3 else 0.0


class Microphone:
    """Stands between audio_capture and those who listen to it; loses messages, and has a clock that can be set."""

    REMAPPED = ('-r', 'audio_stamped:=captured')  # of audio_capture

    def __init__(self, ros: Ros) -> None:
        self.lose = 0
        self.ahead_s = 0.0
        self.audio = ros.node.create_publisher(AudioDataStamped, 'audio_stamped', qos.AUDIO)
        ros.node.create_subscription(AudioDataStamped, 'captured', self._pass_on, qos.AUDIO)

    def _pass_on(self, message: AudioDataStamped) -> None:
        if self.lose:
            self.lose -= 1
            return
        message.header.stamp = stamp_of(nanoseconds_of(message.header.stamp) + round(self.ahead_s * 1e9))
        self.audio.publish(message)


class Chaos:
    """Does the breaking. Each fault is a generator: what comes before a `yield` breaks, what comes after it mends."""

    def __init__(self, ros: Ros, keeper: Keeper, microphone: Microphone, environment: dict[str, str]) -> None:
        self._keeper, self._microphone, self._environment = keeper, microphone, environment
        self._embeddings = ros.node.create_publisher(AudioEmbedding, 'ai/embeddings', qos.EMBEDDINGS)
        self._heard: list[AudioEmbedding] = []
        ros.node.create_subscription(AudioEmbedding, 'ai/embeddings', self._remember, qos.EMBEDDINGS)
        self.kinds: dict[str, Callable[[], Iterator[float]]] = {
            'unplug': self._unplug, 'clock': self._set_clock, 'lose': self._lose, 'repeat': self._repeat,
            'reorder': self._reorder, 'flood': self._flood,
        }  # fmt: skip
        for name in NODES:
            self.kinds |= {
                f'kill {name}': lambda name=name: self._signal(name, signal.SIGKILL),
                f'restart {name}': lambda name=name: self._signal(name, signal.SIGINT),
                f'freeze {name}': lambda name=name: self._freeze(name),
            }

    def _remember(self, message: AudioEmbedding) -> None:
        self._heard = [*self._heard[-20:], message]

    def _node(self, name: str) -> subprocess.Popen[bytes]:
        node = self._keeper.node(name)
        assert node, f'{name} has not come back since it was last broken'
        return node.popen

    def _signal(self, name: str, number: int) -> Iterator[float]:
        self._node(name).send_signal(number)
        yield 0.0

    def _freeze(self, name: str) -> Iterator[float]:
        process = self._node(name)
        process.send_signal(signal.SIGSTOP)
        yield FROZEN_S
        process.send_signal(signal.SIGCONT)

    def _unplug(self) -> Iterator[float]:
        unplug(self._environment)
        yield UNPLUGGED_S
        plug_in(self._environment)

    def _set_clock(self) -> Iterator[float]:
        """An hour ahead, and the next time back."""
        self._microphone.ahead_s = _STEP_S - self._microphone.ahead_s
        yield 0.0

    def _lose(self) -> Iterator[float]:
        self._microphone.lose = _LOST
        yield 0.0

    def _repeat(self) -> Iterator[float]:
        for message in self._heard[-5:]:
            self._embeddings.publish(message)
        yield 0.0

    def _reorder(self) -> Iterator[float]:
        for message in reversed(self._heard[-5:]):
            self._embeddings.publish(message)
        yield 0.0

    def _flood(self) -> Iterator[float]:
        rng = np.random.default_rng(len(self._heard))
        for _ in range(_FLOOD):
            noise = rng.bytes(int(rng.integers(0, 4_000)))
            self._embeddings.publish(AudioEmbedding(dtype='float32', tokens=10, dim=7, data=bytes_array(noise)))
            audio = AudioDataStamped()
            audio.audio.data = bytes_array(noise)
            self._microphone.audio.publish(audio)
        yield 0.0


def run(minutes: float, seed: int, faults: int, checkpoint: str, sound: Path, alone: bool) -> dict[str, Any]:
    """The whole day; see the module's docstring for what is returned."""
    record, recoveries_s, counts = Record(), list[float](), Counter[str]()
    excused: list[tuple[float, float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        pulse_null_sink(Path(folder)) as environment,
        Ros(Path(folder), environment) as ros,
        _playing(sound, environment) as keep_playing,
    ):
        parameters: dict[str, dict[str, object]] = {
            'decoder': {'checkpoint': checkpoint}, 'chunk_encoder': {'checkpoint': checkpoint},
            'audio_capture': {'device': 'pulse'}, 'event_log': {'path': f'{folder}/events.db'},
        }  # fmt: skip
        microphone = Microphone(ros)

        def node_began(name: str) -> None:
            if name == 'decoder':
                record.decoder_began()

        keeper = Keeper(ros, Path(folder), parameters, node_began, processes_each=1 if alone else 2)
        for name in NODES:
            ros.until(lambda name=name: keeper.node(name) is not None, f'{name} does not start', START_TIMEOUT_S)
            ros.wait_state(name, 'active', keeper.node(name))
        _watch(ros, record)
        chaos = Chaos(ros, keeper, microphone, environment)

        def live(until: Callable[[], bool], at_most_s: float) -> float:
            """Everything goes on until the condition holds; how long that was."""
            began = time.monotonic()
            while not until() and time.monotonic() - began < at_most_s:
                ros.spin(0.1)
                keeper.look(time.monotonic())
                keep_playing()
            return time.monotonic() - began

        live(lambda: len(record.decided_s) > 10, 60.0)
        rng = np.random.default_rng(seed)
        # Every kind once before any comes twice.
        kinds = [kind for _ in range(-(-faults // len(chaos.kinds))) for kind in rng.permutation(list(chaos.kinds))]
        began, every_s = time.monotonic(), 60.0 * minutes / faults
        for number, kind in enumerate(kinds[:faults]):
            live(lambda: False, max(1.0, began + number * every_s - time.monotonic()))
            counts[kind.split()[0]] += 1
            broken_s = time.monotonic()
            fault = chaos.kinds[kind]()
            live(lambda: False, next(fault))
            next(fault, None)
            mended_s = time.monotonic()

            def recovered_s(kind=kind, broken_s=broken_s, mended_s=mended_s) -> float | None:
                return _recovered_s(record, keeper, kind, broken_s, mended_s)

            live(lambda: recovered_s() is not None, _RECOVERS_WITHIN_S)
            if (well_s := recovered_s()) is not None:
                recoveries_s.append(well_s - mended_s)
            if 'safety_alert' in kind:
                excused.append((broken_s - DEAF_S, time.monotonic() + 15.0))
            recovery = f'{well_s - mended_s:6.2f} s' if well_s is not None else 'not recovered'
            stale = f'{record.stale_responses} of {record.responses} responses stale'
            print(f'{number + 1:3d}  {kind:24s} {recovery}, {stale}', file=sys.stderr)
        live(lambda: False, every_s)
        slope, grows_most = keeper.slope_mb_per_h()
    return {
        'minutes': minutes,
        'seed': seed,
        'standby': not alone,
        'faults': faults,
        'recovered': len(recoveries_s),
        'recovery_s': {f'p{q}': round(float(np.percentile(recoveries_s or [-1.0], q)), 2) for q in (50, 99)},
        'chunks_lost': record.undeclared,
        'stale_responses': record.stale_responses,
        'alerts_missed': record.alerts_missed(excused),
        'memory_slope_mb_per_h': round(slope, 2),
        'grows_most': grows_most,
        'responses': record.responses,
        'kinds': dict(counts),
    }


def _recovered_s(record: Record, keeper: Keeper, kind: str, broken_s: float, mended_s: float) -> float | None:
    """When all was well again after a fault; None while it is not."""
    decided_s = next((at for at in record.decided_s if at > mended_s + 0.4), None)
    what, _, name = kind.partition(' ')
    if not name:
        return decided_s
    since_s = mended_s if what == 'freeze' else keeper.began_s[name]
    reported_s = next((at for at in record.reported_s[name] if at > since_s), None)
    if decided_s is None or reported_s is None or since_s < broken_s:
        return None
    return max(decided_s, reported_s)


def _watch(ros: Ros, record: Record) -> None:
    def age_s(stamp: Any) -> float:
        """Whether or not the clock was ahead then."""
        seen_s = (time.time_ns() - nanoseconds_of(stamp)) * 1e-9
        return (seen_s + _STEP_S / 2) % _STEP_S - _STEP_S / 2

    node = ros.node
    node.create_subscription(
        Decision, 'ai/decision', lambda decision: record.decision(decision, time.monotonic()), qos.EVENTS
    )
    node.create_subscription(
        Response, 'ai/response', lambda response: record.response(response, age_s(response.header.stamp)), qos.EVENTS
    )
    node.create_subscription(
        DiagnosticArray,
        '/diagnostics',
        lambda array: record.reported_s[array.status[0].name.lstrip('/')].append(time.monotonic()),
        qos.DIAGNOSTICS,
    )
    node.create_subscription(
        SafetyAlert, 'ai/safety_alert', lambda alert: record.alert(alert, time.monotonic()), qos.ALERTS
    )


@contextmanager
def _playing(sound: Path, environment: dict[str, str]) -> Iterator[Callable[[], None]]:
    """A function that starts the player again whenever it has ended, also because its sink went."""
    player: list[subprocess.Popen[bytes]] = []

    def keep_playing() -> None:
        if not player or player[-1].poll() is not None:
            command = ['paplay', '-d', SINK, str(sound.resolve())]
            player.append(subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL))

    try:
        yield keep_playing
    finally:
        if player:
            player[-1].kill()


def _memory_mb(pid: int) -> float:
    """What is the process's own: pages of files come and go as the system likes."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text().splitlines()
        return next(int(line.split()[1]) * 1_024e-6 for line in lines if line.startswith('RssAnon'))
    except (OSError, StopIteration):  # it has just ended
        return math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--faults', type=int, default=None, help='default: two a minute')
    parser.add_argument('--alone', action='store_true', help='no standbys')
    parser.add_argument('--checkpoint', default='embedded')
    parser.add_argument('--sound', type=Path, default=Path(__file__).parents[2] / 'demo' / 'scene.flac')
    options = parser.parse_args()
    faults = options.faults or max(1, round(2 * options.minutes))
    print(json.dumps(run(options.minutes, options.seed, faults, options.checkpoint, options.sound, options.alone)))


if __name__ == '__main__':
    main()
