"""Reviewers ask questions whose answer lies at least three rounds back (paper §3.3, B.2, Figure 15 A).

A round is what was heard and what the assistant said to it, be it a word of the user's or a sound nobody spoke about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Protocol

import numpy as np
from pydantic import AfterValidator, Field, create_model

from training.llm import LlmClient
from training.scenes.prompts import fill
from training.scenes.scenario import Product, Record

ROUNDS_BACK = 3
FIRST_SAID = 'What was the first thing you said?'
_RECENT = 2  # rounds that must not give the answer away
_WORD = re.compile(r'[a-z0-9]+|\w')
_REMINDERS = re.compile(r'\b(earlier|recall|remember|you (said|told|mentioned)|minutes? ago|before this)\b', re.I)


class RememberedFact(Record):
    """A `RememberedFact` was told in passing, and is kept as the question that it answers.

    An example is 'What is my sister called?', 'Clara'.
    """

    question: str
    answer: str


class Round(Record):
    """A `Round` is what was heard, in words, and the reply, empty for silence.

    `sound` is a noun phrase if it was a sound: 'a dog barking'.
    """

    heard: str
    said: str = ''
    sound: str = ''
    fact: RememberedFact | None = None


class HistoryQuestion(Product):
    """A `HistoryQuestion` is what the user asks, what is right, and the index of the round that says so."""

    question: str = Field(min_length=1)
    reference_answer: str = Field(min_length=1)
    reference_turn_idx: int = Field(ge=0)


class HistoryReviewer(Protocol):
    """A `HistoryReviewer` writes a question to follow the rounds of a stream."""

    def question(self, rounds: Sequence[Round], rng: np.random.Generator) -> HistoryQuestion | None:
        """Return a question to follow `rounds`, or None where they hold nothing to ask about.

        The answer lies at least `ROUNDS_BACK` rounds before the question, and in neither of the last two.
        """


class LlmReviewer:
    """An `LlmReviewer` asks a chat model for the question.

    What of the requirements can be checked, is: as part of the answer's type.
    """

    stand_in: ClassVar[bool] = False

    def __init__(self, client: LlmClient) -> None:
        self._client = client

    def question(self, rounds: Sequence[Round], rng: np.random.Generator) -> HistoryQuestion | None:
        """Return the chat model's question, None for fewer than three rounds. Raises LlmError."""
        if len(rounds) < ROUNDS_BACK:
            return None

        def no_reminder(question: str) -> str:
            if found := _REMINDERS.search(question):
                raise ValueError(f"'{found[0]}' reminds of an earlier moment; ask as if it were the first time")
            return question

        def not_just_heard(answer: str) -> str:
            if _told(answer, rounds[-_RECENT:]):
                raise ValueError('one of the last two rounds gives the answer away; ask about something else')
            return answer

        latest = len(rounds) - ROUNDS_BACK
        answer = create_model(
            'HistoryQuestion',
            __base__=HistoryQuestion,
            question=(Annotated[str, AfterValidator(no_reminder)], Field(min_length=1)),
            reference_answer=(Annotated[str, AfterValidator(not_just_heard)], Field(min_length=1)),
            reference_turn_idx=(int, Field(ge=0, le=latest)),
        )
        numbered = [{'round': number, 'heard': r.heard, 'said': r.said} for number, r in enumerate(rounds)]
        asked = self._client.ask(fill('history_review', rounds=numbered, latest=latest), answer)
        return HistoryQuestion(**asked.model_dump()).signed(self._client.made_by)


class TemplateReviewer:
    """A `TemplateReviewer` asks without a model.

    It asks about facts that were told, what was said first, and what sounded first or next to another sound.
    """

    stand_in: ClassVar[bool] = True

    def question(self, rounds: Sequence[Round], rng: np.random.Generator) -> HistoryQuestion | None:
        """Return one of the possible questions, at random, or None where there is none."""
        possible = [*_about_facts(rounds), *_about_replies(rounds), *_about_sounds(rounds)]
        possible = [p for p in possible if not _told(p.reference_answer, rounds[-_RECENT:])]
        return possible[int(rng.integers(len(possible)))] if possible else None


def _about_facts(rounds: Sequence[Round]) -> list[HistoryQuestion]:
    old = enumerate(rounds[: max(0, len(rounds) - ROUNDS_BACK + 1)])
    # A question that was answered twice, say after a move, has no one right answer.
    times = Counter(r.fact.question for r in rounds if r.fact)
    return [
        _template(r.fact.question, r.fact.answer, index) for index, r in old if r.fact and times[r.fact.question] == 1
    ]


def _about_replies(rounds: Sequence[Round]) -> list[HistoryQuestion]:
    first = next((index for index, r in enumerate(rounds) if r.said), len(rounds))
    if first > len(rounds) - ROUNDS_BACK:
        return []
    return [_template(FIRST_SAID, rounds[first].said, first)]


def _about_sounds(rounds: Sequence[Round]) -> list[HistoryQuestion]:
    heard = [(index, r.sound) for index, r in enumerate(rounds) if r.sound]
    names = [sound for _, sound in heard]
    questions = []
    for place, (index, sound) in enumerate(heard):
        if index > len(rounds) - ROUNDS_BACK or names.count(sound) > 1:
            continue  # too recent, or the answer would fit two rounds
        if place == 0:
            questions.append(_template('What was the very first sound of all?', _sentence(sound), index))
        if place + 1 < len(heard) and names.count(names[place + 1]) == 1:
            after = names[place + 1]
            questions.append(_template(f'Which sound came right before {after}?', _sentence(sound), index))
        if place and names.count(names[place - 1]) == 1:
            before = names[place - 1]
            questions.append(_template(f'Which sound came right after {before}?', _sentence(sound), index))
    return questions


def _template(question: str, answer: str, index: int) -> HistoryQuestion:
    return HistoryQuestion(question=question, reference_answer=answer, reference_turn_idx=index, made_by='rules')


def _sentence(sound: str) -> str:
    return f'{sound[0].upper()}{sound[1:]}.'


def _told(answer: str, rounds: Sequence[Round]) -> bool:
    """True if the words of `answer` stand, in a row, in one of the rounds."""
    return any(_words(answer) in _words(text) for r in rounds for text in (r.heard, r.said, r.sound))


def _words(text: str) -> str:
    """Return the words in small letters, between spaces; Chinese by the character."""
    return f' {" ".join(_WORD.findall(text.casefold()))} '
