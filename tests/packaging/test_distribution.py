"""What pip installs and what rosdep resolves: both are the robot's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration

NAME = 'audio_interaction_ros'
ROOT = Path(__file__).parents[2]


@pytest.fixture
def distribution(monkeypatch) -> Distribution:
    monkeypatch.chdir(ROOT)
    return apply_configuration(Distribution(), 'pyproject.toml')


def names(requirements: list[str]) -> set[str]:
    # setuptools has read them: what is left to cut off is a version, an extra or a marker.
    return {''.join(c if c.isalnum() or c in '-_.' else ' ' for c in text).split()[0].lower() for text in requirements}


def test_no_package_but_the_robots_is_in_the_wheel(distribution):
    assert f'{NAME}.nodes' in distribution.packages
    assert {package.split('.')[0] for package in distribution.packages} == {NAME}


def test_training_is_found_from_the_top_of_the_checkout_only(tmp_path):
    find = [sys.executable, '-c', 'from importlib.util import find_spec; print(find_spec("training") is not None)']
    found = {folder: subprocess.check_output(find, cwd=folder, text=True).strip() for folder in (ROOT, tmp_path)}
    assert found == {ROOT: 'True', tmp_path: 'False'}


def test_a_robot_installs_nothing_for_training(distribution):
    assert not names(distribution.install_requires) & names(distribution.extras_require['train'])


def test_what_rosdep_brings_of_python_is_required_by_pip_too(distribution):
    keys = [key.text for key in ElementTree.parse(ROOT / 'package.xml').iter('exec_depend')]
    brought = {key.removeprefix('python3-').replace('yaml', 'pyyaml') for key in keys if key.startswith('python3-')}
    assert brought == {'jsonschema', 'numpy', 'pyyaml', 'rich', 'soundfile'}
    assert brought <= names(distribution.install_requires)
