"""The loop of stage 0, in one process: AdamW, warm-up and cosine, clipping, TensorBoard, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.recipe import ListeningStage
from training.stages import TrainingError

WARM_UP = 0.03  # of the steps (paper, Table 11)
CLIP_NORM = 1.0
SAVE_EVERY_S = 60.0


def run_encoder_stage(
    name: str,
    module: nn.Module,
    settings: ListeningStage,
    losses_at: Callable[[int], dict[str, Tensor]],
    run: Path,
    validate: Callable[[], dict[str, float]],
    validate_every: int,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train `module`'s parameters that require gradients; `losses_at(step)['total']` is minimised.

    Batches must depend on the step alone, so that a run that was killed and started again sees what an
    undisturbed one would. State is kept in `run`/<name>.pt; a finished stage returns at once.
    Returns False when `stop` ended it early.

    Raises TrainingError when the loss is not finite.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1]
    plain = [p for p in parameters if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{'params': decayed, 'weight_decay': settings.weight_decay}, {'params': plain, 'weight_decay': 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
        eps=1e-8,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, settings.steps))
    state_path = run / f'{name}.pt'
    first = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        module.load_state_dict(state['module'])
        optimiser.load_state_dict(state['optimiser'])
        schedule.load_state_dict(state['schedule'])
        first = state['step']

    def save(step: int) -> None:
        state = {
            'module': module.state_dict(),
            'optimiser': optimiser.state_dict(),
            'schedule': schedule.state_dict(),
            'step': step,
        }
        torch.save(state, state_path.with_suffix('.new'))
        state_path.with_suffix('.new').replace(state_path)

    writer = SummaryWriter(str(run / 'tensorboard' / name))
    saved = time.monotonic()
    smooth: dict[str, float] = {}
    stopping = False
    with tqdm(range(first, settings.steps), desc=name, initial=first, total=settings.steps, unit='step') as bar:
        for step in bar:
            module.train()
            torch.manual_seed(step)  # dropout and masks too depend on the step alone
            with mixed_precision(parameters[0].device.type):
                losses = losses_at(step)
            optimiser.zero_grad(set_to_none=True)
            losses['total'].backward()
            norm = float(nn.utils.clip_grad_norm_(parameters, CLIP_NORM))
            if not math.isfinite(norm):
                raise TrainingError(f"{name} step {step}: the loss is not finite; lower the stage's learning_rate")
            optimiser.step()
            schedule.step()
            for key, loss in losses.items():
                value = float(loss.detach())
                smooth[key] = 0.98 * smooth.get(key, value) + 0.02 * value
                writer.add_scalar(f'loss/{key}', value, step)
            writer.add_scalar('gradient_norm', norm, step)
            bar.set_postfix({key: f'{value:.3f}' for key, value in smooth.items()})
            if (step + 1) % validate_every == 0 or step + 1 == settings.steps:
                module.eval()
                figures = validate()
                for key, value in figures.items():
                    writer.add_scalar(f'validation/{key}', value, step + 1)
                tqdm.write(f'{name} step {step + 1}: ' + ', '.join(f'{k} {v:.3f}' for k, v in figures.items()))
            stopping = stop()
            if stopping or time.monotonic() - saved > SAVE_EVERY_S or step + 1 == settings.steps:
                save(step + 1)
                saved = time.monotonic()
            if stopping:
                break
    writer.close()
    module.eval()
    return not stopping


def mixed_precision(device: str = 'cpu') -> torch.autocast:
    """bfloat16 matrix products on a GPU, and where a CPU has instructions for them; a no-op elsewhere."""
    return torch.autocast(device, torch.bfloat16, enabled=device == 'cuda' or torch.cpu._is_avx512_bf16_supported())


def _rate(step: int, steps: int) -> float:
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
