"""What each stage of the paper trains, by parameter name (Table 11), and that nothing else moves."""

from __future__ import annotations

import re

import pytest
import torch

from tests.training.stages import micro
from training.recipe import load_training_recipe
from training.recipe_file import recipe_path
from training.stages.budget import outline
from training.stages.model import build
from training.stages.trainable import EMBEDDINGS, only_rows, parameter_groups, set_trainable

LAYER = r'language_model\.model\.layers\.\d+\.'
LANGUAGE_MODEL = [
    r'language_model\.model\.embed_tokens\.weight',
    r'language_model\.model\.norm\.weight',
    r'language_model\.lm_head\.weight',
    LAYER + r'self_attn\.[qkv]_proj\.(weight|bias)',
    LAYER + r'self_attn\.o_proj\.weight',
    LAYER + r'mlp\.(gate|up|down)_proj\.weight',
    LAYER + r'(input|post_attention)_layernorm\.weight',
]
ADAPTER = [r'audio_tower\.proj\.(weight|bias)']
ENCODER = [
    r'audio_tower\.conv[12]\.(weight|bias)',
    r'audio_tower\.ln_post\.(weight|bias)',
    r'audio_tower\.layers\.\d+\.self_attn\.([qvk]|out)_proj\.(weight|bias)',
    r'audio_tower\.layers\.\d+\.(fc[12]|final_layer_norm|self_attn_layer_norm)\.(weight|bias)',
]
EVENT_HEAD = [r'event_head\.(weight|bias)']
PAPER = {
    'format': [r'language_model\.model\.embed_tokens\.weight', r'language_model\.lm_head\.weight'],
    'adapter': ADAPTER,
    'core': [*ADAPTER, *LANGUAGE_MODEL],
    'interaction': [*ADAPTER, *LANGUAGE_MODEL],
}


@pytest.mark.parametrize(
    ('recipe', 'expected'),
    [
        ('paper', PAPER),
        ('embedded', {
            'format': [*PAPER['format'], *EVENT_HEAD],
            'adapter': [*ADAPTER, *EVENT_HEAD],
            'core': [*PAPER['core'], *EVENT_HEAD],
            'interaction': [*PAPER['interaction'], *ENCODER, *EVENT_HEAD],
        }),
    ],
)  # fmt: skip
def test_each_stage_trains_what_table_11_says(recipe, expected):
    loaded = load_training_recipe(recipe_path(recipe))
    model = outline(loaded)
    names = [name for name, _ in model.named_parameters()]
    assert [stage.name for stage in loaded.stages] == list(expected)
    for stage in loaded.stages:
        trained = {name for name, _ in set_trainable(model, stage.trainable, stage.event_weight > 0)}
        pattern = re.compile('|'.join(expected[stage.name]))
        assert trained == {name for name in names if pattern.fullmatch(name)}
        for expression in expected[stage.name]:
            assert any(re.fullmatch(expression, name) for name in trained), expression


def test_of_the_embeddings_only_the_new_tokens_rows_move():
    recipe = micro.recipe()
    torch.manual_seed(0)
    model = build(recipe, 320, event_classes=2)
    stage = recipe.stages[0]
    trainable = set_trainable(model, stage.trainable, with_events=False)
    embeddings = dict(trainable)[EMBEDDINGS]
    before = embeddings.detach().clone()
    hook = only_rows(embeddings, [3, 7])
    optimiser = torch.optim.AdamW(parameter_groups(trainable, stage.trainable, weight_decay=0.5), lr=0.1)
    for _ in range(3):
        embeddings.square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    hook.remove()
    moved = (embeddings != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [3, 7]


def test_gains_and_biases_do_not_decay():
    model = build(micro.recipe(), 320, event_classes=2)
    trainable = set_trainable(model, ('language_model',), with_events=False)
    decayed, plain = parameter_groups(trainable, ('language_model',), weight_decay=0.1)
    assert decayed['weight_decay'] == 0.1 and all(p.ndim > 1 for p in decayed['params'])
    assert plain['weight_decay'] == 0.0 and all(p.ndim == 1 for p in plain['params'])
    assert len(decayed['params']) + len(plain['params']) == len(trainable)
