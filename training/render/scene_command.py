"""`python -m training scene`: a scene for the demo, from held-out recordings."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `scene` to argparse's sub-parsers."""
    parser = commands.add_parser('scene', help='make a scene for the demo from held-out recordings')
    parser.add_argument(
        '--programme',
        choices=['hazards', 'living-room'],
        default='hazards',
        help='hazards: the scene that ships, a minute and a bit of eight hazards between ordinary sounds; living-room: '
        'three minutes of a living room with two hazards in them (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='folder for scene.flac and scene.json (default: demo, or demo-living-room)',
    )
    parser.add_argument('--seed', type=int, default=1, help='seed of choices, levels and pauses (default: %(default)s)')
    parser.add_argument('--clips', type=Path, required=True, help='clip library whose held-out recordings are used')


def run(options: argparse.Namespace) -> int:
    """Write the scene and print what is in it as JSON. Return the exit code."""
    from training.render.demo_scene import make_living_room, make_scene

    of_hazards = options.programme == 'hazards'
    make, usual = (make_scene, 'demo') if of_hazards else (make_living_room, 'demo-living-room')
    print(json.dumps(make(options.clips, options.out or Path(usual), options.seed)))
    return 0
