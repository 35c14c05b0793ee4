"""What the live page shows: the last minute of sound and decisions, and the newest of everything else."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.levels import level_dbfs
from audio_interaction_ros.audio.mel_shades import MelShades
from audio_interaction_ros.audio.resample import MonoResampler

T = TypeVar('T')
WINDOW_S = 60.0
COLUMN_S = 0.1
COLUMNS = round(WINDOW_S / COLUMN_S)
MEL_BINS = 40
_COLUMN = round(COLUMN_S * SAMPLE_RATE_HZ)
_QUIETEST_DBFS = -100.0
_LATE_S = 1.0
_MOST_RESPONSES, _MOST_ALERTS, _MOST_NODES = 50, 20, 50
_MOST_DECISIONS = 400  # of several robots' decoders, some a second


@dataclass(frozen=True)
class ShownDecision:
    """A `ShownDecision` is a decision at `at_s` of the monitor's clock."""

    at_s: float
    probability: float
    responded: bool


@dataclass(frozen=True)
class ShownResponse:
    """A `ShownResponse` is what was said, as far as it has come, and by what it was triggered."""

    id: str
    clock: str  # local time of day
    text: str
    urgent: bool
    final: bool
    cancelled: bool
    probability: float


@dataclass(frozen=True)
class ShownAlert:
    """A `ShownAlert` is an alert that is open, or was until just now."""

    id: str
    clock: str
    hazard: str
    severity: str
    state: str
    message: str


@dataclass(frozen=True)
class ShownNode:
    """A `ShownNode` is the newest diagnostic status of a node: its level's name, message and values."""

    name: str
    level: str
    message: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Snapshot:
    """A `Snapshot` is everything at one moment; times are seconds before it, negative.

    `mel` uint8 [MEL_BINS, COLUMNS], 0 where nothing came; `level` float32 [COLUMNS] in dBFS.
    """

    mel: npt.NDArray[np.uint8]
    level: npt.NDArray[np.float32]
    decisions: tuple[ShownDecision, ...]
    responses: tuple[ShownResponse, ...]
    alerts: tuple[ShownAlert, ...]
    nodes: tuple[ShownNode, ...]
    health: str
    reasons: tuple[str, ...]
    listening: bool


@dataclass
class MonitorState:
    """A `MonitorState` is told by the node's callbacks, and asked by the server's thread."""

    now: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._shades = MelShades(MEL_BINS, _COLUMN)
        self._pcm: PcmFormat | None = None
        self._resampler: MonoResampler
        self._rest = np.zeros(0, np.float32)
        self._last_s = 0.0
        # When each came, its shades [MEL_BINS], and its level.
        self._columns: deque[tuple[float, npt.NDArray[np.uint8], float]] = deque(maxlen=COLUMNS)
        self._decisions: deque[ShownDecision] = deque(maxlen=_MOST_DECISIONS)
        self._responses: dict[str, ShownResponse] = {}
        self._alerts: dict[str, ShownAlert] = {}
        self._nodes: dict[str, ShownNode] = {}
        self._health, self._reasons = 'unknown', tuple[str, ...]()
        self.listening = True

    def sound(self, samples: Samples, pcm: PcmFormat) -> None:
        """Take sound as it comes, float32 [frames, channels]."""
        if pcm != self._pcm:
            self._pcm, self._resampler = pcm, MonoResampler(pcm.sample_rate_hz)
            self._rest = np.zeros(0, np.float32)
        mono = np.concatenate([self._rest, self._resampler.push(samples)])
        whole = len(mono) // _COLUMN
        self._rest = mono[whole * _COLUMN :]
        for number in range(whole):
            # Sound comes in bursts and is shown without holes, unless it really stopped.
            now_s, next_s = self.now(), self._last_s + COLUMN_S
            self._last_s = next_s if abs(now_s - next_s) < _LATE_S else now_s
            self._column(mono[number * _COLUMN : (number + 1) * _COLUMN], self._last_s)

    def _column(self, samples: Samples, at_s: float) -> None:
        shades = self._shades.push(samples)[:, 0]
        with self._lock:
            self._columns.append((at_s, shades, level_dbfs(samples)))

    def decision(self, probability: float, responded: bool) -> None:
        """Take a decision."""
        with self._lock:
            self._decisions.append(ShownDecision(self.now(), probability, responded))

    def response(self, response: ShownResponse) -> None:
        """Take a response as far as it has come; what was said of it before is replaced."""
        with self._lock:
            _keep(self._responses, response.id, response, _MOST_RESPONSES)

    def alert(self, alert: ShownAlert) -> None:
        """Take an alert in its newest state."""
        with self._lock:
            _keep(self._alerts, alert.id, alert, _MOST_ALERTS)

    def node(self, node: ShownNode) -> None:
        """Take a node's newest diagnostic status."""
        with self._lock:
            _keep(self._nodes, node.name, node, _MOST_NODES)

    def health(self, state: str, reasons: tuple[str, ...]) -> None:
        """Take what safety_alert says of the whole."""
        with self._lock:
            self._health, self._reasons = state, reasons

    def forget_sound(self) -> None:
        """Show nothing any more of what was heard: the microphone was switched off."""
        with self._lock:
            self._columns.clear()
            self._decisions.clear()

    def snapshot(self) -> Snapshot:
        """Return everything as it is now."""
        now_s = self.now()
        mel = np.zeros((MEL_BINS, COLUMNS), np.uint8)
        level = np.full(COLUMNS, _QUIETEST_DBFS, np.float32)
        with self._lock:
            for at_s, shades, dbfs in self._columns:
                place = COLUMNS - 1 - int((now_s - at_s) / COLUMN_S)
                if 0 <= place < COLUMNS:
                    mel[:, place] = shades
                    level[place] = max(dbfs, _QUIETEST_DBFS)
            decisions = tuple(
                ShownDecision(d.at_s - now_s, d.probability, d.responded)
                for d in self._decisions
                if now_s - d.at_s < WINDOW_S
            )
            return Snapshot(
                mel,
                level,
                decisions,
                tuple(reversed(self._responses.values())),
                tuple(reversed(self._alerts.values())),
                tuple(self._nodes[name] for name in sorted(self._nodes)),
                self._health,
                self._reasons,
                self.listening,
            )


def _keep(items: dict[str, T], key: str, item: T, most: int) -> None:
    """At its place if it is known, else at the end, and of too many the oldest goes."""
    items[key] = item
    while len(items) > most:
        del items[next(iter(items))]
