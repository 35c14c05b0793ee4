"""What a tool does in ROS, as the tools file says it: a topic, service, action or timer, and how arguments fill it.

`"${name}"` is an argument, of whatever type it is, and `"… ${name} …"` a text with it; what an optional argument would
have filled is left out where that was not given. `{$map: name, values: {…}}` is what stands beside its value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audio_interaction_ros.tool_use.declared import Tool
from audio_interaction_ros.tool_use.desk import filled
from audio_interaction_ros.tool_use.errors import CallError, ToolsError
from audio_interaction_ros.tool_use.schema import kind_of

MAX_TIMER_S = 86_400.0
_WITH = {'topic': 'message', 'service': 'request', 'action': 'goal'}
_TYPE = {'topic': 'msg', 'service': 'srv', 'action': 'action'}
_UNITS = {'seconds': 1.0, 'minutes': 60.0, 'hours': 3_600.0}
_WHOLE = re.compile(r'\$\{(\w+)\}')
_MAP, _VALUES = '$map', 'values'
_LEFT_OUT = object()


@dataclass(frozen=True)
class Doing:
    """A `Doing` is what a tool does: of what `kind`, where, by which type of ROS, and filled with what.

    Of a timer, `fields` has units of time and `text` is said when it is over; `answer`: what the model is told then.
    """

    kind: str
    name: str = ''
    type: str = ''
    fields: Any = None
    text: str = ''

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields with the arguments in them; raise CallError for one that `$map` does not have."""
        found = _filled(self.fields, arguments)
        return found if isinstance(found, dict) else {}

    def seconds(self, arguments: Mapping[str, Any]) -> float:
        """Return how long a timer runs; raise CallError for what is no time."""
        given = self.values(arguments)
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given.values()):
            raise CallError('invalid', 'a timer was given something else than numbers; correct the tools file')
        duration_s = sum(_UNITS[unit] * value for unit, value in given.items())
        if not 0.0 < duration_s <= MAX_TIMER_S:
            raise CallError(
                'invalid', f'a timer of {duration_s:g} s was asked for, at most {MAX_TIMER_S:g}; ask for less'
            )
        return float(duration_s)


def doing_of(tool: Tool) -> Doing:
    """Return what a tool does; raise ToolsError, one sentence, where the file does not say that."""
    where, does = f"'does' of tool '{tool.name}'", tool.does
    kinds = [kind for kind in (*_WITH, 'timer') if kind in does]
    if len(kinds) != 1:
        raise ToolsError(f'{where} has {len(kinds)} of topic, service, action and timer; give one')
    (kind,) = kinds
    allowed = {'timer', 'text'} if kind == 'timer' else {kind, 'type', _WITH[kind]}
    if unknown := sorted(set(does) - allowed):
        raise ToolsError(
            f"{where} has '{unknown[0][:40]}', which is not for a {kind}; take {', '.join(sorted(allowed))}"
        )
    if kind == 'timer':
        fields = does['timer']
        if not isinstance(fields, dict) or not fields or set(fields) - set(_UNITS):
            raise ToolsError(f'{where} is a timer without {", ".join(_UNITS)}; give one of them')
        doing = Doing(kind, fields=fields, text=_text(does.get('text', ''), f'text in {where}'))
    else:
        name, type_name = _text(does[kind], f'{kind} in {where}'), _text(does.get('type', ''), f'type in {where}')
        if not re.fullmatch(rf'[a-z]\w*/{_TYPE[kind]}/[A-Z]\w*', type_name, re.ASCII):
            raise ToolsError(f"{where} has the type '{type_name[:60]}'; give one such as {_EXAMPLES[kind]}")
        if not re.fullmatch(r'[~/]?[A-Za-z_]\w*(/\w+)*', name, re.ASCII):
            raise ToolsError(f"{where} has the name '{name[:60]}', which is none in ROS; correct it")
        doing = Doing(kind, name, type_name, does.get(_WITH[kind], {}))
    if not isinstance(doing.fields, dict):
        raise ToolsError(f'{where} is filled with {kind_of(doing.fields)}, an object expected; name its fields')
    _require_known(tool, doing, where)
    return doing


_EXAMPLES = {
    'topic': 'std_msgs/msg/Bool',
    'service': 'std_srvs/srv/SetBool',
    'action': 'nav2_msgs/action/NavigateToPose',
}


def choices(template: Any) -> list[Any]:
    """Return what a part of the fields may become, without its arguments; [] for what only they say."""
    if isinstance(template, str):
        return [] if _WHOLE.search(template) else [template]
    return list(template[_VALUES].values()) if is_map(template) else [template]


def is_map(template: Any) -> bool:
    """Return whether a part of the fields is `{$map: …}`."""
    return isinstance(template, dict) and _MAP in template


def _filled(template: Any, arguments: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        whole = _WHOLE.fullmatch(template)
        return arguments.get(whole[1], _LEFT_OUT) if whole else filled(template, arguments)
    if is_map(template):
        if (name := template[_MAP]) not in arguments:
            return _LEFT_OUT
        key = _key(arguments[name])
        if key not in template[_VALUES]:
            known = ', '.join(template[_VALUES])
            raise CallError('invalid', f"there is nothing for {name} '{key[:60]}'; give one of {known[:200]}")
        return template[_VALUES][key]
    if isinstance(template, dict):
        found = {key: _filled(value, arguments) for key, value in template.items()}
        return {key: value for key, value in found.items() if value is not _LEFT_OUT}
    if isinstance(template, list):
        return [value for each in template if (value := _filled(each, arguments)) is not _LEFT_OUT]
    return template


def _require_known(tool: Tool, doing: Doing, where: str) -> None:
    """Every argument that is named is one of the tool's, and each of its values has its place in a `$map`."""
    known = tool.schema['properties']
    for part in _parts([doing.fields, doing.text, tool.question]):
        names = _WHOLE.findall(part) if isinstance(part, str) else []
        if is_map(part):
            if set(part) != {_MAP, _VALUES} or not isinstance(part[_VALUES], dict) or not isinstance(part[_MAP], str):
                raise ToolsError(f'{where} has a $map that is not {{$map: NAME, values: {{…}}}}; write it so')
            names = [part[_MAP]]
        if unknown := sorted(set(names) - set(known)):
            raise ToolsError(f"{where} uses '{unknown[0]}', which is no argument of the tool; declare it")
        if is_map(part):
            values = known[part[_MAP]].get('enum', [])
            if missing := [value for value in values if _key(value) not in part[_VALUES]]:
                raise ToolsError(f"{where} has no value for {part[_MAP]} '{_key(missing[0])[:60]}'; add it to its $map")


def _parts(template: Any) -> Iterator[Any]:
    yield template
    for each in template.values() if isinstance(template, dict) else template if isinstance(template, list) else ():
        yield from _parts(each)


def _key(value: Any) -> str:
    """Return an argument as it stands before the colon in a YAML file."""
    return value if isinstance(value, str) else json.dumps(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ToolsError(f'{what} is {kind_of(value)}, a text expected; correct it')
    return value
