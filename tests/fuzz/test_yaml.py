"""Whatever a YAML file holds: a recipe, a judge and the metadata of a bag are used, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.cases import cases
from tests.fuzz.strategies import assert_one_sentence, damaged
from training.corpus.command import load_corpus_recipe
from training.evaluate import EvaluationError
from training.evaluate.judge import load_judge
from training.llm import LlmError
from training.recipe import load_training_recipe
from training.recipe_file import RecipeError

RECIPES = sorted((Path(__file__).parents[2] / 'training' / 'recipes').glob('*.yaml'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, said: object) -> object:
    """A setting of those, anywhere within, has another value or another name."""
    if isinstance(said, dict) and said and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(said, key=str)))
        return {**said, key: draw(changed(said[key]))}
    if isinstance(said, dict) and draw(st.booleans()):
        return {**said, draw(st.text(max_size=6) | st.integers()): draw(VALUES)}
    return draw(VALUES)


@st.composite
def recipes(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(RECIPES)).read_bytes()
    if draw(st.booleans()):
        return draw(damaged(content))
    return yaml.safe_dump(draw(changed(yaml.safe_load(content))), allow_unicode=True).encode('utf-8', 'surrogatepass')


YAMLS = recipes() | st.binary(max_size=40) | VALUES.map(yaml.safe_dump).map(str.encode)


@pytest.fixture(scope='module')
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('fuzz') / 'said.yaml'


@cases(60)
@given(YAMLS)
@example(b'\xff')
@example(b'1: 2')
@example(b'a: 2024-13-45')
@example(b'[' * 2_000)
@pytest.mark.parametrize('load', [load_corpus_recipe, load_training_recipe])
def test_a_recipe(load, path, content):
    path.write_bytes(content)
    try:
        assert load(path) is not None
    except RecipeError as error:
        assert_one_sentence(error, 'said.yaml')


@cases(60)
@given(
    st.fixed_dictionaries(
        {}, optional={name: VALUES for name in ('model', 'base_url', 'temperature', 'api_key_env', 'cache', 'x')}
    ).map(lambda said: yaml.safe_dump(said).encode())
    | YAMLS
)
@example(b'\xff')
@example(b'a: 2024-13-45')
def test_a_judge(path, content):
    path.write_bytes(content)
    try:
        load_judge(path)
    except EvaluationError as error:
        assert_one_sentence(error, 'said.yaml')
    except LlmError as error:
        assert '\n' not in str(error)
