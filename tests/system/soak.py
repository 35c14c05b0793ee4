"""Minutes of live capture through PulseAudio's null sink: `python -m tests.system.soak --minutes 10 FILE`.

Plays FILE over and over into the sink, runs the four nodes on it, and ends with one JSON line: chunks, chunks lost,
decision latency, and every node's resident memory after the first minute and at the end. Run by hand, not by pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from audio_interaction_ros.cli.scoring import spread
from audio_interaction_ros.msg import Decision
from audio_interaction_ros.nodes.messages import nanoseconds_of
from tests.system.pulse import SINK, pulse_null_sink
from tests.system.ros import Ros, resident_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file', type=Path)
    parser.add_argument('--minutes', type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pulse_null_sink(Path(folder)) as environment:
        command = ['paplay', '-d', SINK, str(options.file.resolve())]
        with Ros(Path(folder), environment) as ros:
            processes = {name: ros.start(name) for name in ('safety_alert', 'decoder', 'chunk_encoder')}
            for name, process in processes.items():
                ros.wait_state(name, 'active', process)
            latency_s: list[float] = []
            decisions: list[Decision] = []

            def on_decision(decision: Decision) -> None:
                latency_s.append((time.time_ns() - nanoseconds_of(decision.header.stamp)) * 1e-9 - 0.4)
                decisions.append(decision)

            ros.node.create_subscription(Decision, 'ai/decision', on_decision, 50)
            processes['audio_capture'] = ros.start_active('audio_capture', device='pulse')
            started, player, early = time.monotonic(), None, None
            while (elapsed := time.monotonic() - started) < options.minutes * 60:
                if player is None or player.poll() is not None:
                    player = subprocess.Popen(command, env={**os.environ, **environment})
                ros.spin(1.0)
                if early is None and elapsed > 60:
                    early = {name: resident_mib(process.popen.pid) for name, process in processes.items()}
            player.kill()
            late = {name: resident_mib(process.popen.pid) for name, process in processes.items()}
    first, last = decisions[0], decisions[-1]
    print(json.dumps({
        'minutes': options.minutes,
        'chunks': sum(decision.chunks_drained for decision in decisions),
        'streams': len({decision.stream_id for decision in decisions}),
        'chunk_index_span': last.chunk_index - first.chunk_index + 1,
        'chunks_lost': last.chunks_lost,
        'decision_latency_ms': spread(latency_s, 1000.0),
        'resident_mib_after_1_min': early,
        'resident_mib_at_end': late,
    }))  # fmt: skip


def resident_mib(pid: int) -> float:
    return round(resident_bytes(pid) / 2**20, 1)


if __name__ == '__main__':
    main()
