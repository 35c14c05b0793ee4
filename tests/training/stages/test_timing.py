"""A dry run measures here what the stages take, on streams as long as a corpus', and trains nothing."""

from __future__ import annotations

import json

import pytest
import torch

from tests.training.stages import micro
from training.__main__ import main
from training.stages.timing import PARTS, noise_batch

LOW_RANK = {'language_model': {'rank': 2, 'alpha': 4}}


@pytest.fixture
def here(tmp_path, capsys):
    """What `--dry-run --here` says of a recipe's first and last stage, with these numbers."""

    def measured(**numbers):
        first, *_, last = micro.settings(**numbers)['stages']
        path = micro.write_recipe(tmp_path / 'micro.yaml', low_rank=LOW_RANK, stages=[first, last])
        assert main(['train', '--recipe', str(path), '--dry-run', '--here']) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])['here']

    return measured


def test_a_dry_run_measures_each_stage_by_part_and_says_its_hours_here(here):
    said = here(steps=36_000, batch=2, accumulation=3)
    assert said['threads'] == torch.get_num_threads()
    assert [stage['stage'] for stage in said['stages']] == ['format', 'interaction']
    for stage in said['stages']:
        assert list(stage['processor_s']) == list(PARTS) and min(stage['processor_s'].values()) >= 0
        assert stage['hours'] == pytest.approx(10 * stage['step_s'], abs=0.02)  # 36 000 steps
        processor_s = sum(stage['processor_s'].values())
        assert stage['processor_hours'] == pytest.approx(10 * processor_s, abs=0.05)
    offline, online = said['stages']
    # Three batches of two streams a step: positions are what goes by in a step.
    for stage, positions in ((offline, 163), (online, 640)):
        in_a_step = stage['tokens_per_s'] * stage['step_s']
        assert in_a_step == pytest.approx(3 * 2 * positions, rel=0.05)
    assert said['hours'] == pytest.approx(sum(stage['hours'] for stage in said['stages']), abs=0.03)


@pytest.mark.parametrize(('number', 'chunks', 'control', 'text'), [(0, 11, 1, 11), (3, 45, 45, 30)])
def test_what_is_timed_is_as_long_as_the_streams_of_a_corpus_and_as_often_decided_on(number, chunks, control, text):
    recipe = micro.recipe(batch=2)
    batch = noise_batch(recipe, recipe.stages[number], 320)
    assert batch.waveforms.shape == (2, chunks * recipe.chunk_samples) and bool(batch.heard.all())
    assert (len(batch.stream_at), len(batch.lm_at)) == (2 * control, 2 * text)
    assert len(batch.audio_at) == 2 * chunks * 10 and int(batch.ids.max()) < 320
    ids = batch.ids.flatten()
    assert torch.equal(ids[batch.lm_at + 1], batch.lm_targets)
    assert torch.equal(ids[batch.stream_at + 1], batch.stream_targets)


def test_a_recipe_that_leaves_its_vocabulary_to_a_tokenizer_says_what_a_dry_run_needs(tmp_path, capsys):
    path = micro.write_recipe(tmp_path / 'micro.yaml', vocabulary_size=None)
    assert main(['train', '--recipe', str(path), '--dry-run', '--here']) == 2
    assert 'give text.vocab_size' in capsys.readouterr().err
