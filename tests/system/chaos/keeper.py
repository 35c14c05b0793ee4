"""The nodes' processes in a chaos run: started again when they end, and weighed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.system.ros import Process, Ros

NODES = ('event_log', 'safety_alert', 'decoder', 'chunk_encoder', 'audio_capture')
RESPAWN_S = 0.5  # as in assistant.launch.py


class Keeper:
    """The nodes' processes, started again when they end."""

    def __init__(
        self,
        ros: Ros,
        locks: Path,
        parameters: dict[str, dict[str, object]],
        remapped: dict[str, tuple[str, ...]],
        began: Callable[[str], None],
        processes_each: int,
    ) -> None:
        """`began` is told the name of every node that begins; two processes each: one of them is a standby."""
        self._ros, self._locks, self._parameters, self._remapped = ros, locks, parameters, remapped
        self._began = began
        self._processes = {name: [self._start(name) for _ in range(processes_each)] for name in NODES}
        self._ended_s: dict[Process, float] = {}
        self._pids: dict[str, int] = {}
        self.began_s: dict[str, float] = {}
        self._memory: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.longest: dict[str, list[tuple[float, float]]] = {}

    def _start(self, name: str) -> Process:
        remapped, parameters = self._remapped.get(name, ()), self._parameters.get(name, {})
        return self._ros.start(name, *remapped, lock=self._lock(name), **parameters)

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

    Of each minute the least: the decoder's context swells and is compacted, which is no growth. And without the
    largest step: a first alarm's buffers come once.
    """
    began_s = samples[0][0] if samples else 0.0
    least: dict[int, float] = {}
    for at_s, mb in samples:
        minute = int((at_s - began_s) // 60.0)
        least[minute] = min(mb, least.get(minute, mb))
    least.pop(0, None)
    least.pop(max(least, default=0), None)  # not a whole one
    steps = np.diff(list(least.values()))
    return float(steps.sum() - steps.max()) / (len(steps) - 1) * 60.0 if len(steps) >= 2 else 0.0


def _memory_mb(pid: int) -> float:
    """What is the process's own: pages of files come and go as the system likes."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text().splitlines()
        return next(int(line.split()[1]) * 1_024e-6 for line in lines if line.startswith('RssAnon'))
    except (OSError, StopIteration):  # it has just ended
        return math.nan
