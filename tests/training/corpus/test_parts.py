"""What a recipe may be called the paper's with, and what it says of every part that is another."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from training.__main__ import main
from training.corpus.command import load_corpus_recipe
from training.corpus.parts import TABLE_9, require_parts, stand_ins
from training.corpus.recipe import CorpusRecipe
from training.errors import BuildError
from training.llm import LlmSettings
from training.recipe_file import recipe_path
from training.scenes.selection import SelectionSettings
from training.sources import SOURCES
from training.speech.spoken import SpeechSettings

PAPER = load_corpus_recipe(recipe_path('paper'))
SPEAKERS = tuple(f'voice {number}' for number in range(10))


def parts_of(recipe: CorpusRecipe, sources: tuple[str, ...] = ()) -> dict[str, str]:
    found = stand_ins(recipe, sources)
    for each in found:  # one sentence: found, expected, and what to do
        assert re.fullmatch(r'[a-z ]+: .+ found, .+ expected; [a-z].+', str(each)) and '\n' not in str(each)
    return {each.part: str(each) for each in found}


def test_a_recipe_of_local_parts_names_every_one_that_is_not_the_papers():
    parts = parts_of(CorpusRecipe())
    assert set(parts) == {
        'voices', 'check of speech', 'rewriter for speech', 'planner', 'silence audit', 'history review',
        'writer of texts', 'retrieval', 'verifier', 'mixed sounds', 'generator', 'sounds', 'rounds', 'scenes',
        'sources', 'quotas',
    }  # fmt: skip
    assert parts['voices'].startswith(
        'voices: espeak found, CosyVoice with a pool of voices expected; set speech.engine'
    )
    assert 'librispeech: 81647' in parts['quotas'] and '--source NAME=DIR for commonvoice, ' in parts['sources']
    lite = parts_of(load_corpus_recipe(recipe_path('lab-lite')), tuple(TABLE_9))
    assert 'kokoro' in lite['voices'] and not {'check of speech', 'rounds', 'quotas', 'sources', 'scenes'} & set(lite)


def test_paper_is_refused_with_every_missing_part_before_anything_is_made(tmp_path: Path, capsys):
    out = tmp_path / 'corpus'
    assert main(['corpus', 'build', '--recipe', 'paper', '--out', str(out)]) == 2
    said = capsys.readouterr().err
    # A recipe that names its parts lacks what only a lab can give: servers, voices, a model, data.
    lacking = re.findall(r'^  ([a-z ]+):', said, re.M)
    assert set(lacking) == {'voices', 'chat model', 'retrieval', 'generator', 'sources'}
    assert f"{len(lacking)} of the recipe's parts" in said and not out.exists()


@pytest.mark.cures('{part}: {found} found, {expected} expected')
@pytest.mark.cures("of the recipe's parts are not those of the paper")
def test_each_part_is_no_longer_named_once_it_is_set_as_was_said(tmp_path: Path):
    """With a listening socket for the servers: only whether they are there is asked."""
    (tmp_path / 'config.json').write_text('{}')
    with socket.create_server(('127.0.0.1', 0)) as server:
        url = f'http://127.0.0.1:{server.getsockname()[1]}'
        cures = {
            'speech': SpeechSettings(
                engine='cosyvoice',
                cosyvoice_url=url,
                cosyvoice_speakers={'en': SPEAKERS, 'zh': SPEAKERS},
                check='whisper',
                rewriter='llm',
            ),
            'llm': LlmSettings(base_url=url, model='local', cache=tmp_path),  # type: ignore[call-arg]
            'selection': SelectionSettings(
                retrieval='clap',
                clap=tmp_path,
                verifier='llm',
                generators=('audiox', 'procedural'),
                audiox_url=url,
                accepted=True,
            ),
            'procedural': 'fallback',
            'rounds': (3, 15),
            'layered': 1.0,
            'quotas': TABLE_9,
            'stand_ins': 'refused',
        }
        left = CorpusRecipe()
        count = len(stand_ins(left, tuple(TABLE_9)))
        for name, value in cures.items():
            left = left.model_copy(update={name: value})
            fewer = len(stand_ins(left, tuple(TABLE_9)))
            assert fewer < count or name == 'stand_ins'
            count = fewer
        require_parts(left, tuple(TABLE_9))
        with pytest.raises(
            BuildError, match=r'^1 of .*\n  sources: .* found, all 20 of Table 9 expected; .* for moss$'
        ):
            require_parts(left, tuple(set(TABLE_9) - {'moss'}))
        few = left.speech.model_copy(update={'cosyvoice_speakers': {'en': SPEAKERS[:2], 'zh': SPEAKERS}})
        with pytest.raises(BuildError, match=r'voices: 2 in english found, 10 or more expected; set speech\.'):
            require_parts(left.model_copy(update={'speech': few}), tuple(TABLE_9))


def test_the_sources_of_table_9_are_those_that_can_be_read():
    ours = {'clips', 'open-texts'}
    assert set(TABLE_9) == set(SOURCES) - ours and PAPER.quotas == TABLE_9


@pytest.mark.cures('generators make sounds that only accepted: true mixes')
@pytest.mark.cures('the generator audiox has no audiox_url')
@pytest.mark.cures('selection.verifier is llm, and there is no llm')
@pytest.mark.cures('speech.rewriter is llm, and there is no llm')
def test_a_part_that_needs_another_is_taken_once_that_is_given():
    with pytest.raises(ValueError, match='only accepted: true mixes; set it'):
        SelectionSettings(generators=('procedural',))
    with pytest.raises(ValueError, match='has no audiox_url; give the address'):
        SelectionSettings(generators=('audiox',), accepted=True)
    SelectionSettings(generators=('audiox', 'procedural'), accepted=True, audiox_url='http://localhost:8100')
    model = LlmSettings(base_url='http://localhost:8000/v1', model='local', cache=Path('answers'))  # type: ignore[call-arg]
    for changes in ({'selection': {'verifier': 'llm'}}, {'speech': {'rewriter': 'llm'}}):
        with pytest.raises(ValueError, match='there is no llm; give llm, the chat model'):
            CorpusRecipe.model_validate(changes)
        CorpusRecipe.model_validate(changes | {'llm': model})
