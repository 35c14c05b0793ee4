"""A chat model writes fresh texts in the shapes of texts.yaml, before the scripts, which then draw from both.

Every batch is a question of its own that depends on the seed alone, so the answers can come in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator

from training.files import write_whole
from training.llm import LlmAnswerError, LlmClient, LlmError, run_threads
from training.random_streams import Purpose, random_stream
from training.scenes.prompts import fill
from training.scripts.script import Texts, some, texts

ROWS_A_BATCH = 20
FEWEST = 6  # of a kind; scripts draw up to five different ones
ASKED_AT_ONCE = 16
_SUBJECTS = (
    'food and cooking', 'travel', 'work', 'school', 'family', 'friends', 'pets', 'wild animals', 'plants', 'weather',
    'sports', 'music', 'films and books', 'health', 'sleep', 'clothes', 'shopping', 'money', 'the home', 'repairs',
    'cars and bicycles', 'trains and buses', 'the sea', 'mountains', 'the sky at night', 'numbers', 'languages',
    'geography', 'history', 'the human body', 'festivals', 'games', 'gardens', 'neighbours', 'time and appointments',
    'colours', 'tools', 'water', 'the office', 'the city',
)  # fmt: skip


def _english(text: str) -> str:
    if not 1 <= len(text.split()) <= 14:
        raise ValueError(f'{len(text.split())} words, expected 1 to 14')
    if found := re.search(r'[^A-Za-z ,.?!\'{}-]', text):
        raise ValueError(f'{found[0]!r} cannot be said; use words, and English ones')
    return text


def _chinese(text: str) -> str:
    if not re.fullmatch(r'[\u3400-\u9fff，。？！、]{1,30}', text):
        raise ValueError('expected 1 to 30 Chinese characters, with Chinese punctuation only')
    return text


def _plain(text: str) -> str:
    if not re.fullmatch(r"[a-z']+( [a-z']+){3,11}", text):
        raise ValueError('expected four to twelve words in small letters, with nothing but spaces between them')
    return text


English = Annotated[str, AfterValidator(_english)]
Chinese = Annotated[str, AfterValidator(_chinese)]
Pair = tuple[English, Chinese]
Reply = Annotated[str, Field(min_length=1, max_length=120)]


class _Row(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class FreshFact(_Row):
    """A `FreshFact` is a question of general knowledge and its answer."""

    question: English
    answer: Reply


class Remark(_Row):
    """A `Remark` is something that the user says, and the reply to it."""

    say: English
    answer: Reply


class Memory(_Row):
    """A `Memory` is something told in passing, its confirmation, and the question that asks for it later.

    `{value}` stands for the detail to be remembered, of which `values` gives several.
    """

    say: English
    confirm: Reply
    question: English
    answer: Reply
    values: Annotated[list[English], Field(min_length=3, max_length=8)]

    @model_validator(mode='after')
    def _value_is_told_and_asked_for(self) -> Memory:
        told = (self.say, self.confirm, self.answer)
        if any(text.count('{value}') != 1 for text in told) or '{' in self.question:
            raise ValueError('{value} must stand once in say, in confirm and in answer, and not in the question')
        if len({value.lower() for value in self.values}) < len(self.values):
            raise ValueError('values repeat themselves')
        return self


class Keyword(_Row):
    """A `Keyword` is a word, and sentences in which it falls."""

    word: Annotated[str, Field(pattern=r'^[a-z]+$')]
    sentences: Annotated[list[English], Field(min_length=2, max_length=4)]

    @model_validator(mode='after')
    def _word_falls(self) -> Keyword:
        if silent := [text for text in self.sentences if not re.search(rf'\b{self.word}\b', text.lower())]:
            raise ValueError(f"the word '{self.word}' does not fall in {silent}")
        return self


class Topic(_Row):
    """A `Topic` is what people talk about, and sentences on it."""

    topic: English
    sentences: Annotated[list[English], Field(min_length=2, max_length=4)]


class Contradiction(_Row):
    """A `Contradiction` is a fact, a sentence that contradicts it, one that agrees with it, and the correction."""

    fact: English
    wrong: English
    right: English
    answer: Reply
    emotion: Literal['normal', 'urgent'] = 'normal'


# Kind → shape of a row, and what it is. What is not here (how a task is asked for, tools) is fixed by texts.yaml.
KINDS: dict[str, tuple[Any, str]] = {
    'facts': (FreshFact, 'A question of general knowledge that has one short right answer.'),
    'chit_chat': (Remark, 'A remark in passing, and a friendly reply to it.'),
    'multi_turn': (
        Annotated[list[Remark], Field(min_length=2, max_length=4)],
        'A conversation of three turns, in which each reply makes sense only after the turns before.',
    ),
    'memory': (
        Memory,
        'Something told in passing with {value} in the place of one detail, a short confirmation that repeats {value}, '
        'the question that asks for the detail later, the answer with {value}, and five values for it.',
    ),
    'phrases': (Pair, 'A sentence in English, and the same in Chinese (simplified).'),
    'simultaneous': (
        Annotated[list[Pair], Field(min_length=2, max_length=4)],
        'A sentence as an interpreter cuts it: two to four parts of it in English in small letters, each with its '
        'Chinese, in an order in which both languages can be spoken.',
    ),
    'dictation': (Annotated[str, AfterValidator(_plain)], 'A sentence to be written down, in small letters.'),
    'keywords': (Keyword, 'An everyday word, and three sentences in which it falls.'),
    'topics': (
        Topic,
        'A topic, as it stands after "they talk about", and three sentences on it that do not name it.',
    ),
    'contradictions': (
        Contradiction,
        'A fact as somebody gives it, a sentence that contradicts it, one that agrees with it, and the correction; '
        'emotion urgent only where a mistake would hurt somebody.',
    ),
    'small_talk': (English, 'A sentence between other people that asks nothing of the assistant.'),
}


def write_fresh_texts(client: LlmClient, count: int, seed: int, path: Path) -> Texts:
    """Write about `count` texts of each kind to `path`, unless it is there, and return them with the templates.

    Batches that the model cannot answer usefully are left out and named in `path`. Raises LlmError where the server
    cannot be reached, or fewer than six texts of a kind come together.
    """
    if not path.exists():
        batches = [(kind, batch) for kind in KINDS for batch in range(-(-count // ROWS_A_BATCH))]

        def ask(job: tuple[str, int]) -> int:
            rows, _ = _batch(client, *job, seed)
            return len(rows)

        run_threads('texts', ask, batches, ASKED_AT_ONCE, 'batch')
        answers = [(kind, *_batch(client, kind, batch, seed)) for kind, batch in batches]  # from the cache, in order
        rows = {kind: _new(kind, [row for k, given, _ in answers if k == kind for row in given]) for kind in KINDS}
        if few := {kind: len(of_kind) for kind, of_kind in rows.items() if len(of_kind) < FEWEST}:
            raise LlmError(
                f'{client.made_by} gave too few usable texts ({few}, {FEWEST} of each are needed); ask for more or try '
                'a more capable model'
            )
        problems = [problem for _, _, problem in answers if problem]
        record = {'made_by': client.made_by, 'rows': rows, 'problems': problems}
        write_whole(path, json.dumps(record, ensure_ascii=False, indent=1).encode() + b'\n')
    return read_fresh_texts(path)


def read_fresh_texts(path: Path) -> Texts:
    """Return what `write_fresh_texts` wrote; for everything else the templates."""
    record = json.loads(path.read_text())
    return Texts(texts().rows | record['rows'], record['made_by'])


def _batch(client: LlmClient, kind: str, batch: int, seed: int) -> tuple[list[Any], str]:
    """Return the rows of a batch as JSON has them, and what went wrong."""
    shape, what = KINDS[kind]
    rng = random_stream(Purpose.FRESH_TEXTS, seed, batch, kind)
    prompt = fill(
        'texts',
        count=ROWS_A_BATCH,
        kind=what,
        subjects=some(rng, _SUBJECTS, 5),
        examples=some(rng, texts()[kind], 3),
    )
    rows = Annotated[list[shape], Field(min_length=1, max_length=2 * ROWS_A_BATCH)]  # type: ignore[valid-type]
    try:
        given = client.ask(prompt, create_model('Texts', rows=(rows, ...)))
    except LlmAnswerError as error:
        return [], f'{kind}, batch {batch}: {error}'
    return given.model_dump(mode='json')['rows'], ''


def _new(kind: str, rows: Sequence[Any]) -> list[Any]:
    """Return each row that is not among the templates, once."""
    seen = {_opening(row) for row in texts()[kind]}
    kept = []
    for row in rows:
        if (opening := _opening(row)) not in seen:
            seen.add(opening)
            kept.append(row)
    return kept


def _opening(row: Any) -> str:
    """Return what is said first in a row, without case and punctuation."""
    while not isinstance(row, str):
        row = next(iter(row.values())) if isinstance(row, dict) else row[0]
    return ' '.join(re.findall(r'\w+', row.lower()))
