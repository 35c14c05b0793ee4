"""A robot's bad day: `python -m tests.system.chaos --minutes 30 --seed 1`, or `make chaos MINUTES=30 SEED=1`.

The five nodes as processes, each with a standby, started again when they end as launch does it (use_respawn,
use_standby; `--alone` for no standby), on real sound through a PulseAudio null sink. Every half a minute something
breaks: a node is killed, frozen or restarted, the microphone is unplugged and plugged in again or swapped for another,
the clock of the microphone's computer is set, its driver sends in bursts that are stamped on arrival, a second driver
sends on the same topic, messages are lost, repeated, come late or are nonsense by the hundred. The last line is JSON:

  faults, recovered    how many there were, and after how many all was well again within a minute
  recovery_s           from the end of a fault until sound captured after it has been decided on and the node that
                       broke has reported: p50 and p99
  chunks_lost          chunks that are missing from the decisions without having been declared lost
  stale_responses      responses to sound that was more than 3 s old when they began
  alerts_missed        times without a decision for more than 2.5 s in which `listening_lost` was not raised
  from_a_stranger      messages from another microphone than the one that audio_capture was told
  memory_slope_mb_per_h  of the node that grows fastest, over the time that it ran undisturbed for longest

Run by hand, not by pytest: tests/system/test_chaos.py holds the bookkeeping.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.system.chaos.faults import MICROPHONE, Driver, Faults
from tests.system.chaos.keeper import NODES, Keeper
from tests.system.chaos.record import DEAF_S, Record, watch
from tests.system.pulse import Microphones, pulse_null_sink, unplug
from tests.system.ros import START_TIMEOUT_S, Ros

_RECOVERS_WITHIN_S = 60.0


def run(
    minutes: float, seed: int, faults: int, checkpoint: str, sound: Path, alone: bool, only: Sequence[str] = ()
) -> dict[str, Any]:
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
            'audio_capture': {'device': MICROPHONE}, 'event_log': {'path': f'{folder}/events.db'},
        }  # fmt: skip

        def node_began(name: str) -> None:
            if name == 'decoder':
                record.decoder_began()

        unplug(environment)
        microphones = Microphones(environment, MICROPHONE)
        driver = Driver(ros)
        remapped = {'audio_capture': Driver.REMAPPED}
        keeper = Keeper(ros, Path(folder), parameters, remapped, node_began, processes_each=1 if alone else 2)
        for name in NODES:
            ros.until(lambda name=name: keeper.node(name) is not None, f'{name} does not start', START_TIMEOUT_S)
            ros.wait_state(name, 'active', keeper.node(name))
        watch(ros, record)
        all_faults = Faults(ros, keeper, driver, microphones)
        possible = {kind: fault for kind, fault in all_faults.kinds.items() if not only or kind.split()[0] in only}

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
        kinds = [kind for _ in range(-(-faults // len(possible))) for kind in rng.permutation(list(possible))]
        began, every_s = time.monotonic(), 60.0 * minutes / faults
        for number, kind in enumerate(kinds[:faults]):
            live(lambda: False, max(1.0, began + number * every_s - time.monotonic()))
            counts[kind.split()[0]] += 1
            broken_s = time.monotonic()
            fault = possible[kind]()
            for wait_s in fault:
                live(lambda: False, wait_s)
            mended_s = time.monotonic()

            def recovered_s(kind=kind, broken_s=broken_s, mended_s=mended_s) -> float | None:
                what, _, name = kind.partition(' ')
                if not name:
                    return record.well_s(mended_s)
                began_s = mended_s if what == 'freeze' else keeper.began_s[name]
                return record.well_s(mended_s, name, began_s) if began_s >= broken_s else None

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
        'from_a_stranger': all_faults.from_a_stranger,
        'memory_slope_mb_per_h': round(slope, 2),
        'grows_most': grows_most,
        'responses': record.responses,
        'kinds': dict(counts),
    }


@contextmanager
def _playing(sound: Path, environment: dict[str, str]) -> Iterator[Callable[[], None]]:
    """A function that starts the player again whenever it has ended, also because its sink went."""
    player: list[subprocess.Popen[bytes]] = []

    def keep_playing() -> None:
        if not player or player[-1].poll() is not None:
            command = ['paplay', '-d', MICROPHONE, str(sound.resolve())]
            player.append(subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL))

    try:
        yield keep_playing
    finally:
        if player:
            player[-1].kill()


def main() -> None:
    parser = argparse.ArgumentParser(
        'python -m tests.system.chaos', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=30.0)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--faults', type=int, default=None, help='default: two a minute')
    parser.add_argument('--only', nargs='+', default=(), metavar='KIND', help='such as: swap bursts second kill')
    parser.add_argument('--alone', action='store_true', help='no standbys')
    parser.add_argument('--checkpoint', default='embedded')
    parser.add_argument('--sound', type=Path, default=Path(__file__).parents[3] / 'demo' / 'scene.flac')
    options = parser.parse_args()
    faults = options.faults or max(1, round(2 * options.minutes))
    found = run(options.minutes, options.seed, faults, options.checkpoint, options.sound, options.alone, options.only)
    print(json.dumps(found))


if __name__ == '__main__':
    main()
