"""The layouts for Foxglove and rqt name topics that the nodes publish and fields that the messages have."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('audio_interaction_ros.msg', reason='the messages of this package are not built')

ROOT = Path(__file__).parents[1]
FOXGLOVE = json.loads((ROOT / 'config' / 'foxglove' / 'assistant.json').read_text())
RQT = json.loads((ROOT / 'config' / 'rqt' / 'assistant.perspective').read_text())
PLOTTED = re.compile(r'u?int\d+|float|double|boolean')


def published() -> dict[str, str]:
    """Topic → type, as in docs/reference.md, which a test compares with the nodes."""
    section = (ROOT / 'docs' / 'reference.md').read_text().partition('\n## Topics\n')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| `([^`]+)` \| `([^`]+)` \|', section, re.MULTILINE)
    return {f'/{topic.lstrip("/")}': kind if '/' in kind else f'audio_interaction_ros/{kind}' for topic, kind in rows}


TYPES = published()


def field_type(topic: str, fields: list[str]) -> str:
    """The type of a field, by its path; of the message itself without one. Raises KeyError where there is none."""
    kind = TYPES[topic]
    for field in fields:
        package, _, name = kind.replace('/msg/', '/').partition('/')
        message = getattr(importlib.import_module(f'{package}.msg'), name)
        kind = message.get_fields_and_field_types()[field]
    return kind


def strings(part) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from strings(each)
    elif isinstance(part, list):
        for each in part:
            yield from strings(each)


def panels(layout) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        assert layout['direction'] in ('row', 'column') and 0 < layout['splitPercentage'] < 100
        yield from panels(layout['first'])
        yield from panels(layout['second'])


def rqt_value(plugin: str, key: str):
    return ast.literal_eval(RQT['groups']['pluginmanager']['groups'][plugin]['groups']['plugin']['keys'][key]['repr'])


FOXGLOVE_PATHS = sorted({text for text in strings(FOXGLOVE['configById']) if text.startswith('/')})
RQT_PATHS = [path for plot in (1, 2) for path in rqt_value(f'plugin__rqt_plot__Plot__{plot}', 'topics')]


@pytest.mark.parametrize('path', FOXGLOVE_PATHS)
def test_a_path_of_the_foxglove_layout_is_a_topic_and_a_field_of_its_message(path):
    topic, *fields = path.split('.')
    assert field_type(topic, fields)


def test_what_foxglove_plots_are_numbers():
    plotted = [
        path['value'] for name, each in FOXGLOVE['configById'].items() if name[:5] == 'Plot!' for path in each['paths']
    ]
    assert plotted
    for topic, *fields in (path.split('.') for path in plotted):
        assert PLOTTED.fullmatch(field_type(topic, fields))


def test_every_panel_of_the_foxglove_layout_has_its_place_once():
    assert sorted(panels(FOXGLOVE['layout'])) == sorted(FOXGLOVE['configById'])


@pytest.mark.parametrize('path', RQT_PATHS)
def test_what_rqt_plots_is_a_number_in_a_message_of_a_topic(path):
    topic = next(topic for topic in TYPES if path.startswith(f'{topic}/'))
    assert PLOTTED.fullmatch(field_type(topic, path.removeprefix(f'{topic}/').split('/')))


def test_every_plugin_of_the_rqt_perspective_has_its_settings():
    manager = RQT['groups']['pluginmanager']
    running = ast.literal_eval(manager['keys']['running-plugins']['repr'])
    named = {
        f'plugin__{plugin.replace("/", "__")}__{number}' for plugin, numbers in running.items() for number in numbers
    }
    assert named == set(manager['groups'])


def test_the_layouts_show_level_probability_responses_alerts_health_and_diagnostics():
    named = {path.partition('.')[0] for path in FOXGLOVE_PATHS}
    assert {
        '/ai/decision',
        '/ai/response',
        '/ai/response_text',
        '/ai/safety_alert',
        '/ai/health',
        '/diagnostics',
    } <= named
    assert {'/ai/decision.probability', '/ai/decision.level_dbfs'} <= set(FOXGLOVE_PATHS)
    assert {'/ai/decision/probability', '/ai/decision/level_dbfs'} <= set(RQT_PATHS)
