"""The demo in the terminal: one line a chunk, responses as they are written, alerts in red."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

_BAR_WIDTH = 24
_BAR_FLOOR_DBFS = -72.0


class TimelineView:
    """Scrolling lines; on a terminal the response under way is rewritten in place below them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> TimelineView:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def note(self, text: str) -> None:
        """A line about the demo itself."""
        self._console.print(Text(text, style='dim'))

    def decision(self, t_s: float, level_dbfs: float, respond: bool, probability: float, drained: int) -> None:
        """One line: end of the newest chunk, its level, and what was decided."""
        level_dbfs = max(level_dbfs, -120.0)
        filled = round(_BAR_WIDTH * min(1.0, max(0.0, 1.0 - level_dbfs / _BAR_FLOOR_DBFS)))
        line = Text(f'{t_s:7.1f} s  ')
        line.append('█' * filled, 'green')
        line.append('·' * (_BAR_WIDTH - filled), 'dim')
        line.append(f' {level_dbfs:6.1f} dBFS  ')
        line.append('response' if respond else 'silent  ', 'bold yellow' if respond else 'dim')
        line.append(f'  p {probability:.3f}', '' if respond else 'dim')
        if drained > 1:
            line.append(f'  ({drained} chunks)', 'dim')
        self._console.print(line)

    def response(self, text: str, emotion: str, latency_s: float, final: bool) -> None:
        """A response so far, or the whole of it."""
        line = Text('           » ', 'yellow')
        line.append(text, 'bold yellow')
        if not final:
            if self._console.is_terminal:
                self._live.update(line, refresh=True)
            return
        if self._console.is_terminal:
            self._live.update(Text(), refresh=True)
        line.append(f'  [{emotion or "no tag"}, complete after {latency_s:.2f} s]', 'dim')
        self._console.print(line)

    def alert(self, state: str, severity: str, hazard: str, message: str) -> None:
        """A safety alert that was raised, updated or cleared."""
        style = 'dim red' if state == 'cleared' else 'bold white on red'
        self._console.print(Text(f'           ! {severity.upper()} {hazard} {state}: {message}', style))
