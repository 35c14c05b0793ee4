"""What turns losses into steps: DeepSpeed with ZeRO-2 (Table 11), over NCCL on GPUs and over gloo on CPUs.

One process on one CPU goes the same way: there DeepSpeed costs about a hundredth of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from training.recipe import Optimiser
from training.stages.distributed import Devices, import_deepspeed

_VALUE, _MOMENTS = 'value', ('exp_avg', 'exp_avg_sq')  # of a parameter's state; AdamW's own names
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
        self._accumulation, self._shares = accumulation, accumulation * devices.world
        self._optimiser = _adamw(groups, settings)
        self._trained = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
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
            model=module, optimizer=self._optimiser, config=config
        )
        # What AdamW would do in its first step; but DeepSpeed looks for the moments of all groups after that of one.
        for group in self._optimiser.param_groups:
            for share in group['params']:
                state = {'step': torch.zeros((), device=share.device)}
                self._optimiser.state[share] = state | {moment: torch.zeros_like(share) for moment in _MOMENTS}

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

    def gather(self, wanted: Callable[[int], bool]) -> dict[str, Tensor]:
        """Return the state of those parameters that a process wants, by their number: float32 on the CPU.

        Of each its value and both moments. Every process calls this at the same step, for it takes all of them.
        """
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        found: dict[str, Tensor] = {}
        for number, (name, parameter) in enumerate(self._trained):
            parts = {_VALUE: safe_get_full_fp32_param(parameter)}
            parts |= {moment: safe_get_full_optimizer_state(parameter, moment) for moment in _MOMENTS}
            if wanted(number):
                found |= {f'{part}.{name}': tensor.to('cpu') for part, tensor in parts.items()}
        return found

    def restore(self, read: Callable[[str], Tensor], steps: int) -> None:
        """Take back what `gather` gave after so many steps; `read` gives a tensor of it by its name."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        self._step_that_changes_nothing()
        for name, parameter in self._trained:
            value = read(f'{_VALUE}.{name}').to(parameter.device)
            safe_set_full_fp32_param(parameter, value)
            with torch.no_grad():
                parameter.copy_(value)
            for moment in _MOMENTS:
                safe_set_full_optimizer_state(parameter, read(f'{moment}.{name}').to(parameter.device), moment)
        for state in self._optimiser.state.values():
            state['step'].fill_(steps)

    def _step_that_changes_nothing(self) -> None:
        """The moments of a parameter are there, for DeepSpeed to give and take, from the first step on."""
        for _ in range(self._accumulation):
            self.backward(torch.stack([(parameter * 0.0).sum() for _, parameter in self._trained]).sum())
        self.step(0.0)

    def close(self) -> None:
        """Leave the module as it was before, with its new weights."""
        self._engine.destroy()
