"""The launch files, with the real launch library."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import pytest

launch = pytest.importorskip('launch', reason='the launch library comes with a ROS distribution, not from PyPI')
launch_ros = pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS distribution, not from PyPI')

ROOT = Path(__file__).parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / 'launch' / f'{name}.launch.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entities(name, **arguments):
    """What the launch file starts when it is given these arguments."""
    module = load(name)
    context = launch.LaunchContext()
    params_file = str(ROOT / 'config' / 'assistant.yaml')
    given = {key: str(default) for key, (default, _) in module.ARGUMENTS.items()}
    given |= {'params_file': params_file, **arguments}
    context.launch_configurations.update(given)
    declared = [
        entity.name
        for entity in module.generate_launch_description().entities
        if isinstance(entity, launch.actions.DeclareLaunchArgument)
    ]
    assert declared == list(module.ARGUMENTS)
    (opaque,) = (
        entity
        for entity in module.generate_launch_description().entities
        if isinstance(entity, launch.actions.OpaqueFunction)
    )
    return opaque.execute(context)


def nodes(actions):
    return [action for action in actions if isinstance(action, launch_ros.actions.Node)]


@pytest.mark.parametrize(('composed', 'count'), [('false', 5), ('true', 1)])
def test_the_assistant_is_five_processes_or_one(composed, count):
    given = {'mic': 'USB', 'checkpoint': 'embedded', 'listening': 'false', 'event_log': 'events.db'}
    assert len(nodes(entities('assistant', composed=composed, **given))) == count


@pytest.mark.parametrize(('composed', 'count'), [('false', 6), ('true', 2)])
def test_the_voice_is_a_process_of_its_own_where_it_is_asked_for(composed, count):
    assert len(nodes(entities('assistant', composed=composed, speak='true', loudspeaker='3'))) == count


@pytest.mark.parametrize(('composed', 'count'), [('false', 6), ('true', 2)])
def test_the_page_is_a_process_of_its_own_where_it_is_asked_for(composed, count):
    assert len(nodes(entities('assistant', composed=composed, page='true', checkpoint='embedded'))) == count


@pytest.mark.parametrize(('composed', 'count'), [('false', 6), ('true', 2)])
def test_the_tools_are_a_process_of_their_own_where_a_file_declares_some(composed, count):
    assert len(nodes(entities('assistant', composed=composed, tools='tools.yaml'))) == count


def test_a_standby_has_the_lock_of_its_node(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    started = nodes(entities('assistant', use_standby='true'))
    locks = [part.text for node in started for _, path in node.additional_env for part in path]
    assert len(started) == 10
    assert len(set(locks)) == 5


@pytest.mark.parametrize('flag', ['composed', 'listening', 'speak', 'page'])
def test_a_flag_that_is_none_is_refused(flag):
    with pytest.raises(ValueError, match=flag):
        entities('assistant', **{flag: 'maybe'})


def test_replay_starts_the_listeners_and_the_bag_when_it_is_given():
    assert len(nodes(entities('replay'))) == 3
    actions = entities('replay', bag='/some/bag')
    assert len(nodes(actions)) == 3
    assert any(isinstance(action, launch.actions.TimerAction) for action in actions)


def test_launch_arguments_are_those_of_ros_bring_ups():
    wanted = {'namespace', 'params_file', 'autostart', 'use_sim_time', 'use_respawn', 'log_level'}
    assert wanted <= set(load('assistant').ARGUMENTS)
