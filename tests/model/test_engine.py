"""The engine gives transformers' own numbers, one session or many, whole or in pieces."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.graphs import GraphEngine
from audio_interaction_ros.model.stock import lean_model
from tests.model.families import FAMILIES, stock_of


@pytest.fixture(scope='module', params=FAMILIES)
def model(request):
    return stock_of(request.param)


def pieces(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, length, 48, generator=generator) for length in lengths]


@torch.inference_mode()
def reference(model, inputs):
    cache = DynamicCache(config=model.config)
    return [model(inputs_embeds=x, past_key_values=cache, logits_to_keep=1).logits[:, -1] for x in inputs]


def test_every_pass_gives_the_logits_of_transformers_own_cache(model):
    inputs = pieces((20, 12, 1, 1, 13, 1, 30, 12, 1))
    engine = Engine(lean_model(model))
    cache = engine.new_cache(128)
    for ours, theirs in zip((engine.forward([cache], x) for x in inputs), reference(model, inputs), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    assert cache.length == sum(x.shape[1] for x in inputs)


def test_sessions_of_different_lengths_share_a_pass_and_nothing_else(model):
    engine = Engine(lean_model(model))
    apart = [engine.new_cache(64) for _ in range(3)]
    together = [engine.new_cache(64) for _ in range(3)]
    for number, length in enumerate((5, 17, 9)):
        (x,) = pieces((length,), number)
        engine.forward([apart[number]], x)
        engine.forward([together[number]], x)
    for length in (12, 1, 1, 13):
        inputs = [pieces((length,), 10 * length + number)[0] for number in range(3)]
        alone = torch.cat([engine.forward([cache], x) for cache, x in zip(apart, inputs, strict=True)])
        assert torch.allclose(engine.forward(together, torch.cat(inputs)), alone, atol=1e-4)


def test_what_is_cut_back_was_never_there(model):
    engine = Engine(lean_model(model))
    first, second, third = pieces((15, 20, 8))
    cache = engine.new_cache(64)
    engine.forward([cache], first)
    engine.forward([cache], second)
    cache.truncate(15)
    again = engine.forward([cache], third)
    assert torch.allclose(again, reference(model, [first, third])[-1], atol=1e-4)


def test_a_full_cache_says_how_full_and_stays_as_it_is(model):
    engine = Engine(lean_model(model))
    cache = engine.new_cache(20)
    engine.forward([cache], pieces((18,))[0])
    with pytest.raises(RuntimeError, match='20 positions holds 18; 3 more do not fit'):
        engine.forward([cache], pieces((3,))[0])
    assert cache.length == 18


def test_passes_of_fixed_shape_give_the_plain_ones(model):
    """One session and all of them, text tokens and drains, and lengths that have no fixed shape; behind each other."""
    lean = lean_model(model)
    plain, fixed = Engine(lean), GraphEngine(lean, sessions=3, capacity=200)
    fixed.warm_up()
    ours, theirs = ([engine.new_cache(200) for _ in range(3)] for engine in (fixed, plain))
    for number, length in enumerate((5, 17, 9)):
        (x,) = pieces((length,), number)
        for engine, cache in ((fixed, ours[number]), (plain, theirs[number])):
            engine.forward([cache], x)
    for sessions, length in ((1, 1), (1, 13), (3, 13), (3, 1), (2, 13), (1, 25), (3, 25), (3, 7), (1, 49)):
        x = torch.cat([pieces((length,), 10 * length + number)[0] for number in range(sessions)])
        assert torch.allclose(fixed.forward(ours[:sessions], x), plain.forward(theirs[:sessions], x), atol=1e-4)
    ours[0].truncate(20), theirs[0].truncate(20)
    (x,) = pieces((13,), 99)
    assert torch.allclose(fixed.forward(ours[:1], x), plain.forward(theirs[:1], x), atol=1e-4)
    with pytest.raises(RuntimeError, match='all 3 caches are in use'):
        fixed.new_cache(200)
