"""The chat client against a real server that answers well, badly, late, half, or not at all."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel, Field

from tests.training.chat_server import Say, chat_server
from training.llm import LlmAnswerError, LlmBudgetError, LlmClient, LlmError, LlmSettings


class Scene(BaseModel):
    place: str
    sounds: int = Field(ge=1)


GOOD = Say('{"place": "kitchen", "sounds": 3}')


def client(server, tmp_path, **settings):
    quick = {'backoff_s': (0.01, 0.05), 'timeout_s': 60.0, 'requests_per_minute': 60_000}
    return LlmClient(
        LlmSettings(**({'base_url': server.url, 'model': 'local', 'cache': tmp_path / 'cache'} | quick | settings))
    )


def test_a_valid_answer_comes_back_typed_and_is_asked_for_in_json_mode(tmp_path):
    with chat_server([GOOD]) as server:
        assert client(server, tmp_path).ask('Invent a scene.', Scene) == Scene(place='kitchen', sounds=3)
    (request,) = server.requests
    assert request['path'] == '/v1/chat/completions'
    assert request['response_format'] == {'type': 'json_object'}
    assert request['temperature'] == 0.7
    assert request['messages'][-1] == {'role': 'user', 'content': 'Invent a scene.'}
    assert '"sounds"' in request['messages'][0]['content'] and 'JSON' in request['messages'][0]['content']


@pytest.mark.parametrize(
    'wrong',
    [Say('{"place": "kitchen", "sounds": 0}'), Say('{"place": "kit', finish_reason='length'), Say('No.'), Say('')],
    ids=['wrong schema', 'truncated JSON', 'prose', 'nothing'],
)
def test_a_wrong_answer_is_asked_again_with_what_was_wrong(tmp_path, wrong):
    with chat_server([wrong, GOOD]) as server:
        asked = client(server, tmp_path)
        assert asked.ask('Invent a scene.', Scene).sounds == 3
    first, second = (request['messages'] for request in server.requests)
    assert second[: len(first)] == first
    assert second[-2] == {'role': 'assistant', 'content': wrong.content}
    problem = second[-1]['content']
    assert ('greater than or equal to 1' in problem) if 'sounds' in wrong.content else ('Invalid JSON' in problem)
    assert ('cut off' in problem) is (wrong.finish_reason == 'length')
    assert asked.usage.corrections == 1 and asked.usage.requests == 2 and asked.usage.retries == 0


def test_answers_that_stay_wrong_end_in_one_sentence_and_are_not_asked_for_again(tmp_path):
    with chat_server([Say('{"place": 1}')]) as server:
        for _ in range(2):  # the second time a client of its own, as after a restart
            with pytest.raises(LlmAnswerError, match=r'3 answers that are no Scene .*sounds: Field required'):
                client(server, tmp_path).ask('Invent a scene.', Scene)
        assert len(server.requests) == 3


def test_of_two_processes_that_ask_the_same_at_once_both_get_what_was_kept_first(tmp_path):
    """Each is a client of its own; the server answers differently every time."""
    with chat_server(lambda number, _: Say(f'{{"place": "room {number}", "sounds": 3}}', delay_s=0.5)) as server:
        clients = [client(server, tmp_path) for _ in range(2)]  # on a busy machine making one can take that long
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(one.ask, 'Invent a scene.', Scene) for one in clients]
            one, other = (future.result() for future in asked)
        assert len(server.requests) == 2
    assert one == other


@pytest.mark.parametrize(
    'failure',
    [
        Say(status=429, body=b'{"error": {"message": "slow down"}}'),
        Say(status=500, body=b'{"error": {"message": "oops"}}'),
        Say(status=503, body=b'<html>gateway</html>'),
        Say(delay_s=2.5),
        Say(body=b'{"choices": [{"message"'),
        Say(body=b'[]'),
        Say(body=b'{"choices": [', missing_bytes=50),
    ],
    ids=['429', '500', '503', 'slow', 'half a completion', 'no completion', 'broken off'],
)
def test_a_failing_server_is_tried_again(tmp_path, failure):
    with chat_server([failure, failure, GOOD]) as server:
        asked = client(server, tmp_path, timeout_s=1.0 if failure.delay_s else 60.0)
        assert asked.ask('Invent a scene.', Scene).place == 'kitchen'
    assert asked.usage.retries == 2 and asked.usage.requests == 3 and asked.usage.corrections == 0


def test_waits_grow_and_a_servers_own_wish_is_honoured(tmp_path):
    busy = Say(status=429, body=b'{}')
    with chat_server([busy, busy, Say(status=429, body=b'{}', headers={'retry-after': '0.5'}), GOOD]) as server:
        client(server, tmp_path, backoff_s=(0.1, 0.6)).ask('Invent a scene.', Scene)
        waits = [later - sooner for sooner, later in zip(server.at_s, server.at_s[1:], strict=False)]
    assert waits[0] >= 0.05 and waits[1] >= 0.1 and waits[2] >= 0.5


def test_a_server_that_stays_down_ends_in_one_sentence(tmp_path):
    with chat_server([Say(status=500, body=b'{}')]) as server:
        with pytest.raises(LlmError, match='failed 3 times, the last time with status 500'):
            client(server, tmp_path, attempts=3).ask('Invent a scene.', Scene)
        assert len(server.requests) == 3
    with pytest.raises(LlmError, match='failed 2 times'):  # nobody listens there any more
        client(server, tmp_path, attempts=2).ask('Invent a scene.', Scene)


def test_a_refusal_is_not_tried_again(tmp_path):
    with chat_server([Say(status=401, body=b'{"error": {"message": "bad key"}}')]) as server:
        with pytest.raises(LlmError, match=r'status 401.*check model, key'):
            client(server, tmp_path).ask('Invent a scene.', Scene)
        assert len(server.requests) == 1


def test_an_answer_once_given_costs_nothing_again_not_even_a_server(tmp_path):
    with chat_server([GOOD]) as server:
        first = client(server, tmp_path).ask('Invent a scene.', Scene)
    again = client(server, tmp_path)  # its server is gone
    assert again.ask('Invent a scene.', Scene) == first
    assert again.usage.cache_hits == 1 and again.usage.requests == 0 and again.usage.cost == 0.0


def test_another_model_temperature_prompt_or_schema_is_another_question(tmp_path):
    class Bigger(Scene):
        weather: str = 'dry'

    with chat_server([GOOD]) as server:
        client(server, tmp_path).ask('Invent a scene.', Scene)
        client(server, tmp_path, model='other').ask('Invent a scene.', Scene)
        client(server, tmp_path, temperature=0.2).ask('Invent a scene.', Scene)
        client(server, tmp_path).ask('Invent a place.', Scene)
        client(server, tmp_path).ask('Invent a scene.', Bigger)
        assert len(server.requests) == 5
    assert len(list(tmp_path.rglob('*.json'))) == 5


def test_a_kept_answer_that_cannot_be_read_is_asked_for_anew(tmp_path):
    with chat_server([GOOD]) as server:
        client(server, tmp_path).ask('Invent a scene.', Scene)
        (kept,) = tmp_path.rglob('*.json')
        assert json.loads(kept.read_text())['prompt'] == 'Invent a scene.'
        kept.write_text('{"answer": {"pla')
        client(server, tmp_path).ask('Invent a scene.', Scene)
        assert len(server.requests) == 2
    assert json.loads(kept.read_text())['answer'] == {'place': 'kitchen', 'sounds': 3}


def test_tokens_and_cost_add_up(tmp_path):
    with chat_server([Say('{}', tokens=(1_000, 10)), Say(GOOD.content, tokens=(2_000, 500))]) as server:
        asked = client(server, tmp_path, input_price=2.0, output_price=8.0)
        asked.ask('Invent a scene.', Scene)
    assert (asked.usage.input_tokens, asked.usage.output_tokens) == (3_000, 510)
    assert asked.usage.cost == pytest.approx(3_000 * 2e-6 + 510 * 8e-6)


def test_what_a_timeout_cost_is_unknown_and_counted_at_its_most(tmp_path):
    with chat_server([Say(GOOD.content, delay_s=2.5), GOOD]) as server:
        asked = client(server, tmp_path, timeout_s=1.0, output_price=10.0, max_answer_tokens=1_000)
        asked.ask('Invent a scene.', Scene)
    assert asked.usage.cost == pytest.approx(1_000 * 10e-6 + 20 * 10e-6)


def test_the_budget_is_never_exceeded_and_says_so(tmp_path):
    prices = {'output_price': 1_000.0, 'max_answer_tokens': 100, 'budget': 0.5}  # at most 0.1 a question, really 0.02
    with chat_server([GOOD]) as server:
        asked = client(server, tmp_path, **prices)
        with pytest.raises(LlmBudgetError, match=r'budget of 0\.5 has .* left .*raise the budget'):
            for number in range(1_000):
                asked.ask(f'Invent scene {number}.', Scene)
        assert asked.usage.cost == pytest.approx(0.02 * len(server.requests))
        assert 0.4 < asked.usage.cost <= 0.5
        answered = len(server.requests)
        asked.ask('Invent scene 0.', Scene)  # what is kept stays free
        assert len(server.requests) == answered


def test_threads_cannot_exceed_the_budget_together(tmp_path):
    with chat_server([Say(GOOD.content, delay_s=0.05)]) as server:
        asked = client(server, tmp_path, output_price=1_000.0, max_answer_tokens=100, budget=0.5)

        def ask(number):
            try:
                return asked.ask(f'Invent scene {number}.', Scene)
            except LlmBudgetError as error:
                return error

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(60)))
    assert any(isinstance(answer, LlmBudgetError) for answer in answers)
    assert (
        asked.usage.cost == pytest.approx(0.02 * sum(isinstance(a, Scene) for a in answers)) and asked.usage.cost <= 0.5
    )


def test_requests_keep_to_the_rate_whatever_the_number_of_threads(tmp_path):
    with chat_server([GOOD]) as server:
        asked = client(server, tmp_path, requests_per_minute=600)  # one in 100 ms
        started_s = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: asked.ask(f'Invent scene {number}.', Scene), range(8)))
        assert len(server.requests) == 8
        assert time.monotonic() - started_s >= 0.7
        for number, at_s in enumerate(sorted(server.at_s)):  # the nth is never early
            assert at_s - started_s >= number * 0.1 - 0.001


def test_the_same_question_from_many_threads_is_asked_once(tmp_path):
    with chat_server([Say(GOOD.content, delay_s=0.1)]) as server:
        asked = client(server, tmp_path)
        together = threading.Barrier(8)

        def ask(_):
            together.wait()
            return asked.ask('Invent a scene.', Scene)

        with ThreadPoolExecutor(8) as pool:
            assert len(set(scene.place for scene in pool.map(ask, range(8)))) == 1
    assert len(server.requests) == 1 and asked.usage.cache_hits == 7


def test_the_key_comes_from_the_environment_and_its_absence_is_said(tmp_path, monkeypatch):
    with chat_server([GOOD]) as server:
        monkeypatch.delenv('SCENE_KEY', raising=False)
        with pytest.raises(LlmError, match='SCENE_KEY is empty'):
            client(server, tmp_path, api_key_env='SCENE_KEY')
        assert not server.requests
        monkeypatch.setenv('SCENE_KEY', 'sesame')
        client(server, tmp_path, api_key_env='SCENE_KEY').ask('Invent a scene.', Scene)
        assert server.requests[0]['key'] == 'Bearer sesame'


def test_an_unknown_setting_is_refused(tmp_path):
    with pytest.raises(ValueError, match='retries'):
        LlmSettings(base_url='http://x', model='m', cache=tmp_path, retries=3)
