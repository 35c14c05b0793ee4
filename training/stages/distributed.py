"""The processes of a run and the device of each."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor

from training.stages import TrainingError

T = TypeVar('T')
_LONGEST_WAIT = timedelta(hours=2)  # for the process that learns a tokenizer or writes a checkpoint


@dataclass(frozen=True)
class Devices:
    """A `Devices` knows the processes of a run, as `torchrun` and `deepspeed` number them, and its own device."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def join(cls) -> Devices:
        """Read the launcher's environment and meet the others. Raises TrainingError where that cannot work."""
        rank, world = int(os.environ.get('RANK', '0')), int(os.environ.get('WORLD_SIZE', '1'))
        local = int(os.environ.get('LOCAL_RANK', '0'))
        cuda = torch.cuda.is_available()
        if cuda:
            if local >= torch.cuda.device_count():
                raise TrainingError(
                    f'process {local} of this node has no GPU: there are {torch.cuda.device_count()}; start one each'
                )
            torch.cuda.set_device(local)
        devices = cls(rank, world, torch.device('cuda', local) if cuda else torch.device('cpu'))
        if not torch.distributed.is_initialized():
            backend = 'nccl' if cuda else 'gloo'
            if world == 1:  # nobody to meet, so no port to agree on that another run may have taken
                os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
                os.environ.setdefault('LOCAL_RANK', '0')
                store = torch.distributed.HashStore()
                torch.distributed.init_process_group(backend, store=store, rank=0, world_size=1)
            import_deepspeed(devices.device).init_distributed(backend, verbose=False, timeout=_LONGEST_WAIT)
        return devices

    @property
    def is_main(self) -> bool:
        """Return whether this process is the one that writes and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, in float64."""
        total = values.to(self.device, torch.float64)
        if self.world > 1:
            torch.distributed.all_reduce(total)
        return total

    def agreed(self, said: bool) -> bool:
        """Return what the first process says, to all."""
        return bool(self.sum(torch.tensor(float(said and self.is_main))))

    def gathered(self, own: list[T]) -> list[T]:
        """Return what all processes have found, to each; it is pickled on the way."""
        if self.world == 1:
            return own
        shares: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(shares, own)
        return [item for share in shares for item in share]

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        if self.world > 1:
            torch.distributed.barrier()

    @property
    def has_bfloat16_cpu(self) -> bool:
        """Return whether the device is a CPU that has instructions for bfloat16 matrix products."""
        return self.device.type == 'cpu' and torch.cpu._is_avx512_bf16_supported()

    def autocast(self) -> contextlib.AbstractContextManager:
        """Use bfloat16 matrix products on a CPU that has instructions for them; on a GPU the weights are bfloat16."""
        return torch.autocast('cpu', torch.bfloat16) if self.has_bfloat16_cpu else contextlib.nullcontext()


def import_deepspeed(device: torch.device) -> Any:
    """Return the library, ready for a kind of device. Raises TrainingError where it is not installed."""
    try:
        import deepspeed
        import deepspeed.ops
    except ImportError:
        raise TrainingError(
            "DeepSpeed is not installed and training runs on it; install it with: pip install -e '.[train]'"
        ) from None
    if device.type == 'cpu':
        # Its shared-memory collectives are compiled when first used; gloo needs no compiler.
        deepspeed.ops.__compatible_ops__ = {}
    return deepspeed
