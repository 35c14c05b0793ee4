"""Low-rank updates begin as no change, are all that a stage trains of their part, and merge into what they computed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.low_rank import is_update, read_updates, write_updates
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.weights import CheckpointError
from tests.training.stages import micro
from training.random_streams import Purpose, torch_seed
from training.recipe import TrainingRecipe
from training.stages.budget import ForwardOperations, outline
from training.stages.low_rank import UpdatedLinear, add_updates, merge_updates
from training.stages.model import StreamModel, build, heard_chunks
from training.stages.preparation import Files
from training.stages.run import train
from training.stages.trainable import EMBEDDINGS, LM_HEAD

LOW_RANK: dict[str, Any] = {
    'encoder': {'rank': 2, 'alpha': 4, 'matrices': ['q_proj', 'fc2']},
    'language_model': {'rank': 3, 'alpha': 6},
}


def stages(**changes: Any) -> list[dict[str, Any]]:
    """Two stages that train the new tokens' rows beside the language model, and the encoder last."""
    trained = ['new_token_embeddings', 'new_token_lm_head', 'adapter', 'language_model']
    made = micro.settings(steps=2)['stages'][-2:]
    return [
        made[0] | {'trainable': trained} | changes,
        made[1] | {'trainable': [*trained, 'encoder']} | changes,
    ]


def recipe(**changes: Any) -> TrainingRecipe:
    return TrainingRecipe.model_validate(micro.settings() | {'stages': stages(), 'low_rank': LOW_RANK} | changes)


def network(wanted: TrainingRecipe) -> StreamModel:
    torch.manual_seed(7)
    return build(wanted, 320, event_classes=2).eval()


@torch.inference_mode()
def logits(model: StreamModel, collator: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch = collator.collate([0, 1], None)
    mel = 0.1 * torch.randn(len(batch.waveforms), 16, 40 * batch.heard.shape[1], generator=torch.manual_seed(0))
    control, text, _ = model(heard_chunks(mel, batch, augment=False), batch)
    return control, text


@pytest.fixture(scope='module')
def updated() -> tuple[StreamModel, StreamModel]:
    """A network, and the same with updates that are none yet."""
    wanted = recipe()
    plain = network(wanted)
    model = copy.deepcopy(plain)
    add_updates(model, wanted.low_rank)
    return plain, model


def test_an_update_begins_as_no_change_to_the_bit(updated, collator):
    plain, model = updated
    for ours, theirs in zip(logits(model, collator), logits(plain, collator), strict=True):
        assert torch.equal(ours, theirs)
    names = {name for name, _ in model.named_parameters() if is_update(name)}
    of_layer = 'language_model.model.layers.1.mlp.down_proj.lora_A.weight'
    assert of_layer in names and 'audio_tower.layers.0.self_attn.q_proj.lora_B.weight' in names
    assert not any('k_proj' in name for name in names if name.startswith('audio_tower.'))
    # What was there keeps its name, so that a state without updates can be told from one with.
    assert {name for name, _ in model.named_parameters()} - names == {name for name, _ in plain.named_parameters()}


def test_merged_updates_compute_what_they_computed_beside_the_matrices(updated, collator):
    plain, model = (copy.deepcopy(one) for one in updated)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if is_update(name):
            torch.nn.init.normal_(parameter, std=0.2)
    before = logits(model, collator)
    merge_updates(model)
    assert not any(isinstance(module, UpdatedLinear) for module in model.modules())
    assert model.state_dict().keys() == plain.state_dict().keys()
    for after, wanted, none in zip(logits(model, collator), before, logits(plain, collator), strict=True):
        torch.testing.assert_close(after, wanted, atol=1e-5, rtol=0)
        assert (wanted - none).abs().max() > 0.05


@pytest.mark.parametrize('with_stage_0', [False, True])
def test_of_the_updated_parts_a_run_trains_the_updates_alone_and_its_checkpoint_has_them_merged(
    tmp_path, corpus, with_stage_0
):
    stage_0 = {'steps': 2, 'batch': 3, 'speech_batch': 2, 'weight_decay': 0.1, 'mixed_share': 0.5, 'learning_rate': 0.1}
    only = stages()[:1] if with_stage_0 else stages()[1:]
    made = micro.write_recipe(
        tmp_path / 'micro.yaml', stages=only, low_rank=LOW_RANK, encoder=stage_0 if with_stage_0 else None
    )
    files = Files(made, corpus, tmp_path / 'run', tmp_path / 'checkpoint', None)
    assert train(files)['finished']
    wanted = recipe(encoder=stage_0 if with_stage_0 else None, stages=only)
    trained = load_file(files.run / f'1-{only[0]["name"]}' / 'model.safetensors')
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, wanted.seed, 0))
    start = build(wanted, len(trained[EMBEDDINGS]), len(trained['event_head.bias']) - 1).state_dict()
    tables = {EMBEDDINGS, LM_HEAD}
    learn = {'event_head.weight', 'event_head.bias', 'audio_tower.proj.weight', 'audio_tower.proj.bias', *tables}
    for name, tensor in trained.items():
        if is_update(name):
            assert not name.endswith('lora_B.weight') or tensor.any(), name
        else:
            assert torch.equal(tensor, start[name]) != (name in learn), name
    protocol = Protocol.load(files.run / 'protocol.json')
    for name in tables:
        moved = {*(trained[name] != start[name]).any(dim=1).nonzero().flatten().tolist()}
        assert {protocol.silent, protocol.response} <= moved <= protocol.special_ids(), name
    q_proj = 'layers.0.self_attn.q_proj'
    tower = load_encoder(files.out).encoder.audio_tower.state_dict()
    down, up = (trained[f'audio_tower.{q_proj}.lora_{half}.weight'] for half in 'AB')
    merged = start[f'audio_tower.{q_proj}.weight'] + 2 * up @ down
    torch.testing.assert_close(tower[f'{q_proj}.weight'], merged, atol=1e-6, rtol=0)
    assert load_decoder(files.out).language_model.model.layers[0].mlp.up_proj.weight.shape == (32, 16)


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'low_rank': {'language_model': {'rank': 0, 'alpha': 1}}}, 'greater than or equal to 1'),
        ({'low_rank': {'encoder': {'rank': 2, 'alpha': 1, 'matrices': ['o_proj']}}}, "'q_proj', 'k_proj'"),
        ({'stages': stages(trainable=['adapter'])}, 'low_rank.encoder: no stage trains such updates; name encoder'),
        ({'low_rank': {}}, "stage 'core': new_token_embeddings are part of what else it trains; name one"),
        ({'stages': stages(trainable=['lm_head', 'new_token_lm_head', 'encoder'])}, 'new_token_lm_head are part of'),
        ({'text': micro.RECIPE['text'] | {'tie_word_embeddings': True}}, 'and a stage trains new_token_lm_head; name'),
    ],
)  # fmt: skip
def test_updates_that_cannot_be_trained_are_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        recipe(**changes)


def test_what_updates_save_is_counted():
    wanted = recipe()
    plain, with_updates = (
        ForwardOperations.of(outline(wanted.model_copy(update=changes)))
        for changes in ({'low_rank': type(wanted.low_rank)()}, {})
    )
    # Of these miniature layers a third are updates; gradients of the rest are not computed.
    assert 0.2 < with_updates.learning < 0.5 and plain.learning == 1
    more = with_updates.of_step(wanted.stages[0], 100, 0, 0, 0) / with_updates.per_position / 100
    assert more == pytest.approx(2 + with_updates.learning)


def test_files_of_updates_are_as_peft_names_them_and_are_read_back(tmp_path):
    settings = recipe().low_rank.parts['language_model'].settings()
    module = 'model.layers.0.self_attn.q_proj'
    down, up = torch.randn(3, 16), torch.randn(16, 3)
    write_updates(tmp_path / 'lm', {f'{module}.lora_A.weight': down, f'{module}.lora_B.weight': up}, settings, 'a-base')
    stored = load_file(tmp_path / 'lm' / 'adapter_model.safetensors')
    assert sorted(stored) == [f'base_model.model.{module}.lora_{half}.weight' for half in 'AB']
    said = json.loads((tmp_path / 'lm' / 'adapter_config.json').read_text())
    assert said['peft_type'] == 'LORA' and (said['r'], said['lora_alpha'], said['bias']) == (3, 6, 'none')
    assert said['target_modules'][:2] == ['q_proj', 'k_proj'] and said['base_model_name_or_path'] == 'a-base'
    (update,) = read_updates(tmp_path / 'lm').values()
    matrix = torch.randn(16, 16)
    torch.testing.assert_close(update.added_to(matrix), matrix + 2 * up @ down)
    (tmp_path / 'lm' / 'adapter_config.json').write_text('{}')
    with pytest.raises(CheckpointError, match='does not say how updates are scaled'):
        read_updates(tmp_path / 'lm')
