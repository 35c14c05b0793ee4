"""The text teacher keeps updates from moving what the language model says to written words, and does nothing else."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.low_rank import is_update
from tests.training.stages import micro
from training.recipe import StageData, TrainingRecipe
from training.stages.collator import Batch, StreamCollator
from training.stages.distributed import Devices
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build, heard_chunks
from training.stages.stream_task import StreamTask
from training.stages.trainable import set_trainable
from training.streams import Stream

REQUEST, WORDS = 'Asked: {words}\nSaid: ', 'What was that?'
LOW_RANK = {'language_model': {'rank': 2, 'alpha': 4}}
PLACES = [0, 1, 5, 6]


def recipe(**teacher: Any) -> TrainingRecipe:
    """The last stage alone, with a text teacher."""
    last = micro.settings(accumulation=1)['stages'][-1]
    stage = last | {'trainable': ['language_model'], 'text_teacher': {'weight': 2.0, 'request': REQUEST} | teacher}
    return TrainingRecipe.model_validate(micro.settings() | {'stages': [stage], 'low_rank': LOW_RANK})


def spoken(stream: Stream) -> Stream:
    """The stream, in which somebody asks in words wherever a tone sounded."""
    events = (event.model_copy(update={'text': WORDS if event.respond else ''}) for event in stream.events)
    return stream.model_copy(update={'events': tuple(events)})


@pytest.fixture(scope='module')
def asked(collator: StreamCollator) -> StreamCollator:
    """Whole streams in which words are answered, and the request by which a text model is given them."""
    dataset = copy.copy(collator.dataset)
    known = dataset.stream
    dataset.stream = lambda place, data: spoken(known(place, data))
    data = StageData(form='online', noise_share=0.5, slip_share=0.5)
    return replace(collator, dataset=dataset, data=data, request=REQUEST)


def drawn(place: int) -> np.random.Generator:
    return np.random.default_rng([3, place])


@pytest.fixture(scope='module')
def batch(asked: StreamCollator) -> Batch:
    return asked.collate(PLACES, drawn)


@pytest.fixture
def model() -> StreamModel:
    torch.manual_seed(7)
    made = build(recipe(), 320, event_classes=3)
    add_updates(made, recipe().low_rank)
    return made


def move(model: StreamModel, by: float) -> None:
    """Give every update a matrix of random numbers of this size for the one that begins as zeros."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith('lora_B.weight'):
            parameter.data = by * torch.randn_like(parameter)


def test_the_teacher_reads_the_words_of_an_exchange_and_its_reply_and_nothing_else_of_the_batch_changes(asked, batch):
    assert len(batch.written_ids) == len(PLACES)
    read = [asked.tokenizer.decode(row[row != asked.protocol.eos].tolist()) for row in batch.written_ids]
    said = [text.removeprefix(REQUEST.replace('{words}', WORDS)) for text in read]
    assert set(said) <= set(micro.SAID.values())
    # A position for each token of a reply, which it predicts, and for its end.
    assert len(batch.written_at) == sum(len(asked.tokenizer.encode(text).ids) + 1 for text in said)
    predicted = batch.written_ids.flatten()[batch.written_at[:-1] + 1]
    assert asked.tokenizer.decode(predicted[: len(asked.tokenizer.encode(said[0]).ids)].tolist()) == said[0]
    without = replace(asked, request=None).collate(PLACES, drawn)
    assert not len(without.written_ids) and not len(without.written_at)
    for field in fields(Batch):
        if not field.name.startswith('written'):
            assert torch.equal(getattr(batch, field.name), getattr(without, field.name)), field.name
    assert not len(asked.collate(PLACES).written_at)  # on the validation side there is nothing to keep


def test_its_loss_is_nothing_at_the_start_and_rises_as_the_updates_move(model, batch):
    assert float(model.drift(batch)) == 0.0
    found = []
    for by in (0.1, 0.3):
        move(model, by)
        found.append(float(model.drift(batch)))
    assert 0.0 < found[0] < found[1]


def test_its_loss_draws_the_updates_back_and_reaches_nothing_else(model, batch):
    trained = set_trainable(model, ('language_model',), with_events=False, updated=('language_model',))
    move(model, 0.3)
    before = model.drift(batch)
    before.backward()
    assert all(is_update(name) for name, _ in trained)
    assert all(bool(parameter.grad.any()) for _, parameter in trained)
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == dict(trained).keys()
    steepness = torch.stack([parameter.grad.norm() for _, parameter in trained]).norm()
    with torch.no_grad():
        for _, parameter in trained:
            parameter -= 0.01 * parameter.grad / steepness
    assert float(model.drift(batch)) < float(before)


def test_a_stage_adds_it_to_its_loss_by_its_weight_and_reports_the_mean_over_the_tokens(model, asked, batch):
    move(model, 0.3)
    logmel, devices = CausalLogMel(16), Devices(0, 1, torch.device('cpu'))
    task = StreamTask(recipe(), 1, model, logmel, asked, devices)
    free = task.settings.model_copy(update={'text_teacher': None})
    outputs = model(heard_chunks(logmel(batch.waveforms), batch, augment=False), batch, True)
    counts = task.counts([batch])
    total, parts = task.loss(outputs, batch, counts)
    with devices.autocast():
        mean = float(model.drift(batch)) / len(batch.written_at)
    task.settings = free
    alone, fewer = task.loss(outputs, batch, counts)
    assert float(total - alone) == pytest.approx(2.0 * mean, rel=1e-3)
    assert len(parts) == 4 and torch.equal(parts[:3], fewer)
    assert task.figures(parts.tolist(), counts, 1.0)['loss/teacher'] == pytest.approx(mean, rel=1e-3)
    assert 'loss/teacher' not in task.figures(fewer.tolist(), counts, 1.0)


def test_a_stage_reports_how_much_of_its_batches_is_padding(model, asked, batch):
    task = StreamTask(recipe(), 1, model, CausalLogMel(16), asked, Devices(0, 1, torch.device('cpu')))
    figures = task.figures([1.0, 1.0, 1.0], task.counts([batch]), 1.0)
    expected = 1 - float(batch.lengths.sum()) / (len(PLACES) * float(batch.lengths.max()))
    assert figures['throughput/padding'] == pytest.approx(expected) and expected > 0


@pytest.mark.parametrize(
    ('changes', 'teacher', 'problem'),
    [
        ({'low_rank': {}}, {}, 'text_teacher is the language model without its updates; train language_model with low'),
        ({}, {'request': 'Say it.'}, r"request is 'Say it.'; write \{words\}, once, where the words belong"),
    ],
)
def test_a_teacher_that_cannot_be_asked_is_one_sentence(changes, teacher, problem):
    settings = recipe().model_dump(mode='json') | changes
    settings['stages'][0]['text_teacher'] |= teacher
    with pytest.raises(ValidationError, match=problem):
        TrainingRecipe.model_validate(settings)
