"""This module brings written text to its spoken form, by rules or by a language model.

It also makes texts comparable for a word error rate.

The kinds of change are Figure 16's; the rules are this project's. Rules are the default: the same text always gives the
same words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from num2words import num2words
from pydantic import BaseModel, ConfigDict, Field

from training.speech.normalise import english, mandarin
from training.speech.normalise.markup import strip_markup
from training.speech.normalise.rules import CHANGES, Change, RewriteRule, apply

Language = Literal['en', 'zh']
_RULES: dict[str, list[RewriteRule]] = {'en': english.RULES, 'zh': mandarin.RULES}
_MOST_PASSES = 8

_SPOKEN_MARKS = '.,?!;:\'"()- ' + '，。！？；：、“”‘’（）《》〈〉…—·〇'
_TIDY = [
    RewriteRule('punctuation_normalize', re.compile(r'(?<![^\W\d_])-+|-+(?![^\W\d_])'), ' '),
    RewriteRule('punctuation_normalize', re.compile(r'([!?,;:，。！？；：、])(?:\s*\1)+'), r'\1'),
    RewriteRule('punctuation_normalize', re.compile(r'\.{4,}'), '...'),
    RewriteRule('punctuation_normalize', re.compile(r'\(\s*\)|（\s*）'), ''),
    RewriteRule('punctuation_normalize', re.compile(r'\s+(?=[,;:!?)，。！？；：、）]|\.(?!\w))|(?<=[(（])\s+'), ''),
    RewriteRule('punctuation_normalize', re.compile(r',(?=[.!?])'), ''),
    RewriteRule('punctuation_normalize', re.compile(r'^[,;:.，。；：、\s]+(?=\w)'), ''),
    RewriteRule('punctuation_normalize', re.compile(r'\s+'), ' '),
    RewriteRule('punctuation_normalize', re.compile(r'^ | $'), ''),
]


class SpokenForm(BaseModel):
    """A `SpokenForm` is what is to be said, and what kinds of change led there.

    `changes` are Figure 16's tags, in its order; none if the text is unchanged.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    text: str
    changes: tuple[Change, ...] = ()


Rewriter = Callable[[str, Language], SpokenForm]


def rewrite(text: str, language: Language) -> SpokenForm:
    """Return the words that a person reading `text` aloud would say, on one line.

    Spoken text comes back as it is, with no changes, and so does what this function returned. Links, paths and emoji
    are dropped; the result is empty if nothing else was there.
    """
    changes: set[Change] = set()
    said = text
    # A rule can uncover what an earlier one would have read, so the rules run until nothing changes.
    for _ in range(_MOST_PASSES):
        before = said
        said = _rewrite_once(said, language, changes)
        if said == before:
            break
    return SpokenForm(text=said, changes=tuple(tag for tag in CHANGES if tag in changes) if said != text else ())


def _rewrite_once(text: str, language: Language, changes: set[Change]) -> str:
    plain = ''.join(map(_plain, text))
    if plain != text:
        changes.add('symbol_replace')
    said = strip_markup(plain, language, changes)
    said = apply(_RULES[language], said, changes)
    clean = ''.join(character if _is_spoken(character) else ' ' for character in said)
    if clean != said:
        changes.add('symbol_replace')
    return apply(_TIDY, clean, changes)


def _plain(character: str) -> str:
    """Return width and presentation forms as ordinary characters; control characters as spaces."""
    if character in _SPOKEN_MARKS or character.isascii():
        return character if character.isprintable() or character == '\n' else ' '
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character in '²³':
        return character  # read with their unit
    category = unicodedata.category(character)
    if category == 'No' and '⁄' in unicodedata.normalize('NFKC', character):
        return ' ' + unicodedata.normalize('NFKC', character).replace('⁄', '/')
    if category in ('No', 'Nl', 'So', 'Sm', 'Sc') or '！' <= character <= '～':
        return unicodedata.normalize('NFKC', character)
    if category == 'Cf':
        return ''
    return ' ' if category[0] in 'CZ' else character


def _is_spoken(character: str) -> bool:
    return character.isalpha() or unicodedata.category(character)[0] == 'M' or character in _SPOKEN_MARKS


M = TypeVar('M', bound=BaseModel)


class Asks(Protocol):
    """`Asks` is a language model that answers in the shape of a pydantic model."""

    def ask(self, prompt: str, answer: type[M]) -> M:
        """Return the validated answer; the client retries, and raises when it has no answer."""
        ...


class _Rewritten(BaseModel):
    """`_Rewritten` is the answer that prompts/spoken_form.md asks for."""

    rewritten: str = Field(min_length=1)
    changes: tuple[Change, ...]


class LlmRewriter:
    """An `LlmRewriter` has a language model rewrite a text (paper B.4).

    The rules then finish what it left in written form.
    """

    def __init__(self, model: Asks) -> None:
        self._model = model
        self._prompt = (Path(__file__).parent / 'prompts' / 'spoken_form.md').read_text(encoding='utf-8')

    def __call__(self, text: str, language: Language) -> SpokenForm:
        """Return the model's spoken form of `text`. Raises what the model's client raises."""
        name = {'en': 'English', 'zh': 'Chinese'}[language]
        answer = self._model.ask(self._prompt.replace('{language}', name).replace('{text}', text), _Rewritten)
        finished = rewrite(answer.rewritten, language)
        if finished.text == text:
            return SpokenForm(text=text)
        changes = {*answer.changes, *finished.changes}
        return SpokenForm(text=finished.text, changes=tuple(tag for tag in CHANGES if tag in changes))


_SPELLINGS = {
    'okay': 'ok',
    'mr': 'mister',
    'mrs': 'missus',
    'dr': 'doctor',
    'per cent': 'percent',
    'grey': 'gray',
    'metre': 'meter',
    'metres': 'meters',
    'kilometre': 'kilometer',
    'kilometres': 'kilometers',
    'litre': 'liter',
    'litres': 'liters',
}
_SPELLING = re.compile(rf'\b({"|".join(sorted(_SPELLINGS, key=len, reverse=True))})\b')


def normalise_for_wer(text: str, language: Language) -> str:
    """Return words (Chinese: characters) with single spaces between: lower case, no punctuation, numbers in digits.

    Different ways to say one number become one: 'twenty twenty-four', 'two thousand and twenty-four', '2024'.
    """
    said = rewrite(text, language).text.lower()
    if language == 'zh':
        said = said.translate(str.maketrans('两〇幺', '二零一'))
        return ' '.join(re.findall(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+(?:'[^\W\d_]+)*", said))
    said = _SPELLING.sub(lambda match: _SPELLINGS[match[0]], said.replace('-', ' '))
    return ' '.join(_in_digits(re.findall(r"\w+(?:'\w+)*", said)))


_VALUES = {num2words(value): value for value in (*range(20), *range(20, 100, 10))}
_MAGNITUDES = {'hundred': 100, 'thousand': 10**3, 'million': 10**6, 'billion': 10**9, 'trillion': 10**12}


def _in_digits(words: Sequence[str]) -> list[str]:
    """Return each run of number words as one word of digits, its numbers one after the other.

    An example is 'nineteen oh five' → '1905'.
    """
    result: list[str] = []
    run = ''  # numbers that are complete
    number: _Number | None = None
    for index, word in enumerate(words):
        after = words[index + 1] if index + 1 < len(words) else ''
        in_number = number is not None or run != ''
        if word == 'a' and after in _MAGNITUDES:
            word = 'one'
        if in_number and word in ('oh', 'o') and after in _VALUES:
            word = 'zero'
        if in_number and word == 'and' and words[index - 1] in _MAGNITUDES and after in _VALUES:
            continue
        if number is not None and number.takes(word):
            continue
        if number is not None:
            run += number.digits
            number = None
        if word in _VALUES:
            number = _Number(word)
            continue
        if run:
            result.append(run)
            run = ''
        result.append(word)
    if number is not None:
        run += number.digits
    return [*result, run] if run else result


class _Number:
    """A `_Number` grows as its words come in: 'two hundred' takes 'five' but not 'hundred'."""

    def __init__(self, word: str) -> None:
        self._done = 0
        self._part = _VALUES[word]
        self._room = 10 if self._part >= 20 else 1  # what is added must be smaller than this
        self._magnitude = 10**15

    @property
    def digits(self) -> str:
        return str(self._done + self._part)

    def takes(self, word: str) -> bool:
        """Return True if `word` continues the number, which it then does."""
        if word in _VALUES:
            value = _VALUES[word]
            if not 0 < value < self._room:
                return False
            self._part += value
            self._room = 10 if value >= 20 else 1
            return True
        magnitude = _MAGNITUDES.get(word, 0)
        if magnitude == 100 and 0 < self._part < 100:
            self._part *= 100
            self._room = 100
            return True
        if magnitude >= 1000 and self._part > 0 and magnitude < self._magnitude:
            self._done += self._part * magnitude
            self._part, self._room, self._magnitude = 0, 1000, magnitude
            return True
        return False
