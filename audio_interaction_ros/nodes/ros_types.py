"""Types of ROS by name, and messages filled with values from a file; what does not fit is told before it is sent."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from audio_interaction_ros.tool_use.doing import choices
from audio_interaction_ros.tool_use.errors import ToolsError


class MissingTypeError(ToolsError):
    """A `MissingTypeError` says that a type of ROS is not installed."""


def type_of(name: str) -> Any:
    """Return the class of a type such as std_msgs/msg/Bool; raise MissingTypeError where it is not installed."""
    package, kind, cls = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), cls)
    except (ImportError, AttributeError) as error:
        raise MissingTypeError(
            f"the type '{name}' is not installed; install its package, ros-$ROS_DISTRO-{package.replace('_', '-')}, or "
            'declare another tool'
        ) from error


def message_of(cls: Any, values: Mapping[str, Any]) -> Any:
    """Return a message of a class with these values in its fields; raise ToolsError for what does not fit."""
    # Checked by the setters, which are not by themselves: what is of the wrong type would end the process later.
    message = cls(check_fields=True)
    for name, value in values.items():
        kind = _field(cls, name)
        try:
            setattr(message, name, _value(kind, value))
        except (AssertionError, TypeError, ValueError, OverflowError) as error:
            said = ' '.join(str(error).split())[:200]
            raise ToolsError(f"'{name}' of {cls.__name__} cannot be {str(value)[:60]} ({said}); correct it") from error
    return message


def require_fitting(cls: Any, template: Mapping[str, Any]) -> None:
    """Raise ToolsError where fields that are to be filled are not there, or what is known of them does not fit."""
    for name, part in template.items():
        kind = _field(cls, name)
        for choice in choices(part):
            nested = _class_of(kind)
            if nested is not None and isinstance(choice, dict):
                require_fitting(nested, choice)
            elif not isinstance(choice, (dict, list)):
                message_of(cls, {name: choice})


def _field(cls: Any, name: str) -> str:
    fields = cls.get_fields_and_field_types()
    if name not in fields:
        raise ToolsError(f"{cls.__name__} has no field '{name[:60]}'; take one of {', '.join(fields) or 'none'}")
    return str(fields[name])


def _class_of(kind: str) -> Any | None:
    """Return the class of a field that is a message; None for one that is a value."""
    if '/' not in kind or '<' in kind or '[' in kind:
        return None
    package, cls = kind.split('/')
    return type_of(f'{package}/msg/{cls}')


def _value(kind: str, value: Any) -> Any:
    if kind.startswith('sequence<') or kind.endswith(']'):
        inner = (
            kind[len('sequence<') : -1].partition(',')[0] if kind.startswith('sequence<') else kind.partition('[')[0]
        )
        if not isinstance(value, list):
            raise TypeError(kind)
        return [_value(inner, each) for each in value]
    nested = _class_of(kind)
    if nested is not None:
        if not isinstance(value, dict):
            raise TypeError(kind)
        return message_of(nested, value)
    if kind in ('float', 'double') and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) != (kind == 'boolean'):
        raise TypeError(kind)
    return value
