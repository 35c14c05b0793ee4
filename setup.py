"""Builds the ROS messages and services of this package with CMake, as colcon does, against the ROS wheels.

Everything else is in pyproject.toml. The CMake build installs into a temporary prefix; from there the Python
part goes into the package and the rest (lib/, share/) into the environment, which is a ROS prefix with the
wheels in it.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import ament_package
import cmake
import ninja
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NAME = 'audio_interaction_ros'
STAND_IN = 'compat/audio_common_msgs'
# First lines, to a shell and to Python alike, that start a script with the interpreter of the environment it lies in:
# a wheel is built by one interpreter and installed for another, and pip writes its name into bin/ only.
INTERPRETER_OF_ENVIRONMENT = """#!/bin/sh
'''exec' "$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")/bin/python3" "$0" "$@"
'''
"""

ROOT = Path(__file__).parent.resolve()
SITE_PACKAGES = Path(ament_package.__file__).resolve().parents[1]
WHEELS = SITE_PACKAGES.parents[2]  # the environment, or pip's temporary one under build isolation
ENVIRONMENT = Path(sys.prefix)


class BuildInterfaces(build_ext):
    def run(self) -> None:
        check_tools()
        temporary = Path(self.build_temp).resolve()
        prefix = temporary / 'prefix'
        shutil.rmtree(prefix, ignore_errors=True)
        if not has_audio_common_msgs():
            build(ROOT / STAND_IN, temporary / 'audio_common_msgs', prefix)
        build(ROOT, temporary / NAME, prefix)

        modules = next(prefix.glob('lib/python3*/site-packages')) / NAME
        package = (ROOT if self.editable_mode else Path(self.build_lib).resolve()) / NAME
        for generated in ('msg', 'srv'):
            shutil.rmtree(package / generated, ignore_errors=True)
            shutil.copytree(modules / generated, package / generated, ignore=shutil.ignore_patterns('__pycache__'))
        for library in modules.glob('*.so'):
            shutil.copy2(library, package)

        for script in (prefix / 'lib' / NAME).iterdir():
            _, rest = script.read_text().split('\n', maxsplit=1)
            script.write_text(INTERPRETER_OF_ENVIRONMENT + rest)

        # Headers are left out: nobody compiles against a Python environment.
        self.distribution.data_files = list(data_files(prefix, skipped=[prefix / 'include', modules]))
        if self.editable_mode:
            self.run_command('install_data')  # setuptools would leave data out

    def get_outputs(self) -> list[str]:
        return []  # there is no compiled Extension, see below

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def check_tools() -> None:
    """Stop with one sentence where CMake would stop with a page."""
    version = f'{sys.version_info.major}.{sys.version_info.minor}'
    if not any(map(shutil.which, filter(None, [os.environ.get('CXX'), 'c++', 'g++', 'clang++']))):
        sys.exit('The ROS messages need a C++ compiler and none was found: install g++.')
    if not Path(sysconfig.get_path('include'), 'Python.h').exists():
        sys.exit(f'The ROS messages need Python.h and it was not found: install python{version}-dev.')


def has_audio_common_msgs() -> bool:
    """True if the environment has audio_common_msgs from elsewhere, not our stand-in, installed earlier."""
    ours = (ROOT / STAND_IN / 'package.xml').read_text()
    manifests = [prefix / 'share/audio_common_msgs/package.xml' for prefix in (WHEELS, ENVIRONMENT)]
    return any(manifest.exists() and manifest.read_text() != ours for manifest in manifests)


def build(source: Path, folder: Path, prefix: Path) -> None:
    """Configure, build and install one CMake package into the prefix, on top of the wheels."""

    def search(*paths: Path) -> str:
        return os.pathsep.join(dict.fromkeys(map(str, paths)))

    # Set, not extended: a distribution that happens to be sourced must not leak in.
    environment = dict(
        os.environ,
        AMENT_PREFIX_PATH=search(prefix, WHEELS),
        CMAKE_PREFIX_PATH=search(prefix, WHEELS),
        LD_LIBRARY_PATH=search(prefix / 'lib', WHEELS / 'lib', *SITE_PACKAGES.glob('ros_*.libs')),
    )
    program = Path(cmake.CMAKE_BIN_DIR) / 'cmake'
    configure = [
        program, "-S", source, "-B", folder, "-G", "Ninja", "-Wno-dev",
        f"-DCMAKE_MAKE_PROGRAM={Path(ninja.BIN_DIR) / 'ninja'}",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'cmake/ros_wheels.cmake'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    try:
        subprocess.run(configure, check=True, env=environment)
        subprocess.run([program, '--build', folder, '--target', 'install'], check=True, env=environment)
    except subprocess.CalledProcessError as error:
        sys.exit(f'CMake could not build the messages in {source} (exit {error.returncode}): see above why.')


def data_files(prefix: Path, skipped: list[Path]):
    """Yield (folder, files) for data_files: what the prefix holds, but for the skipped folders.

    CMake's egg-info would be a second set of metadata beside pip's.
    """
    unwanted = ('__pycache__', '.egg-info')
    for folder, folders, files in os.walk(prefix):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.endswith(unwanted) and here / name not in skipped]
        if files:
            yield str(here.relative_to(prefix)), [str(here / name) for name in files]


# Without an extension module setuptools would call the wheel pure and never run build_ext.
setup(
    version=ElementTree.parse(ROOT / 'package.xml').findtext('version'),  # said once, where ROS tools raise it
    ext_modules=[Extension(f'{NAME}._interfaces', [])],
    cmdclass={'build_ext': BuildInterfaces},
)
