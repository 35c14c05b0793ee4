"""Score a bag of your robot with one checkpoint or several, to see which hears your place best.

On the robot, then in a checkout after `make setup-train`:

    ros2 run audio_interaction_ros audio-interaction record --out night
    .venv/bin/python examples/score_a_bag.py night night.csv embedded checkpoints/mine

The labels are a CSV file with the columns onset_s, end_s (seconds from the bag's first sound), category, and respond:
1 where something should be said, 0 where not. docs/evaluation.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]


def score(bag: Path, labels: Path, checkpoint: str) -> dict[str, Any]:
    """Return the figures of one checkpoint, and write its page beside you.

    Raises SystemExit with the command's exit code when the bag could not be scored; the command has said why.
    """
    page = Path(f'evaluation-{Path(checkpoint).name}.html').resolve()  # where you are, not in the checkout
    command = ['evaluate', 'bag', str(bag.resolve()), '--labels', str(labels.resolve())]
    command += ['--checkpoint', checkpoint, '--report', str(page)]
    run = subprocess.run([sys.executable, '-m', 'training', *command], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(run.returncode)
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line for each checkpoint, then what it missed."""
    parser = argparse.ArgumentParser(description='Score a bag with one checkpoint or several.')
    parser.add_argument('bag', type=Path, help='a rosbag2 bag with sound')
    parser.add_argument('labels', type=Path, help='a CSV file: onset_s, end_s, category, respond')
    parser.add_argument('checkpoints', nargs='*', default=['embedded'], help='names or directories (default: embedded)')
    given = parser.parse_args(argv)
    for checkpoint in given.checkpoints:
        if (path := Path(checkpoint)).is_dir():
            checkpoint = str(path.resolve())
        figures = score(given.bag, given.labels, checkpoint)
        print(
            f'{checkpoint}: recall {figures["recall"]}, {figures["interruptions_per_hour"]} interruptions an hour, '
            f'{figures["onset_to_response_s"]} s from onset to response'
        )
        for event in figures['missed_events']:
            print(f'  missed at {event["onset_s"]:.1f} s: {event["category"]}')


if __name__ == '__main__':
    main()
