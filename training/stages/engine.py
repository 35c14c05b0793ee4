"""What turns losses into steps: DeepSpeed with ZeRO-2 (Table 11), over NCCL on GPUs and over gloo on CPUs.

One process on one CPU goes the same way: there DeepSpeed costs about a hundredth of a step.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.files import write_whole
from training.recipe import Optimiser
from training.stages import TrainingError

_LATEST = 'latest.json'
_WAIT = timedelta(hours=2)  # for the process that makes the index or writes a checkpoint
ZERO_BUCKET = 50_000_000  # gradients that DeepSpeed gathers before it sends them


@dataclass(frozen=True)
class Devices:
    """The processes of a run, as `torchrun` and `deepspeed` number them, and this one's device."""

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
            _deepspeed(devices.device).init_distributed(backend, verbose=False, timeout=_WAIT)
        return devices

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in float64."""
        total = values.to(self.device, torch.float64)
        if self.world > 1:
            torch.distributed.all_reduce(total)
        return total

    def wait(self) -> None:
        """Until all processes have come here."""
        if self.world > 1:
            torch.distributed.barrier()

    def autocast(self) -> contextlib.AbstractContextManager:
        """bfloat16 matrix products on a CPU that has instructions for them; on a GPU the weights are bfloat16."""
        supported = self.device.type == 'cpu' and torch.cpu._is_avx512_bf16_supported()
        return torch.autocast('cpu', torch.bfloat16) if supported else contextlib.nullcontext()


def _deepspeed(device: torch.device) -> Any:
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


def _adamw(groups: Iterable[dict[str, object]], settings: Optimiser) -> torch.optim.AdamW:
    # The rate is set at every step: it depends on the step alone and needs no state of its own.
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(list(groups), lr=1.0, betas=betas, eps=settings.epsilon, fused=True)


class Engine:
    """Runs a module forward and backward and steps its optimiser; what it needs for that is divided (ZeRO-2)."""

    def __init__(
        self,
        module: nn.Module,
        groups: Iterable[dict[str, object]],
        settings: Optimiser,
        devices: Devices,
        batch: int,
        accumulation: int,
    ) -> None:
        self._shares = accumulation * devices.world
        config = {
            'train_micro_batch_size_per_gpu': batch,
            'gradient_accumulation_steps': accumulation,
            'gradient_clipping': settings.max_gradient_norm,
            'bf16': {'enabled': devices.device.type == 'cuda'},
            'zero_optimization': {
                'stage': 2,
                'reduce_bucket_size': ZERO_BUCKET,
                'allgather_bucket_size': ZERO_BUCKET,
                'overlap_comm': devices.device.type == 'cuda',
            },
            # PyTorch's own fused AdamW; DeepSpeed's would have to be compiled.
            'zero_allow_untested_optimizer': True,
            'zero_force_ds_cpu_optimizer': False,
            'steps_per_print': 1 << 40,
        }
        self._engine, *_ = _deepspeed(devices.device).initialize(
            model=module, optimizer=_adamw(groups, settings), config=config
        )
        self._engine.checkpoint_engine = _data_only_reader()

    def forward(self, *inputs: Any) -> Any:
        """The module's outputs."""
        return self._engine(*inputs)

    def backward(self, share: Tensor) -> None:
        """Add the gradients of this batch's share of the step's loss, which is the sum of all shares."""
        # DeepSpeed averages over batches and processes; the share is one of a sum.
        self._engine.backward(share * self._shares)
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()  # which only counts

    def step(self, learning_rate: float) -> float:
        """Clip and apply the gradients. Returns their norm before clipping."""
        for group in self._engine.optimizer.param_groups:
            group['lr'] = learning_rate
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def write(self, folder: Path) -> None:
        """Keep weights and optimiser state in a folder; every process writes its part."""
        self._engine.save_checkpoint(str(folder.parent), tag=folder.name, save_latest=False)

    def read(self, folder: Path) -> None:
        """Take back what `write` kept."""
        self._engine.load_checkpoint(str(folder.parent), tag=folder.name)

    def close(self) -> None:
        """Leave the module as it was before, with its new weights."""
        self._engine.destroy()


def _data_only_reader() -> Any:
    """DeepSpeed's files hold three classes of its own beside tensors; nothing else is unpickled."""
    from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    class DataOnly(TorchCheckpointEngine):
        def load(self, path: str, map_location: Any = None) -> Any:
            with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
                return torch.load(path, map_location=map_location, weights_only=True)

    return DataOnly()


def save(engine: Engine, folder: Path, step: int, devices: Devices) -> None:
    """Keep the state after `step` steps; whoever is killed meanwhile finds the one before."""
    state = folder / f'step-{step:07d}'
    if devices.first:
        state.mkdir(parents=True, exist_ok=True)
    devices.wait()
    engine.write(state)
    devices.wait()
    if devices.first:
        write_whole(folder / _LATEST, json.dumps({'step': step, 'processes': devices.world}).encode())
        for old in folder.glob('step-*'):
            if old != state:
                shutil.rmtree(old)


def resume(engine: Engine, folder: Path, devices: Devices) -> int:
    """Take back the latest state, if there is one; returns how many steps it has behind it. Raises TrainingError."""
    latest = folder / _LATEST
    if not latest.exists():
        return 0
    kept = json.loads(latest.read_text())
    if kept['processes'] != devices.world:
        raise TrainingError(
            f"'{folder}' was saved by {kept['processes']} processes and there are {devices.world}; start as many, or "
            'remove the folder to begin the stage again'
        )
    engine.read(folder / f'step-{kept["step"]:07d}')
    return int(kept['step'])
