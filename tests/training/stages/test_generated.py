"""A network in training is heard as a robot hears; what it says is on TensorBoard, and the best is handed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.stages import micro
from training.recipe_file import RecipeError
from training.stages import TrainingError
from training.stages.preparation import Files
from training.stages.run import train

STEPS, EVERY = 3, 2


def files(corpus: Path, folder: Path, **changes: object) -> Files:
    settings = {'steps': STEPS, 'generated': {'every': EVERY, 'streams': 4}, 'keep': 'best'} | changes
    recipe = micro.write_recipe(folder / 'micro.yaml', **settings)
    return Files(recipe, corpus, folder / 'run', folder / 'checkpoint', None)


@pytest.fixture(scope='module')
def made(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = files(corpus, tmp_path_factory.mktemp('generated'))
    assert train(made)['finished']
    return made


def board(made: Files, stage: str) -> EventAccumulator:
    (path,) = (made.run / 'tensorboard' / stage).iterdir()
    return EventAccumulator(str(path), {'scalars': 0, 'tensors': 0, 'audio': 0}).Reload()


def test_online_stages_are_heard_every_so_many_steps_and_after_the_last(made):
    for stage in ('core', 'interaction'):
        scores = board(made, stage).Scalars('generated/score')
        assert [event.step for event in scores] == [EVERY, STEPS]
        assert all(0 <= event.value <= 1 for event in scores)
    for stage in ('format', 'adapter'):
        assert not [tag for tag in board(made, stage).Tags()['scalars'] if tag.startswith('generated/')]


def test_what_was_due_and_said_can_be_read_and_heard(made):
    seen = board(made, 'interaction')
    texts = [tag for tag in seen.Tags()['tensors'] if tag.startswith('generated/')]
    sounds = [tag for tag in seen.Tags()['audio'] if tag.startswith('generated/')]
    assert texts and len(texts) == len(sounds)
    said = [seen.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in texts]
    assert any(f'due: {text}' in sample for text in micro.SAID.values() for sample in said)
    assert all(seen.Audio(tag)[0].sample_rate == 16_000 and seen.Audio(tag)[0].length_frames > 0 for tag in sounds)


def test_the_weights_that_scored_best_are_handed_on_and_the_last_stay_beside_them(made):
    folder = made.run / '4-interaction'
    scores = {event.step: event.value for event in board(made, 'interaction').Scalars('generated/score')}
    best = json.loads((folder / 'best.json').read_text())
    assert best['step'] == max(scores, key=lambda step: scores[step])
    assert best['score'] == pytest.approx(scores[best['step']])
    handed_on, kept = (load_file(folder / name) for name in ('model.safetensors', 'best.safetensors'))
    assert all(torch.equal(handed_on[name], kept[name]) for name in kept)
    last = load_file(folder / f'step-{STEPS:07d}' / '00000-of-00001.safetensors')
    name = 'language_model.model.norm.weight'
    assert torch.equal(last[f'value.{name}'], handed_on[name]) == (best['step'] == STEPS)


def test_what_can_tell_nothing_is_refused_before_any_step(corpus, tmp_path):
    with pytest.raises(RecipeError, match='keep is best and there is no generated evaluation'):
        train(files(corpus, tmp_path, generated=None))
    few = micro.write_corpus(tmp_path / 'few', streams=3)  # all of them to train with
    with pytest.raises(TrainingError, match='wants a generated evaluation and the corpus has no stream on the valid'):
        train(files(few, tmp_path))
