"""The corpora of the variants: the baseline's clips and seed, and nothing but the one thing different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import small_library
from tests.training.stages import micro
from training.ablate.ablation import Ablation, _build
from training.ablate.recipes import corpus_recipe_of
from training.ablate.variants import BASELINE, VARIANTS
from training.streams import Stream, read_streams

__all__ = ['small_library']
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
NAMES = (BASELINE, 'no-tfjp', 'no-event-selection')


@pytest.fixture(scope='module')
def ablation(small_library: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    out = tmp_path_factory.mktemp('ablation')
    settings = {'renders': 10, 'shares': {'proactive respond': 4}, 'performance': {'max_chunks': 40}}
    recipe = micro.recipe(streams_corpus=settings, seed=5, max_positions=1024)
    made = Ablation(recipe, {}, 0.08, 1, 1, out)
    small_library(made.corpus(VARIANTS[BASELINE]))
    for name in NAMES:
        _build(made, VARIANTS[name])
    return made


@pytest.fixture(scope='module')
def streams(ablation: Ablation) -> dict[str, list[Stream]]:
    return {name: [s for s, _ in read_streams(ablation.corpus(VARIANTS[name]), audio=False)] for name in NAMES}


def test_clips_are_the_baselines_and_lie_on_the_disk_once(ablation: Ablation):
    baseline, *others = (ablation.corpus(VARIANTS[name]) / 'library' / 'clips' for name in NAMES)
    files = {path.name: path.stat().st_ino for path in baseline.iterdir()}
    for other in others:
        assert {path.name: path.stat().st_ino for path in other.iterdir()} == files


def test_without_tfjp_the_same_is_played_but_not_cleaned(ablation: Ablation, streams):
    plans = [
        (ablation.corpus(VARIANTS[name]) / 'plans' / '000000.jsonl').read_bytes() for name in (BASELINE, 'no-tfjp')
    ]
    assert plans[0] == plans[1]
    lengths = [
        {(s.id, e.clip, e.onset): e.end - e.onset for s in streams[name] for e in s.events if not e.text and e.onset}
        for name in (BASELINE, 'no-tfjp')
    ]
    cleaned = [length % 3_200 == 0 for length in lengths[0].values()]
    assert sum(cleaned) > 0.8 * len(cleaned)  # whole half chunks; the others had the stream's end
    assert sum(length % 3_200 == 0 for length in lengths[1].values()) < 0.5 * len(lengths[1])


def test_without_event_selection_scenes_are_by_chance_and_the_rest_is_as_before(streams):
    before, after = ({s.id: s for s in streams[name]} for name in (BASELINE, 'no-event-selection'))
    for id_ in set(before) & set(after):
        if before[id_].category == 'proactive respond':
            assert 'grammar' in before[id_].made_by and 'chance' in after[id_].made_by
        else:
            assert before[id_] == after[id_]


def test_without_a_mix_in_the_others_are_mixed_in_as_before():
    whole = micro.recipe(streams_corpus={'mix_ins': {'proactive': 0.2}, 'renders': 10})
    for name, mix_in in (('no-history-review', 'history_review'), ('no-silence', 'silent')):
        made = corpus_recipe_of(VARIANTS[name], whole)
        baseline = whole.streams_corpus
        assert made.mix_ins == baseline.mix_ins.model_copy(update={mix_in: 0.0})
        assert made.model_copy(update={'mix_ins': baseline.mix_ins}) == baseline


def test_what_is_there_is_not_built_again(ablation: Ablation):
    corpus = ablation.corpus(VARIANTS['no-tfjp'])
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob('*')}
    _build(ablation, VARIANTS['no-tfjp'])
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob('*')} == before
