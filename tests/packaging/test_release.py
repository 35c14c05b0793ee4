"""package.xml and CHANGELOG.rst are as the tools that release ROS packages read them, and say what is so."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from pathlib import Path

import pytest
import setuptools
from catkin_pkg.changelog import BulletList, get_changelog_from_path
from catkin_pkg.package import parse_package

pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning:catkin_pkg')
ROOT = Path(__file__).parents[2]
# Every rosdep key of package.xml that is no ROS package, and what it brings on Ubuntu 24.04 (rosdistro, rosdep/).
# A key that is not there stops `rosdep install` for the whole workspace: look a new one up before it is added here.
ROSDEP = {
    'portaudio19-dev': 'portaudio19-dev',
    'python3-hypothesis': 'python3-hypothesis',
    'python3-jsonschema': 'python3-jsonschema',
    'python3-numpy': 'python3-numpy',
    'python3-pytest-timeout': 'python3-pytest-timeout',
    'python3-rich': 'python3-rich',
    'python3-soundfile': 'python3-soundfile',
    'python3-yaml': 'python3-yaml',
}
# The same for packages that Jazzy has (rosdistro, jazzy/distribution.yaml).
JAZZY = {
    'action_msgs', 'ament_cmake', 'ament_cmake_pytest', 'ament_cmake_python', 'ament_index_python', 'audio_common_msgs',
    'builtin_interfaces', 'diagnostic_msgs', 'launch', 'launch_ros', 'lifecycle_msgs', 'rcl_interfaces', 'rclpy',
    'rosgraph_msgs', 'rosidl_default_generators', 'rosidl_default_runtime', 'std_msgs', 'std_srvs',
}  # fmt: skip
TESTED_BY_COLCON = ('audio', 'bench', 'events', 'model', 'streaming', 'safety', 'tool_use', 'voice', 'cli', 'system')


@pytest.fixture(scope='module')
def package():
    return parse_package(ROOT)


@pytest.fixture(scope='module')
def changelog():
    return get_changelog_from_path(ROOT)


def imported(*folders: str) -> set[str]:
    """The top-level names that the Python files below these folders import, but for what rosidl generates."""
    found: set[str] = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob('*.py')):
        if not {'msg', 'srv'} & set(file.relative_to(ROOT).parts):
            found.update(re.findall(r'^ *(?:from|import) (\w+)', file.read_text(), re.MULTILINE))
    return found


def versions(changelog) -> list[str]:
    """Its sections, the newest first."""
    return [version for version, _, _ in changelog.foreach_version(reverse=True)]


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split('.')))


def test_the_manifest_is_complete_and_its_licence_is_a_file_of_the_package(package):
    warnings: list[str] = []
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.package_format == 3
    assert [(str(licence), licence.file) for licence in package.licenses] == [('Apache-2.0', 'LICENSE')]
    assert (ROOT / 'LICENSE').is_file()
    assert Counter(url.type for url in package.urls) == {'website': 1, 'repository': 1, 'bugtracker': 1}


def test_every_key_of_the_manifest_is_one_that_rosdep_resolves(package):
    depends = [getattr(package, kind) for kind in dir(package) if kind.endswith('_depends') and kind != 'group_depends']
    named = {depend.name for kind in depends for depend in kind}
    assert named == ROSDEP.keys() | JAZZY


def test_every_ros_package_that_is_imported_is_in_the_manifest(package):
    run = {depend.name for depend in package.exec_depends}
    tested = run | {depend.name for depend in package.test_depends}
    assert imported('audio_interaction_ros', 'launch', 'examples') & JAZZY <= run
    assert imported(*(f'tests/{layer}' for layer in TESTED_BY_COLCON)) & JAZZY <= tested


def test_setup_py_and_the_changelog_have_the_version_of_the_manifest(package, changelog, monkeypatch):
    given: dict[str, object] = {}
    monkeypatch.setattr(setuptools, 'setup', lambda **settings: given.update(settings))
    runpy.run_path(str(ROOT / 'setup.py'))
    newest = next(version for version in versions(changelog) if version.lower() != 'forthcoming')
    assert given['version'] == newest == package.version


def test_what_names_a_version_of_this_package_names_none_that_is_still_to_come(package):
    # As text: to import them loads PyTorch.
    files = [ROOT / 'audio_interaction_ros' / 'model' / name for name in ('checkpoint_format.py', 'change.py')]
    named = {version for file in files for version in re.findall(r"'(\d+\.\d+\.\d+)'", file.read_text())}
    assert named
    assert all(number(version) <= number(package.version) for version in named)


def test_every_version_of_the_changelog_has_a_day_and_says_in_points_what_is_new(changelog):
    released = [version for version in versions(changelog) if version.lower() != 'forthcoming']
    for version, day, content in changelog.foreach_version():
        assert version not in released or re.fullmatch(r'\d{4}-\d\d-\d\d', str(day)[:10])
        assert any(isinstance(part, BulletList) and part.bullets for part in content), version


def test_the_newest_section_says_what_upgrading_takes(changelog):
    first, *_ = changelog.get_content_of_version(versions(changelog)[0])
    assert str(first).strip().startswith('Upgrading from')
