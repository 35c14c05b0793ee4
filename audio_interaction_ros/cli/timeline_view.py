"""The demo in the terminal: one line a chunk, responses as they are written, alerts in red, and the result."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from audio_interaction_ros.cli.scoring import HeardAlert, HeardResponse, Score, is_by_signature

_BAR_WIDTH = 24
_BAR_FLOOR_DBFS = -72.0


class TimelineView:
    """A `TimelineView` scrolls lines; on a terminal it rewrites the response under way in place below them."""

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
        """Print a line about the demo itself."""
        self._console.print(Text(text, style='dim'))

    def decision(self, t_s: float, level_dbfs: float, respond: bool, probability: float, drained: int) -> None:
        """Print one line: end of the newest chunk, its level, and what was decided."""
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
        """Print a response so far, or the whole of it."""
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
        """Print a safety alert that was raised, updated or cleared."""
        style = 'dim red' if state == 'cleared' else 'bold white on red'
        self._console.print(Text(f'           ! {severity.upper()} {hazard} {state}: {message}', style))

    def result(self, score: Score, passed: bool | None, chunks_lost: int) -> None:
        """Print what was heard, missed and wrong, and whether the demo passed; None: it was interrupted."""
        self._console.print()
        names = [outcome.hazard.category for outcome in score.outcomes]
        width = max(map(len, [*names, 'between sounds']))
        self._console.print(Text(f'   at      {"hazard":{width}}  heard by           what was said', 'bold'))
        for outcome in score.outcomes:
            wrong = outcome.misnamed and outcome.alert is None
            by = 'model, wrong name' if wrong else ' + '.join(outcome.heard_by) or 'MISSED'
            line = Text(f'{outcome.hazard.onset_s:6.1f} s  {outcome.hazard.category:{width}}  ')
            line.append(f'{by:17}', 'bold yellow' if wrong else 'green' if outcome.heard_by else 'bold red')
            if heard := outcome.response or outcome.alert:
                line.append(f'  {_sentence(heard)}')
            line.append('  (wrong name)' if outcome.misnamed and not wrong else '', 'dim')
            line.rstrip()
            self._console.print(line)
        if score.false:
            self._console.print()
            self._console.print(Text(f'   at      {"during":{width}}  false              what was said', 'bold'))
        for heard in score.false:
            at_s = score.at_s(heard)
            line = Text(f'{at_s:6.1f} s  {score.scene.sound_at(at_s) or "between sounds":{width}}  ')
            kind = 'response' if isinstance(heard, HeardResponse) else 'alert'
            by = 'signature' if is_by_signature(heard) else 'model'
            line.append(f'{kind + " by " + by:17}', 'bold red')
            line.append(f'  {_sentence(heard)}')
            self._console.print(line)
        self._console.print()
        parts = [
            f'{len(score.heard)} of {count(len(score.outcomes), "hazard")} heard'
            + (f' ({len(score.misnamed)} by a wrong name)' if score.misnamed else ''),
            count(len(score.false_responses), 'false response'),
            count(len(score.false_alerts), 'false alert'),
            count(chunks_lost, 'chunk') + ' lost',
        ]
        line = Text('result: ', 'bold')
        verdict = 'interrupted' if passed is None else 'passed' if passed else 'not passed'
        line.append(verdict, 'bold green' if passed else 'bold yellow')
        line.append(f': {", ".join(parts)}')
        self._console.print(line)


def count(number: int, noun: str) -> str:
    """Return the number with its noun: '1 chunk', '2 chunks'."""
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def _sentence(heard: HeardResponse | HeardAlert) -> str:
    """Return what was said, on one line."""
    return ' '.join((heard.text if isinstance(heard, HeardResponse) else heard.message).split())
