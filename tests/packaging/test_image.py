"""deploy/Dockerfile copies what is there and installs what package.xml names; nothing but the robot's is sent to it."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

from tests.packaging.test_release import ROSDEP

ROOT = Path(__file__).parents[2]
# What brings it at run time, where that is not what the key brings.
RUNTIME = {'portaudio19-dev': 'libportaudio2'}
FOR_TESTS = {'python3-hypothesis', 'python3-pytest-timeout'}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's (instruction, arguments), its lines joined and its comments left out."""
    lines = (line for line in (ROOT / 'deploy' / 'Dockerfile').read_text().splitlines() if not line.startswith('#'))
    joined = re.sub(r'\\\n', ' ', '\n'.join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the engine: the last rule that fits it or a folder above it counts."""
    out = False
    for rule in (ROOT / '.dockerignore').read_text().splitlines():
        if rule and not rule.startswith('#'):
            pattern = rule.removeprefix('!')
            parts = path.split('/')
            above = ['/'.join(parts[:n]) for n in range(1, len(parts) + 1)]
            anywhere = pattern.removeprefix('**/')
            fits = any(fnmatch(each, pattern) for each in above)
            if fits or (anywhere != pattern and any(fnmatch(part, anywhere) for part in parts)):
                out = not rule.startswith('!')
    return out


def test_what_the_image_copies_is_in_the_repository_and_reaches_the_engine():
    copied = [shlex.split(arguments)[:-1] for name, arguments in instructions() if name == 'COPY']
    sources = [source for sources in copied for source in sources]
    assert sources == ['requirements.txt', '.']
    assert not ignored('requirements.txt')


def test_all_that_colcon_builds_from_reaches_the_engine():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    named = set(re.findall(r'\b(?:msg|srv)/\w+\.\w+', cmake)) | {'CMakeLists.txt', 'package.xml', 'LICENSE'}
    folders = next(re.finditer(r'install\(DIRECTORY ([a-z ]+) DESTINATION share', cmake)).group(1).split()
    for folder in [*folders, 'audio_interaction_ros/nodes']:
        named |= {str(file.relative_to(ROOT)) for file in (ROOT / folder).rglob('*') if file.is_file()}
    assert {path for path in named if ignored(path) and '__pycache__' not in path} == set()


def test_an_environment_git_training_and_what_another_build_left_do_not_reach_the_engine():
    left = ['.git/HEAD', '.venv/bin/python', 'runs/a/model.safetensors', 'training/make/__init__.py', 'tests/x.py']
    left += ['audio_interaction_ros/msg/_decision.py', 'audio_interaction_ros/a__rosidl_typesupport_c.so', 'build/x']
    left += ['audio_interaction_ros/nodes/__pycache__/decoder.cpython-312.pyc', '.env']
    assert [path for path in left if not ignored(path)] == []


def test_apt_installs_what_the_manifest_names_and_nothing_twice():
    (run,) = (arguments for name, arguments in instructions() if name == 'RUN' and 'apt-get install' in arguments)
    installed = shlex.split(run.partition('--no-install-recommends')[2].partition('&&')[0])
    assert len(installed) == len(set(installed))
    needed = {RUNTIME.get(key, package) for key, package in ROSDEP.items() if key not in FOR_TESTS}
    # The image has what the group ros_base has: audio_common_msgs is in none.
    assert set(installed) == needed | {'espeak-ng', 'python3-venv', 'ros-jazzy-audio-common-msgs'}
    assert run.startswith('apt-get update &&') and run.rstrip().endswith('rm -rf /var/lib/apt/lists/*')


def test_the_image_starts_the_launch_file_with_its_arguments_not_as_root_and_ends_it_as_the_unit_does():
    said = dict(instructions())
    *_, script, name = json.loads(said['ENTRYPOINT'])
    assert name == '--' and script.endswith('exec ros2 launch audio_interaction_ros assistant.launch.py "$@"')
    assert (ROOT / 'launch' / 'assistant.launch.py').is_file()
    assert said['USER'] == 'robot'
    assert f'KillSignal={said["STOPSIGNAL"]}' in (ROOT / 'deploy' / 'audio-interaction.service').read_text()
    order = [name for name, _ in instructions()]
    assert order.index('USER') > max(n for n, name in enumerate(order) if name in ('RUN', 'COPY'))


def test_what_another_machine_needs_wheels_for_is_in_the_table_of_arm64():
    page = (ROOT / 'docs' / 'deploy.md').read_text().partition('\n## On arm64\n')[2].partition('\n## ')[0]
    required = [re.split(r'[^\w-]', line)[0] for line in (ROOT / 'requirements.txt').read_text().splitlines() if line]
    for name in filter(None, required):
        assert re.search(rf'`{name}`', page), name
