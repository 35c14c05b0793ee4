"""Print what pip has to install before this package itself, one requirement a line.

    requirements.py [EXTRA ...]

The build requirements, the dependencies and those of the named extras, from pyproject.toml. The package is
then installed with --no-build-isolation, in one environment instead of two, and without its dependencies when
only the messages have changed.
"""

import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


def requirements(extras):
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    yield from settings['build-system']['requires']
    for name in settings['tool']['setuptools']['dynamic']['dependencies']['file']:
        yield from (ROOT / name).read_text().splitlines()
    own, known = settings['project']['name'], settings['project']['optional-dependencies']
    extras = list(extras)
    for extra in extras:  # grows while an extra names others
        for requirement in known[extra]:
            if requirement.startswith(f'{own}['):
                extras += requirement[len(own) + 1 : -1].split(',')
            else:
                yield requirement


if __name__ == '__main__':
    print('\n'.join(requirements(sys.argv[1:])))
