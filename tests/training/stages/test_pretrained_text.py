"""The language model starts from a pretrained one of any family, or one sentence says why it cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.model.engine import Engine
from audio_interaction_ros.model.network import LanguageModel
from audio_interaction_ros.model.protocol import Protocol
from audio_interaction_ros.model.stock import lean_model, stock_network
from audio_interaction_ros.streaming.loop import Decision, listen
from tests.tiny_checkpoint import make_tokenizer
from tests.training.stages import micro
from training.recipe import TrainingRecipe
from training.recipe_file import RecipeError
from training.stages.budget import ForwardOperations, outline
from training.stages.preparation import Files
from training.stages.pretrained_text import PretrainedText
from training.stages.run import train
from training.stages.trainable import EMBEDDINGS

SHAPE = {
    'hidden_size': 16, 'intermediate_size': 32, 'num_hidden_layers': 2, 'num_attention_heads': 2,
    'num_key_value_heads': 1, 'max_position_embeddings': 1024,
}  # fmt: skip
TEXTS: dict[str, dict[str, Any]] = {
    'llama': {'model_type': 'llama', 'tie_word_embeddings': True, 'rope_theta': 1e5, 'rms_norm_eps': 1e-5},
    'qwen3': {'model_type': 'qwen3', 'head_dim': 12},
}
CLASSES = {'llama': (LlamaConfig, LlamaForCausalLM), 'qwen3': (Qwen3Config, Qwen3ForCausalLM)}
SPARE = ('<|reserved_special_token_0|>', '<|reserved_special_token_1|>', '<|unused_7|>')
PADDING = 40  # rows of the table without a token
SMOLLM2 = os.environ.get('SMOLLM2')


def write_language_model(directory: Path, family: str, spare: tuple[str, ...] = SPARE) -> PreTrainedModel:
    """A directory as transformers writes it, with a byte-level tokenizer that ends a text with `<|im_end|>`."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ('<|im_end|>', *spare)])
    config, network = CLASSES[family]
    rope = {'rope_type': 'default', 'rope_theta': TEXTS[family].get('rope_theta', 1e4)}
    given = {name: value for name, value in TEXTS[family].items() if name not in ('model_type', 'rope_theta')}
    torch.manual_seed(4)
    rows = tokenizer.get_vocab_size() + PADDING
    stock = network(
        config(
            **SHAPE, **given, rope_parameters=rope, vocab_size=rows, eos_token_id=tokenizer.token_to_id('<|im_end|>')
        )
    ).eval()
    stock.save_pretrained(directory)
    tokenizer.save(str(directory / 'tokenizer.json'))
    return stock


def settings(directory: Path, family: str, **changes: Any) -> dict[str, Any]:
    """The micro recipe from such a directory; where one table is both, the first stage trains it as one."""
    stages = micro.settings(steps=2)['stages']
    if TEXTS[family].get('tie_word_embeddings'):
        stages[0] = stages[0] | {'trainable': ['new_token_embeddings']}
    given = {'text_init': str(directory), 'text': SHAPE | TEXTS[family], 'vocabulary_size': None, 'stages': stages}
    return micro.settings(**(given | changes))


def recipe(directory: Path, family: str, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe.model_validate(settings(directory, family, **changes))


@torch.inference_mode()
def streamed(model: LanguageModel, ids: list[int], first: int) -> torch.Tensor:
    """The logits at every position from `first` - 1 on, of a prompt in one pass and what follows token by token."""
    engine = Engine(model)
    cache = engine.new_cache(len(ids))
    passes = [ids[:first], *([token] for token in ids[first:])]
    return torch.cat([engine.forward([cache], engine.embed(part)[None]) for part in passes])


@pytest.mark.parametrize('family', TEXTS)
def test_a_network_begins_as_the_pretrained_one_writes_with_control_tokens_beside(tmp_path, family):
    stock = write_language_model(tmp_path / 'lm', family)
    wanted = recipe(tmp_path / 'lm', family)
    found = PretrainedText.open(wanted.text_init)
    found.require_fit(wanted)
    protocol, tokens = found.protocol, found.tokenizer.get_vocab_size()
    assert protocol.eos == found.tokenizer.token_to_id('<|im_end|>')
    # The spare ids first, in the order of the roles, then ids after the tokenizer's own or names that it has already.
    assert [protocol.online, protocol.offline, protocol.system] == [found.tokenizer.token_to_id(name) for name in SPARE]
    assert found.tokenizer.id_to_token(protocol.emotions['happy']) == '<|happy|>'
    assert len(protocol.special_ids()) == 17 and max(protocol.special_ids()) < tokens < stock.config.vocab_size
    network = stock_network(wanted.text.config(tokens)).eval()
    found.fill(network)
    words = found.tokenizer.encode('Glass breaks!').ids
    with torch.inference_mode():
        expected = stock(torch.tensor([words])).logits[0, 2:]
    ours = streamed(lean_model(network), words, 3)
    plain = sorted(set(range(tokens)) - protocol.special_ids())
    assert torch.allclose(ours[:, plain], expected[:, plain], atol=1e-5)
    table = network.get_input_embeddings().weight
    silent = found.tokenizer.encode('silent').ids
    assert torch.allclose(table[protocol.silent], stock.get_input_embeddings().weight[silent].mean(0), atol=1e-6)
    assert torch.equal(table[protocol.eos], stock.get_input_embeddings().weight[protocol.eos])


@pytest.mark.parametrize('family', TEXTS)
def test_a_run_goes_from_a_pretrained_language_model_to_a_checkpoint_that_streams(tmp_path, corpus, family):
    stock = write_language_model(tmp_path / 'lm', family)
    made = tmp_path / 'micro.yaml'
    made.write_text(json.dumps(settings(tmp_path / 'lm', family)))
    files = Files(made, corpus, tmp_path / 'run', tmp_path / 'checkpoint', None)
    assert train(files, stop_after_s=0.0) == {'finished': False, 'stage': 'format', 'run': str(files.run)}
    assert train(files)['finished']
    first = load_file(files.run / '1-format' / 'model.safetensors')
    protocol = Protocol.load(files.out / 'protocol.json')
    before = stock.get_input_embeddings().weight[: len(first[EMBEDDINGS])]
    moved = (first[EMBEDDINGS][: len(before)] != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) <= protocol.special_ids()  # and those of them that are new began as other rows
    name = 'model.layers.1.mlp.up_proj.weight'
    assert torch.equal(first[f'language_model.{name}'], stock.state_dict()[name])
    last = load_file(files.run / '4-interaction' / 'model.safetensors')
    assert not torch.equal(last[f'language_model.{name}'], stock.state_dict()[name])
    half = load_decoder(files.out)
    tied = TEXTS[family].get('tie_word_embeddings', False)
    assert half.language_model.config == recipe(tmp_path / 'lm', family).text.config(half.tokenizer.get_vocab_size())
    for state in (first, last, load_file(files.out / 'model.safetensors')):
        assert ('language_model.lm_head.weight' in state) != tied
    _, samples = micro.stream(3)
    assert any(isinstance(event, Decision) for event in listen(load_encoder(files.out), half, samples))
    # Once the first stage is finished, the part may be gone.
    (tmp_path / 'lm' / 'model.safetensors').unlink()
    assert train(files)['finished']


def test_a_table_that_is_both_is_trained_through_the_head_too(tmp_path):
    wanted = recipe(tmp_path, 'llama', text=SHAPE | TEXTS['llama'] | {'vocab_size': 300})
    stage = wanted.stages[0]
    tied, apart = (
        ForwardOperations.of(outline(wanted.model_copy(update={'text': text})))
        for text in (wanted.text, wanted.text.model_copy(update={'tie_word_embeddings': False}))
    )
    more = tied.of_step(stage, 0, 0, 0, 10) - apart.of_step(stage, 0, 0, 0, 10)
    assert more == 10 * tied.per_target


@pytest.mark.parametrize(
    ('changes', 'problem'),
    [
        ({'num_hidden_layers': 3}, r'has num_hidden_layers 3 in text, and .* has num_hidden_layers 2; give'),
        ({'rope_theta': 1e4}, r'has rope_theta 10000.0 in text, and .* has rope_theta 100000.0; give the recipe those'),
        ({'head_dim': 4}, 'has head_dim 4 in text, and .* has head_dim None'),
        ({'vocab_size': 270}, r'has text.vocab_size 270, and the tokenizer in .* tokens with those of the protocol'),
    ],
)
def test_a_language_model_that_does_not_fit_is_one_sentence_before_anything_is_trained(
    tmp_path, corpus, changes, problem
):
    write_language_model(tmp_path / 'lm', 'llama')
    made = tmp_path / 'micro.yaml'
    made.write_text(json.dumps(settings(tmp_path / 'lm', 'llama', text=SHAPE | TEXTS['llama'] | changes)))
    with pytest.raises(RecipeError, match=problem) as error:
        train(Files(made, corpus, tmp_path / 'run', None, None))
    assert '\n' not in str(error.value) and not (tmp_path / 'run').exists()


def test_what_is_no_language_model_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r'write it with: python -m training parts smollm2-135m --out parts, or give'):
        PretrainedText.open('smollm2-135m')
    with pytest.raises(RecipeError, match=r"no model\.safetensors in 'elsewhere'; give a directory that has one, or"):
        PretrainedText.open('elsewhere')
    write_language_model(tmp_path / 'lm', 'llama')
    config = json.loads((tmp_path / 'lm' / 'config.json').read_text())
    for changes, problem in (
        ({'model_type': 'gemma2'}, "runs here: model_type is 'gemma2', one of llama, qwen2, qwen3 expected"),
        ({'mlp_bias': True}, 'runs here: mlp_bias is set, and nothing here computes it'),
    ):
        (tmp_path / 'lm' / 'config.json').write_text(json.dumps(config | changes))
        with pytest.raises(RecipeError, match=problem):
            PretrainedText.open('lm')
    (tmp_path / 'lm' / 'config.json').write_text(json.dumps(config))
    weights = load_file('lm/model.safetensors')
    save_file(
        {name: tensor for name, tensor in weights.items() if 'layers.1.mlp.up' not in name}, 'lm/model.safetensors'
    )
    with pytest.raises(RecipeError, match=r'do not fit its config.json: model.layers.1.mlp.up_proj.weight is missing'):
        PretrainedText.open('lm').require_fit(recipe(tmp_path / 'lm', 'llama'))
    save_file(weights | {'model.layers.1.mlp.up_proj.bias': torch.zeros(32)}, 'lm/model.safetensors')
    with pytest.raises(RecipeError, match=r"'lm' has model.layers.1.mlp.up_proj.bias, which no such model has"):
        PretrainedText.open('lm').require_fit(recipe(tmp_path / 'lm', 'llama'))
    (tmp_path / 'lm' / 'tokenizer.json').unlink()
    with pytest.raises(RecipeError, match=r"there is no tokenizer.json in 'lm'"):
        PretrainedText.open('lm')


def test_a_start_and_a_tokenizer_of_its_own_are_refused_beside_it(tmp_path, corpus):
    with pytest.raises(ValueError, match='which has a tokenizer, and vocabulary_size asks for another'):
        recipe(tmp_path, 'llama', vocabulary_size=320)
    made = tmp_path / 'micro.yaml'
    made.write_text(json.dumps(settings(tmp_path / 'lm', 'llama')))
    with pytest.raises(
        RecipeError, match=r"starts its language model from '.*' and --start names 'start'; take text_in"
    ):
        train(Files(made, corpus, tmp_path / 'run', None, Path('start')))


@pytest.mark.skipif(SMOLLM2 is None, reason='SMOLLM2=DIR, as `python -m training parts smollm2-135m` writes it')
@pytest.mark.timeout(900)
def test_smollm2_writes_through_our_engine_what_it_writes_through_transformers(tmp_path):
    assert SMOLLM2 is not None
    found = PretrainedText.open(SMOLLM2)
    stock = LlamaForCausalLM.from_pretrained(SMOLLM2, dtype=torch.float32).eval()
    prompt = found.tokenizer.encode('The capital of France is').ids
    text = found.tokenizer.encode((Path(__file__).parents[3] / 'LICENSE').read_text()).ids[:200]
    with torch.inference_mode():
        expected = stock(torch.tensor([text])).logits[0, 149:]
        written = stock.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0].tolist()
    rows = found.tokenizer.get_vocab_size()
    network = stock_network(found.config.model_copy(update={'vocab_size': rows})).eval().requires_grad_(False)
    del stock
    found.fill(network)
    ours = lean_model(network)
    del network
    theirs = expected.shape[1]
    difference = float((streamed(ours, text, 150)[:, :theirs] - expected).abs().max())
    assert difference < 1e-4, difference
    engine = Engine(ours)
    cache, ids, new = engine.new_cache(64), list(prompt), prompt
    for _ in range(12):
        new = [int(engine.forward([cache], engine.embed(new)[None])[0, :theirs].argmax())]
        ids += new
    said = found.tokenizer.decode(ids)
    print(f'{said!r}, logits at most {difference:.1e} apart on {len(text)} tokens')
    assert ids == written and 'Paris' in said
