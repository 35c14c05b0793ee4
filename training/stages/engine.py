"""What turns losses into steps: DeepSpeed with ZeRO-2 (Table 11), over NCCL on GPUs and over gloo on CPUs.

One process on one CPU goes the same way: there DeepSpeed costs about a hundredth of a step.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.files import write_whole
from training.recipe import Optimiser
from training.stages import TrainingError
from training.stages.distributed import Devices, import_deepspeed

_LATEST = 'latest.json'
ZERO_BUCKET = 50_000_000  # gradients that DeepSpeed gathers before it sends them


def _adamw(groups: Iterable[dict[str, object]], settings: Optimiser) -> torch.optim.AdamW:
    # The rate is set at every step: it depends on the step alone and needs no state of its own.
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(list(groups), lr=1.0, betas=betas, eps=settings.epsilon, fused=True)


class DeepSpeedEngine:
    """A `DeepSpeedEngine` runs a module and steps its optimiser, whose state the processes share out (ZeRO-2)."""

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
        self._engine, *_ = import_deepspeed(devices.device).initialize(
            model=module, optimizer=_adamw(groups, settings), config=config
        )
        self._engine.checkpoint_engine = _data_only_reader()

    def forward(self, *inputs: Any) -> Any:
        """Return the module's outputs."""
        return self._engine(*inputs)

    def backward(self, share: Tensor) -> None:
        """Add the gradients of this batch's share of the step's loss, which is the sum of all shares."""
        # DeepSpeed averages over batches and processes; the share is one of a sum.
        self._engine.backward(share * self._shares)
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()  # which only counts

    def step(self, learning_rate: float) -> float:
        """Clip and apply the gradients. Return their norm before clipping.

        A parameter group may have a `rate`: its learning rate as a share of the step's.
        """
        for group in self._engine.optimizer.param_groups:
            group['lr'] = learning_rate * group.get('rate', 1.0)
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


def save(engine: DeepSpeedEngine, folder: Path, step: int, devices: Devices) -> None:
    """Keep the state after `step` steps; whoever is killed meanwhile finds the one before."""
    state = folder / f'step-{step:07d}'
    if devices.is_main:
        state.mkdir(parents=True, exist_ok=True)
    devices.barrier()
    engine.write(state)
    devices.barrier()
    if devices.is_main:
        write_whole(folder / _LATEST, json.dumps({'step': step, 'processes': devices.world}).encode())
        for old in folder.glob('step-*'):
            if old != state:
                shutil.rmtree(old)


def is_under_way(folder: Path) -> bool:
    """Return whether a stage's folder holds a state to go on from."""
    return (folder / _LATEST).exists()


def resume(engine: DeepSpeedEngine, folder: Path, devices: Devices) -> int:
    """Take back the latest state, if there is one; return how many steps it has behind it. Raises TrainingError."""
    if not is_under_way(folder):
        return 0
    kept = json.loads((folder / _LATEST).read_text())
    if kept['processes'] != devices.world:
        raise TrainingError(
            f"'{folder}' was saved by {kept['processes']} processes and there are {devices.world}; start as many, or "
            'remove the folder to begin the stage again'
        )
    engine.read(folder / f'step-{kept["step"]:07d}')
    return int(kept['step'])
