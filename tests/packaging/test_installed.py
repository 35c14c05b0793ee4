"""What `ros2 launch` and `ros2 run` find of this package in the prefix that it is installed in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

index = pytest.importorskip('ament_index_python', reason='ROS 2 is not installed')

NAME = 'audio_interaction_ros'
ROOT = Path(__file__).parents[2]
NODES = (
    'assistant', 'audio_capture', 'chunk_encoder', 'decoder', 'event_log', 'monitor', 'safety_alert', 'speaker',
    'tool_bridge',
)  # fmt: skip


@pytest.fixture
def share() -> Path:
    return Path(index.get_package_share_directory(NAME))


def shipped() -> list[Path]:
    """The files of the source tree that an installed package has below share/, relative to both."""
    folders = [ROOT / name for name in ('launch', 'config', 'checkpoints', 'demo', 'examples')]
    files = [file for folder in folders for file in folder.rglob('*') if file.is_file()]
    return [file.relative_to(ROOT) for file in files if '__pycache__' not in file.parts]


def test_the_ament_index_knows_the_package_by_its_manifest(share):
    assert index.has_resource('packages', NAME)
    assert ElementTree.parse(share / 'package.xml').findtext('name') == NAME


@pytest.mark.parametrize('file', ['launch/assistant.launch.py', 'launch/replay.launch.py', 'config/assistant.yaml'])
def test_a_launch_file_and_the_parameters_it_names_are_files_in_share(share, file):
    assert (share / file).is_file()


def test_share_holds_what_the_source_tree_holds(share):
    differing = [file for file in shipped() if (share / file).read_bytes() != (ROOT / file).read_bytes()]
    assert differing == []


def test_an_edit_takes_effect_where_make_installed_the_package(share):
    if not share.is_relative_to(ROOT / '.venv'):
        pytest.skip("this prefix is not tools/setup.sh's")
    copies = [file for file in shipped() if not (share / file).samefile(ROOT / file)]
    assert copies == [], "run 'make setup-dev'"


def test_a_node_starts_with_the_interpreter_of_its_environment_whichever_is_first_in_path(tmp_path):
    impostor = tmp_path / 'python3'
    impostor.write_text('#!/bin/sh\necho the python3 of PATH\n')
    impostor.chmod(0o755)
    # Python imports this before anything of the script: loading a whole node takes seconds.
    (tmp_path / 'sitecustomize.py').write_text('import os, sys\nprint(sys.prefix, flush=True)\nos._exit(0)\n')
    environment = os.environ | {'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'PYTHONPATH': str(tmp_path)}
    folder = Path(index.get_package_prefix(NAME)) / 'lib' / NAME
    started_by = {
        script.name: subprocess.run([script], env=environment, capture_output=True, text=True, cwd='/').stdout.strip()
        for script in folder.iterdir()
    }
    assert started_by == dict.fromkeys((*NODES, 'audio-interaction'), sys.prefix)
