"""The sides of the split, by recording and voice: what is trained on, validated with, and tested on."""

from __future__ import annotations

from typing import Literal, get_args

Split = Literal['train', 'validation', 'test']
SPLITS: tuple[Split, ...] = get_args(Split)
