"""In a heterogeneous stream abilities follow one another, some rounds of each, and what was asked for ends in words."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from training.clips.store import ClipStore, StoredClip, write_part
from training.corpus.recipe import CorpusRecipe
from training.render.render import Performance, perform
from training.scripts.heterogeneous import count_rounds, line_s, stands, write_heterogeneous
from training.scripts.sampler import MixIns, all_tasks, with_mix_ins
from training.scripts.script import Script, Speech, pick, texts
from training.scripts.shelf import Shelf
from training.speech.casting import cast, utterance_id
from training.stages.mix_ins import plain_chunks
from training.streams import Role, Stream

ENDS = {row['say'] for row in texts()['enough']}
draw = partial(pick, options=all_tasks())


def written(shelf: Shelf, seed: int, longest_s: float = 120.0) -> Script:
    rng = np.random.default_rng(seed)
    return write_heterogeneous(draw(rng), shelf, draw, (3, 15), longest_s, rng)


@pytest.fixture(scope='module')
def many(shelf: Shelf) -> list[Script]:
    return [written(shelf, seed) for seed in range(150)]


def test_they_have_three_to_fifteen_rounds_of_two_abilities_or_more(many: list[Script]):
    rounds = [count_rounds(script.lines) for script in many]
    # A request and what ends it are answered too, so the last ability may go over by its own.
    assert min(rounds) >= 3 and max(rounds) <= 18 and len(set(rounds)) > 8
    for script in many:
        names = [ability.category for ability in script.abilities]
        assert len(names) >= 2 and all(one != other for one, other in itertools.pairwise(names))
    assert len(Counter(ability.task for script in many for ability in script.abilities)) == len(all_tasks())


def test_what_was_asked_for_ends_before_another_ability_begins_and_nothing_else_does(many: list[Script]):
    ended = 0
    for script in many:
        for ability, following in itertools.pairwise(script.abilities):
            last = script.lines[following.line - 1]
            said = last.hear.text if isinstance(last.hear, Speech) else ''
            assert (said in ENDS) == stands(ability.task)
            ended += said in ENDS
    assert ended > 50


def test_a_task_that_begins_later_is_asked_for_aloud(many: list[Script]):
    for script in many:
        for ability in script.abilities[1:]:
            if stands(ability.task):
                request = script.lines[ability.line]
                assert isinstance(request.hear, Speech) and request.say and request.say[0].text


def test_no_further_ability_begins_where_the_stream_is_full(shelf: Shelf):
    lengths = []
    for seed in range(40):
        script = written(shelf, seed, longest_s=24.0)
        before = script.lines[: script.abilities[-1].line]
        lengths.append(sum(line_s(line) for line in before if line.role is Role.FOREGROUND))
        assert len(script.abilities) == 2 or lengths[-1] < 24.0
    assert np.mean(lengths) < 20.0


def test_what_is_mixed_in_moves_the_beginnings_of_abilities(shelf: Shelf):
    everything = MixIns(history_review=1.0, silent=1.0, proactive=1.0)
    for seed in range(40):
        script = written(shelf, seed)
        mixed = with_mix_ins(script, shelf, everything, np.random.default_rng(seed))
        assert len(mixed.lines) > len(script.lines)
        for before, after in zip(script.abilities, mixed.abilities, strict=True):
            assert mixed.lines[after.line] == script.lines[before.line]


def test_a_performed_stream_says_where_abilities_begin_and_early_stages_read_the_first(
    shelf: Shelf, library: ClipStore, tmp_path: Path
):
    script = written(shelf, 4)
    casting = cast(script, lambda language: ['a', 'b', 'c', 'd'], np.random.default_rng(0))
    tone = 0.3 * np.sin(np.arange(16_000) / 5).astype(np.float32)
    said = {utterance_id(s.text, casting[s.speaker, s.language]): s for s in script.utterances()}
    write_part(
        tmp_path / 'part',
        (
            (
                StoredClip(
                    id=id_,
                    kind='speech',
                    category='speech',
                    respond=None,
                    recording=id_,
                    words=tuple((word, 0.0, 1.0) for word in one.text.split()),
                ),
                tone,
            )
            for id_, one in said.items()
        ),
    )
    rng = np.random.default_rng(1)
    settings = Performance(max_chunks=400)
    stream, _ = perform('x', script, 'train', casting, library, ClipStore(tmp_path), settings, rng)
    assert [turned.task for turned in stream.abilities] == [ability.task for ability in script.abilities]
    onsets = [turned.onset for turned in stream.abilities]
    assert onsets == sorted(set(onsets)) and set(onsets) <= {event.onset for event in stream.events}
    assert 0 < plain_chunks(stream) <= onsets[1] // 6_400
    assert Stream.model_validate_json(stream.model_dump_json()) == stream


def test_rounds_that_cannot_be_are_one_sentence():
    with pytest.raises(ValueError, match=r'rounds \[1, 4\]; give at least 2'):
        CorpusRecipe(rounds=(1, 4))
