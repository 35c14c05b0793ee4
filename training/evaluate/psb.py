"""`evaluate psb`: Proactive-Sound-Bench (paper §4.3, appendix D) with the audio that its authors give out.

Single tier: each event in a stream of its own. Multiple tier, which the public manifest does not hold, in its manner:
events of one sub-category in a row, each judged by what is said while it counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.file_reader import Recording, read_recording
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.streaming.loop import Response
from training.dsp.noise_beds import noise_bed
from training.evaluate import EvaluationError, sentence_on, tell
from training.evaluate.hearing import Heard, Listener, end_s
from training.evaluate.judge import Judge
from training.evaluate.report import Evaluation, Example, rates_table, ten
from training.evaluate.trials import Listened, Trial, by, rates, summary
from training.html import pages
from training.random_streams import Purpose, random_stream
from training.render.one_clip import AFTER_S
from training.sources.clip_library import LONGEST_S

EVENTS_A_STREAM = 4  # of the Multiple tier; the paper does not give a number
_LEAD_S = 0.8  # heard before an event
_NOISE_BELOW_DB = 40.0  # the recordings have their own background; a stream is never digitally silent


class Row(BaseModel):
    """A `Row` is a line of the benchmark's public manifest; `standard_answers` are in its second file only."""

    model_config = ConfigDict(extra='ignore', frozen=True)

    id: str
    path: str
    description: str
    decision: Literal['RESPOND', 'IGNORE']
    standard_answers: tuple[str, ...] = ()

    @property
    def respond(self) -> bool:
        """Return whether the event deserves an answer."""
        return self.decision == 'RESPOND'

    @property
    def domain(self) -> str:
        """Return the top-level category of the event, of six."""
        return self.path.removeprefix('./').split('/')[-4]

    @property
    def sub_category(self) -> str:
        """Return the sub-category of the event, of seventeen."""
        return self.path.removeprefix('./').split('/')[-3]


@dataclass(frozen=True)
class PlacedSample:
    """A `PlacedSample` is an event of a stream in samples `onset` … `end`; until `deadline` an answer belongs to it."""

    row: Row
    onset: int
    end: int
    deadline: int


def load_rows(manifest: Path) -> list[Row]:
    """Return every row of the benchmark's manifest. Raises EvaluationError where it is not one."""
    try:
        lines = manifest.read_text(encoding='utf-8').split('\n')
        rows = [Row.model_validate_json(line) for line in lines if line.strip()]
        if not rows:
            raise EvaluationError(f"'{manifest}' is empty; give the benchmark's public manifest (--manifest)")
        for row in rows:
            row.domain  # noqa: B018 (raises where the path is of another kind)
        return rows
    except (OSError, UnicodeDecodeError, ValidationError, IndexError) as error:
        told = ' '.join(str(error).split())
        raise EvaluationError(
            f"'{manifest}' is not the benchmark's manifest ({told}); give its JSON lines with id, path, description "
            'and decision (--manifest)'
        ) from error


def find_audio(rows: Sequence[Row], folder: Path) -> dict[str, Path]:
    """Return the audio file of each row that has one, by row id.

    It lies under its path in the manifest, or anywhere in the folder under its name. Raises EvaluationError if there is
    no file of any row.
    """
    if not folder.is_dir():
        raise EvaluationError(f"no folder '{folder}'; give the one that holds the benchmark's audio (--audio)")
    by_name = {path.name: path for path in sorted(folder.rglob('*')) if path.is_file()}
    found: dict[str, Path] = {}
    for row in rows:
        path = folder / row.path
        if path.is_file():
            found[row.id] = path
        elif Path(row.path).name in by_name:
            found[row.id] = by_name[Path(row.path).name]
    if not found:
        name = Path(rows[0].path).name
        raise EvaluationError(
            f"'{folder}' holds none of the {len(rows)} files ({name} …); download the benchmark's audio"
        )
    return found


def lay_out(events: Sequence[tuple[Row, Samples]], seed: int) -> tuple[Samples, list[PlacedSample]]:
    """Lay events in a row over a faint noise, so far apart that no answer belongs to two.

    Returns float32 [n] at 16 kHz and the places of the events.
    """
    rng = random_stream(Purpose.SOUND_BENCH_LAYOUT, seed)
    parts: list[Samples] = []
    placed: list[PlacedSample] = []
    at = 0
    after = int(AFTER_S * SAMPLE_RATE_HZ)
    lead = int(_LEAD_S * SAMPLE_RATE_HZ)
    for row, samples in events:
        onset = at + lead
        placed.append(PlacedSample(row, onset, onset + len(samples), onset + len(samples) + after))
        rms_dbfs = 10 * np.log10(float(np.square(samples, dtype=np.float64).mean()) + 1e-10)
        stretch = _noise(lead + len(samples) + after, rms_dbfs - _NOISE_BELOW_DB, rng)
        stretch[lead : lead + len(samples)] += samples
        parts.append(stretch)
        at += len(stretch)
    return np.clip(np.concatenate(parts), -1, 1), placed


def _noise(length: int, level_dbfs: float, rng: np.random.Generator) -> Samples:
    longest = 20 * SAMPLE_RATE_HZ
    lengths = [min(longest, length - first) for first in range(0, length, longest)]
    return np.concatenate([noise_bed(piece, level_dbfs, rng) for piece in lengths])


def judge_stream(heard: Heard, placed: Sequence[PlacedSample], unit: str) -> tuple[list[Trial], list[list[Response]]]:
    """Return a trial for each event of a stream, and the responses to each."""
    trials, said = [], []
    for place in placed:
        first_s, last_s = place.onset / SAMPLE_RATE_HZ, place.deadline / SAMPLE_RATE_HZ
        own = [r for r in heard.responses if first_s < end_s(r.decision) <= last_s]
        trials.append(
            Trial(
                unit=unit,
                category=place.row.sub_category,
                task=place.row.domain,
                respond=place.row.respond,
                answered=bool(own),
                latency_s=end_s(own[0].decision) - first_s if own and place.row.respond else None,
                score=heard.highest_between(first_s, last_s),
                said=' '.join(dict.fromkeys(response.text for response in own)),
            )
        )
        said.append(own)
    return trials, said


def evaluate_psb(
    listener: Listener, manifest: Path, audio: Path, out: Path, seed: int, judge: Judge | None
) -> Evaluation:
    """Evaluate both tiers of Proactive-Sound-Bench and write the predictions of the Single tier to `out`.

    `judge` may be None. Raises EvaluationError for a manifest or audio that cannot be used.
    """
    rows = load_rows(manifest)
    files = find_audio(rows, audio)
    tiers = _Tiers(listener, files, seed)
    for unit, group in tqdm(list(groups([row for row in rows if row.id in files], seed)), desc='psb', unit='stream'):
        tiers.hear(unit, group)
    present = [row for row in rows if row.id in tiers.single]
    if not present:
        raise EvaluationError(f"none of the {len(tiers.problems)} files in '{audio}' can be read; download them again")
    trials = [tiers.single[row.id] for row in present]
    listened = [tiers.listened[row.id] for row in present]
    multiple, problems = tiers.multiple, tiers.problems
    write_predictions(rows, tiers.single, out)
    figures = summary(trials, listened, seed)
    figures['by_domain'] = by(trials, lambda trial: trial.task, seed)
    figures['multiple'] = {**rates(multiple, seed), 'by_domain': by(multiple, lambda trial: trial.task, seed)}
    answered = {row.id: trial.answered for row, trial in zip(present, trials, strict=True)}
    figures |= {
        'rows': len(rows),
        'rows_without_audio': len(rows) - len(present),
        'unreadable': sum(not usable for usable in problems.values()),
        'damaged': sum(problems.values()),
        'accuracy_of_all_rows': round(float(np.mean([answered.get(row.id, False) == row.respond for row in rows])), 4),
        'accuracy_if_always_silent': round(float(np.mean([not row.respond for row in rows])), 4),
        'predictions': str(out),
        'threshold': listener.threshold,
        'seed': seed,
    }
    if judge is not None:
        figures['judge'] = _judged(present, trials, judge, seed)
    shown = ten(list(zip(present, trials, strict=True)), lambda pair: not pair[1].well_decided)
    examples = [_example(listener, row, _recording(files[row.id]).samples, trial, seed) for row, trial in shown]
    tables = [
        ('Single tier', rates_table(figures['by_domain'])),
        ('Multiple tier', rates_table(figures['multiple']['by_domain'])),
    ]
    return Evaluation(figures, trials, examples, tables)


class _Tiers:
    """Both tiers, heard group by group: a file is read once, and memory holds the few of a stream."""

    def __init__(self, listener: Listener, files: dict[str, Path], seed: int) -> None:
        self._listener, self._files, self._seed = listener, files, seed
        self.single: dict[str, Trial] = {}
        self.listened: dict[str, Listened] = {}
        self.multiple: list[Trial] = []
        self.problems: dict[Path, bool] = {}  # whether a file with one can be used nevertheless, up to the damage

    def hear(self, unit: str, group: Sequence[Row]) -> None:
        """Hear each event by itself, and then those that can be read in a row."""
        events = [(row, samples) for row in group if (samples := self._read(row)) is not None]
        for row, samples in events:
            stream, placed = lay_out([(row, samples)], self._seed)
            heard = self._listener.hear_samples(stream)
            (self.single[row.id],), (own,) = judge_stream(heard, placed, row.id)
            false = len(heard.responses) - (len(own) if row.respond else 0)
            self.listened[row.id] = Listened(row.id, len(stream) / SAMPLE_RATE_HZ / 3_600, false)
        if events:
            stream, placed = lay_out(events, self._seed)
            self.multiple += judge_stream(self._listener.hear_samples(stream), placed, unit)[0]

    def _read(self, row: Row) -> Samples | None:
        """The sound of a row; of a file that is damaged or cannot be read it is told on stderr."""
        path, samples = self._files[row.id], None
        try:
            recording = _recording(path)
            problem, samples = recording.problem, recording.samples
        except Exception as error:  # whatever a file does to its reader, the others are heard
            problem = sentence_on(path, error)
        if problem and path not in self.problems:
            tell(problem)
            self.problems[path] = samples is not None
        return samples


def _recording(path: Path) -> Recording:
    return read_recording(path, LONGEST_S)


def write_predictions(rows: Sequence[Row], trials: dict[str, Trial], out: Path) -> None:
    """Write one JSON line a row, in the manifest's order and the public evaluator's format.

    A row without audio counts as IGNORE. Raises EvaluationError where `out` cannot be written.
    """
    lines = []
    for row in rows:
        trial = trials.get(row.id)
        answered = trial is not None and trial.answered
        reply = trial.said if trial is not None else ''
        text = f'<Decision>{"RESPOND" if answered else "IGNORE"}</Decision><Reply>{reply}</Reply>'
        lines.append(json.dumps({'id': row.id, '_raw_reply': text}, ensure_ascii=False) + '\n')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(''.join(lines), encoding='utf-8')
    except OSError as error:
        raise EvaluationError(f"'{out}' cannot be written ({error}); give another --out") from error


def groups(rows: Sequence[Row], seed: int) -> Iterator[tuple[str, list[Row]]]:
    """Yield (name, rows) of each stream of the Multiple tier: a sub-category is shuffled and cut into fours."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[row.sub_category].append(row)
    for name in sorted(members):
        order = random_stream(Purpose.SOUND_BENCH_GROUPS, seed, name).permutation(len(members[name]))
        for first in range(0, len(order), EVENTS_A_STREAM):
            yield f'{name}:{first}', [members[name][index] for index in order[first : first + EVENTS_A_STREAM]]


def _judged(rows: Sequence[Row], trials: Sequence[Trial], judge: Judge, seed: int) -> dict[str, Any]:
    """Mean verdict on the rows that deserve an answer and have reference answers: none given is none right."""
    scores = [
        judge.score(row.description, row.standard_answers, trial.said) if trial.said else 0.0
        for row, trial in tqdm(list(zip(rows, trials, strict=True)), desc='judge', unit='row')
        if row.respond and row.standard_answers
    ]
    units = [row.id for row in rows if row.respond and row.standard_answers]
    return judge.mean(scores, units, seed)


def _example(listener: Listener, row: Row, samples: Samples, trial: Trial, seed: int) -> Example:
    stream, (place,) = lay_out([(row, samples)], seed)
    kind = 'respond' if row.respond else 'sound'
    return Example(
        title=f'{row.id}, {row.description}: {trial.outcome}',
        note=f'{row.domain} / {row.sub_category}',
        samples=stream,
        spans=(pages.Span(place.onset / SAMPLE_RATE_HZ, place.deadline / SAMPLE_RATE_HZ, row.description, kind),),
        heard=listener.hear_samples(stream),
    )
