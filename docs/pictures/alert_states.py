"""`alert-states.svg`: the states of an alert and what leads from one to another.

The transitions are found by running `AlertPolicy`: from every state that it was brought into, everything that can
happen is done to a copy of it.
"""

from __future__ import annotations

import copy
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from audio_interaction_ros.safety.hazards import Hazard, Severity
from audio_interaction_ros.safety.policy import Alert, AlertPolicy, AlertState, HeardBy
from docs.pictures import canvas

NONE = 'no alert'
_COOLDOWN_S, _CLEAR_AFTER_S, _ESCALATE_AFTER_S = 60.0, 30.0, 20.0
_HAZARD = Hazard('glass_breaking', Severity.WARNING, escalate_after_s=_ESCALATE_AFTER_S)


@dataclass(frozen=True)
class Transition:
    """A `Transition` says what leads from one state to another, and whether an alert of a new id is raised by it."""

    start: str
    cause: str
    end: str
    new_id: bool


class _Trial:
    """A policy with its clock, and the last alert that it published."""

    def __init__(self) -> None:
        self.policy = AlertPolicy(_COOLDOWN_S, _CLEAR_AFTER_S)
        self.now_s = 0.0
        self.heard_s = 0.0
        self.alert: Alert | None = None

    def take(self, published: list[Alert]) -> None:
        self.alert = published[-1] if published else self.alert

    def hear(self, heard_by: HeardBy) -> None:
        self.heard_s = self.now_s
        self.take([self.policy.heard(_HAZARD, 'Glass is breaking!', 0.9, str(self.now_s), self.now_s, heard_by)])

    def wait_to_escalate(self) -> None:
        self.now_s += _ESCALATE_AFTER_S
        self.take(self.policy.escalate(self.now_s))

    def wait_to_clear(self) -> None:
        self.now_s += _CLEAR_AFTER_S
        self.take(self.policy.clear_quiet(self.now_s))

    def hear_after_cooldown(self) -> None:
        self.now_s = self.heard_s + _COOLDOWN_S + 1.0
        self.hear(HeardBy.MODEL)


_CAUSES: dict[str, Callable[[_Trial], None]] = {
    'heard by the model': lambda trial: trial.hear(HeardBy.MODEL),
    'heard by its signature': lambda trial: trial.hear(HeardBy.SIGNATURE),
    'not acknowledged for escalate_after_s': _Trial.wait_to_escalate,
    'ai/acknowledge_alert': lambda trial: trial.take(trial.policy.acknowledge('')),
    'not heard for clear_after_s': _Trial.wait_to_clear,
    'the node is deactivated': lambda trial: trial.take(trial.policy.clear_all()),
}
_HEARD = tuple(_CAUSES)[:2]
_BACK, _AFTER_COOLDOWN = ' within cooldown_s', 'heard after cooldown_s'


def state_of(alert: Alert | None) -> str:
    """Return the name that the picture has for an alert's state."""
    if alert is None or alert.state in (AlertState.RAISED, AlertState.CLEARED):
        return NONE if alert is None else alert.state.name
    if alert.acknowledged:
        return 'UPDATED, acknowledged'
    return 'UPDATED, more severe' if alert.escalations else 'UPDATED'


def transitions() -> list[Transition]:
    """Run the policy from every state that can be reached, and return what changed an alert, each once."""
    found: dict[Transition, None] = {}
    seen: set[tuple[object, ...]] = set()
    waiting = [_Trial()]
    while waiting:
        trial = waiting.pop(0)
        alert = trial.alert
        key = (alert.state, alert.acknowledged, min(alert.escalations, 2), alert.heard_by) if alert else (None,)
        if key in seen:
            continue
        seen.add(key)
        causes = dict(_CAUSES)
        if alert is not None and alert.state is AlertState.CLEARED:
            causes = {name + _BACK: causes[name] for name in _HEARD} | {_AFTER_COOLDOWN: _Trial.hear_after_cooldown}
        for cause, happens in causes.items():
            after = copy.deepcopy(trial)
            happens(after)
            if after.alert is trial.alert or after.alert == trial.alert:
                continue
            new_id = alert is None or after.alert is None or after.alert.id != alert.id
            found[Transition(state_of(alert), cause, state_of(after.alert), new_id)] = None
            waiting.append(after)
    return list(found)


# Where each state stands (left, top), and how each arrow is bent and where its words stand (x, y, alignment); a test
# holds both to what the policy does.
PLACES = {
    NONE: (0.2, 2.5),
    'RAISED': (2.85, 2.5),
    'UPDATED': (6.0, 0.75),
    'UPDATED, more severe': (6.0, 2.5),
    'UPDATED, acknowledged': (6.0, 4.25),
    'CLEARED': (9.25, 2.5),
}
_OPEN = tuple(PLACES)[1:-1]
ARROWS = {
    (NONE, 'RAISED'): (0.0, 1.9, 2.22, 'center'),
    ('RAISED', 'UPDATED'): (-0.15, 4.7, 1.62, 'right'),
    ('RAISED', 'UPDATED, more severe'): (0.0, 5.13, 2.6, 'center'),
    ('RAISED', 'UPDATED, acknowledged'): (0.15, 4.45, 3.38, 'left'),
    ('UPDATED', 'UPDATED, more severe'): (0.0, 6.7, 1.95, 'right'),
    ('UPDATED', 'UPDATED, acknowledged'): (-0.75, 8.27, 2.85, 'vertical'),
    ('UPDATED, more severe', 'UPDATED, acknowledged'): (0.0, 6.7, 3.75, 'right'),
    ('CLEARED', 'UPDATED'): (0.25, 9.05, 1.4, 'left'),
    ('CLEARED', 'RAISED'): (-0.97, 8.6, 5.45, 'left'),
}
_WIDE, _HIGH = 1.5, 0.7


def draw(path: Path) -> None:
    """Write the picture of the policy's transitions."""
    causes: dict[tuple[str, str], list[str]] = {}
    for each in transitions():
        causes.setdefault((each.start, each.end), []).append(each.cause + (', a new id' if each.new_id else ''))
    figure = canvas.page(5.5)
    axes = canvas.blank(figure, 10.9, 6.25)
    canvas.box(axes, 2.6, 0.35, 5.85, 4.95, canvas.RULE, '#f2f0e9')
    axes.text(2.85, 0.68, 'open', color=canvas.SOFT, style='italic')
    axes.text(2.85, 1.0, 'heard again: published again', color=canvas.SOFT, fontsize=8.5)
    colours = {NONE: canvas.GREY, 'RAISED': canvas.RED, 'UPDATED, more severe': canvas.RED, 'CLEARED': canvas.GREEN}
    for name, (left, top) in PLACES.items():
        canvas.box(axes, left, top, _WIDE, _HIGH, colours.get(name, canvas.BLUE), 'white', 1.8)
        axes.text(left + _WIDE / 2, top + _HIGH / 2, name.replace(', ', ',\n'), ha='center', va='center', weight='bold')
    for (start, end), named in causes.items():
        if start != end and not (end == 'CLEARED' and start in _OPEN):
            bend, x, y, alignment = ARROWS[start, end]
            _arrow(axes, _middle(start), _middle(end), bend, start, end)
            upright = alignment == 'vertical'
            axes.text(
                x,
                y,
                _words(named),
                ha='center' if upright else alignment,
                va='center',
                rotation=90 if upright else 0,
                fontsize=8.5,
                linespacing=1.15,
            )
    # Every open alert can be cleared, by the same causes: one arrow from the frame.
    (same,) = {tuple(causes[state, 'CLEARED']) for state in _OPEN}
    _arrow(axes, (8.45, 2.85), (9.25, 2.85), 0.0)
    axes.text(8.55, 3.52, _words(list(same), 16), va='center', fontsize=8.5, linespacing=1.15)
    canvas.write(figure, path)


def _words(causes: list[str], width: int = 23) -> str:
    """Return the causes of a transition, a line each; the two ways of hearing as one."""
    merged = dict.fromkeys(
        re.sub('heard by (the model|its signature)', 'heard, by model or signature', c) for c in causes
    )
    return '\n'.join(textwrap.fill(('or ' if number else '') + cause, width) for number, cause in enumerate(merged))


def _middle(name: str) -> tuple[float, float]:
    left, top = PLACES[name]
    return left + _WIDE / 2, top + _HIGH / 2


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    bend: float,
    start_name: str = '',
    end_name: str = '',
) -> None:
    """Draw an arrow between two points, cut off at the boxes that it leaves and reaches."""

    def clip(name: str) -> Rectangle | None:
        return Rectangle(PLACES[name], _WIDE, _HIGH, transform=axes.transData) if name else None

    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle=f'arc3,rad={bend}',
            arrowstyle='-|>',
            mutation_scale=12,
            color=canvas.SOFT,
            linewidth=1.2,
            patchA=clip(start_name),
            patchB=clip(end_name),
            shrinkA=2,
            shrinkB=2,
        )
    )
