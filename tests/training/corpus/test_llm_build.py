"""A whole small corpus with a chat model behind a real server: what it writes, and what happens when it goes down."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.training.chat_server import ChatServer, Say, chat_server
from training.corpus.build import build
from training.corpus.recipe import CorpusRecipe
from training.corpus.verify import verify
from training.errors import BuildError
from training.llm import LlmError, LlmSettings
from training.scenes.audit import Label
from training.scripts import fresh
from training.scripts.fresh import KINDS
from training.streams import read_streams

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HOURS, SEED, MODEL = 0.15, 5, 'local-model'


def words(prompt: str, number: int) -> str:
    """Two words that nobody has said, the same for the same question."""
    digest = hashlib.sha256(f'{prompt}{number}'.encode()).hexdigest()
    return re.sub(r'\d', lambda digit: 'ghijklmnop'[int(digit[0])], f'{digest[:5]} {digest[5:10]}')


def row(kind: str, what: str) -> object:
    remark = {'say': f'I like {what}.', 'answer': 'So do I.'}
    pair = [f'the {what}', '东西']
    return {
        'facts': {'question': f'What is {what}?', 'answer': 'A thing.'},
        'chit_chat': remark,
        'multi_turn': [remark, {'say': 'And you?', 'answer': 'I like it too.'}],
        'memory': {
            'say': f'My {what} is {{value}}.',
            'confirm': 'So it is {value}.',
            'question': f'Which {what} is mine?',
            'answer': 'It is {value}.',
            'values': ['red', 'green', 'blue'],
        },
        'phrases': pair,
        'simultaneous': [pair, ['is here', '在这里']],
        'dictation': f'we have seen {what}',
        'keywords': {'word': what.split()[0], 'sentences': [f'The {what}.', f'No {what}.']},
        'topics': {'topic': what, 'sentences': ['It is big.', 'It is small.']},
        'contradictions': {
            'fact': f'The {what} is red.',
            'wrong': f'The {what} is blue.',
            'right': f'The red {what} is here.',
            'answer': 'It is red.',
        },
        'small_talk': f'They have {what} at home.',
    }[kind]


def one_of(count: int, prompt: str) -> bool:
    """True for one in so many prompts, always the same ones."""
    return int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % count == 0


def answer(_: int, request: dict) -> Say:
    """What a model would say to each of the prompts, settled by the prompt alone."""
    system, prompt = request['messages'][0]['content'], request['messages'][1]['content']
    schema = json.loads(system.partition('schema:\n')[2])
    asked = set(schema['properties'])
    if asked == {'rows'}:
        (kind,) = (kind for kind, (_, what) in KINDS.items() if json.dumps(what) in prompt)
        return Say(json.dumps({'rows': [row(kind, words(prompt, number)) for number in range(20)]}))
    if asked == {'scenes'}:
        if one_of(3, prompt):
            return Say('a kitchen, perhaps?')
        events = [
            {'name': 'rain', 'role': 'ambient', 'rough_duration_s': 9.0, 'brief_description': 'rain'},
            {'name': 'steps', 'role': 'foreground', 'rough_duration_s': 3.0, 'brief_description': 'steps'},
            {'name': 'typing', 'role': 'foreground', 'rough_duration_s': 3.0, 'brief_description': 'typing'},
        ]
        return Say(json.dumps({'scenes': [{'description': 'At home, in the evening.', 'sub_events': events}]}))
    if asked == {'refinements'}:
        tags = ('rain', 'footsteps', 'keyboard typing')
        refined = [{'query': f'the sound of {tag}', 'fallback_caption': tag, 'accept_tags': [tag]} for tag in tags]
        return Say(json.dumps({'refinements': refined}))
    if asked == {'label', 'triggered_criterion', 'reason'}:
        doubtful = one_of(2, prompt)
        label = Label.BORDERLINE if doubtful else Label.SILENT
        return Say(json.dumps({'label': label.value, 'triggered_criterion': 'none', 'reason': 'So it seems.'}))
    assert asked == {'question', 'reference_answer', 'reference_turn_idx'}
    question = {'question': 'Which number did I like?', 'reference_answer': 'The seventh.', 'reference_turn_idx': 0}
    return Say(json.dumps(question))


def recipe(server: ChatServer | None, cache: Path, **settings: object) -> CorpusRecipe:
    llm = LlmSettings(
        base_url=server.url if server else 'http://127.0.0.1:9/v1',
        model=MODEL,
        cache=cache,
        attempts=2,
        backoff_s=(0.01, 0.02),
        corrections=1,
        requests_per_minute=60_000,
    )
    return CorpusRecipe(renders=10, fresh_texts=20, llm=llm, shares={'proactive respond': 3.0}, **settings)  # type: ignore[arg-type]


def bytes_of(out: Path) -> dict[str, bytes]:
    made = [*(out / 'shar').iterdir(), *(out / 'plans').iterdir(), out / 'texts.json']
    return {path.name: path.read_bytes() for path in made}


@pytest.fixture(scope='module')
def corpus(small_library: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = small_library(tmp_path_factory.mktemp('corpus'))
    with chat_server(answer) as server:
        build(recipe(server, out / 'answers'), {}, HOURS, SEED, 1, out)
        assert len(server.requests) > 20
    return out


def scripts(corpus: Path) -> list[dict]:
    lines = [line for path in sorted((corpus / 'plans').iterdir()) for line in path.read_text().splitlines()]
    return [json.loads(line)['script'] for line in lines]


def test_the_data_say_who_wrote_what(corpus: Path):
    assert verify(corpus).as_dict()['wrong'] == {}
    makers = [stream.made_by for stream, _ in read_streams(corpus, audio=False)]
    assert any(MODEL in maker for maker in makers) and any(MODEL not in maker for maker in makers)
    written = json.loads((corpus / 'texts.json').read_text())
    assert written['made_by'] == MODEL and set(written['rows']) == set(KINDS) and written['problems'] == []
    questions = {row['question'] for row in written['rows']['facts']}
    for script in scripts(corpus):
        said = {line['hear'].get('text') for line in script['lines']}
        if questions & said:
            assert MODEL in script['made_by'] and 'templates' not in script['made_by']
        if 'Which number did I like?' in said:
            assert 'history review' in script['mixed_in'] and MODEL in script['made_by']
    assert any('history review' in script['mixed_in'] for script in scripts(corpus))


def test_where_the_model_has_no_plan_the_grammar_plans_and_that_is_noted(corpus: Path):
    scenes = [script for script in scripts(corpus) if script['category'] == 'proactive respond']
    by_model = [s for s in scenes if MODEL in s['made_by'] and 'grammar' not in s['made_by']]
    by_grammar = [s for s in scenes if 'grammar' in s['made_by']]
    assert by_model and by_grammar
    for script in by_grammar:
        assert any(note.startswith('the grammar planned: local-model gave 2 answers') for note in script['notes'])


def test_a_sound_the_model_is_not_sure_about_is_not_mixed_in_as_silent(corpus: Path):
    notes = [note for script in scripts(corpus) for note in script['notes']]
    assert any(note == f'silent mix-in left out, borderline by {MODEL}: So it seems.' for note in notes)


def test_with_the_answers_at_hand_the_same_bytes_come_without_a_server(
    corpus: Path, small_library: Callable[[Path], Path], tmp_path: Path
):
    build(recipe(None, corpus / 'answers'), {}, HOURS, SEED, 1, small_library(tmp_path))
    assert bytes_of(tmp_path) == bytes_of(corpus)


def test_a_server_that_dies_half_way_ends_in_one_sentence_and_the_build_goes_on_later(
    corpus: Path, small_library: Callable[[Path], Path], tmp_path: Path
):
    def dying(number: int, request: dict) -> Say:
        return answer(number, request) if number < 15 else Say(status=503, body=b'{}')

    small_library(tmp_path)
    with chat_server(dying) as server, pytest.raises(LlmError, match=r'failed 2 times.*start again, answers so far'):
        build(recipe(server, tmp_path / 'answers'), {}, HOURS, SEED, 1, tmp_path)
    assert not (tmp_path / 'shar').exists()
    with chat_server(answer) as server:  # at another address, which is no other recipe
        build(recipe(server, tmp_path / 'answers'), {}, HOURS, SEED, 1, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(corpus)


def test_another_model_is_another_recipe(corpus: Path):
    changed = recipe(None, corpus / 'answers')
    assert changed.llm is not None
    other = changed.model_copy(update={'llm': changed.llm.model_copy(update={'model': 'another'})})
    with pytest.raises(BuildError, match='another recipe'):
        build(other, {}, HOURS, SEED, 1, corpus)


def test_the_templates_have_the_shapes_that_the_model_is_asked_for():
    from pydantic import TypeAdapter

    templates = yaml.safe_load((Path(fresh.__file__).with_name('texts.yaml')).read_text())
    for kind, (shape, _) in KINDS.items():
        TypeAdapter(list[shape]).validate_python(templates[kind])  # type: ignore[valid-type]


def test_a_text_is_kept_once_and_not_if_the_templates_have_it():
    rows = [{'question': question} for question in ('What is tin?', 'what is  TIN', 'What do bees make?')]
    assert fresh._new('facts', rows) == rows[:1]
