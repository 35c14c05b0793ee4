"""Command-line options that several commands share, of the robot and of training."""

from __future__ import annotations

import argparse


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Add `--checkpoint`, by name or directory."""
    parser.add_argument(
        '--checkpoint',
        default='embedded',
        metavar='NAME_OR_DIR',
        help="a checkpoint directory, or the name of one that ships with the package (default: 'embedded')",
    )


def add_told_options(parser: argparse.ArgumentParser) -> None:
    """Add `--instruction` and `--context`, what the model is told before it hears anything."""
    parser.add_argument(
        '--instruction',
        default='',
        metavar='TEXT',
        help="system instruction that tells the model what to do (default: the checkpoint's own)",
    )
    add_context_option(parser)


def add_context_option(parser: argparse.ArgumentParser) -> None:
    """Add `--context`, what the model is to know beside the sound."""
    parser.add_argument(
        '--context',
        metavar='FILE',
        help='JSON file of what the model is to know: time, place, calendar, home, robot, as on ai/context '
        '(default: nothing)',
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add `--device` and `--precision`."""
    parser.add_argument(
        '--device', default='cpu', help='PyTorch device to compute on: cpu, cuda, cuda:1 … (default: cpu)'
    )
    parser.add_argument(
        '--precision',
        default='stored',
        choices=('stored', 'float32', 'bfloat16', 'float16', 'int8'),
        help='number type to compute in; int8 takes weights of eight bits for the language model (default: stored, '
        'that of the checkpoint)',
    )
