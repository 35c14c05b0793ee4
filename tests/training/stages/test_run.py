"""A run goes through the four stages on DeepSpeed, one process or two, and is not changed by being killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.deciding import EventClasses
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.streaming.loop import Decision, listen
from tests.training.stages import micro
from training.__main__ import main
from training.random_streams import Purpose, torch_seed
from training.recipe import load_training_recipe
from training.recipe_file import RecipeError
from training.stages import TrainingError, stream_task
from training.stages.engine import DeepSpeedEngine
from training.stages.export import event_classes
from training.stages.model import build
from training.stages.preparation import Files
from training.stages.run import begin_like, train
from training.stages.trainable import EMBEDDINGS

ROOT = Path(__file__).resolve().parents[3]
STAGES = ('format', 'adapter', 'core', 'interaction')
STEPS = 4
LOSSES = ('loss/total', 'loss/lm', 'loss/stream', 'loss/event', 'gradient_norm')


def files(corpus: Path, folder: Path, start: Path | None = None, **changes) -> Files:
    folder.mkdir(exist_ok=True)
    recipe = micro.write_recipe(folder / 'micro.yaml', **{'steps': STEPS, **changes})
    return Files(recipe, corpus, folder / 'run', folder / 'checkpoint', start)


def scalars(run: Path, stage: str) -> dict[tuple[str, int], float]:
    """(figure, step) → what TensorBoard holds of a stage; of a step done twice, what was written last."""
    seen = {}
    # One by one: TensorBoard orders them by name, and names of the same second are not in order.
    for path in sorted((run / 'tensorboard' / stage).iterdir(), key=lambda path: path.stat().st_mtime_ns):
        events = EventAccumulator(str(path)).Reload()
        for name in events.Tags()['scalars']:
            seen |= {(name, event.step): event.value for event in events.Scalars(name)}
    return seen


def curve(run: Path) -> dict[tuple[str, str, int], float]:
    """(stage, figure, step) → the losses of all four stages."""
    return {
        (stage, name, step): value
        for stage in STAGES
        for (name, step), value in scalars(run, stage).items()
        if name in LOSSES
    }


@pytest.fixture(scope='module')
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, dict[str, object]]:
    made = files(corpus, tmp_path_factory.mktemp('undisturbed'))
    return made, train(made)


def test_a_run_goes_through_the_four_stages(undisturbed):
    made, reached = undisturbed
    assert reached['finished'] and reached['checkpoint'] == str(made.out)
    losses = curve(made.run)
    assert set(losses) == {(stage, name, step) for stage in STAGES for name in LOSSES for step in range(STEPS)}
    assert all(np.isfinite(value) for value in losses.values())
    assert list(reached['validation']) == list(STAGES)
    figures = reached['validation']['interaction']
    assert {'trigger_accuracy', 'silent_recall', 'lm_accuracy', 'trigger_accuracy/voice chatting'} <= set(figures)
    assert all(0 <= value <= 1 for value in figures.values())
    events = EventAccumulator(str(made.run / 'tensorboard' / 'core')).Reload()
    for figure in ('throughput/tokens_per_s', 'throughput/audio_hours_per_hour', 'throughput/mfu'):
        assert all(event.value > 0 for event in events.Scalars(figure))
    assert json.loads((made.run / 'run.json').read_text())['recipe']['name'] == 'micro'


def test_each_stage_moves_what_it_trains_and_nothing_else(undisturbed):
    made, _ = undisturbed
    states = [load_file(made.run / f'{n}-{stage}' / 'model.safetensors') for n, stage in enumerate(STAGES, 1)]

    def moved(before, after):
        return {name for name in before if not torch.equal(before[name], after[name])}

    recipe = load_training_recipe(made.recipe)
    protocol = Protocol.load(made.out / 'protocol.json')
    rows, classes = states[0][EMBEDDINGS].shape[0], states[0]['event_head.weight'].shape[0] - 1
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, recipe.seed, 0))
    start = build(recipe, rows, classes).state_dict()
    assert moved(start, states[0]) == {EMBEDDINGS, 'language_model.lm_head.weight'}
    moved_rows = (start[EMBEDDINGS] != states[0][EMBEDDINGS]).any(dim=1).nonzero().flatten()
    assert set(moved_rows.tolist()) <= protocol.special_ids() and protocol.audio not in moved_rows
    assert {protocol.offline, protocol.chunk_end, protocol.response} <= set(moved_rows.tolist())
    assert moved(states[0], states[1]) == {'audio_tower.proj.weight', 'audio_tower.proj.bias'}
    assert moved(states[1], states[2]) == {name for name in states[0] if 'bos_eos' not in name}


def test_the_runtime_hears_with_what_was_exported(undisturbed):
    made, _ = undisturbed
    _, samples = micro.stream(3)
    heard = list(listen(load_encoder(made.out), load_decoder(made.out), samples))
    assert sum(isinstance(event, Decision) for event in heard) > 0
    assert (made.out / 'ATTRIBUTIONS.csv').read_text().count('\n') == 10
    assert (made.out / 'recipe.yaml').read_text() == made.recipe.read_text()


def test_a_finished_run_writes_its_checkpoint_again_in_half_the_bytes(undisturbed, tmp_path):
    made, _ = undisturbed
    again = files(made.corpus, tmp_path, weights='float16')
    shutil.copytree(made.run, again.run)
    assert train(again)['finished']
    one, other = load_file(made.out / 'model.safetensors'), load_file(again.out / 'model.safetensors')
    for name, tensor in other.items():
        assert torch.equal(tensor, one[name].half() if tensor.ndim > 1 else one[name]), name
    assert load_encoder(again.out).encoder.audio_tower.proj.weight.dtype is torch.float32


class Killed(BaseException):
    """Not an Exception: nothing may catch it on the way, as nothing catches a SIGKILL."""


@pytest.mark.parametrize(('stage', 'step'), [('format', 2), ('core', 1)])
def test_a_run_that_dies_goes_on_with_the_same_losses_to_the_bit(
    undisturbed, corpus, tmp_path, monkeypatch, stage, step
):
    done, _ = undisturbed
    made = files(corpus, tmp_path)
    number, steps = 0, DeepSpeedEngine.step

    def die(self: DeepSpeedEngine, learning_rate: float) -> float:
        nonlocal number
        if number == STAGES.index(stage) * STEPS + step:
            raise Killed
        number += 1
        return steps(self, learning_rate)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(DeepSpeedEngine, 'step', die)
        train(made)
    assert train(made)['finished']
    assert curve(made.run) == curve(done.run)
    before, after = (load_file(folder / 'model.safetensors') for folder in (done.out, made.out))
    assert all(torch.equal(before[name], after[name]) for name in before)


HARD = {'share': 0.5, 'every': 2, 'sample': 16}


def one_hard_stage(corpus: Path, folder: Path) -> Files:
    """A run of the last stage alone, from nothing, which looks for hard streams before its third and fifth step."""
    last = micro.settings(steps=6, accumulation=1)['stages'][-1]
    # With such a weight the network speaks too often from the second step on.
    return files(corpus, folder, stages=[last | {'hard': HARD, 'response_weight': 100.0}])


@pytest.fixture(scope='module')
def undisturbed_hard(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = one_hard_stage(corpus, tmp_path_factory.mktemp('hard'))
    assert train(made)['finished']
    return made


def hard_streams(run: Path) -> dict[str, list[int]]:
    return {path.name: json.loads(path.read_text()) for path in sorted((run / '1-interaction').glob('hard-*.json'))}


def test_streams_that_get_a_false_response_are_drawn_more_often(undisturbed_hard, corpus, tmp_path):
    found = hard_streams(undisturbed_hard.run)
    assert list(found) == ['hard-0000002.json', 'hard-0000004.json']
    assert all(0 < len(places) <= HARD['sample'] for places in found.values())
    settings = json.loads(undisturbed_hard.recipe.read_text())
    del settings['stages'][0]['hard']
    easy = Files(tmp_path / 'easy.yaml', corpus, tmp_path / 'run', tmp_path / 'checkpoint', None)
    easy.recipe.write_text(json.dumps(settings))
    assert train(easy)['finished']
    hard_losses, easy_losses = (scalars(made.run, 'interaction') for made in (undisturbed_hard, easy))
    same = [hard_losses['loss/total', step] == easy_losses['loss/total', step] for step in range(6)]
    assert same[:2] == [True, True] and not all(same[2:])


@pytest.mark.parametrize(('step', 'spoilt'), [(2, False), (2, True), (3, False)])
def test_a_run_that_dies_draws_the_same_hard_streams_again(
    undisturbed_hard, corpus, tmp_path, monkeypatch, step, spoilt
):
    """Also where it dies before a step was made with what it has just found, or before that was kept."""
    made = one_hard_stage(corpus, tmp_path)
    number, steps = 0, DeepSpeedEngine.step

    def die(self: DeepSpeedEngine, learning_rate: float) -> float:
        nonlocal number
        number += 1
        if number == step + 1:
            raise Killed
        return steps(self, learning_rate)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(DeepSpeedEngine, 'step', die)
        train(made)
    if spoilt:
        (made.run / '1-interaction' / 'hard-0000002.json').unlink()
    assert train(made)['finished']
    assert hard_streams(made.run) == hard_streams(undisturbed_hard.run)
    before, after = (load_file(done.out / 'model.safetensors') for done in (undisturbed_hard, made))
    assert all(torch.equal(before[name], after[name]) for name in before)


def two_ranks(made: Files) -> subprocess.Popen[bytes]:
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2']
    command += ['-m', '--', 'training', 'train', '--recipe', str(made.recipe), '--corpus', str(made.corpus)]
    command += ['--run', str(made.run), '--out', str(made.out)]
    with (made.run.parent / 'output').open('ab') as output:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            env=os.environ | {'PYTHONPATH': str(ROOT)},
        )  # fmt: skip


def kill_all(launcher: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the launcher and its processes, which have sessions of their own."""
    parent = psutil.Process(launcher.pid)
    for process in [*parent.children(recursive=True), parent]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    launcher.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute on a free machine, but four processes on two busy cores wait long for each other
def test_two_ranks_of_zero_2_survive_kill_minus_9_and_one_process_goes_on(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    made = files(corpus, tmp_path, generated={'every': 3, 'streams': 3})  # which changes nothing, and both take part
    killed = two_ranks(made)
    latest, output = made.run / '3-core' / 'latest.json', tmp_path / 'output'
    try:
        while not (latest.exists() and 'core step 3, heard: score' in output.read_text()):
            assert killed.poll() is None, output.read_text()[-2_000:]
            time.sleep(0.02)
    finally:
        kill_all(killed)
    assert not made.out.exists()
    parts = list((made.run / '3-core' / f'step-{json.loads(latest.read_text())["step"]:07d}').glob('*.safetensors'))
    assert sorted(path.name for path in parts) == ['00000-of-00002.safetensors', '00001-of-00002.safetensors']
    halves = [set(load_file(path)) for path in parts]
    assert halves[0] and halves[1] and not halves[0] & halves[1]  # each keeps its share
    assert train(made)['finished']
    one, two = curve(done.run), curve(made.run)
    assert set(one) == set(two)
    # Not to the bit: sums over two processes are added in another order, 1e-6 apart in the first step, and Adam, which
    # divides by the size of gradients, makes a hundred times that of it in ten.
    for key, value in one.items():
        assert two[key] == pytest.approx(value, rel=2e-3, abs=1e-6), key
    load_decoder(made.out)


def test_it_stops_when_time_is_up_and_goes_on(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    made = files(corpus, tmp_path)
    reached = train(made, stop_after_s=0.0)
    assert reached == {'finished': False, 'stage': 'format', 'run': str(made.run)}
    for _ in range(3):
        reached = train(made, stop_after_s=0.0)
    assert reached['stage'] == 'adapter'
    assert train(made)['finished']
    assert curve(made.run) == curve(done.run)


def test_a_run_starts_from_a_checkpoint_where_the_recipe_learns_no_tokenizer(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    with pytest.raises(TrainingError, match=r"'micro' does not learn a tokenizer; give .* with --start DIR"):
        train(files(corpus, tmp_path / 'a', vocabulary_size=None))
    made = files(corpus, tmp_path / 'b', done.out, vocabulary_size=None, steps=1)
    assert train(made)['finished']
    assert (made.run / 'tokenizer.json').read_bytes() == (done.out / 'tokenizer.json').read_bytes()
    # A step of the adapter at a time leaves most of the weights where the checkpoint had them.
    states = load_file(made.run / '2-adapter' / 'model.safetensors'), load_file(done.out / 'model.safetensors')
    assert torch.equal(*(state['language_model.model.layers.0.mlp.up_proj.weight'] for state in states))


def test_the_event_head_goes_along_with_the_names_and_kinds_of_its_classes(undisturbed):
    made, _ = undisturbed
    exported = load_file(made.out / 'model.safetensors')
    learnt = load_file(made.run / 'event-head.safetensors')
    for name, tensor in learnt.items():
        assert torch.equal(exported[f'language_model.event_head.{name}'], tensor)
    assert learnt['mean'].any() and len(learnt['out.bias']) == 1 + len(micro.HERTZ)
    assert load_decoder(made.out).config.events == EventClasses(names=tuple(sorted(micro.HERTZ)))
    assert event_classes(['dog bark', 'doorbell', 'smoke alarm']) == EventClasses(
        names=('dog bark', 'doorbell', 'smoke alarm'), warnings=('smoke alarm',), remarks=('doorbell',)
    )


def test_no_head_goes_along_that_the_recipe_does_not_ask_for(corpus, tmp_path):
    made = files(corpus, tmp_path, steps=1, event_head=None)
    assert train(made)['finished']
    decoder = load_decoder(made.out)
    assert decoder.config.events is None and decoder.language_model.event_head is None


def test_a_recipe_of_one_stage_goes_on_from_a_checkpoint(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    last = micro.settings(steps=STEPS)['stages'][-1]
    made = files(corpus, tmp_path, done.out, vocabulary_size=None, stages=[last | {'learning_rate': 1e-4}])
    further = train(made)
    assert further['finished'] and list(further['validation']) == ['interaction']
    before, after = (scalars(folder.run, 'interaction') for folder in (done, made))
    assert after['loss/stream', 0] < before['loss/stream', 0]  # it begins where the checkpoint ended
    old, new = (load_file(folder.out / 'model.safetensors') for folder in (done, made))
    assert old.keys() == new.keys() and any(not torch.equal(old[name], new[name]) for name in old)


def test_stage_0_comes_first_where_the_recipe_has_one(corpus, tmp_path):
    numbers = {'steps': 40, 'batch': 4, 'speech_batch': 6, 'learning_rate': 1e-2, 'weight_decay': 0.05}
    made = files(corpus, tmp_path, encoder=numbers | {'mixed_share': 0.5}, steps=1)
    assert train(made, stop_after_s=0.0)['stage'] == 'encoder'
    reached = train(made)
    assert reached['finished']
    assert reached['validation']['encoder']['phone_accuracy'] > 0.8  # of two 'phonemes'
    learnt = load_file(made.run / '0-encoder' / 'model.safetensors')
    stage_1 = load_file(made.run / '1-format' / 'model.safetensors')
    assert all(torch.equal(stage_1[f'audio_tower.{name}'], tensor) for name, tensor in learnt.items())


def test_stage_0_is_not_changed_by_being_stopped(corpus, tmp_path):
    numbers = {'steps': 3, 'batch': 3, 'speech_batch': 2, 'learning_rate': 1e-2, 'weight_decay': 0.05}
    changes = {'encoder': numbers | {'mixed_share': 0.5}, 'steps': 1}
    whole, stopped = files(corpus, tmp_path / 'whole', **changes), files(corpus, tmp_path / 'stopped', **changes)
    assert train(whole)['finished']
    for _ in range(3):
        train(stopped, stop_after_s=0.0)
    one, other = scalars(whole.run, 'encoder'), scalars(stopped.run, 'encoder')
    losses = {key: value for key, value in one.items() if not key[0].startswith('throughput')}
    assert {step for _, step in losses} == {0, 1, 2} and losses.items() <= other.items()
    before, after = (load_file(made.run / '0-encoder' / 'model.safetensors') for made in (whole, stopped))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(('seed', 'same'), [(3, True), (4, False)])
def test_stage_0_depends_on_the_recipes_seed(corpus, tmp_path, seed, same):
    numbers = {'steps': 1, 'batch': 2, 'speech_batch': 1, 'learning_rate': 1e-2, 'weight_decay': 0.05}
    changes = {'encoder': numbers | {'mixed_share': 0.5}, 'steps': 1}
    runs = [files(corpus, tmp_path / str(number), seed=of, **changes) for number, of in enumerate((3, seed))]
    for made in runs:
        train(made, stop_after_s=0.0)
    one, other = (scalars(made.run, 'encoder')['loss/total', 0] for made in runs)
    assert (one == other) is same


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute on a free machine, but four processes on two busy cores wait long for each other
def test_two_ranks_share_stage_0(corpus, tmp_path):
    numbers = {'steps': 2, 'batch': 3, 'speech_batch': 2, 'learning_rate': 1e-2, 'weight_decay': 0.05}
    made = files(corpus, tmp_path, encoder=numbers | {'mixed_share': 0.5}, steps=1)
    assert two_ranks(made).wait() == 0, (tmp_path / 'output').read_text()[-2_000:]
    assert len(list((made.run / '0-encoder').glob('step-*/*-of-00002.safetensors'))) == 2
    losses = scalars(made.run, 'encoder')
    assert np.isfinite(losses['loss/sound', 1]) and np.isfinite(losses['loss/phone', 1])
    load_encoder(made.out)


def test_no_checkpoint_is_made_of_chunks_that_the_runtime_does_not_stream(corpus, tmp_path):
    audio = micro.RECIPE['audio'] | {'n_window': 10}
    with pytest.raises(RecipeError, match=r'chunk_ms is 200; this package streams 400 ms, give that'):
        train(files(corpus, tmp_path, chunk_ms=200, audio=audio))


def test_stage_0_leaves_no_gradient_behind(corpus, tmp_path):
    """A run that was stopped after it, and so begins stage 1 afresh, has the same weights as one that was not."""
    numbers = {'steps': 2, 'batch': 4, 'speech_batch': 0, 'learning_rate': 1e-2, 'weight_decay': 0.05}
    changes = {'encoder': numbers | {'mixed_share': 0.5}, 'steps': 1}
    whole, stopped = files(corpus, tmp_path / 'whole', **changes), files(corpus, tmp_path / 'stopped', **changes)
    assert train(whole)['finished']
    begin_like(stopped.run, load_training_recipe(whole.recipe), whole.run, encoder=True)
    assert train(stopped)['finished']
    before, after = (load_file(made.out / 'model.safetensors') for made in (whole, stopped))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_recipe_in_the_same_run_is_refused(undisturbed, corpus):
    done, _ = undisturbed
    other = micro.write_recipe(done.run.parent / 'other.yaml', steps=STEPS, seed=4)
    with pytest.raises(TrainingError, match=r'holds a run of another recipe, corpus or start; give another --run'):
        train(Files(other, corpus, done.run, done.out, None))


def test_a_run_that_began_before_a_recipe_key_came_into_being_goes_on(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    run = shutil.copytree(done.run, tmp_path / 'run')
    settings = json.loads((run / 'run.json').read_text())
    del settings['recipe']['stages'][2]['data']['slip_share'], settings['recipe']['init']
    (run / 'run.json').write_text(json.dumps(settings))
    assert train(Files(done.recipe, corpus, run, tmp_path / 'out', None))['finished']
    settings['recipe']['stages'][2]['data']['noise_share'] = 0.5  # named, and not what the recipe says
    (run / 'run.json').write_text(json.dumps(settings))
    with pytest.raises(TrainingError, match=r'holds a run of another recipe'):
        train(Files(done.recipe, corpus, run, tmp_path / 'out', None))


def test_a_corpus_in_which_nothing_sounds_is_refused_before_any_step(undisturbed, corpus, tmp_path):
    done, _ = undisturbed
    made = files(corpus, tmp_path)
    made.run.mkdir()
    for name in ('tokenizer.json', 'protocol.json'):
        shutil.copy(done.run / name, made.run)
    (made.run / 'event-classes.json').write_text('[]')  # as a corpus of speech alone leaves it
    with pytest.raises(TrainingError, match=r'nothing sounds but speech .*; build it with an ability that has some'):
        train(made)


def test_a_loss_that_is_not_finite_stops_the_run(corpus, tmp_path, monkeypatch):
    def spoilt(*arguments, **named):
        share = losses(*arguments, **named)
        return type(share)(share.total * torch.nan, share.lm * torch.nan, share.stream, share.event)

    losses = stream_task.losses
    monkeypatch.setattr(stream_task, 'losses', spoilt)
    with pytest.raises(TrainingError, match=r"stage 'format' step 0: the loss is not finite; lower its learning_rate"):
        train(files(corpus, tmp_path))


def test_running_out_of_memory_is_one_sentence(corpus, tmp_path, monkeypatch):
    # What PyTorch says when a CPU has no more; a batch that large would take the machine with it.
    def exhausted(*_):
        torch.empty(1 << 62, dtype=torch.uint8)

    monkeypatch.setattr(DeepSpeedEngine, 'forward', exhausted)
    with pytest.raises(TrainingError, match=r"stage 'format' ran out of memory with batches of 2; halve batch"):
        train(files(corpus, tmp_path))


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (lambda made: made, r"no shards under '.*/shar'; make them with"),
        (lambda made: made.update(batch=3, accumulation=1) or os.environ.update(WORLD_SIZE='2'), r'do not divide'),
    ],
    ids=['empty', 'world'],
)
def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys, monkeypatch, change, problem):
    monkeypatch.setenv('WORLD_SIZE', '1')
    numbers: dict[str, object] = {'steps': 1}
    change(numbers)
    recipe = micro.write_recipe(tmp_path / 'micro.yaml', **numbers)
    assert main(['train', '--recipe', str(recipe), '--corpus', str(tmp_path), '--run', str(tmp_path / 'run')]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if line.startswith('python -m training: ')]) == 1
    assert re.search(problem, said[-1])


@pytest.mark.parametrize(
    ('spoil', 'sentence'),
    [
        (
            lambda state: (state / 'latest.json').write_text('{"step": 5, "processes": 2}'),
            r'an earlier version of this package wrote; go on with that version, or remove the folder',
        ),
        (
            lambda state: next(state.glob('step-*/*')).write_bytes(b'short'),
            r'after 4 steps is damaged \(.*\); remove the folder to begin the stage again',
        ),
        (lambda state: shutil.rmtree(next(state.glob('step-*'))), r'after 4 steps is damaged \(.*No such file'),
    ],
)
@pytest.mark.cures('remove the folder to begin the stage again')
def test_a_state_that_cannot_be_read_is_named_and_the_stage_begun_again(undisturbed, tmp_path, spoil, sentence):
    done, _ = undisturbed
    run = shutil.copytree(done.run, tmp_path / 'run')
    last = run / '4-interaction'
    (last / 'model.safetensors').unlink()
    spoil(last)
    with pytest.raises(TrainingError, match=sentence):
        train(Files(done.recipe, done.corpus, run, tmp_path / 'out', None))
    shutil.rmtree(last)
    assert train(Files(done.recipe, done.corpus, run, tmp_path / 'out', None))['finished']
