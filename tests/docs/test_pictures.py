"""The pictures say what the code does: each is drawn from it, and the committed graph is still the nodes' own."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from audio_interaction_ros.model.checkpoint import load_decoder, load_encoder
from audio_interaction_ros.safety.hazards import Severity
from audio_interaction_ros.safety.policy import Alert, AlertState
from docs.pictures import alert_states, canvas, demo, drain_and_preemption, node_graph, stages, stream_to_tokens
from docs.pictures.__main__ import PICTURES, main
from tests.training.stages import micro
from training.recipe import load_training_recipe
from training.recipe_file import recipe_path

DOCS = Path(__file__).parents[2] / 'docs'


@pytest.mark.parametrize('name', PICTURES)
def test_every_picture_is_committed_and_stands_in_a_page_with_words_for_those_who_cannot_see_it(name):
    assert (DOCS / 'images' / f'{name}.svg').read_text().startswith('<?xml')
    pages = [*DOCS.glob('*.md'), DOCS.parent / 'README.md', DOCS.parent / 'demo' / 'README.md']
    words = [
        found for page in pages for found in re.findall(rf'!\[([^\]]+)\]\(\S*images/{name}\.svg\)', page.read_text())
    ]
    assert words and all(len(each) > 40 for each in words)


def test_text_too_small_for_a_page_is_refused(tmp_path):
    figure = canvas.page(1.0)
    canvas.blank(figure, 1.0, 1.0).text(0.5, 0.5, 'tiny', fontsize=5.0)
    with pytest.raises(ValueError, match='tiny'):
        canvas.write(figure, tmp_path / 'picture.svg')


def test_what_overlaps_is_drawn_in_lanes_of_its_own():
    assert canvas.lanes([(0.0, 2.0), (1.0, 3.0), (2.0, 4.0), (2.5, 3.0)]) == [0, 1, 0, 2]


def test_the_demo_is_drawn_from_a_run_and_shows_what_was_heard_and_said_in_it(tmp_path):
    run = demo.hear(demo.CHECKPOINT, demo.SCENE, longest_s=8.0)
    assert len(run.decisions) == 20
    demo.draw(tmp_path / 'demo.svg', longest_s=8.0)
    drawn = (tmp_path / 'demo.svg').read_text()
    assert '<!-- dog bark -->' in drawn and 'smoke' not in drawn
    ((_, response),) = run.responses
    assert response.text.split()[0] in drawn


def test_an_alerts_bar_ends_where_it_was_cleared_and_begins_anew_where_it_was_opened_again():
    raised = Alert('fire-1', 'fire', Severity.DANGER, AlertState.RAISED, 'Fire!', 0.9, '1')
    updated, cleared = replace(raised, state=AlertState.UPDATED), replace(raised, state=AlertState.CLEARED)
    spans = demo.open_spans([(25.0, raised), (26.0, updated), (55.0, cleared), (71.0, updated)], 77.0)
    assert [span[:2] for span in spans] == [(25.0, 55.0), (71.0, 77.0)]


def test_the_recorded_run_drains_several_chunks_at_once_and_cuts_a_response_short():
    halves = load_encoder(demo.CHECKPOINT), load_decoder(demo.CHECKPOINT)
    timeline = drain_and_preemption.record(*halves, drain_and_preemption.pieces_of(demo.SCENE))
    assert max(length for _, length in timeline.queue) > 1
    assert [cancelled for _, cancelled in timeline.texts] == [True, False]
    lengths = [length for _, length in timeline.cache]
    assert any(after < before for before, after in itertools.pairwise(lengths))  # a look is taken back


def test_every_state_and_transition_of_the_alert_policy_has_its_place_in_the_picture():
    found = alert_states.transitions()
    assert {each.start for each in found} | {each.end for each in found} == set(alert_states.PLACES)
    pairs = {(each.start, each.end) for each in found if each.start != each.end}
    cleared = {pair for pair in pairs if pair[1] == 'CLEARED'}
    assert pairs - cleared == set(alert_states.ARROWS)
    assert {start for start, _ in cleared} == set(alert_states.PLACES) - {alert_states.NONE, 'CLEARED'}


def test_the_stages_of_the_paper_train_what_its_table_says():
    recipe = load_training_recipe(recipe_path('paper'))
    trained = [
        {part for part, word in stages.trained_parts(recipe, stage).items() if word != 'frozen'}
        for stage in recipe.stages
    ]
    core = {'adapter', 'embeddings', 'language\nmodel', 'LM head'}
    assert trained == [{'embeddings', 'LM head'}, {'adapter'}, core, core]


def test_a_stream_is_drawn_with_its_script_and_the_targets_of_its_tokens(tmp_path):
    stream, samples = micro.stream(0)
    script = {'lines': [{'hear': {'kind': 'sound', 'clip': event.clip}, 'say': []} for event in stream.events]}
    said = {reply.onset: reply for reply in stream.replies}
    for line, event in zip(script['lines'], stream.events, strict=True):
        if event.onset in said:
            line['say'] = [{'text': 'A tone!', 'due': 'evidence'}]
    stream = stream.model_copy(
        update={'replies': tuple(reply.model_copy(update={'text': 'A tone!'}) for reply in stream.replies)}
    )
    (tmp_path / 'plans').mkdir()
    (tmp_path / 'plans' / '000000.jsonl').write_text(json.dumps({'item': 0, 'script': script}) + '\n')
    lines = stream_to_tokens.read_script(tmp_path, stream.id)['lines']
    stream_to_tokens.draw_stream(tmp_path / 'picture.svg', stream, samples, lines)
    drawn = (tmp_path / 'picture.svg').read_text()
    assert '<!-- 10 audio vectors -->' in drawn and '<!-- stream: response -->' in drawn
    assert 'A tone!' in drawn and 'nothing is said' in drawn


def test_a_corpus_whose_scripts_are_gone_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no script of item 7; give the whole folder'):
        stream_to_tokens.read_script(tmp_path, 'stream-00000007')


def test_a_picture_that_does_not_exist_is_refused_with_those_that_do(capsys):
    with pytest.raises(SystemExit):
        main(['deno'])
    assert "no picture ['deno']; give some of demo, node-graph" in capsys.readouterr().err


@pytest.mark.system
def test_the_graph_that_is_committed_has_the_topics_and_services_of_the_nodes_and_no_others():
    graph = node_graph.read_graph()
    written = set(re.findall(r'<!-- (\S+) -->', (DOCS / 'images' / 'node-graph.svg').read_text()))
    topics = {topic.name for topic in graph.topics}
    services = {service.name.removeprefix('ai/') for service in graph.services}
    assert topics | services <= written
    like_topics = {word for word in written if '/' in word or word.startswith('audio_')}
    assert like_topics - topics - services == {'audio_capture'}
    assert {topic.name for topic in graph.topics if 'safety_alert' in topic.subscribers} >= set(node_graph.SAFETY_PATHS)
