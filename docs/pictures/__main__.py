"""`python -m docs.pictures`: draw the pictures of the documents anew, all of them or those that are named."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

from docs.pictures import alert_states, canvas, demo, drain_and_preemption, node_graph, stages, stream_to_tokens

PICTURES: dict[str, Callable[[Path], None]] = {
    'demo': demo.draw,
    'node-graph': node_graph.draw,
    'drain-and-preemption': drain_and_preemption.draw,
    'stream-to-tokens': stream_to_tokens.draw,
    'stages': stages.draw,
    'alert-states': alert_states.draw,
}


def main(arguments: list[str] | None = None) -> None:
    """Draw what was asked for into docs/images, or into another folder."""
    parser = argparse.ArgumentParser(prog='python -m docs.pictures', description=__doc__)
    parser.add_argument('pictures', nargs='*', metavar='PICTURE', help=f'default: {", ".join(PICTURES)}')
    parser.add_argument(
        '--corpus', type=Path, help='take the stream from this corpus; default: build a small one first'
    )
    parser.add_argument('--out', type=Path, default=canvas.IMAGES, help='folder (default: docs/images)')
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.pictures) - set(PICTURES)):
        parser.error(f'there is no picture {unknown}; give some of {", ".join(PICTURES)}, or none for all')
    drawing = PICTURES | {'stream-to-tokens': functools.partial(stream_to_tokens.draw, corpus=options.corpus)}
    for name in options.pictures or PICTURES:
        path = options.out / f'{name}.svg'
        drawing[name](path)
        print(path)


if __name__ == '__main__':
    main()
