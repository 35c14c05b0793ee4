"""A quota takes so much of a source, evenly over its categories, and what was not taken is nowhere in the library."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.training.sources.miniature import json_lines, sound, text
from training.clips.ingest import SourceFolder
from training.clips.prepare import clips_parts, make_clips, prepare_sources
from training.clips.quotas import QuotaPart, choose, choose_of_source, count_taken
from training.corpus.recipe import CorpusRecipe
from training.scripts.dialogues import DialoguesPart, make_dialogues

COLUMNS = 'path,category,caption,source,source_id,licence,attribution,respond'


def test_a_quota_is_spread_evenly_and_what_one_category_lacks_the_others_give():
    categories = ['dog'] * 1_000 + ['cat'] * 30 + ['owl'] * 4 + ['rain'] * 200
    chosen = choose(categories, 100, np.random.default_rng(1))
    taken = Counter(name for name, kept in zip(categories, chosen, strict=True) if kept)
    assert taken['owl'] == 4 and taken['cat'] == 30
    assert taken['dog'] + taken['rain'] == 66 and abs(taken['dog'] - taken['rain']) <= 1
    again = choose(categories, 100, np.random.default_rng(1))
    assert (again == chosen).all() and (choose(categories, 100, np.random.default_rng(2)) != chosen).any()
    assert choose(categories, 5_000, np.random.default_rng(1)).all()


def test_the_library_holds_what_was_chosen_and_no_more(tmp_path: Path):
    rows = [f'{n}.wav,{"footsteps" if n % 70 else "rain"},,X,{n},CC0-1.0,me,0' for n in range(140)]
    for n in range(140):  # more than a piece of a manifest
        sound(tmp_path / 'clips' / f'{n}.wav', 0.1)
    text(tmp_path / 'clips' / 'manifest.csv', COLUMNS, *rows)
    questions = ({'question': f'What is {n} plus one?', 'answer': f'It is {n + 1}.'} for n in range(80))
    json_lines(tmp_path / 'qa' / 'fact-qa.jsonl', *questions)
    corpus = tmp_path / 'corpus'
    named = {'clips': tmp_path / 'clips', 'gammacorpus-fact-qa': tmp_path / 'qa'}
    folders = prepare_sources(named, lambda _, work, jobs, unit: sum(map(work, jobs)), corpus)
    for folder, quota in zip(folders, (10, 12), strict=True):
        assert choose_of_source(QuotaPart(folder, quota, 7)) == quota
        assert choose_of_source(QuotaPart(folder, quota, 7)) == 0  # once
    for part in clips_parts(folders, 10, 0, 7, corpus, limited=named):
        if part.out.name.startswith('clips-'):
            make_clips(part)
    make_dialogues(DialoguesPart(folders[1], limited=True))
    assert isinstance(folders[0], SourceFolder)
    assert (count_taken(corpus, 'clips'), count_taken(corpus, 'gammacorpus-fact-qa')) == (10, 12)
    stored = [
        json.loads(line)['category']
        for path in (corpus / 'library' / 'clips').glob('clips-*.jsonl')
        for line in path.read_text().splitlines()
    ]
    assert Counter(stored) == {'footsteps': 8, 'rain': 2}


def test_a_quota_of_no_source_is_one_sentence():
    with pytest.raises(ValueError, match=r"quotas: no source 'libri'; expected one of .*librispeech"):
        CorpusRecipe(quotas={'libri': 3})
