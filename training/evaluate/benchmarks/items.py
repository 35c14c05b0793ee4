"""The benchmarks as their publishers lay them out: what is heard, what is asked, and what would be right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from audio_interaction_ros.audio.file_reader import Recording, read_recording
from training.evaluate import EvaluationError
from training.evaluate.benchmarks.scores import Said, accuracy, bleu_score, error_rate
from training.sources import find_source
from training.sources.base import ClipSource, SourceError, read_cut, read_json

_MMAU_DOMAINS = ('sound', 'music', 'speech')


@dataclass(frozen=True)
class BenchmarkItem:
    """A `BenchmarkItem` is one recording, what is asked about it, and the answer that would be right.

    `sound` reads the recording; `group` is the row or column of the published table that it counts for; `options` are
    empty where the answer is free. `language` is that of the answer.
    """

    id: str
    group: str
    sound: Callable[[], Recording]
    question: str
    wanted: str
    options: tuple[str, ...] = ()
    language: str = 'english'


@dataclass(frozen=True)
class Benchmark:
    """A `Benchmark` is read from a folder and scored by what was said, in the unit of the published table.

    `paper`: what the paper's model of 3B reached, by group and under 'all', with the question in text where there is a
    choice.
    """

    title: str
    homepage: str
    unit: str
    read: Callable[[Path], Iterator[BenchmarkItem]]
    score: Callable[[list[Said], int], dict[str, Any]]
    paper: Mapping[str, float]


def read_mmau(folder: Path) -> Iterator[BenchmarkItem]:
    """Yield MMAU: mmau-test-mini.json or mmau-test.json beside the audio that `audio_id` names from there.

    Raises EvaluationError where it is not laid out so, or its answers are not given out, as those of the test part.
    """
    tables = [path for name in ('mmau-test-mini.json', 'mmau-test.json') if (path := folder / name).is_file()]
    if not tables:
        raise EvaluationError(
            f"'{folder}' has neither mmau-test-mini.json nor mmau-test.json; give the folder that they lie in (--data)"
        )
    for row in _rows(tables[0]):
        try:
            id_, task, choices = str(row['id']), str(row['task']), tuple(map(str, row['choices']))
            sound = partial(read_recording, folder / str(row['audio_id']))
            item = BenchmarkItem(id_, task, sound, str(row['question']), str(row.get('answer', '')), choices)
        except (KeyError, TypeError) as error:
            raise EvaluationError(f"'{tables[0]}' has a row without {error}; give it as published") from error
        if item.group not in _MMAU_DOMAINS or item.wanted not in item.options:
            raise EvaluationError(
                f"'{tables[0]}' row {item.id}: task '{task}' and answer '{item.wanted}' found, one of "
                f'{", ".join(_MMAU_DOMAINS)} and one of the choices expected; of the test part the answers are kept '
                'back, give mmau-test-mini.json'
            )
        yield item


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from read_json(path)
    except SourceError as error:
        raise EvaluationError(str(error)) from error


def _read_speech(source_name: str, make: Callable[..., BenchmarkItem], folder: Path) -> Iterator[BenchmarkItem]:
    """What `make` makes of the test side of a speech corpus."""
    source = find_source(source_name)
    assert isinstance(source, ClipSource)
    try:
        for cut in source.prepare(folder):
            (supervision,) = cut.supervisions
            if supervision.custom['split'] == 'test':
                yield make(supervision, partial(read_cut, cut), cut)
    except SourceError as error:
        raise EvaluationError(str(error)) from error


def _librispeech(supervision: Any, sound: Callable[[], Recording], cut: Any) -> BenchmarkItem:
    part = Path(cut.recording.sources[0].source).parents[2].name  # test-clean/121/77/121-77-0000.flac
    return BenchmarkItem(
        cut.id, part.removeprefix('test-'), sound, 'Write down what I say.', supervision.text, language='english'
    )


def _covost(question: str, group: str, language: str) -> Callable[..., BenchmarkItem]:
    def make(supervision: Any, sound: Callable[[], Recording], cut: Any) -> BenchmarkItem:
        return BenchmarkItem(cut.id, group, sound, question, supervision.custom['translation'], language=language)

    return make


BENCHMARKS = {
    'mmau': Benchmark(
        'MMAU', 'https://github.com/Sakshi113/MMAU', 'accuracy in %', read_mmau, accuracy,
        {'sound': 64.12, 'music': 47.80, 'speech': 55.13, 'all': 55.68},
    ),
    'librispeech': Benchmark(
        'LibriSpeech', 'https://www.openslr.org/12', 'word error rate in %',
        partial(_read_speech, 'librispeech', _librispeech), error_rate, {'clean': 3.17, 'other': 6.04},
    ),
    'covost2-en-zh': Benchmark(
        'CoVoST 2, English to Chinese', 'https://github.com/facebookresearch/covost', 'BLEU',
        partial(_read_speech, 'covost2-en-zh', _covost('Translate what I say into Chinese.', 'en-zh', 'chinese')),
        bleu_score, {'en-zh': 55.22},
    ),
    'covost2-zh-en': Benchmark(
        'CoVoST 2, Chinese to English', 'https://github.com/facebookresearch/covost', 'BLEU',
        partial(_read_speech, 'covost2-zh-en', _covost('Translate the Chinese into English.', 'zh-en', 'english')),
        bleu_score, {'zh-en': 35.21},
    ),
}  # fmt: skip
