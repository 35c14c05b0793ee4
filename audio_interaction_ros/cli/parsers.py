"""Sub-commands of argparse, all of one form."""

from __future__ import annotations

import argparse
from typing import Any


def add_command(commands: Any, name: str, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Add a sub-command to argparse's sub-parsers: its summary in the list, its description and epilog by --help."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    """Add an action of a sub-command, with the same text in the list and by its own --help."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=f'{text[0].upper()}{text[1:]}.')
    return parser
