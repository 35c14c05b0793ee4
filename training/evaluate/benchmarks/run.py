"""A benchmark from its folder to its figures: every answer is kept as it comes, so that the same command goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.streaming.question import Question, QuestionError
from training.evaluate import EvaluationError, sentence_on, tell
from training.evaluate.benchmarks.items import BENCHMARKS, BenchmarkItem
from training.evaluate.benchmarks.scores import Said
from training.evaluate.hearing import Listener

Execution = Literal['offline', 'streaming']


@dataclass(frozen=True)
class BenchmarkRun:
    """A `BenchmarkRun` says which benchmark is run, on what, and how.

    `execution`: offline hears all of a recording and then answers; streaming decides as it hears, with the question as
    its instruction. `spoken`: a folder of <id>.wav, the questions spoken, which are then heard after the recordings.
    `choose`: of an item with options the likeliest is taken, instead of what the model writes. `items`: the first so
    many only, None for all.
    """

    name: str
    data: Path
    out: Path
    execution: Execution = 'offline'
    spoken: Path | None = None
    choose: bool = True
    items: int | None = None
    seed: int = 1


def run_benchmark(listener: Listener, run: BenchmarkRun) -> dict[str, Any]:
    """Answer every item that has no answer in `run.out` yet, and return the figures of all, beside the paper's.

    Raises EvaluationError: a folder that is not the benchmark, answers of another checkpoint or another way of asking.
    """
    benchmark = BENCHMARKS[run.name]
    items = list(islice(benchmark.read(run.data), run.items))
    if not items:
        raise EvaluationError(f"'{run.data}' holds no test item of {benchmark.title}; get it from {benchmark.homepage}")
    asked = {
        'benchmark': run.name,
        'checkpoint': f'{listener.encoder.digest}-{listener.decoder.digest}',
        'execution': run.execution,
        'spoken': run.spoken is not None,
        'choose': run.choose,
    }
    known = _known(run.out, asked)
    unreadable = 0
    with run.out.open('a', encoding='utf-8') as file:
        if not known and not run.out.stat().st_size:
            file.write(json.dumps(asked) + '\n')
        for item in tqdm([item for item in items if item.id not in known], desc=benchmark.title, unit='item'):
            row: dict[str, Any] = {'id': item.id, 'said': ''}
            try:
                recording = item.sound()
                if recording.problem:
                    tell(f'{item.id}: {recording.problem}')
                    row['damaged'] = recording.problem
                row['said'] = _answer(listener, run, item, recording.samples)
            except EvaluationError:
                raise
            except QuestionError as error:  # what cannot be heard whole is not answered, and counts as wrong
                tell(f'{item.id}: {error}')
            except Exception as error:  # whatever a file does to its reader, the others are heard
                tell(sentence_on(Path(item.id), error))
                unreadable += 1
                continue
            known[item.id] = row
            file.write(json.dumps(row, ensure_ascii=False) + '\n')
            file.flush()
    said = [
        Said(item.id, item.group, known[item.id]['said'], item.wanted, item.options, item.language)
        for item in items
        if item.id in known
    ]
    if not said:
        raise EvaluationError(f"none of the {len(items)} recordings in '{run.data}' can be read; unpack them again")
    return {
        **asked,
        'unit': benchmark.unit,
        'items': len(said),
        'unanswered': sum(not one.text for one in said),
        'unreadable': unreadable,
        'damaged': sum('damaged' in known[one.id] for one in said),
        'figures': benchmark.score(said, run.seed),
        'paper': dict(benchmark.paper),
        'answers': str(run.out),
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures as a Markdown table beside the paper's model of 3B."""
    lines = [f'| {figures["benchmark"]}, {figures["unit"]} | this checkpoint | 95 % interval | items | paper, 3B |']
    lines.append('|---|---|---|---|---|')
    for group, found in figures['figures'].items():
        between = found['confidence_95']
        interval = '–' if between is None else f'{between[0]:g}–{between[1]:g}'
        paper = figures['paper'].get(group)
        shown = '–' if paper is None else f'{paper:g}'
        lines.append(f'| {group} | {found["value"]} | {interval} | {found["items"]} | {shown} |')
    return '\n'.join(lines)


def _known(path: Path, asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The row of each item that was answered before, by its id; a last line that was cut short is asked again."""
    if not path.exists() or not path.stat().st_size:
        return {}
    first, *rows = path.read_text(encoding='utf-8').splitlines(keepends=True)
    try:
        before = json.loads(first)
    except json.JSONDecodeError:
        before = None
    if before != asked:
        raise EvaluationError(
            f"'{path}' holds answers of another checkpoint, or to questions that were asked in another way; give "
            'another --out, or remove it'
        )
    whole = [row for row in rows if row.endswith('\n')]
    if len(whole) < len(rows):
        path.write_text(''.join([first, *whole]), encoding='utf-8')
    return {row['id']: row for row in map(json.loads, whole)}


def _answer(listener: Listener, run: BenchmarkRun, item: BenchmarkItem, recording: Samples) -> str:
    samples = np.concatenate([recording, *_spoken(run, item)])
    asked = '' if run.spoken else item.question
    if asked and item.options and not (run.choose and run.execution == 'offline'):
        asked += f' Choose one of these: {"; ".join(item.options)}.'
    if run.execution == 'streaming':
        heard = listener.hear(listener.encode(samples), instruction=asked)
        return ' '.join(response.text for response in heard.responses)
    question = Question.about(listener.encoder, listener.decoder, samples, asked, item.language)
    if item.options and run.choose:
        return question.choose(item.options)[0].text
    return question.answer().text


def _spoken(run: BenchmarkRun, item: BenchmarkItem) -> Iterator[Samples]:
    if run.spoken is not None:
        path = run.spoken / f'{item.id}.wav'
        if not path.is_file():
            raise EvaluationError(f"'{path}' is not there; give a folder with the question of every item (--spoken)")
        yield read_recording(path).samples
