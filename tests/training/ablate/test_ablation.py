"""Every variant is trained and lands in the table, once, whatever happens in between."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.stages import micro
from training.__main__ import main
from training.ablate import ablation as ablation_module
from training.ablate.ablation import Ablation, ablate
from training.ablate.recipes import recipe_of
from training.ablate.score import VariantScore
from training.ablate.variants import BASELINE, TABLES, VARIANTS
from training.recipe import load_training_recipe
from training.sources.base import SourceError
from training.stages import TrainingError
from training.stages.preparation import Files
from training.stages.run import train

ROOT = Path(__file__).resolve().parents[3]
STEPS = 2
STAGE_0 = {'steps': STEPS, 'batch': 4, 'speech_batch': 2, 'learning_rate': 1e-2, 'weight_decay': 0.0}
pytestmark = pytest.mark.timeout(900)  # the first test trains all variants: half a minute of a core that is free


def prepared(corpus: Path, out: Path) -> Ablation:
    """With the micro corpus for all; but nothing is silent in the one without silence mixed in, and it is shorter."""
    recipe = micro.write_recipe(
        out.parent / 'micro.yaml', steps=STEPS, accumulation=1, encoder=STAGE_0 | {'mixed_share': 0.5}
    )
    for variant in VARIANTS.values():
        folder = out / 'corpora' / (variant.name if variant.corpus else BASELINE)
        if variant.name == 'no-silence':
            micro.write_corpus(folder, streams=30)
        elif not folder.exists():
            shutil.copytree(corpus, folder)
        (folder / 'index.json').write_text('{}')
    return Ablation(load_training_recipe(recipe), {'clips': Path('clips')}, 0.5, STEPS, 1, out)


@pytest.fixture(scope='module')
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ablation, dict[str, VariantScore]]:
    ablation = prepared(corpus, tmp_path_factory.mktemp('ablation') / 'all')
    return ablation, ablate(ablation, None, None)


def command(ablation: Ablation, *options: str) -> list[str]:
    return [
        'ablate', '--recipe', str(ablation.out.parent / 'micro.yaml'), '--clips', 'clips', '--hours', '0.5',
        '--steps', str(STEPS), '--out', str(ablation.out), *options,
    ]  # fmt: skip


def copied(done: tuple[Ablation, dict[str, VariantScore]], out: Path, *without: str) -> Ablation:
    """All that was done, but for some variants."""
    ablation = dataclasses.replace(done[0], out=out / 'all')
    shutil.copytree(done[0].out, ablation.out)
    shutil.copy(done[0].out.parent / 'micro.yaml', out)
    for name in without:
        shutil.rmtree(ablation.run(VARIANTS[name]))
        ablation.score(VARIANTS[name]).unlink()
    return ablation


@pytest.mark.slow
def test_every_variant_is_trained_and_scored_on_the_same_streams(done):
    _, scores = done
    assert list(scores) == list(VARIANTS)
    tested = {micro.stream(number)[0].id for number in range(40) if micro.SPLITS[number % 5] == 'test'}
    for name, score in scores.items():
        assert set(score.streams) == tested and len(score.streams) == len(tested)
        assert score.counts['responses'] == scores[BASELINE].counts['responses'], name
        assert score.counts['tokens'] == scores[BASELINE].counts['tokens'], name
        assert (score.train_s > 0) == (VARIANTS[name].after_stage is None)
    silences = {name: sum(score.counts['silences']) for name, score in scores.items()}
    assert silences['chunk-0.2'] > silences[BASELINE] > silences['chunk-0.6'] > silences['chunk-0.8']


def test_a_variant_differs_in_the_one_thing_that_it_is_for(done):
    ablation, scores = done
    decided = {name: score.counts['tokens_right'] for name, score in scores.items()}
    # These three have the same corpus here, so that nothing is left in which they differ.
    assert decided['no-tfjp'] == decided['no-event-selection'] == decided[BASELINE]
    assert scores['no-tfjp'].thresholds == scores[BASELINE].thresholds
    recipes = {name: load_training_recipe(ablation.run(v) / 'recipe.yaml') for name, v in VARIANTS.items()}
    assert {name for name, recipe in recipes.items() if recipe != recipes[BASELINE]} == {
        'chunk-0.2', 'chunk-0.6', 'chunk-0.8', 'lambda-0.5', 'lambda-2', 'offline-only',
    }  # fmt: skip
    assert [stage.stream_weight for stage in recipes['lambda-2'].stages] == [2.0] * 4
    assert {stage.data.form for stage in recipes['offline-only'].stages} == {'offline'}
    rows = {name: len(list((ablation.corpus(v) / 'shar').iterdir())) for name, v in VARIANTS.items()}
    assert set(rows.values()) == {4}
    tokenizers = {(ablation.run(v) / 'tokenizer.json').read_bytes() for v in VARIANTS.values()}
    assert len(tokenizers) == 1


def test_stage_0_is_shared_by_all_with_the_same_chunks_and_by_no_other(done):
    ablation, _ = done
    learnt = load_file(ablation.run(VARIANTS[BASELINE]) / '0-encoder' / 'model.safetensors')
    for name, variant in VARIANTS.items():
        other = load_file(ablation.run(variant) / '0-encoder' / 'model.safetensors')
        same = all(bool((learnt[key] == tensor).all()) for key, tensor in other.items())
        assert same == (variant.chunk_ms == 400), name
        assert (ablation.run(variant) / '0-encoder' / 'latest.json').exists() == (
            name == BASELINE or not same or bool(variant.after_stage)
        )


def test_the_baseline_is_scored_after_its_stages_too(done):
    _, scores = done
    # Two steps of a stage change few answers, but no stage changes none of the thresholds and counts.
    after = [scores[name].model_dump_json(exclude={'train_s'}) for name in ('offline-base', 'streaming-sft', BASELINE)]
    assert len(set(after)) == 3


@pytest.mark.slow
def test_the_command_prints_its_table_and_trains_nothing_twice(done, capsys, monkeypatch):
    ablation, scores = done

    def trained_again(*_):
        raise AssertionError('a finished variant was trained again')

    monkeypatch.setattr(ablation_module, 'train', trained_again)
    assert main(command(ablation)) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary['finished'] and summary['left'] == [] and list(summary['variants']) == list(VARIANTS)
    assert summary['test_streams'] == len(scores[BASELINE].streams)
    figures = summary['variants']['no-silence']
    low, high = figures['confidence_95']['balanced_accuracy']
    assert low <= figures['balanced_accuracy'] <= high
    assert figures['less_baseline']['balanced_accuracy']['difference'] == pytest.approx(
        figures['balanced_accuracy'] - summary['variants'][BASELINE]['balanced_accuracy'], abs=2e-4
    )
    assert summary['variants']['no-tfjp']['paper'] == {
        'Table 6': {'MMAU': 57.74, 'Alpaca': 4.19, 'trigger accuracy, %': 85.35}
    }
    markdown, page = Path(summary['table']).read_text(), Path(summary['report']).read_text()
    for table in TABLES:
        assert f'## {table.name}: {table.title}' in markdown and table.title in page
    assert all(variant.title in markdown and variant.title in page for variant in VARIANTS.values())
    assert '96.77' in markdown and '786' in page


@pytest.mark.slow
def test_it_goes_on_after_kill_minus_9_as_if_nothing_had_happened(done, tmp_path):
    _, scores = done
    ablation = copied(done, tmp_path, 'lambda-2')
    latest = ablation.run(VARIANTS['lambda-2']) / '2-adapter' / 'latest.json'
    one_core = {min(os.sched_getaffinity(0))}  # sums over two threads are added in another order
    with (tmp_path / 'output').open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, '-m', 'training', *command(ablation)], cwd=ROOT, stdout=output, stderr=output,
            env=os.environ | {'PYTHONPATH': str(ROOT)}, preexec_fn=lambda: os.sched_setaffinity(0, one_core),
        )  # fmt: skip
    try:
        while not latest.exists():
            assert process.poll() is None, (tmp_path / 'output').read_text()[-2_000:]
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert not ablation.score(VARIANTS['lambda-2']).exists()
    again = ablate(ablation, None, None)
    assert again['lambda-2'].counts == scores['lambda-2'].counts
    assert again['lambda-2'].thresholds == scores['lambda-2'].thresholds
    assert {name: score for name, score in again.items() if name != 'lambda-2'} == {
        name: score for name, score in scores.items() if name != 'lambda-2'
    }


def test_it_stops_when_time_is_up_and_says_what_is_left(done, tmp_path, capsys):
    ablation = copied(done, tmp_path, 'chunk-0.6', 'no-silence')
    for name in ('lambda-2', 'lambda-0.5', 'no-history-review', 'offline-only'):  # later ones, to see that it stops
        ablation.score(VARIANTS[name]).unlink()
    assert main(command(ablation, '--stop-after-minutes', '0', '--only', 'chunk-0.6', 'lambda-2')) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not summary['finished'] and summary['left'] == ['chunk-0.6', 'lambda-2']
    assert 'chunk-0.2' in summary['variants'] and 'chunk-0.6' not in summary['variants']
    assert not ablation.run(VARIANTS['chunk-0.6']).exists()


def test_only_what_is_named_is_done_beside_the_baseline(done, tmp_path, capsys, monkeypatch):
    ablation = copied(done, tmp_path, 'no-tfjp', 'chunk-0.8')
    trained = []
    monkeypatch.setattr(
        ablation_module, 'train', lambda files, left_s: trained.append(files.run.name) or {'finished': False}
    )
    main(command(ablation, '--only', 'chunk-0.8'))
    assert trained == ['chunk-0.8']
    with pytest.raises(SystemExit):
        main(command(ablation, '--only', 'chunk-0.7'))
    assert "invalid choice: 'chunk-0.7' (choose from" in capsys.readouterr().err


def test_a_checkpoints_encoder_stands_in_for_stage_0(done, corpus, tmp_path, monkeypatch):
    begun = []

    def train_nothing(made, left_s):
        begun.append((made.start, load_file(made.run / '0-encoder' / 'model.safetensors')))
        return {'finished': False}

    ablation, _ = done
    start = tmp_path / 'checkpoint'
    train(Files(micro.write_recipe(tmp_path / 'micro.yaml', steps=1), corpus, tmp_path / 'run', start, None))
    again = dataclasses.replace(ablation, out=copied(done, tmp_path, 'chunk-0.8').out, start=start)
    (again.out / 'ablation.json').unlink()
    monkeypatch.setattr(ablation_module, 'train', train_nothing)
    ablate(again, ['chunk-0.8'], None)
    (came_from, encoder), kept = *begun, load_file(start / 'model.safetensors')
    assert came_from is None and encoder
    assert all(torch.equal(kept[f'audio_tower.{name}'], tensor) for name, tensor in encoder.items())
    audio = ablation.recipe.audio.model_copy(update={'encoder_layers': 2})
    wider = ablation.recipe.model_copy(update={'audio': audio})
    with pytest.raises(TrainingError, match=r"has other shapes than recipe 'micro'; give a checkpoint that this"):
        ablate(dataclasses.replace(again, recipe=wider, out=tmp_path / 'other'), None, None)


def test_another_scale_does_not_go_into_the_same_table(done):
    ablation, _ = done
    with pytest.raises(
        TrainingError, match=r'holds an ablation of another recipe, other sources, hours, steps or start; give'
    ):
        ablate(dataclasses.replace(ablation, steps=STEPS + 1), None, None)


@pytest.mark.parametrize(
    ('options', 'problem'),
    [
        (['--hours', '0'], '--hours 0 --steps 2 --workers 1: give more than nothing of each'),
        (['--source', 'nothing=here'], 'nothing'),
        (['--recipe', 'further'], "recipe 'further' has 1 stages and variants are compared after each of 4; give one"),
    ],
)
def test_what_cannot_work_is_one_sentence(done, tmp_path, capsys, options, problem):
    ablation = dataclasses.replace(done[0], out=tmp_path)
    arguments = [a for a in command(ablation, '--workers', '1') if a not in ('--clips', 'clips')]
    recipe = str(done[0].out.parent / 'micro.yaml')
    arguments[arguments.index('--recipe') + 1] = recipe
    assert main([*arguments, *options]) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and problem in said


def test_a_mistyped_folder_can_be_corrected(done, tmp_path):
    ablation = dataclasses.replace(done[0], out=tmp_path, sources={'clips': tmp_path / 'nowhere'})
    with pytest.raises(SourceError):
        ablate(ablation, None, None)
    assert not (tmp_path / 'ablation.json').exists() and not (tmp_path / 'corpora').exists()


def test_steps_are_those_of_the_longest_stage_and_the_others_are_in_proportion():
    whole = micro.recipe(steps=400, encoder=STAGE_0 | {'mixed_share': 0.5, 'steps': 1_000})
    stages = [
        stage.model_copy(update={'steps': steps}) for stage, steps in zip(whole.stages, (20, 1, 300, 400), strict=True)
    ]
    scaled = recipe_of(VARIANTS[BASELINE], whole.model_copy(update={'stages': tuple(stages)}), 40)
    assert [stage.steps for stage in scaled.stages] == [2, 1, 30, 40]
    assert scaled.encoder is not None and scaled.encoder.steps == 100
