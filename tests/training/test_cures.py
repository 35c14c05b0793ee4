"""What a lab meets first: a recipe, clip library or source that is refused is taken once it is mended as was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.training.sources.miniature import sound, text
from tests.training.stages import micro
from training.clips.categories import check_decided
from training.corpus.command import load_corpus_recipe, named_folders
from training.errors import CorpusError
from training.recipe import load_training_recipe
from training.recipe_file import RecipeError
from training.sources import find_source
from training.sources.base import SourceError
from training.sources.clip_folder import check_sides
from training.sources.clip_library import ClipLibraryError, load_library, split

STAGE_0 = {'steps': 4, 'batch': 4, 'speech_batch': 4, 'mixed_share': 0.5, 'learning_rate': 1e-3, 'weight_decay': 0.0}
GONE = object()  # the cure is to take a setting out


def set_in(settings: dict, changes: dict[str, object]) -> dict:
    """`settings` with the value of each dotted name, made on the way; numbers are places in lists."""
    settings = yaml.safe_load(yaml.safe_dump(settings))
    for name, value in changes.items():
        *parents, key = name.split('.')
        section = settings
        for parent in parents:
            section = section[int(parent)] if parent.isdigit() else section.setdefault(parent, {})
        if value is GONE:
            del section[key]
        else:
            section[key] = value
    return settings


def written(path: Path, settings: dict) -> Path:
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.cures(
    'take it out, or set form: online',
    'whole streams have silence; take it out',
    'hard streams are whole ones; take hard out',
    'the encoder of such chunks has n_window',
    'give log_mel: running_maximum',
    'give both, or leave it out',
    'and vocabulary_size asks for another; take one of them out',
    'name embeddings or new_token_embeddings there, or set it to false',
    'are part of what else it trains; name one',
    'no stage trains such updates; name',
    'the tower that init names; give init, or 0',
    'the nearest that it has is',
    'give each a name of its own',
    'there are {known}',
)
@pytest.mark.parametrize(
    ('spoilt', 'said', 'mended'),
    [
        ({'stages.0.data.quiet_share': 0.4}, 'take it out, or set form: online', {'stages.0.data.form': 'online'}),
        ({'stages.0.data.quiet_share': 0.4}, 'take it out', {'stages.0.data.quiet_share': GONE}),
        ({'stages.2.data.silent_share': 0.1}, 'take it out', {'stages.2.data.silent_share': GONE}),
        (
            {'stages.0.hard': {'share': 0.2, 'every': 10, 'sample': 10}}, 'take hard out, or set form: online',
            {'stages.0.hard': GONE},
        ),
        ({'audio.n_window': 40}, 'has n_window 20, give that', {'audio.n_window': 20}),
        ({'init': 'whisper-base'}, 'give log_mel: running_maximum', {'log_mel': 'running_maximum'}),
        ({'change': True}, 'give both, or leave it out', {'change': GONE}),
        ({'text_init': 'x'}, 'vocabulary_size asks for another; take one of them out', {'vocabulary_size': GONE}),
        ({'text.tie_word_embeddings': True}, 'or set it to false', {'text.tie_word_embeddings': False}),
        ({'text.tie_word_embeddings': True}, 'name embeddings or new_token_embeddings there',
         {'stages.0.trainable': ['new_token_embeddings']}),
        ({'stages.0.trainable': ['lm_head', 'new_token_lm_head']}, 'name one', {'stages.0.trainable': ['lm_head']}),
        ({'stages.2.trainable': ['language_model', 'new_token_embeddings']}, 'name one',
         {'stages.2.trainable': ['language_model']}),
        ({'low_rank.encoder': {'rank': 2, 'alpha': 2}, 'stages.2.trainable': ['adapter'],
          'stages.3.trainable': ['adapter']},
         'name encoder in one, or take it out', {'stages.3.trainable': ['encoder']}),
        ({'encoder': STAGE_0 | {'teacher_weight': 1.0}}, 'give init, or 0', {'encoder.teacher_weight': 0.0}),
        ({'optimiser.beta_1': 0.9}, "the nearest that it has is 'beta1'",
         {'optimiser.beta_1': GONE, 'optimiser.beta1': 0.9}),
        ({'stages.1.name': 'format'}, 'give each a name of its own', {'stages.1.name': 'adapter'}),
        ({'streams_corpus.shares': {'memories': 2}}, "'memory'", {'streams_corpus.shares': {'memory': 2}}),
    ],
)  # fmt: skip
def test_a_recipe_is_taken_when_it_is_changed_as_its_refusal_says(tmp_path, spoilt, said, mended):
    path = written(tmp_path / 'recipe.yaml', set_in(micro.settings(), spoilt))
    with pytest.raises(RecipeError) as refused:
        load_training_recipe(path)
    assert said in str(refused.value)
    load_training_recipe(written(path, set_in(set_in(micro.settings(), spoilt), mended)))


@pytest.mark.cures('give a YAML file or one of', 'is not YAML', 'holds no settings; give a recipe such as those in')
@pytest.mark.parametrize(
    ('content', 'said'),
    [(None, 'give a YAML file or one of'), ('a: [', 'is not YAML'), ('- a', 'give a recipe such as those in')],
)
def test_a_file_that_is_no_recipe_is_one_when_it_is_given_as_was_said(tmp_path, content, said):
    path = tmp_path / 'recipe.yaml'
    if content is not None:
        path.write_text(content)
    for load in (load_training_recipe, load_corpus_recipe):
        with pytest.raises(RecipeError, match=said):
            load(path)
    written(path, micro.settings())
    assert load_training_recipe(path).streams_corpus == load_corpus_recipe(path)


@pytest.mark.cures('start a number of processes that divides')
def test_a_step_is_divided_among_the_processes_that_were_named():
    recipe = micro.recipe(batch=2, accumulation=2)
    with pytest.raises(RecipeError, match='start a number of processes that divides 2, or change batch'):
        recipe.accumulation_on(recipe.stages[0], 3)
    assert recipe.accumulation_on(recipe.stages[0], 2) == 1
    recipe = micro.recipe(batch=2, accumulation=3)
    assert recipe.accumulation_on(recipe.stages[0], 3) == 1


@pytest.mark.cures(
    'no clip library at',
    "see 'Clip libraries' in docs/training.md",
    'give its path, or remove the row',
    'give 1, 0, or nothing where it depends',
)
@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda manifest: None, 'give a folder with a manifest.csv'),
        (lambda manifest: manifest.replace('source_id', 'id'), "lacks the columns ['source_id']"),
        (lambda manifest: manifest.replace('b.wav', ''), 'names no file in row 2; give its path, or remove the row'),
        (lambda manifest: manifest.replace(',0', ',no'), "says respond = 'no'; give 1, 0, or nothing"),
    ],
)
def test_a_clip_library_is_read_when_it_is_mended_as_was_said(
    tmp_path: Path, spoil: Callable[[str], str | None], said: str
):
    manifest = 'path,category,source_id,respond\na.wav,wind,a,0\nb.wav,siren,b,1\n'
    if (spoilt := spoil(manifest)) is not None:
        (tmp_path / 'manifest.csv').write_text(spoilt)
    with pytest.raises(ClipLibraryError) as refused:
        load_library(tmp_path)
    assert said in str(refused.value)
    (tmp_path / 'manifest.csv').write_text(manifest)
    assert [clip.respond for clip in load_library(tmp_path)] == [False, True]


@pytest.mark.cures('give them one fold', 'give it the same fold or family in both manifests')
def test_a_recording_is_on_one_side_once_it_has_one_fold(tmp_path):
    columns = 'path,category,source_id,respond,fold'
    one = text(tmp_path / 'one' / 'manifest.csv', columns, 'a.wav,wind,r,0,1', 'b.wav,wind,r,0,4').parent
    with pytest.raises(ClipLibraryError, match='give them one fold'):
        split(load_library(one))
    text(one / 'manifest.csv', columns, 'a.wav,wind,r,0,1', 'b.wav,wind,r,0,1')
    assert [len(side) for side in split(load_library(one))] == [2, 0]
    other = text(tmp_path / 'other' / 'manifest.csv', columns, 'c.wav,wind,r,0,4').parent
    with pytest.raises(SourceError, match='give it the same fold or family in both manifests'):
        check_sides([one, other])
    text(other / 'manifest.csv', columns, 'c.wav,wind,r,0,1')
    check_sides([one, other])


@pytest.mark.cures('which nobody has decided about; give', 'give it a sentence there, or the row respond 0')
def test_a_category_is_taken_by_a_name_that_is_known_and_silence_where_nothing_is_to_be_said(tmp_path):
    for spoilt, said, mended in (
        ('a.wav,flugelhorn flap,a,0', 'or use one of its names', 'a.wav,wind,a,0'),
        ('a.wav,wind,a,1', 'or the row respond 0', 'a.wav,wind,a,0'),
    ):
        text(tmp_path / 'manifest.csv', 'path,category,source_id,respond', spoilt)
        with pytest.raises(SourceError, match=said):
            check_decided(tmp_path)
        text(tmp_path / 'manifest.csv', 'path,category,source_id,respond', mended)
        check_decided(tmp_path)


@pytest.mark.cures(
    'give a name and a folder, such as musan=DIR',
    'is given twice; give one folder for it',
    'is given twice; name it once',
    'expected one of',
)
@pytest.mark.parametrize(
    ('given', 'said', 'mended'),
    [
        (['musan'], 'give a name and a folder, such as musan=DIR', ['musan=a']),
        (['musan=a', 'musan=b'], 'give one folder for it', ['musan=b']),
        (['musan=a', 'wham=a'], 'name it once', ['musan=a']),
        (['musik=a'], 'expected one of commonvoice', ['musan=a']),
    ],
)
def test_sources_are_taken_when_they_are_named_as_was_said(given, said, mended):
    with pytest.raises(CorpusError) as refused:
        named_folders(given, [])
    assert said in str(refused.value)
    assert list(named_folders(mended, [])) == ['musan']


@pytest.mark.cures('nothing there matches {pattern}; its layout is', 'cannot be read; unpack it again from')
def test_a_source_is_read_when_it_lies_as_was_said(tmp_path):
    source = find_source('clips')
    with pytest.raises(SourceError, match=r'nothing there matches manifest\.csv; its layout is manifest\.csv'):
        source.prepare(tmp_path)
    text(tmp_path / 'manifest.csv', 'path,category,source_id,respond', 'a.wav,wind,a,0')
    with pytest.raises(SourceError, match='lists 1 files, of which 1 are not there and 0 cannot be read; unpack it'):
        list(source.prepare(tmp_path))
    sound(tmp_path / 'a.wav', 0.5)
    assert len(list(source.prepare(tmp_path))) == 1
