"""`python -m training scene`: scenes from held-out recordings, for the demo and in place of the field."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

_USUAL = {'hazards': 'demo', 'living-room': 'demo-living-room', 'field': 'field'}  # programmes, and where they go


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `scene` to argparse's sub-parsers."""
    parser = commands.add_parser('scene', help='make scenes from held-out recordings, for the demo or `evaluate field`')
    parser.add_argument(
        '--programme',
        choices=list(_USUAL),
        default='hazards',
        help='hazards: the scene that ships, a minute and a bit of eight hazards between ordinary sounds; living-room: '
        'three minutes of a living room with two hazards in them; field: a minute each of travel, work, home and '
        'commute, of recordings under permissive licences, for `evaluate field` (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for scene.flac and scene.json, or for the four scenes and ATTRIBUTIONS.csv (default: '
        f'{", ".join(_USUAL.values())})',
    )
    parser.add_argument('--seed', type=int, default=1, help='seed of choices, levels and pauses (default: %(default)s)')
    parser.add_argument('--clips', type=Path, required=True, help='clip library whose held-out recordings are used')


def run(options: argparse.Namespace) -> int:
    """Write the scene and print what is in it as JSON. Return the exit code."""
    from training.render.demo_scene import make_living_room, make_scene
    from training.render.field_scenes import make_field

    make = {'hazards': make_scene, 'living-room': make_living_room, 'field': make_field}[options.programme]
    print(json.dumps(make(options.clips, options.out or Path(_USUAL[options.programme]), options.seed)))
    return 0
