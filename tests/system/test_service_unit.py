"""The systemd unit starts the assistant on a system that is read-only to it: a mount namespace stands for systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.ros import Process

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
UNIT = ROOT / 'deploy' / 'audio-interaction.service'
PLACES = {'%L': '/var/log', '%S': '/var/lib'}  # systemd's, for a system service
# NoNewPrivileges, and none of what lets root pass by permissions: the robot's user has none of it either.
NO_PRIVILEGES = ['setpriv', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all']
NAMESPACE = ['unshare', '--mount'] if os.geteuid() == 0 else ['unshare', '--map-root-user', '--mount']
API = ('/dev', '/proc', '/sys')  # what ProtectSystem=strict leaves as it is


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if '=' in line and not line.startswith(('#', ' ')):
            key, _, value = line.partition('=')
            for specifier, folder in PLACES.items():
                value = value.replace(specifier, folder)
            found.setdefault(key, []).append(value)
    return found


def mounts(unit: dict[str, list[str]]) -> list[str]:
    """The commands that make of a new mount namespace what the unit asks systemd for."""
    assert (unit['ProtectSystem'], unit['ProtectHome'], unit['PrivateTmp']) == (['strict'], ['read-only'], ['yes'])
    assert unit['NoNewPrivileges'] == ['yes']
    commands = ['mount --make-rprivate /']
    for key, parent in (('LogsDirectory', '/var/log'), ('StateDirectory', '/var/lib')):
        commands.append(f'mount -t tmpfs tmpfs {parent}')
        for name in unit.get(key, []):
            commands += [f'mkdir {parent}/{name}', f'mount --bind {parent}/{name} {parent}/{name}']
        commands.append(f'mount -o remount,bind,ro {parent}')
    for line in Path('/proc/self/mountinfo').read_text().splitlines():
        _, _, _, _, place, flags, *_ = line.split()
        if not place.startswith(API) and place not in PLACES.values():
            commands.append(f'mount -o remount,bind,ro,{flags.removeprefix("rw,").removeprefix("ro,")} {place}')
    if not any(Path(needed).is_relative_to('/tmp') for needed in (ROOT, sys.prefix)):
        commands += [f'mount -t tmpfs tmpfs {private}' for private in ('/tmp', '/var/tmp')]
    return commands


@pytest.fixture(scope='module')
def unit():
    if subprocess.run([*NAMESPACE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], capture_output=True).returncode:
        pytest.skip('mount namespaces are forbidden here')
    return settings()


def start(ros, tmp_path, unit, name, *ros_args, **environment):
    """A node as the unit starts it, with its environment; an empty variable is unset."""
    given = {**ros.environment, **dict(pair.split('=', 1) for pair in unit['Environment']), **environment}
    given |= {name: ros.environment[name] for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')}
    given = {name: value for name, value in given.items() if value}
    node = [sys.executable, '-m', f'audio_interaction_ros.nodes.{name}', '--ros-args', *ros_args]
    script = ' && '.join([*mounts(unit), f'cd / && exec {shlex.join([*NO_PRIVILEGES, *node])}'])
    return Process([*NAMESPACE, 'sh', '-c', script], given, tmp_path / f'{name}-{len(environment)}.log')


def test_nodes_start_where_the_unit_lets_them_write_and_keep_what_they_are_told_to_keep(ros, tmp_path, unit):
    """With the unit's folders for logs and state; everything else is read-only, and so is the home."""
    kept = f'{PLACES["%S"]}/{unit["StateDirectory"][0]}/events.db'
    for name, ros_args in (('safety_alert', ()), ('event_log', ('-p', f'path:={kept}'))):
        process = start(ros, tmp_path, unit, name, *ros_args)
        try:
            ros.wait_state(name, 'active', process)
            root = f'/proc/{process.popen.pid}/root'  # as the process sees it
            assert list(Path(f'{root}{PLACES["%L"]}/{unit["LogsDirectory"][0]}').iterdir())
            assert name != 'event_log' or Path(f'{root}{kept}').exists()
            with pytest.raises(OSError, match='Read-only'):
                Path(f'{root}{ROOT}/written').touch()
        finally:
            assert process.end() == 0, process.log


@pytest.mark.skipif(shutil.which('systemd-analyze') is None, reason='systemd is not installed')
def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path):
    def complaints(text: str) -> list[str]:
        (tmp_path / UNIT.name).write_text(text)
        checked = subprocess.run(
            ['systemd-analyze', 'verify', str(tmp_path / UNIT.name)], capture_output=True, text=True
        )
        return [line for line in (checked.stdout + checked.stderr).splitlines() if UNIT.name in line]

    assert complaints(UNIT.read_text()) == []
    assert complaints(UNIT.read_text().replace('ProtectHome', 'ProtectHomes'))


@pytest.mark.cures('set ROS_LOG_DIR to a folder that this user may write to')
def test_without_a_folder_for_its_log_a_node_says_what_to_set_and_starts_with_it(ros, tmp_path, unit):
    logs = f'{PLACES["%L"]}/{unit["LogsDirectory"][0]}'
    for home, found in (('/var/empty-home', 'cannot write its log'), ('', 'neither ROS_LOG_DIR nor HOME is set')):
        process = start(ros, tmp_path, unit, 'safety_alert', ROS_LOG_DIR='', HOME=home)
        assert process.wait() == 1
        last = process.log.strip().splitlines()[-1]
        assert found in last and 'set ROS_LOG_DIR to a folder that this user may write to' in last
        assert 'Traceback' not in process.log
    process = start(ros, tmp_path, unit, 'safety_alert', ROS_LOG_DIR=logs, HOME='')
    ros.wait_state('safety_alert', 'active', process)
    assert process.end() == 0
