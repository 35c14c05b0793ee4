"""A run writes what it changed of pretrained parts; the robot assembles from it what was trained, or says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_interaction_ros.cli import main
from audio_interaction_ros.model.assemble import assemble
from audio_interaction_ros.model.checkpoint import (
    CheckpointConfig,
    CheckpointError,
    find_checkpoint,
    load_decoder,
    load_encoder,
)
from audio_interaction_ros.model.golden import TOLERANCE, golden_sound
from audio_interaction_ros.model.verify import verify
from audio_interaction_ros.streaming.loop import Decision, listen
from tests.training.stages import micro
from tests.training.stages.test_pretrained import micro_shape, write_whisper
from tests.training.stages.test_pretrained_text import SHAPE, TEXTS, streamed, write_language_model
from training.recipe import TrainingRecipe, load_training_recipe
from training.recipe_file import RecipeError
from training.stages import TrainingError, change
from training.stages.low_rank import add_updates
from training.stages.model import StreamModel, build
from training.stages.preparation import Files
from training.stages.run import train

TOWER, TEXT = 'whisper-micro', 'text-micro'
LOW_RANK = {'encoder': {'rank': 2, 'alpha': 4}, 'language_model': {'rank': 4, 'alpha': 8}}


def settings(parts: Path, family: str, **changes: Any) -> dict[str, Any]:
    """One stage of two steps that trains the rows of the new tokens, the adapter and the updates."""
    tied = TEXTS[family].get('tie_word_embeddings', False)
    trained = ['new_token_embeddings', *([] if tied else ['new_token_lm_head']), 'adapter', 'language_model', 'encoder']
    last = micro.settings(steps=2)['stages'][-1] | {'trainable': trained}
    given: dict[str, Any] = {
        'init': str(parts / TOWER), 'text_init': str(parts / TEXT), 'log_mel': 'running_maximum', 'stages': [last],
        'audio': micro.RECIPE['audio'] | {'layer_mix': True, 'left_context_chunks': 2},
        'text': SHAPE | TEXTS[family], 'vocabulary_size': None, 'low_rank': LOW_RANK, 'change': True,
    }  # fmt: skip
    return micro.settings(**(given | changes))


def begun(folder: Path, corpus: Path, family: str, **changes: Any) -> Files:
    """Parts and a recipe in a folder; nothing is trained."""
    write_whisper(folder / 'parts' / TOWER, micro_shape())
    write_language_model(folder / 'parts' / TEXT, family)
    (folder / 'parts' / TOWER / 'LICENSE').write_text('Free.')
    recipe = folder / 'micro.yaml'
    recipe.write_text(json.dumps(settings(folder / 'parts', family, **changes)))
    return Files(recipe, corpus, folder / 'run', folder / 'checkpoint', None)


@pytest.fixture(scope='module')
def llama(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A finished run from a Llama, whose head is its table."""
    files = begun(tmp_path_factory.mktemp('llama'), corpus, 'llama')
    assert train(files)['finished']
    return files


@pytest.fixture(scope='module')
def qwen3(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A finished run from a Qwen3, whose head is apart."""
    files = begun(tmp_path_factory.mktemp('qwen3'), corpus, 'qwen3')
    assert train(files)['finished']
    return files


@pytest.fixture(params=['llama', 'qwen3'])
def trained(request: pytest.FixtureRequest) -> Files:
    made: Files = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def copied(llama: Files, tmp_path: Path) -> tuple[Path, Path]:
    """The change, under a name of its own, and the parts: to spoil."""
    change = shutil.copytree(change_of(llama), tmp_path / 'mine')
    return change, shutil.copytree(llama.run.parent / 'parts', tmp_path / 'parts')


def change_of(files: Files) -> Path:
    assert files.out is not None
    return files.out / 'change'


def as_trained(files: Files) -> StreamModel:
    """The network as the last stage left it, its updates beside its matrices."""
    recipe = load_training_recipe(files.recipe)
    state = load_file(files.run / '1-interaction' / 'model.safetensors')
    model = build(recipe, len(state['language_model.model.embed_tokens.weight']), len(state['event_head.bias']) - 1)
    add_updates(model, recipe.low_rank)
    model.load_state_dict(state)
    return model.eval()


@torch.inference_mode()
def test_what_is_assembled_computes_what_was_trained(trained, tmp_path):
    config, farthest = assemble(change_of(trained), trained.run.parent / 'parts', tmp_path / 'out')
    model = as_trained(trained)
    encoder, decoder = load_encoder(tmp_path / 'out').encoder, load_decoder(tmp_path / 'out')
    sound = golden_sound()
    ours = encoder(sound)
    encoder.audio_tower = model.audio_tower
    torch.testing.assert_close(ours, encoder(sound), atol=1e-5, rtol=0)
    words = decoder.tokenizer.encode('Glass breaks!').ids
    ids = [*decoder.instruction_prefix('Listen.'), *words, decoder.protocol.response, *words]
    expected = model.language_model(torch.tensor([ids])).logits[0, 2:]
    streamed_logits = streamed(decoder.language_model, ids, 3)
    torch.testing.assert_close(streamed_logits, expected, atol=1e-5, rtol=0)
    # The event head too, and it is the checkpoint that `train` wrote, to the bit.
    learnt, head = load_file(trained.run / 'event-head.safetensors'), decoder.language_model.event_head.state_dict()
    assert learnt.keys() == head.keys()
    for name, tensor in learnt.items():
        torch.testing.assert_close(head[name].float(), tensor, atol=1e-3, rtol=1e-3)
    assert config.model_dump() == CheckpointConfig.load(trained.out).model_dump() | {
        'format_version': config.format_version, 'needs_package': config.needs_package
    }  # fmt: skip
    assert farthest < 1e-4
    assert verify(tmp_path / 'out') == []
    assert (tmp_path / 'out' / f'LICENSE.{TOWER}').read_text() == 'Free.'
    assert (tmp_path / 'out' / 'ATTRIBUTIONS.csv').is_file()


def test_a_change_holds_what_was_trained_and_no_base_weights(trained):
    folder, parts = change_of(trained), trained.run.parent / 'parts'
    model = as_trained(trained)
    stored = load_file(folder / 'change.safetensors')
    tables = {name for name in stored if 'embed_tokens' in name or 'lm_head' in name}
    assert len(tables) == (1 if model.language_model.config.tie_word_embeddings else 2)
    said = json.loads((folder / 'change.json').read_text())
    for name in tables:
        rows = said['rows'][name.removeprefix('language_model.')]
        assert len(rows) == 17 and torch.equal(stored[name], model.state_dict()[name][rows])
    tower = {'audio_tower.proj.weight', 'audio_tower.proj.bias', 'audio_tower.audio_bos_eos_token.weight'}
    of_head = {f'language_model.event_head.{name}' for name in load_file(trained.run / 'event-head.safetensors')}
    assert len(of_head) == 6 and stored.keys() - tables - tower == of_head
    of_text = load_file(folder / 'language_model' / 'adapter_model.safetensors')
    assert len(of_text) == 2 * 7 * 2 and 'base_model.model.model.layers.1.mlp.up_proj.lora_B.weight' in of_text
    assert len(load_file(folder / 'encoder' / 'adapter_model.safetensors')) == 2 * 6
    assert all(tensor.any() for tensor in of_text.values())  # B too: something was learnt
    for half, part in (('encoder', TOWER), ('language_model', TEXT)):
        assert said[half]['part'] == part and len(said[half]['sha256']) == 64
        assert json.loads((folder / half / 'adapter_config.json').read_text())['base_model_name_or_path'] == part
        assert (parts / part / 'model.safetensors').is_file()


def test_in_float16_it_has_half_the_size_and_is_still_what_train_wrote(trained, tmp_path):
    recipe = tmp_path / 'half.yaml'
    recipe.write_text(json.dumps(json.loads(trained.recipe.read_text()) | {'weights': 'float16'}))
    files = Files(recipe, trained.corpus, trained.run, tmp_path / 'half', None)
    assert train(files)['finished']  # writes anew what is trained
    sizes = [
        (change_of(made) / 'language_model' / 'adapter_model.safetensors').stat().st_size for made in (files, trained)
    ]
    assert sizes[0] < 0.8 * sizes[1]
    config, farthest = assemble(change_of(files), trained.run.parent / 'parts', tmp_path / 'out')
    ours = CheckpointConfig.load(files.out)
    assert (config.encoder_digest, config.language_digest) == (ours.encoder_digest, ours.language_digest)
    assert farthest < TOLERANCE
    assert (
        load_file(tmp_path / 'out' / 'audio_tower-00001.safetensors')['audio_tower.conv1.weight'].dtype == torch.float16
    )


def test_fetched_once_a_change_is_found_by_its_name_and_streams(copied, tmp_path, monkeypatch, capsys):
    folder, parts = copied
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    with pytest.raises(CheckpointError, match=rf'do it once, with: audio-interaction checkpoint fetch {folder}'):
        find_checkpoint(str(folder))
    assert main(['checkpoint', 'fetch', str(folder), '--parts', str(parts)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said['assembled'] and said['farthest_log_probability'] < 1e-4
    found = find_checkpoint(str(folder))
    assert str(found) == said['checkpoint'] and found.is_relative_to(tmp_path / 'cache')
    _, samples = micro.stream(3)
    assert any(isinstance(event, Decision) for event in listen(load_encoder(found), load_decoder(found), samples))
    shutil.rmtree(parts)  # not needed any more
    assert main(['checkpoint', 'fetch', str(folder)]) == 0
    assert not json.loads(capsys.readouterr().out.splitlines()[-1])['assembled']
    assert main(['checkpoint', 'fetch', str(found)]) == 1
    assert 'is a checkpoint and stands on nothing else; use it as it is' in capsys.readouterr().err
    # Another change of the same name is not taken for it.
    change_json = folder / 'change.json'
    change_json.write_text(change_json.read_text().replace('"needs_package": "0.2.0"', '"needs_package": "0.2.1"'))
    with pytest.raises(CheckpointError, match='no checkpoint was assembled yet'):
        find_checkpoint(str(folder))


def spoil_base(folder: Path, parts: Path) -> None:
    path = parts / TEXT / 'model.safetensors'
    tensors = load_file(path)
    tensors['model.norm.weight'] = tensors['model.norm.weight'] + 0.01
    save_file(tensors, path, metadata={'format': 'pt'})


def spoil_format(folder: Path, parts: Path) -> None:
    path = folder / 'change.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'format_version': 2, 'needs_package': '0.4.0'}))


def spoil_golden(folder: Path, parts: Path) -> None:
    path = folder / 'golden.json'
    said = json.loads(path.read_text())
    likeliest = max(said['tokens'][-1], key=said['tokens'][-1].get)
    said['tokens'][-1][likeliest] -= 2 * TOLERANCE
    path.write_text(json.dumps(said))


def spoil_updates(folder: Path, parts: Path) -> None:
    path = folder / 'encoder' / 'adapter_model.safetensors'
    save_file({name: 1.5 * tensor for name, tensor in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ('spoil', 'problem'),
    [
        (lambda folder, parts: shutil.rmtree(parts / TOWER), rf'on {TOWER}, and there is no model.safetensors in'
         rf' .*; write it with: python -m training parts {TOWER} --out .*, or give the folder that has it with --p'),
        (spoil_base, rf'not the {TEXT} that .* was trained on: the SHA-256 of their tensors is \w{{64}}, \w{{64}} exp'),
        (spoil_format, 'has change format 2 and needs audio_interaction_ros 0.4.0; this one reads format 1; update'),
        (spoil_updates, r"adapter_model.safetensors' is not as change.json has it; restore the whole directory"),
        (spoil_golden, r'hear as .*golden.json. has it: log-probabilities differ by 0.02, at most 0.01 exp'),
        (lambda folder, parts: (folder / 'golden.json').unlink(), r"golden.json' is missing or damaged; restore it"),
        (lambda folder, parts: (folder / 'change.json').write_text('{'), r"change.json' is damaged; restore it"),
        (lambda folder, parts: (folder.parent / 'out.unfinished').mkdir(), 'a killed one left; wait for it, or re'),
        (lambda folder, parts: (folder.parent / 'out').mkdir(), 'exists and is never overwritten; give a new'),
    ],
)  # fmt: skip
def test_what_cannot_be_assembled_is_one_sentence_and_leaves_nothing(copied, tmp_path, spoil, problem):
    folder, parts = copied
    spoil(folder, parts)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(CheckpointError, match=problem) as error:
        assemble(folder, parts, tmp_path / 'out')
    assert '\n' not in str(error.value).split('restore it: ')[0]
    assert sorted(tmp_path.rglob('*')) == before


def test_an_assembly_that_is_interrupted_leaves_nothing_and_may_be_begun_again(copied, tmp_path):
    folder, parts = copied

    def interrupted(tensors, total):
        for number, tensor in enumerate(tensors):
            if number == total - 3:
                assert (tmp_path / 'out.unfinished' / 'audio_tower-00001.safetensors').is_file()
                raise KeyboardInterrupt
            yield tensor

    with pytest.raises(KeyboardInterrupt):
        assemble(folder, parts, tmp_path / 'out', track=interrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['mine', 'parts']
    assemble(folder, parts, tmp_path / 'out')
    assert verify(tmp_path / 'out') == []


def test_wrong_updates_are_heard(copied, tmp_path):
    """Even where every file has the hash that change.json gives."""
    folder, parts = copied
    path = folder / 'language_model' / 'adapter_config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'lora_alpha': 40}))
    said = json.loads((folder / 'change.json').read_text())
    said['files']['language_model/adapter_config.json'] = change.sha256_of_file(path)
    (folder / 'change.json').write_text(json.dumps(said))
    with pytest.raises(CheckpointError, match='log-probabilities differ'):
        assemble(folder, parts, tmp_path / 'out')


def test_a_change_that_would_be_too_large_is_refused_before_anything_is_trained(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(change, 'MOST_BYTES', 10_000)
    files = begun(tmp_path, corpus, 'llama')
    with pytest.raises(
        RecipeError, match=r'would write a change of .* MB, at most .* expected; give low_rank for what'
    ):
        train(files)
    assert not (files.run / '1-interaction').exists()


def test_base_weights_that_changed_under_a_run_are_noticed(tmp_path, corpus):
    files = begun(tmp_path, corpus, 'llama')
    assert train(Files(files.recipe, corpus, files.run, None, None))['finished']
    path = tmp_path / 'parts' / TOWER / 'model.safetensors'
    tensors = load_file(path)
    save_file(tensors | {'encoder.conv1.weight': -tensors['encoder.conv1.weight']}, path, metadata={'format': 'pt'})
    with pytest.raises(TrainingError, match=r'audio_tower.conv1.weight is not what the run trained or began with'):
        train(files)


def test_a_change_needs_both_bases(tmp_path):
    for key in ('init', 'text_init'):
        with pytest.raises(ValueError, match='change is of base weights, and init and text_init name them; give both'):
            TrainingRecipe.model_validate(settings(tmp_path, 'qwen3', **{key: None}))
