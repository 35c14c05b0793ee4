"""What a run's TensorBoard says of its steps, minutes and hours of sound, however often it was interrupted."""

from __future__ import annotations

from torch.utils.tensorboard import SummaryWriter

from tests.training.stages import micro
from training.make.steps import time_left
from training.stages.run_log import figures_of, stages_of

STAGE_0 = {'steps': 4, 'batch': 3, 'speech_batch': 2, 'learning_rate': 1e-2, 'weight_decay': 0.0, 'mixed_share': 0.5}


def sitting(run, stage, first, last, step_s, tag, rate, begins_s):
    """Steps `first` to `last`, `step_s` apart."""
    with SummaryWriter(str(run / 'tensorboard' / stage)) as writer:
        for place, step in enumerate(range(first, last + 1)):
            at = begins_s + place * step_s
            writer.add_scalar(tag, rate, step, walltime=at)
            writer.add_scalar('learning_rate', 1e-3, step, walltime=at)


def test_an_interrupted_stage_took_what_its_sittings_took_and_not_the_night_between(tmp_path):
    recipe = micro.recipe(steps=6)
    streams = 'throughput/audio_hours_per_hour'
    sitting(tmp_path, 'format', 0, 5, 60.0, streams, 10.0, 1_000.0)
    sitting(tmp_path, 'core', 0, 3, 60.0, streams, 20.0, 2_000.0)
    sitting(tmp_path, 'core', 2, 5, 60.0, streams, 20.0, 90_000.0)  # two of them again
    found = stages_of(tmp_path, recipe)
    assert list(found) == ['format', 'core']
    assert found['format'] == {'steps': 6, 'minutes': 6.0, 'hours_heard': 1.0}
    assert found['core'] == {'steps': 6, 'minutes': 8.0, 'hours_heard': round(8 / 60 * 20, 3)}


def test_a_figure_is_told_step_by_step_and_sitting_by_sitting(tmp_path):
    sitting(tmp_path, 'core', 0, 3, 60.0, 'loss/total', 2.0, 1_000.0)
    sitting(tmp_path, 'core', 2, 4, 60.0, 'loss/total', 1.5, 9_000.0)
    assert figures_of(tmp_path, 'core', 'loss/total') == [dict.fromkeys(range(4), 2.0), dict.fromkeys(range(2, 5), 1.5)]
    assert figures_of(tmp_path, 'core', 'loss/lm') == figures_of(tmp_path, 'format', 'loss/total') == []


def test_validation_takes_minutes_and_hears_nothing_and_a_machine_that_slept_did_not_train(tmp_path):
    recipe = micro.recipe(steps=40)
    with SummaryWriter(str(tmp_path / 'tensorboard' / 'format')) as writer:
        for step in range(40):
            at = 10.0 * step + 120.0 * (step > 10) + 36_000.0 * (step > 20)
            writer.add_scalar('learning_rate', 1e-3, step, walltime=at)
            writer.add_scalar('throughput/audio_hours_per_hour', 36.0, step, walltime=at)
    found = stages_of(tmp_path, recipe)['format']
    assert found['minutes'] == round((38 * 10 + 130 + 900) / 60, 2)
    assert found['hours_heard'] == round((38 * 10 + 2 * 50) * 36 / 3_600, 3)


def test_stage_0_heard_its_crops(tmp_path):
    sitting(tmp_path, 'encoder', 0, 3, 30.0, 'throughput/crops_per_s', 5.0, 0.0)
    found = stages_of(tmp_path, micro.recipe(encoder=STAGE_0))['encoder']
    assert found == {'steps': 4, 'minutes': 2.0, 'hours_heard': round(120.0 * 5.0 * 2.0 / 3_600, 3)}


def test_the_time_that_is_left_is_that_of_the_steps_that_are(tmp_path):
    recipe = micro.recipe(steps=6)  # four stages of 6 steps of 4 streams
    assert time_left(tmp_path, recipe) == ''
    sitting(tmp_path, 'format', 0, 5, 300.0, 'throughput/audio_hours_per_hour', 10.0, 0.0)
    sitting(tmp_path, 'adapter', 0, 2, 600.0, 'throughput/audio_hours_per_hour', 10.0, 0.0)
    # Three steps of the adapter's, and twelve of stages that are taken to be like it, each of 10 minutes.
    assert time_left(tmp_path, recipe) == 'training has done 9 of 24 steps; about 2.5 hours are left'
