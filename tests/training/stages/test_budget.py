"""paper.yaml carries Table 11, and the dry run says what it asks of the hardware, or why it cannot work."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from audio_interaction_ros.audio.logmel import CausalLogMel
from tests.training.stages import micro
from training.__main__ import main
from training.corpus.command import load_corpus_recipe
from training.recipe import TrainingRecipe, load_training_recipe
from training.recipe_file import RecipeError, recipe_path
from training.render.mix import ROLE_GAIN_DB
from training.stages.budget import GPU_GB, PEAK_FLOPS, ForwardOperations, bytes_on_each, check_numbers
from training.stages.command import _GPUS
from training.stages.index import ROW
from training.stages.model import build, heard_chunks

STAGE_0 = {'steps': 1, 'batch': 1, 'speech_batch': 9, 'learning_rate': 1.0, 'weight_decay': 0.0, 'mixed_share': 0.0}
PAPER = load_training_recipe(recipe_path('paper'))

# Table 11, row by row; one value for all stages or one for each.
TABLE_11 = {
    'stream_weight': [1.0] * 4,
    'batch': [8, 8, 4, 2],
    'accumulation': [2, 4, 8, 16],
    'learning_rate': [1e-4, 1e-4, 5e-5, 1e-5],
    'steps': [5_000, 20_000, 80_000, 15_000],
    'trainable': [
        ('lm_head', 'new_token_embeddings'),
        ('adapter',),
        ('adapter', 'language_model'),
        ('adapter', 'language_model'),
    ],
}


@pytest.mark.parametrize('row', TABLE_11)
def test_paper_yaml_has_the_values_of_each_stage(row):
    assert [getattr(stage, row) for stage in PAPER.stages] == TABLE_11[row]


def test_paper_yaml_has_the_values_of_all_stages():
    assert [PAPER.streams_a_step(stage) for stage in PAPER.stages] == [512, 1024, 1024, 1024]
    optimiser = PAPER.optimiser
    assert (optimiser.beta1, optimiser.beta2, optimiser.epsilon) == (0.9, 0.95, 1e-8)
    assert (optimiser.warm_up, optimiser.weight_decay, optimiser.max_gradient_norm) == (0.03, 0.01, 1.0)
    assert optimiser.gradient_checkpointing and PAPER.devices == 32 and PAPER.chunk_ms == 400
    corpus = load_corpus_recipe(recipe_path('paper'))
    mix_ins = corpus.mix_ins.model_dump()
    assert mix_ins.pop('ordinary') == 0  # not the paper's
    assert mix_ins == {'history_review': 0.30, 'silent': 0.40, 'proactive': 0.30}
    assert corpus.performance.max_chunks == 60 and corpus.performance.mixing.snr_db == (5.0, 20.0)
    assert (corpus.performance.tfjp.taper_ms, corpus.performance.tfjp.align_ms) == (20, 200)
    assert (corpus.speech.wer_threshold, corpus.speech.retries) == (0.10, 2)
    assert list(ROLE_GAIN_DB.values()) == [0.0, -6.0, -12.0]
    # They are written there, not left to defaults that may change.
    written = yaml.safe_load(recipe_path('paper').read_text())
    assert set(written['optimiser']) == set(optimiser.model_dump())
    assert set(written['streams_corpus']['mix_ins']) == set(mix_ins)


def test_the_rate_warms_up_over_three_hundredths_and_falls_to_nothing():
    stage = PAPER.stages[2]
    rates = [PAPER.optimiser.rate(stage.learning_rate, stage.steps, step) for step in range(stage.steps)]
    assert rates[0] == pytest.approx(5e-5 / 2_400) and max(rates) == rates[2_399] == 5e-5
    assert rates[-1] < 1e-12 and rates[2_400 + 38_800] == pytest.approx(2.5e-5)


def test_the_dry_run_of_the_paper_fits_its_gpus(capsys):
    assert main(['train', '--recipe', 'paper', '--dry-run']) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    # Qwen2.5-Omni-3B's thinker: a tower of 0.64 billion and a language model of 3.4 with its untied head.
    assert report['parameters']['encoder'] == pytest.approx(0.635e9, rel=0.01)
    assert report['parameters']['adapter'] == 1280 * 2048 + 2048
    assert report['parameters']['embeddings'] == report['parameters']['lm_head'] == 151_936 * 2048
    assert report['parameters']['total'] == pytest.approx(4.03e9, rel=0.01)
    assert [stage['trainable_parameters'] for stage in report['stages']] == [
        2 * 151_936 * 2048,
        1280 * 2048 + 2048,
        # All but the tower, and but its two tokens that nothing uses.
        *[report['parameters']['total'] - report['parameters']['encoder'] - 2 * 2048] * 2,
    ]
    for stage in report['stages']:
        assert stage['gb_per_gpu']['weights'] == pytest.approx(2 * 4.035, rel=0.01)
        assert sum(v for k, v in stage['gb_per_gpu'].items() if k != 'total') == pytest.approx(
            stage['gb_per_gpu']['total'], abs=0.05
        )
        assert stage['gb_per_gpu']['total'] < 80
    assert report['stages'][2]['gb_per_gpu']['optimiser'] == pytest.approx(12 * 3.4 / 32 + 0.1, abs=0.01)
    assert report['stages'][2]['audio_hours_at_most'] == round(80_000 * 1024 * 24 / 3_600)


def dry_run(capsys, *options: str) -> dict[str, Any]:
    assert main(['train', '--recipe', 'paper', '--dry-run', *options]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_dry_run_counts_hosts_disk_hours_and_cost(capsys):
    lab = dry_run(capsys, '--devices', '8', '--gpu', 'H200', '--gpu-price', '2.5', '--corpus-hours', '3000')
    parameters, streams = lab['parameters']['total'], 3_000 * 3_600 / 17.5
    assert lab['memory_gb'] == 141 and lab['corpus_hours'] == 3_000
    assert lab['hours_at_most'] == pytest.approx(sum(stage['hours_at_most'] for stage in lab['stages']), abs=0.05)
    assert lab['gpu_hours_at_most'] == pytest.approx(8 * lab['hours_at_most'], rel=1e-3)
    assert lab['cost_at_most'] == pytest.approx(2.5 * lab['gpu_hours_at_most'], rel=1e-3)
    host, disk = lab['host_gb_per_process'], lab['disk_gb']
    assert host['weights_at_start'] == pytest.approx(8e-9 * parameters, abs=0.01)  # it begins with --start
    assert host['index'] == pytest.approx(1e-9 * streams * (ROW.itemsize + 24), abs=0.01)
    # Three steps of stage 4 with 64 batches of two streams of 24 s each.
    assert host['batches'] == pytest.approx(3e-9 * 128 * (24 * 64_000 + 24 * 1_536), abs=0.01)
    assert disk['corpus'] == pytest.approx(234)
    trained = lab['stages'][3]['trainable_parameters']
    assert disk['states'] == pytest.approx(2e-9 * 12 * trained, abs=0.01)
    assert disk['finished_stages'] == pytest.approx(8e-9 * parameters, abs=0.01)
    for needed in (host, disk):
        assert sum(v for k, v in needed.items() if k != 'total') == pytest.approx(needed['total'], abs=0.05)


def test_the_command_knows_every_gpu_of_the_budget():
    assert set(_GPUS) == set(GPU_GB) == set(PEAK_FLOPS)


@pytest.mark.parametrize(
    ('options', 'problem'),
    [
        (['--memory-gb', '20'], "stage 'format' needs .* GB on each of 32 GPUs and 20 GB are there; lower batch"),
        (['--devices', '1'], "stage 'core' needs .* GB on each of 1 GPUs"),
        (['--devices', '24'], '512 streams a step do not divide among 24 processes with batches of 8'),
    ],
)
def test_the_dry_run_refuses_what_cannot_work(capsys, options, problem):
    assert main(['train', '--recipe', 'paper', '--dry-run', *options]) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1
    assert re.search(problem, said), said


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'max_positions': 200}, '20 chunks are 265 positions and max_positions is 200'),
        ({'max_positions': 2_000}, 'max_positions is 2000 and text.max_position_embeddings 1024; lower it'),
        ({'encoder': STAGE_0}, 'stage 0 has batches of 1 crops and there are 2 processes; give each a crop at least'),
    ],
)
def test_numbers_that_cannot_work_are_one_sentence(changes, problem):
    recipe = micro.recipe(**changes)
    with pytest.raises(RecipeError, match=problem):
        check_numbers(recipe, 2 if recipe.encoder else 1)


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'chunk_ms': 200}, 'audio.n_window is 20 and chunk_ms 200; the encoder of such chunks has n_window 10'),
        ({'chunk_ms': 410}, 'multiple of 40'),
        ({'text': micro.RECIPE['text'] | {'tie_word_embeddings': True}}, 'a stage trains lm_head'),
        ({'text': micro.RECIPE['text'] | {'hidden_size': 32}}, 'audio.output_dim and text.hidden_size differ'),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        TrainingRecipe.model_validate(micro.settings(**changes))


def test_the_estimate_holds_what_autograd_keeps(collator):
    # The same arithmetic at a shape whose saved tensors can be counted: all chunks, all layers, float32.
    text = micro.RECIPE['text'] | {'hidden_size': 64, 'intermediate_size': 176, 'use_sliding_window': False}
    text |= {'layer_types': ['full_attention'] * 2}
    recipe = micro.recipe(batch=4, text=text, audio=micro.RECIPE['audio'] | {'output_dim': 64})
    model = build(recipe, collator.tokenizer.get_vocab_size(), len(collator.event_classes))
    batch = collator.collate(range(4))
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False), batch)
    full = recipe.model_copy(update={'max_positions': int(batch.ids.shape[1])})
    stage = recipe.stages[2].model_copy(update={'batch': 4})
    estimate = 2 * bytes_on_each(full, stage, 1, 1, 1)['activations']  # it counts bfloat16, this network has float32
    assert 0.5 * estimate < sum(kept.values()) < estimate


def test_operations_are_those_that_pytorch_counts(collator):
    recipe = micro.recipe(
        text=micro.RECIPE['text'] | {'use_sliding_window': False, 'layer_types': ['full_attention'] * 2}
    )
    model = build(recipe, collator.tokenizer.get_vocab_size(), len(collator.event_classes))
    batch = collator.collate([0])
    mel = heard_chunks(CausalLogMel(16)(batch.waveforms), batch, augment=False)
    with FlopCounterMode(display=False) as counter:
        sum(part.sum() for part in model(mel, batch)[:2]).backward()
    targets = len(batch.stream_at) + len(batch.lm_at)
    # On a CPU PyTorch does not count the language model's attention, so its pairs of positions are left out here.
    ours = ForwardOperations.of(model).of_step(recipe.stages[2], int(batch.lengths[0]), 0, len(batch.ends_at), targets)
    assert counter.get_total_flops() == pytest.approx(ours, rel=0.1)
