"""Builds the ROS messages and services of this package with CMake, as colcon does, against the ROS wheels.

Everything else is in pyproject.toml. The CMake build installs into a temporary prefix; from there the Python
part goes into the package and the rest (lib/, share/) into the environment, which is a ROS prefix with the
wheels in it.

With AUDIO_INTERACTION_ROS_PREFIX nothing is compiled: it names a prefix that has the package already, an environment of
`make setup` or a workspace's install/ of `colcon build --merge-install`.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

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
ENVIRONMENT = Path(sys.prefix)


class BuildInterfaces(build_ext):
    def run(self) -> None:
        temporary = Path(self.build_temp).resolve()
        prefix = temporary / 'prefix'
        shutil.rmtree(prefix, ignore_errors=True)
        if built_before := os.environ.get('AUDIO_INTERACTION_ROS_PREFIX'):
            take(Path(built_before).resolve(), prefix)
        else:
            check_tools()
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
            if not rest.startswith("'''exec'"):  # taken from where it had been done
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


def wheels() -> tuple[Path, Path]:
    """Where the ROS wheels are: (their prefix, its site-packages).

    The environment, or pip's temporary one under build isolation.
    """
    import ament_package

    site_packages = Path(ament_package.__file__).resolve().parents[1]
    return site_packages.parents[2], site_packages


def is_stand_in(prefix: Path) -> bool | None:
    """Whether the prefix's audio_common_msgs is our stand-in; None if there is none."""
    manifest = prefix / 'share/audio_common_msgs/package.xml'
    return manifest.read_text() == (ROOT / STAND_IN / 'package.xml').read_text() if manifest.exists() else None


def has_audio_common_msgs() -> bool:
    """True if the environment has audio_common_msgs from elsewhere, not our stand-in, installed earlier."""
    return any(is_stand_in(prefix) is False for prefix in (wheels()[0], ENVIRONMENT))


def take(built: Path, prefix: Path) -> None:
    """Copy what CMake made of this package, and of the stand-in where it is there, from a prefix into another."""
    site_packages = built / 'lib' / f'python{sys.version_info.major}.{sys.version_info.minor}' / 'site-packages'
    said = [json.loads(file.read_text()) for file in site_packages.glob(f'{NAME}-*.dist-info/direct_url.json')]
    # An editable install, as that of `make setup`, has its modules in the source tree.
    trees = [Path(unquote(urlsplit(one['url']).path)) for one in said]
    generated = next((tree / NAME for tree in [site_packages, *trees] if (tree / NAME / 'msg').is_dir()), None)
    if generated is None:
        sys.exit(
            f'AUDIO_INTERACTION_ROS_PREFIX is {built}, which has no such package for this Python; name one that has.'
        )
    for kind in ('msg', 'srv'):
        ours, theirs = ROOT / kind, built / 'share' / NAME / kind
        differing = [file.name for file in ours.iterdir() if not same(file, theirs / file.name)]
        if differing:
            sys.exit(
                f'AUDIO_INTERACTION_ROS_PREFIX is {built}, where {", ".join(sorted(differing))} is missing or another; '
                'build the package there again, or unset the variable.'
            )
    for name in (NAME, 'audio_common_msgs') if is_stand_in(built) else (NAME,):
        for pattern in ('lib/lib{}__*.so', 'lib/{}', 'share/{}', 'share/ament_index/resource_index/*/{}'):
            for path in built.glob(pattern.format(name)):
                copy(path, prefix / path.relative_to(built))
    modules = prefix / site_packages.relative_to(built)
    for path in (generated / 'msg', generated / 'srv', *generated.glob('*.so')):
        copy(path, modules / NAME / path.name)
    if is_stand_in(built):
        copy(site_packages / 'audio_common_msgs', modules / 'audio_common_msgs')
    # What is not compiled is as it is here.
    for part in ('package.xml', 'requirements.txt', 'launch', 'config', 'checkpoints', 'demo', 'examples'):
        shutil.rmtree(prefix / 'share' / NAME / part, ignore_errors=True)
        copy(ROOT / part, prefix / 'share' / NAME / part)


def copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, ignore=shutil.ignore_patterns('__pycache__'), dirs_exist_ok=True)
    else:
        shutil.copy2(path, target)


def same(one: Path, other: Path) -> bool:
    return other.exists() and other.read_bytes() == one.read_bytes()


def build(source: Path, folder: Path, prefix: Path) -> None:
    """Configure, build and install one CMake package into the prefix, on top of the wheels."""
    import cmake
    import ninja

    prefix_of_wheels, site_packages = wheels()

    def search(*paths: Path) -> str:
        return os.pathsep.join(dict.fromkeys(map(str, paths)))

    # Set, not extended: a distribution that happens to be sourced must not leak in.
    environment = dict(
        os.environ,
        AMENT_PREFIX_PATH=search(prefix, prefix_of_wheels),
        CMAKE_PREFIX_PATH=search(prefix, prefix_of_wheels),
        LD_LIBRARY_PATH=search(prefix / 'lib', prefix_of_wheels / 'lib', *site_packages.glob('ros_*.libs')),
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
