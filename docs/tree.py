"""`python -m docs.tree`: write docs/tree.md, the annotated file tree, from what each module says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'tree.md'
PACKAGES = ('audio_interaction_ros', 'training')
_GENERATED = {'audio_interaction_ros/msg', 'audio_interaction_ros/srv'}
# What is no Python says nothing of itself.
OTHERS = {
    'README.md': 'The front door: what it is, two commands, a subscriber, on a robot.',
    'Makefile': 'make setup, make demo, make test.',
    'package.xml': 'The ROS package: its dependencies, by rosdep key where there is one.',
    'CMakeLists.txt': 'The build with colcon: messages, nodes, launch files.',
    'pyproject.toml': 'The build with pip: extras, linters, tests.',
    'CHANGELOG.rst': 'What is new in each version, and what upgrading takes.',
    'msg': 'The messages.',
    'srv': 'The services.',
    'launch': 'The launch files: the assistant, and a recording played again.',
    'config': 'Parameters, the hazard taxonomy, the access rules for SROS 2, and layouts for Foxglove and rqt.',
    'compat': 'audio_common_msgs for where no distribution has it.',
    'checkpoints/embedded': 'The checkpoint that ships, with its model card and the recipe that made it.',
    'demo': 'The scene of the demo and what is in it.',
    'deploy': 'A container and a systemd unit.',
    'docs': 'The documents.',
    'docs/images': 'Their pictures.',
    'docs/pictures': 'What draws them: `python -m docs.pictures`.',
    'training/recipes': 'The settings that made a checkpoint, or go on from one.',
    'tools': 'What the Makefile calls.',
    'cmake': 'How the build finds ROS from wheels.',
    'tests': 'Tests mirror the tree; `tests/system/` starts real nodes.',
}


def says(module: Path) -> str:
    """Return the first line of a module's docstring; empty where it has none."""
    return (ast.get_docstring(ast.parse(module.read_text())) or '').partition('\n')[0]


def lines_of(folder: Path, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (indented name, what it is) of a package's folder, its modules, and the folders below it."""
    relative = str(folder.relative_to(ROOT))
    init = folder / '__init__.py'
    yield '  ' * depth + folder.name + '/', (says(init) if init.exists() else '') or OTHERS.get(relative, '')
    for module in sorted(folder.glob('*.py')):
        if not module.name.startswith('__'):
            yield '  ' * (depth + 1) + module.name, says(module)
    for below in sorted(each for each in folder.iterdir() if each.is_dir()):
        if str(below.relative_to(ROOT)) not in _GENERATED and (
            any(below.rglob('*.py')) or str(below.relative_to(ROOT)) in OTHERS
        ):
            yield from lines_of(below, depth + 1)


def page() -> str:
    """Return the page, as it is to be in docs/tree.md."""
    blocks = []
    for package in PACKAGES:
        lines = list(lines_of(ROOT / package))
        wide = max(len(name) for name, _ in lines) + 2
        blocks.append(
            f'## {package}\n\n```\n' + '\n'.join(f'{name:{wide}}{words}'.rstrip() for name, words in lines) + '\n```\n'
        )
    rows = '\n'.join(f'| `{path}` | {words} |' for path, words in OTHERS.items() if not path.startswith(PACKAGES))
    return (
        '# The file tree\n\n'
        'Written by `python -m docs.tree` from the first line of every module. What depends on what is in '
        '[architecture.md](architecture.md), what the words mean in [glossary.md](glossary.md).\n\n'
        f'| at the top | |\n|---|---|\n{rows}\n\n' + '\n'.join(blocks)
    )


if __name__ == '__main__':
    PAGE.write_text(page())
