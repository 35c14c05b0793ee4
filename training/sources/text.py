"""This module reads the text corpora of paper Table 9 as dialogues.

The speech chain says them aloud (B.4, Figure 16).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.sources.base import PUBLISHED_SPLITS, Source, SourceError, read_json, split_of
from training.splits import Split

JsonRecord = dict[str, Any]
TurnRole = Literal['user', 'assistant']

CHINESE = re.compile(r'[\u4e00-\u9fff]')
LATIN_WORD = re.compile(r'[A-Za-z]+')
MOSS_TURN = re.compile(r'\[(Human|MOSS)\]:(.*?)(?:<eo[ham]>|$)', re.DOTALL)
MOSS_MARK = re.compile(r'<\|(?:Human|MOSS)\|>:|<eo[ham]>|<sup>.*?</sup>')
BELLE_TURN = re.compile(r'(Human|Assistant):(.*?)(?=\n(?:Human|Assistant):|$)', re.DOTALL)
WEBQUESTIONS_ANSWER = re.compile(r'\(description (?:"((?:[^"\\]|\\.)*)"|([^()]*))\)')

_log = logging.getLogger(__name__)


class Turn(BaseModel):
    """A `Turn` is what one side of a dialogue says, without white space around it."""

    model_config = ConfigDict(extra='forbid', frozen=True, str_strip_whitespace=True)

    role: TurnRole
    text: str = Field(min_length=1)


class Dialogue(BaseModel):
    """A `Dialogue` alternates turns of user and assistant.

    The user begins and the assistant has the last word; or there is one turn alone, a sentence that nobody answers.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    turns: tuple[Turn, ...] = Field(min_length=1)
    language: str
    source: str
    source_id: str
    licence: str
    attribution: str
    split: Split

    @model_validator(mode='after')
    def _alternates(self) -> Dialogue:
        roles = [turn.role for turn in self.turns]
        if roles not in (['user', 'assistant'] * (len(roles) // 2), ['user']):
            raise ValueError('turns must alternate, user first and assistant last')
        return self


Turns = Iterable[tuple[TurnRole, str]]


@dataclass(frozen=True, kw_only=True)
class TextSource(Source):
    """A `TextSource` is a corpus of text; `turns` reads one record.

    With `language` None, the language is told from the text of each record.
    """

    turns: Callable[[JsonRecord], Turns]
    language: str | None
    identifier: str | None = None  # the field that tells the records of a file apart; None: their number
    split_in_name: bool = False  # whether the publisher has a split, told by the files' names
    open_texts: bool = False  # whether a record may be one sentence, and states its own source, licence and attribution

    def prepare(self, folder: Path) -> Iterator[Dialogue]:
        """Yield the dialogues, one at a time.

        Records that are no dialogue (no answer, two questions) are counted and left out. Raises SourceError if the
        folder is not this corpus, and on iteration if a record is not as expected or none is a dialogue. The split is
        the publisher's if there is one, else by hash of the record.
        """
        return self._dialogues(self.locate(folder))

    def _dialogues(self, root: Path) -> Iterator[Dialogue]:
        read, kept = 0, 0
        for path in sorted(path for pattern in self.layout for path in root.glob(pattern)):
            for number, record in enumerate(read_json(path), 1):
                read += 1
                dialogue = self._dialogue(record, root, path, number)
                if dialogue is not None:
                    kept += 1
                    yield dialogue
        if not kept:
            raise SourceError(
                f"{self.title} at '{root}' has {read} records and none is a dialogue; download it again from "
                f'{self.homepage}'
            )
        if kept < read:
            _log.warning("%s at '%s': %d of %d records are no dialogue", self.title, root, read - kept, read)

    def _dialogue(self, record: JsonRecord, root: Path, path: Path, number: int) -> Dialogue | None:
        try:
            turns = [{'role': role, 'text': text or ''} for role, text in self.turns(record)]
            language = self.language or spoken_language(' '.join(turn['text'] for turn in turns))
            file = path.relative_to(root).with_suffix('').as_posix()
            source_id = f'{file}:{record[self.identifier] if self.identifier else number}'
            credit = {'source': self.title, 'licence': self.licence, 'attribution': self.attribution}
            if self.open_texts:
                credit = {key: str(record[key]) for key in credit}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise SourceError(
                f"record {number} of '{path}' is not as {self.title} publishes it ({type(error).__name__}: {error}); "
                f'download it again from {self.homepage}'
            ) from error
        words = path.name.split('.') if self.split_in_name else ()
        stated = next((PUBLISHED_SPLITS[word] for word in words if word in PUBLISHED_SPLITS), None)
        if len(turns) == 1 and not self.open_texts:
            return None
        try:
            return Dialogue.model_validate(
                {
                    'turns': turns,
                    'language': language,
                    **credit,
                    'source_id': source_id,
                    'split': stated or split_of(f'{self.name}:{source_id}'),
                }
            )
        except ValidationError:
            return None  # counted by the caller


def spoken_language(text: str) -> str:
    """Return 'zh' where Chinese characters outnumber Latin words, else 'en'."""
    return 'zh' if len(CHINESE.findall(text)) > len(LATIN_WORD.findall(text)) else 'en'


def _exchange(question: str, answer: str) -> Turns:
    return [('user', question), ('assistant', answer)]


def _conversation(turns: Iterable[JsonRecord]) -> Turns:
    return [('user' if turn['from'] == 'human' else 'assistant', turn['value']) for turn in turns]


def moss(record: JsonRecord) -> Turns:
    """Yield the turns of a MOSS record.

    They are in `plain_text` of moss-002, in `chat` of moss-003, or in `conversation` of its first sample.
    """
    if 'plain_text' in record:
        for role, text in MOSS_TURN.findall(record['plain_text']):
            yield ('user' if role == 'Human' else 'assistant'), text
    elif 'chat' in record:
        for name in sorted(record['chat'], key=lambda name: int(name.removeprefix('turn_'))):
            turn = record['chat'][name]
            yield from _exchange(MOSS_MARK.sub('', turn['Human']), MOSS_MARK.sub('', turn['MOSS']))
    else:
        for turn in record['conversation']:
            yield from _exchange(turn['human'], turn['assistant'])


def gammacorpus(record: JsonRecord) -> Turns:
    """Return the turns of a GammaCorpus record: `question` and `answer`."""
    return _exchange(record['question'], record['answer'])


def ultrachat(record: JsonRecord) -> Turns:
    """Return the turns of an UltraChat record: `data` holds what user and assistant say in turn."""
    return [('assistant' if number % 2 else 'user', text) for number, text in enumerate(record['data'])]


def magpie(record: JsonRecord) -> Turns:
    """Return the turns of a Magpie record: `conversations`, each turn from 'human' or 'gpt'."""
    return _conversation(record['conversations'])


def dureader(record: JsonRecord) -> Turns:
    """Return the turns of a DuReader record: `question` and the first of `answers`.

    The test set has no answers; the answer is then empty.
    """
    return _exchange(record['question'], next(iter(record.get('answers', ())), ''))


def instruction(record: JsonRecord) -> Turns:
    """Return the turns of an instruction record: `instruction` with `input`, which may be empty, and `output`."""
    return _exchange(f'{record["instruction"]}\n{record["input"]}', record['output'])


def belle(record: JsonRecord) -> Turns:
    """Return the turns of a BELLE record: `conversations`, or an instruction and its output.

    In the multi-turn set the instruction holds the turns so far.
    """
    if 'conversations' in record:
        return _conversation(record['conversations'])
    turns = BELLE_TURN.findall(record['instruction']) if record['instruction'].startswith('Human:') else ()
    if not turns:
        return instruction(record)
    said: list[tuple[TurnRole, str]] = [('user' if role == 'Human' else 'assistant', text) for role, text in turns]
    if said[-1][0] == 'assistant' and not said[-1][1].strip():  # the place of the answer
        said.pop()
    return [*said, ('assistant', record['output'])]


def webquestions(record: JsonRecord) -> Turns:
    """Return the turns of a WebQuestions record.

    They are `utterance`, and the descriptions in the list expression `targetValue`.
    """
    answers = [quoted or plain for quoted, plain in WEBQUESTIONS_ANSWER.findall(record['targetValue'])]
    return _exchange(record['utterance'], ', '.join(answer.replace('\\"', '"') for answer in answers))


def open_texts(record: JsonRecord) -> Turns:
    """Return the turns of an open text: `turns`, said by somebody and answered in turn, or one alone."""
    return [('assistant' if number % 2 else 'user', text) for number, text in enumerate(record['turns'])]


OPEN_TEXTS = 'open-texts'
SOURCES = (
    TextSource(
        name=OPEN_TEXTS,
        title='Open texts',
        family='text',
        licence='as each line of texts.jsonl states',
        attribution='as each line of texts.jsonl states',
        homepage='python -m training texts',
        layout=('*.jsonl',),
        turns=open_texts,
        language='en',
        identifier='id',
        open_texts=True,
    ),
    TextSource(
        name='moss',
        title='MOSS',
        family='speech',  # it is rendered to speech; the others of this file stay text
        licence='CC-BY-NC-4.0',
        attribution='MOSS by T. Sun et al., Fudan University',
        homepage='https://github.com/OpenMOSS/MOSS',
        layout=('*.json*',),
        turns=moss,
        language=None,
    ),
    TextSource(
        name='gammacorpus-fact-qa',
        title='GammaCorpus-Fact-QA',
        family='speech',
        licence='Apache-2.0',
        attribution='GammaCorpus Fact QA by R. Roy',
        homepage='https://huggingface.co/datasets/rubenroy/GammaCorpus-Fact-QA-450k',
        layout=('*.jsonl',),
        turns=gammacorpus,
        language='en',
    ),
    TextSource(
        name='ultrachat',
        title='UltraChat',
        family='text',
        licence='MIT',
        attribution='UltraChat by N. Ding et al., Tsinghua University',
        homepage='https://github.com/thunlp/UltraChat',
        layout=('*.jsonl',),
        turns=ultrachat,
        language='en',
        identifier='id',
    ),
    TextSource(
        name='magpie-pro',
        title='Magpie-Pro (as JSON lines; its Parquet files are not read)',
        family='text',
        licence='Meta Llama 3 Community License and CC-BY-NC-4.0',
        attribution='Magpie by Z. Xu et al.; made with Llama 3',
        homepage='https://huggingface.co/Magpie-Align',
        layout=('*.jsonl',),
        turns=magpie,
        language=None,
    ),
    TextSource(
        name='du-qa',
        title='DuReader',
        family='text',
        licence='Apache-2.0',
        attribution='DuReader by W. He et al., Baidu',
        homepage='https://github.com/baidu/DuReader',
        layout=('*set/*.json',),
        archive='raw',
        turns=dureader,
        language='zh',
        identifier='question_id',
        split_in_name=True,
    ),
    TextSource(
        name='coig-cqia',
        title='COIG-CQIA',
        family='text',
        licence='not stated by the publisher; see the field copyright of each record',
        attribution='COIG-CQIA by Y. Bai et al., M-A-P',
        homepage='https://huggingface.co/datasets/m-a-p/COIG-CQIA',
        layout=('COIG-CQIA-full.jsonl',),
        turns=instruction,
        language='zh',
    ),
    TextSource(
        name='web-qa',
        title='WebQuestions',
        family='text',
        licence='CC-BY-4.0',
        attribution='WebQuestions by J. Berant, A. Chou, R. Frostig and P. Liang, Stanford University',
        homepage='https://nlp.stanford.edu/software/sempre',
        layout=('webquestions.examples.*.json',),
        turns=webquestions,
        language='en',
        split_in_name=True,
    ),
    TextSource(
        name='belle',
        title='BELLE',
        family='text',
        licence='GPL-3.0, for research only',
        attribution='BELLE by Y. Ji et al., KE Technologies',
        homepage='https://huggingface.co/BelleGroup',
        layout=('*.json*',),
        turns=belle,
        language='zh',
    ),
)
