"""How much memory a model may still take, asked before it is loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from audio_interaction_ros.model.weights import CheckpointError

_GIB = 2**30
_CGROUP = Path('/sys/fs/cgroup')


def require_memory(needed_bytes: int, what: str, device: str) -> None:
    """Raise CheckpointError, one sentence, when `device` has less than `needed_bytes` left."""
    available = available_bytes(device)
    if available is not None and needed_bytes > available:
        raise CheckpointError(
            f"{what} needs {needed_bytes / _GIB:.1f} GiB, '{device}' has {available / _GIB:.1f} GiB of memory left; "
            'close other programs, load it as bfloat16, or take a smaller checkpoint'
        )


def available_bytes(device: str) -> int | None:
    """Return the bytes that can be allocated on 'cpu' or a CUDA device; None where the system does not say."""
    if torch.device(device).type == 'cuda':
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    known = [size for size in (_system_bytes(), _container_bytes()) if size is not None]
    return min(known, default=None)


def _system_bytes() -> int | None:
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:  # not Linux
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:')), None)


def _container_bytes() -> int | None:
    """Return what a container's limit leaves; page cache counts as left, because it gives way."""
    try:
        limit = (_CGROUP / 'memory.max').read_text().strip()
        lines = (_CGROUP / 'memory.stat').read_text().splitlines()
    except OSError:  # no limit of this kind
        return None
    if limit == 'max':
        return None
    return int(limit) - sum(int(line.split()[1]) for line in lines if line.startswith('anon '))
