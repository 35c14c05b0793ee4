"""The corpus of lab-lite, of small sources and an engine that is quick: every stage of `paper`, by local parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.sources.miniature import json_lines
from training.clips.store import heard_clips
from training.corpus.build import build
from training.corpus.command import load_corpus_recipe
from training.corpus.verify import verify
from training.recipe_file import recipe_path
from training.scripts.accepted import ACCEPTED
from training.speech.spoken import SpeechSettings
from training.streams import Role, Stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOURS, SEED = 0.06, 5
LITE = load_corpus_recipe(recipe_path('lab-lite'))
RECIPE = LITE.model_copy(update={'speech': SpeechSettings()})


@pytest.fixture(scope='module')
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp('sources')
    questions = ({'question': f'What is {n} plus one?', 'answer': f'It is {n + 1}.'} for n in range(200))
    json_lines(root / 'fact-qa' / 'fact-qa.jsonl', *questions)
    return {'gammacorpus-fact-qa': root / 'fact-qa'}


def test_every_stream_has_rounds_of_several_abilities_over_a_scene(corpus: Path, streams: list[Stream]) -> None:
    assert verify(corpus).as_dict()['wrong'] == {}
    assert len(streams) > 5
    for stream in streams:
        assert len(stream.abilities) >= 2 and 3 <= len({reply.onset for reply in stream.replies}) <= 18
    assert len({turned.category for stream in streams for turned in stream.abilities}) >= 6
    layered = [any(event.role is not Role.FOREGROUND for event in stream.events) for stream in streams]
    summary = json.loads((corpus / 'index.json').read_text())
    assert sum(layered) / len(layered) == pytest.approx(summary['with_scene'], abs=1e-3) and sum(layered) > 0
    assert summary['rounds']['fewest'] >= 3


def test_what_was_accepted_or_generated_is_heard_and_known(corpus: Path, streams: list[Stream]) -> None:
    clips = heard_clips(corpus)
    heard = [event.clip for stream in streams for event in stream.events if event.clip.startswith(ACCEPTED)]
    assert heard
    for id_ in heard:
        assert clips[id_].licence and len(clips.samples(id_)) > 0
    assert any(clips[id_].recording.startswith('generated:') for id_ in heard)


def test_two_workers_make_the_same_bytes_as_one_and_the_quota_is_kept(
    corpus: Path, sources: dict[str, Path], small_library: Callable[[Path], Path], tmp_path: Path
) -> None:
    summary = build(RECIPE, sources, HOURS, SEED, 2, small_library(tmp_path))
    assert summary['quotas'] == {'gammacorpus-fact-qa': {'taken': 147, 'quota': 147}}
    for folder in ('shar', 'plans', 'library/accepted'):
        ours = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert ours == {path.name: path.read_bytes() for path in (corpus / folder).iterdir()}
