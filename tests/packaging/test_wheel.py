"""`python -m build` packs all that it takes, and its wheel installs and works where there is no compiler.

The messages are those of this environment: to compile them again takes minutes, and is what `make setup` does.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest
import setuptools

pytest.importorskip('build')
NAME = 'audio_interaction_ros'
ROOT = Path(__file__).parents[2]
BUILT_FROM = ('msg', 'srv', 'cmake', 'compat', 'launch', 'config', 'checkpoints', 'demo', 'examples')
SITE_PACKAGES = f'lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages'


@pytest.fixture(scope='module')
def nothing_but_python(tmp_path_factory) -> dict[str, str]:
    """An environment without any program, a compiler above all."""
    return os.environ | {'PATH': str(tmp_path_factory.mktemp('empty')), 'CXX': ''}


@pytest.fixture(scope='module')
def built(tmp_path_factory, nothing_but_python) -> Path:
    """A folder with the source archive, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp('dist')
    command = [sys.executable, '-m', 'build', '--no-isolation', '--skip-dependency-check', '--outdir', folder, ROOT]
    environment = nothing_but_python | {'AUDIO_INTERACTION_ROS_PREFIX': sys.prefix}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope='module')
def prefix(tmp_path_factory, built, nothing_but_python) -> Path:
    """Where pip has installed the wheel, without a compiler and without the network."""
    folder = tmp_path_factory.mktemp('prefix')
    (wheel,) = built.glob('*.whl')
    install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-index', '--no-deps', '--no-compile']
    # --ignore-installed: the environment of the tests has the package, and is not to lose it.
    subprocess.run([*install, '--ignore-installed', '--prefix', folder, wheel], env=nothing_but_python, check=True)
    return folder


def source_files() -> set[str]:
    files = [file for folder in BUILT_FROM for file in (ROOT / folder).rglob('*') if file.is_file()]
    return {str(file.relative_to(ROOT)) for file in files if '__pycache__' not in file.parts}


def test_the_source_archive_has_all_that_is_built_from_and_nothing_that_is_generated(built):
    (archive,) = built.glob('*.tar.gz')
    with tarfile.open(archive) as tar:
        names = {name.partition('/')[2] for name in tar.getnames()}
    assert source_files() | {'CMakeLists.txt', 'package.xml', 'requirements.txt', 'CHANGELOG.rst', 'LICENSE'} <= names
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / NAME / 'nodes').glob('*.py')}
    assert modules <= names
    unwanted = (f'{NAME}/msg', f'{NAME}/srv', 'tests', 'training')
    assert [name for name in names if name.endswith('.so') or name.startswith(unwanted)] == []


def test_the_wheel_is_for_this_python_only_and_holds_messages_compiled_for_every_kind_of_access(built):
    (wheel,) = built.glob('*.whl')
    assert f'-cp{sys.version_info.major}{sys.version_info.minor}-' in wheel.name
    names = ZipFile(wheel).namelist()
    for kind in ('c', 'fastrtps_c', 'introspection_c'):
        assert f'{NAME}/{NAME}_s__rosidl_typesupport_{kind}.so' in names
        assert any(name.endswith(f'/data/lib/lib{NAME}__rosidl_typesupport_{kind}.so') for name in names)


def test_the_installed_wheel_shares_what_the_source_tree_has(prefix):
    share = prefix / 'share' / NAME
    files = [name for name in source_files() if not name.startswith(('cmake', 'compat'))]
    assert [name for name in files if (share / name).read_bytes() != (ROOT / name).read_bytes()] == []
    assert (prefix / 'share/ament_index/resource_index/packages' / NAME).exists()


def test_messages_of_the_installed_wheel_go_through_dds_s_form_and_back_with_its_own_libraries(prefix, tmp_path):
    script = f"""
from rclpy.serialization import deserialize_message, serialize_message
from {NAME}.msg import Decision
assert deserialize_message(serialize_message(Decision(probability=0.25)), Decision).probability == 0.25
import {NAME}.msg
print({NAME}.msg.__file__)
print(*sorted({{line.split()[-1] for line in open('/proc/self/maps') if '{NAME}' in line}}), sep='\\n')
"""
    first = {'PYTHONPATH': prefix / SITE_PACKAGES, 'LD_LIBRARY_PATH': prefix / 'lib'}
    environment = os.environ | {name: f'{path}:{os.environ.get(name, "")}' for name, path in first.items()}
    done = subprocess.run([sys.executable, '-c', script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) > 3
    assert [file for file in files if not Path(file).is_relative_to(prefix)] == []


def test_on_a_distribution_one_file_of_the_installed_wheel_puts_it_before_what_is_sourced(prefix):
    names = ('AMENT_PREFIX_PATH', 'LD_LIBRARY_PATH', 'PYTHONPATH')
    said = ' '.join(f'"${name}"' for name in names)
    script = f'source {prefix}/share/{NAME}/local_setup.bash && printf "%s\\n" {said}'
    sourced = os.environ | dict.fromkeys(names, '/opt/ros/jazzy')
    done = subprocess.run(['bash', '-c', script], env=sourced, capture_output=True, text=True, check=True)
    folders = (prefix, prefix / 'lib', prefix / SITE_PACKAGES)
    assert done.stdout.splitlines() == [f'{folder}:/opt/ros/jazzy' for folder in folders]


def test_a_prefix_without_this_package_or_with_other_messages_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(setuptools, 'setup', lambda **settings: None)
    take = runpy.run_path(str(ROOT / 'setup.py'))['take']
    with pytest.raises(SystemExit, match='has no such package for this Python; name one that has'):
        take(tmp_path, tmp_path / 'target')
    (tmp_path / SITE_PACKAGES / NAME / 'msg').mkdir(parents=True)
    with pytest.raises(SystemExit, match=r'Decision\.msg.* is missing or another; build the package there again'):
        take(tmp_path, tmp_path / 'target')
