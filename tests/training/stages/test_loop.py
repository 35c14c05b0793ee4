"""Every stage runs in one loop: a killed one resumes with the losses an undisturbed one has; spoilt numbers stop it."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from tests.training.stages import micro
from training.random_streams import Purpose, random_stream
from training.recipe import ListeningStage
from training.stages import TrainingError
from training.stages.distributed import Devices
from training.stages.loop import StageRun, run_stage
from training.stages.task import TrainingTask

STEPS = 12


class Killed(BaseException):
    pass


class Squares(TrainingTask[torch.Tensor]):
    """Sixteen weights and a dropout, which learn to give nothing for anything."""

    name = 'squares'
    accumulation = 2
    memory_cure = 'give less'
    settings = ListeningStage(
        steps=STEPS, batch=4, speech_batch=0, mixed_share=0.0, learning_rate=1e-2, weight_decay=0.01
    )

    def __init__(self, die_at: int | None = None, spoil: float = 1.0) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.die_at, self.spoil, self.seen = die_at, spoil, []

    @contextlib.contextmanager
    def trainable(self):
        yield [{'params': list(self.module.parameters()), 'weight_decay': 0.01}]

    def read(self, step):
        rng = random_stream(Purpose.CROP, 1, step, 0)
        return [torch.from_numpy(rng.standard_normal((4, 8)).astype('float32')) for _ in range(self.accumulation)]

    def counts(self, batches):
        return [float(sum(len(batch) for batch in batches))]

    def inputs(self, batch):
        return (batch * self.spoil,)

    def loss(self, outputs, batch, counts):
        squares = outputs.square().sum()
        return squares / counts[0], squares.detach().double()[None]

    def figures(self, parts, counts, seconds):
        if len(self.seen) == self.die_at:
            raise Killed
        self.seen.append(parts[0])
        return {'loss/total': parts[0] / counts[0]}

    def validate(self):
        return {}


def run(folder: Path, task: Squares, stop=lambda: False) -> bool:
    recipe = micro.recipe(save_every_minutes=0.0)
    return run_stage(task, StageRun(recipe, 1, Devices.join(), folder / 'stage', stop))


def test_a_killed_stage_goes_on_exactly(tmp_path):
    whole, killed, rest = Squares(), Squares(die_at=7), Squares()
    assert run(tmp_path / 'whole', whole)
    with pytest.raises(Killed):
        run(tmp_path / 'killed', killed)
    assert run(tmp_path / 'killed', rest)
    assert killed.seen == whole.seen[:7]
    assert len(rest.seen) in (5, 6)  # the last state may still have been on its way to the disk
    assert rest.seen == whole.seen[-len(rest.seen) :]
    for ours, theirs in zip(rest.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_stage_that_is_stopped_after_every_step_is_the_one_that_is_not(tmp_path):
    whole, parts, finished = Squares(), [], False
    run(tmp_path / 'whole', whole)
    while not finished:
        part = Squares()
        finished = run(tmp_path / 'parts', part, stop=lambda: True)
        parts += part.seen
    assert parts == whole.seen


def test_a_finished_stage_is_not_run_again(tmp_path):
    run(tmp_path, Squares())
    again = Squares()
    assert run(tmp_path, again) and again.seen == []


def test_a_loss_that_is_not_finite_is_one_sentence(tmp_path):
    with pytest.raises(TrainingError, match=r"stage 'squares' step 0: the loss is not finite; lower its learning_rate"):
        run(tmp_path, Squares(spoil=float('inf')))


@pytest.mark.cures('make room, and run the same command again: it goes on from the state before')
def test_a_state_that_finds_no_room_ends_the_run_and_the_one_before_counts(tmp_path, monkeypatch):
    whole, full, rest = Squares(), Squares(), Squares()
    assert run(tmp_path / 'whole', whole)
    written, save = 0, safetensors.torch.save_file

    def save_until_full(tensors, path):
        nonlocal written
        written += 1
        if written == 6:
            raise OSError(errno.ENOSPC, 'No space left on device')
        save(tensors, path)

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match=r'cannot be written .* make room'):
        patch.setattr(safetensors.torch, 'save_file', save_until_full)
        run(tmp_path / 'full', full)
    assert not list((tmp_path / 'full').rglob('*.tmp'))
    assert run(tmp_path / 'full', rest)
    assert rest.seen == whole.seen[5:]
