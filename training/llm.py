"""Questions to a chat model, answered as pydantic objects, behind any OpenAI-compatible endpoint.

An answer is kept on disk under the hash of what was asked, so a corpus that is built again costs nothing and comes out
the same. Nothing is contacted unless a recipe names an endpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from training.errors import CorpusError

if TYPE_CHECKING:
    import openai

M = TypeVar('M', bound=BaseModel)
Job = TypeVar('Job')


_RULES = (
    'You fill in records for a sound corpus. Reply with exactly one JSON object, nothing before or after it, that '
    'satisfies this JSON schema:\n'
)


_OVERHEAD_TOKENS = 64  # roles and separators that a server adds to the messages


_TRANSIENT = {408, 409, 429}  # and every 5xx


class LlmSettings(BaseModel):
    """These settings say which model answers, how patiently it is asked, and what that may cost.

    Prices are per million tokens.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    base_url: str = Field(description='OpenAI-compatible endpoint, such as http://localhost:8000/v1')
    model: str
    api_key_env: str | None = Field(None, description='environment variable that holds the key; null if none is needed')
    cache: Path = Field(description='folder of the answers')
    temperature: float = Field(0.7, ge=0, le=2, description='paper B.1')
    max_answer_tokens: int = Field(4_096, ge=1)
    timeout_s: float = Field(60.0, gt=0, description='without a byte from the server')
    attempts: int = Field(6, ge=1, description='requests for one answer before the server counts as down')
    corrections: int = Field(2, ge=0, description='further questions after an answer that does not validate')
    backoff_s: tuple[float, float] = Field((1.0, 60.0), description='first wait after a failure, and the longest')
    requests_per_minute: float = Field(60.0, gt=0)
    input_price: float = Field(0.0, ge=0)
    output_price: float = Field(0.0, ge=0)
    budget: float | None = Field(None, gt=0, description='maximal cost of this process; null for none')


class LlmError(CorpusError):
    """There is no usable answer; the message says in one sentence why, and what to do."""


class LlmAnswerError(LlmError):
    """The server answers, but not with what was asked for; that is kept like an answer and not asked again."""


class LlmBudgetError(LlmError):
    """The next request could cost more than is left."""


@dataclass(frozen=True)
class Usage:
    """`Usage` counts what a client has asked so far.

    `cost` counts a request whose price is unknown at the most that it can have cost.
    """

    requests: int = 0
    retries: int = 0
    corrections: int = 0
    cache_hits: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Tokens(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Tokens | None = None


class LlmClient:
    """An `LlmClient` asks one model behind one endpoint; the same question is asked once.

    Any number of threads may ask at once.
    """

    def __init__(self, settings: LlmSettings) -> None:
        """Raises LlmError if the key is missing. Contacts nothing."""
        key = os.environ.get(settings.api_key_env, '') if settings.api_key_env else 'none'
        if not key:
            raise LlmError(
                f'the environment variable {settings.api_key_env} is empty; put the key for {settings.base_url} into '
                'it, or set api_key_env to null if the server wants none'
            )
        self.settings = settings
        import openai  # a second to import

        # Its own retries would escape the rate limit and the count.
        self._server = openai.OpenAI(base_url=settings.base_url, api_key=key, timeout=settings.timeout_s, max_retries=0)
        self._lock = threading.Lock()  # guards everything below
        self._usage = Usage()
        self._reserved = 0.0
        self._next_request_s = 0.0
        self._asking: weakref.WeakValueDictionary[str, _Turn] = weakref.WeakValueDictionary()

    @property
    def made_by(self) -> str:
        """Return how a product of this client is signed."""
        return self.settings.model

    @property
    def usage(self) -> Usage:
        """Return what was asked up to now."""
        with self._lock:
            return self._usage

    def ask(self, prompt: str, answer: type[M]) -> M:
        """Return an answer that validates: from the cache, or from the model at the settings' temperature in JSON mode.

        Raises LlmAnswerError when the model keeps answering wrongly, LlmError when the server stays unreachable or
        refuses, and LlmBudgetError before a request that could exceed the budget.
        """
        schema = json.dumps(answer.model_json_schema(), sort_keys=True, ensure_ascii=False)
        asked = json.dumps([self.settings.model, self.settings.temperature, prompt, schema], ensure_ascii=False)
        key = hashlib.sha256(asked.encode()).hexdigest()
        path = self.settings.cache / key[:2] / f'{key}.json'
        with self._lock:
            turn = self._asking.setdefault(key, _Turn())
        with turn.lock:
            kept = _recall(path, answer)
            if kept is not None:
                self._count(cache_hits=1)
            else:
                about = {'model': self.settings.model, 'temperature': self.settings.temperature, 'prompt': prompt}
                try:
                    given = self._converse(prompt, schema, answer)
                    _publish(path, about | {'answer': given.model_dump(mode='json')}, answer)
                except LlmAnswerError as error:
                    _publish(path, about | {'problem': str(error)}, answer)
                # Another process may have asked the same in the meantime: what was kept first is what holds.
                kept = _recall(path, answer)
            if isinstance(kept, LlmAnswerError):
                raise kept
            assert kept is not None
            return kept

    def _converse(self, prompt: str, schema: str, answer: type[M]) -> M:
        messages = [{'role': 'system', 'content': _RULES + schema}, {'role': 'user', 'content': prompt}]
        problem = ''
        for turn in range(1 + self.settings.corrections):
            if turn:
                self._count(corrections=1)
            text, cut_off = self._complete(messages)
            try:
                return answer.model_validate_json(text)
            except ValidationError as error:
                problem = _in_words(error)
            if cut_off:
                problem += f'; the answer was cut off after {self.settings.max_answer_tokens} tokens, write less'
            complaint = f'This was refused: {problem}. Send the whole object again, corrected, as JSON.'
            messages += [{'role': 'assistant', 'content': text}, {'role': 'user', 'content': complaint}]
        raise LlmAnswerError(
            f'{self.settings.model} gave {1 + self.settings.corrections} answers that are no {answer.__name__} '
            f'({problem}); try a more capable model'
        )

    def _complete(self, messages: list[dict[str, str]]) -> tuple[str, bool]:
        """Return the text of one completion, and whether it was cut off."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_FailedForNow),
            stop=tenacity.stop_after_attempt(self.settings.attempts),
            wait=self._pause_s,
            before_sleep=lambda _: self._count(retries=1),
            reraise=True,
        )
        try:
            return attempts(self._complete_once, messages)
        except _FailedForNow as failure:
            raise LlmError(
                f'{self.settings.base_url} failed {self.settings.attempts} times, the last time with {failure}; '
                'check the server and start again, answers so far are kept'
            ) from failure

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        """Return how long to wait: twice as long each time, or as long as the server asked for.

        By chance up to halved, so that clients do not all come back at once.
        """
        shortest_s, longest_s = self.settings.backoff_s
        backoff_s = tenacity.wait_exponential(multiplier=shortest_s, max=longest_s)(state) * random.uniform(0.5, 1.0)
        failure = state.outcome.exception() if state.outcome else None
        wanted_s = failure.wait_s if isinstance(failure, _FailedForNow) else 0.0
        return max(backoff_s, min(wanted_s, longest_s))

    def _complete_once(self, messages: list[dict[str, str]]) -> tuple[str, bool]:
        import openai

        self._wait_for_turn()
        ceiling = self._reserve(messages)
        tokens, cost = None, ceiling  # unless the server says otherwise, assume the worst
        try:
            completion = self._request(messages)
            if (tokens := completion.usage) is not None:
                cost = self._price(tokens.prompt_tokens, tokens.completion_tokens)
            choice = completion.choices[0]
            return choice.message.content or '', choice.finish_reason == 'length'
        except openai.APIStatusError as error:
            cost = 0.0
            problem = f'status {error.status_code}: {error.message}'
            if error.status_code not in _TRANSIENT and error.status_code < 500:
                raise LlmError(
                    f'{self.settings.base_url} refused the request ({problem}); check model, key and settings'
                ) from error
            raise _FailedForNow(problem, _asked_to_wait_s(error)) from error
        except openai.APITimeoutError as error:
            raise _FailedForNow(f'no answer within {self.settings.timeout_s:g} s') from error
        except openai.APIConnectionError as error:
            raise _FailedForNow(f'{error} {error.__cause__ or ""}'.strip()) from error
        except ValidationError as error:
            raise _FailedForNow(f'no chat completion came back ({_in_words(error)})') from error
        finally:
            self._settle(ceiling, cost, tokens)

    def _request(self, messages: Any) -> _Completion:
        raw = self._server.chat.completions.with_raw_response.create(
            model=self.settings.model,
            messages=messages,
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_answer_tokens,
            response_format={'type': 'json_object'},
        )
        return _Completion.model_validate_json(raw.http_response.content)

    def _wait_for_turn(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            start_s = max(now_s, self._next_request_s)
            self._next_request_s = start_s + 60.0 / self.settings.requests_per_minute
        time.sleep(start_s - now_s)

    def _price(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.settings.input_price + output_tokens * self.settings.output_price) / 1e6

    def _reserve(self, messages: list[dict[str, str]]) -> float:
        """Set aside the most that a request can cost: a token is at least a byte. Raises LlmBudgetError."""
        longest = sum(len(message['content'].encode()) + _OVERHEAD_TOKENS for message in messages)
        ceiling = self._price(longest, self.settings.max_answer_tokens)
        with self._lock:
            spent, budget = self._usage.cost + self._reserved, self.settings.budget
            if budget is not None and spent + ceiling > budget:
                raise LlmBudgetError(
                    f'the budget of {budget:g} has {budget - spent:.4g} left and the next request can cost '
                    f'{ceiling:.4g}; raise the budget and start again, answers so far are kept'
                )
            self._reserved += ceiling
        return ceiling

    def _settle(self, ceiling: float, cost: float, tokens: _Tokens | None) -> None:
        with self._lock:
            self._reserved -= ceiling
        read, written = (tokens.prompt_tokens, tokens.completion_tokens) if tokens else (0, 0)
        self._count(requests=1, input_tokens=read, output_tokens=written, cost=cost)

    def _count(self, **more: float) -> None:
        with self._lock:
            self._usage = replace(self._usage, **{name: getattr(self._usage, name) + n for name, n in more.items()})


class _FailedForNow(Exception):
    """A request that is worth another try, after the `wait_s` seconds that the server asked for."""

    def __init__(self, problem: str, wait_s: float = 0.0) -> None:
        super().__init__(problem)
        self.wait_s = wait_s


class _Turn:
    """A lock that can be referred to weakly: it lives as long as someone asks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def _recall(path: Path, answer: type[M]) -> M | LlmAnswerError | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        record = json.loads(text)
        return LlmAnswerError(record['problem']) if 'problem' in record else answer.model_validate(record['answer'])
    except (ValueError, KeyError, TypeError):
        return None  # written by other code: ask anew and overwrite


def _publish(path: Path, record: dict[str, Any], answer: type[M]) -> None:
    """All or nothing, and only the first of those who write the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f'.{os.getpid()}.{threading.get_ident()}.part')
    part.write_text(json.dumps(record, ensure_ascii=False, indent=1) + '\n')
    try:
        os.link(part, path)
        part.unlink()
    except FileExistsError:
        if _recall(path, answer) is None:
            part.replace(path)
        else:
            part.unlink()


def _in_words(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return '; '.join(f'{".".join(map(str, problem["loc"])) or "answer"}: {problem["msg"]}' for problem in problems)


def _asked_to_wait_s(error: openai.APIStatusError) -> float:
    try:
        return float(error.response.headers.get('retry-after', 0.0))
    except ValueError:
        return 0.0  # a date: our own backoff does as well


def run_threads(title: str, work: Callable[[Job], int], jobs: Sequence[Job], threads: int, unit: str = 'shard') -> int:
    """Do every job in one of `threads` threads, for jobs that wait for a server; return the sum of what they returned.

    A failure ends the run; jobs under way end first.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(work, job) for job in jobs]
        try:
            return sum(tqdm((future.result() for future in as_completed(waiting)), title, len(jobs), unit=unit))
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure; those at work end first
