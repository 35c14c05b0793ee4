"""The tables of a model card, from what was measured: a row for each figure, a column for each checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from training.card import facts
from training.card.measurements import Measured, commands_of
from training.card.page import table

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Version:
    """A `Version` is a checkpoint of the card with its name there and what it measured."""

    name: str
    checkpoint: Path
    measured: Sequence[Measured]

    def figures(self, kept_as: str) -> Figures:
        """Return the figures of one measurement, empty where it was not made."""
        return next((each.figures for each in self.measured if each.measurement.kept_as == kept_as), {})


@dataclass
class _Rows:
    """Rows of one table; a figure that no version has is no row."""

    versions: Sequence[Version]
    rows: list[list[str]] = field(default_factory=list)

    def title(self, name: str, count: Callable[[Version], object | None]) -> None:
        """Begin a group of rows; after its name how many of what was scored, where all versions agree."""
        counts = {str(found) for version in self.versions if (found := count(version)) is not None}
        self.rows.append(
            [f'**{name}**' + (f' ({counts.pop()})' if len(counts) == 1 else ''), *('' for _ in self.versions)]
        )

    def add(self, name: str, cell: Callable[[Version], str | None]) -> None:
        """Add a row of one cell a version."""
        cells = [cell(version) or '–' for version in self.versions]
        if set(cells) != {'–'}:
            self.rows.append([name, *cells])

    def table(self, head: str) -> str:
        """Return the table; empty without rows."""
        return table([head, *(version.name for version in self.versions)], self.rows) if self.rows else ''


def value(figures: Figures, name: str, digits: int = 2) -> str | None:
    """Return a figure as text with its 95 % interval, or None where there is none."""
    found = figures.get(name)
    if found is None:
        return None
    interval = figures.get('confidence_95', {}).get(name)
    return _with_interval(found, interval, digits)


def share(figures: Figures, name: str, digits: int = 2) -> str | None:
    """Return a figure of the form {share, of, confidence_95} as text."""
    found = figures.get(name) or {}
    if found.get('share') is None:
        return None
    return f'{_with_interval(found["share"], found.get("confidence_95"), digits)} of {found["of"]}'


def _with_interval(found: float, interval: Sequence[float] | None, digits: int) -> str:
    said = f'{found:.{digits}f}'
    return f'{said} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]' if interval else said


_RATES = (
    ('balanced accuracy', 'balanced_accuracy', 2),
    ('area under the ROC curve', 'auc', 3),
    ('recall', 'recall', 2),
    ('answers to what deserves none', 'false_positive_rate', 2),
    ('hazards named right, of those answered', 'response_correct', 2),
    ('onset to response, median, s', 'onset_to_response_s', 2),
    ('false responses in an hour of its ordinary sound', 'false_alarms_per_hour', 1),
)


def recordings(versions: Sequence[Version]) -> str:
    """Return the table of the clip libraries, set by set; empty where none was scored.

    What was heard beside the newest checkpoint, in two ways, has columns of its own.
    """
    beside = versions[-1].figures('clips').get('against') or {}
    columns = [
        *((version, version.figures('clips')) for version in versions),
        *(
            (Version(f'YAMNet, {way.replace("_", " ")}', versions[-1].checkpoint, ()), figures)
            for way in ('hazard_classes', 'linear_probe')
            if (figures := beside.get(way))
        ),
    ]
    of = {version.name: figures for version, figures in columns}
    rows = _Rows([version for version, _ in columns])
    names = list(dict.fromkeys(name for figures in of.values() for name in figures.get('sets', {}))) or ['recordings']
    headline, *others = names

    def first(version: Version) -> Figures:
        return {**of[version.name].get('sets', {}).get(headline, {}), **of[version.name]}

    _set(rows, headline, first)
    for name in ('balanced_accuracy', 'auc'):
        snrs = list(dict.fromkeys(snr for figures in of.values() for snr in figures.get('by_snr', {})))
        said = next(said for said, figure, _ in _RATES if figure == name)
        rows.add(f'{said} at {", ".join(snrs)} dB SNR', partial(_at, first, snrs, name))
    rows.add(
        'balanced accuracy, threshold cross-fitted',
        lambda v: value(first(v).get('cross_fitted') or {}, 'balanced_accuracy'),
    )
    rows.add('response threshold', lambda version: value(first(version), 'threshold', 3))
    for other in others:
        _set(rows, other, partial(_of_set, of, other))
    for library in dict.fromkeys(name for figures in of.values() for name in figures.get('ordinary_sound', {})):
        rows.add(f'false responses in an hour of ordinary sound of {library}', partial(_ordinary, of, library))
    return _with_commands(rows.table('recordings that no stage was trained on'), versions, 'clips')


def _set(rows: _Rows, name: str, of: Callable[[Version], Figures]) -> None:
    rows.title(name, lambda version: _streams(of(version)))
    for said, figure, digits in _RATES:
        rows.add(said, partial(_value, of, figure, digits))


def _value(of: Callable[[Version], Figures], name: str, digits: int, version: Version) -> str | None:
    return value(of(version), name, digits)


def _of_set(of: Mapping[str, Figures], name: str, version: Version) -> Figures:
    found: Figures = of[version.name].get('sets', {}).get(name, {})
    return found


def _ordinary(of: Mapping[str, Figures], library: str, version: Version) -> str | None:
    return value(of[version.name].get('ordinary_sound', {}).get(library, {}), 'false_alarms_per_hour', 1)


def _streams(figures: Figures) -> str | None:
    return f'{figures["trials"]} streams' if 'trials' in figures else None


def _at(of: Callable[[Version], Figures], snrs: Sequence[str], name: str, version: Version) -> str | None:
    found = [of(version).get('by_snr', {}).get(snr, {}).get(name) for snr in snrs]
    digits = 3 if name == 'auc' else 2
    said = ['–' if each is None else f'{each:.{digits}f}' for each in found]
    return ', '.join(said) if set(said) - {'–'} else None


def streams(versions: Sequence[Version]) -> str:
    """Return the table of a corpus' test side; empty where none was scored."""
    rows = _Rows(versions)

    def of(version: Version) -> Figures:
        return version.figures('corpus')

    rows.add('trigger accuracy, the true history given', lambda v: value(of(v), 'trigger_accuracy_teacher_forced', 3))
    rows.add('trigger accuracy in its own sessions', lambda v: value(of(v), 'trigger_accuracy', 3))
    rows.add('trigger accuracy of silence alone', lambda v: value(of(v), 'trigger_accuracy_if_always_silent', 3))
    rows.add('balanced accuracy', lambda v: value(of(v), 'balanced_accuracy'))
    rows.add('things to answer or leave', lambda v: str(of(v)['trials']) if 'trials' in of(v) else None)
    for ability in dict.fromkeys(name for version in versions for name in of(version).get('per_category', {})):
        rows.add(
            f'balanced accuracy, {ability}',
            partial(_ability, of, ability),
        )
    rows.add('hazards warned of in the right category', lambda v: share(of(v), 'hazards_in_category'))
    rows.add('onset to response, median, s', lambda v: value(of(v), 'onset_to_response_s'))
    for how in ('spoken', 'written'):
        rows.add(
            f'replies that a {how} instruction calls for, right',
            partial(_instructed, of, how),
        )
    rows.add('history questions answered right', lambda v: share(of(v), 'history_questions'))
    rows.add('word error rate of recognition', lambda v: _nested(of(v).get('asr', {}), 'wer', 2))
    rows.add('character error rate of recognition, Chinese', lambda v: _nested(of(v).get('asr_chinese', {}), 'cer', 2))
    for language in dict.fromkeys(name for version in versions for name in of(version).get('translation', {})):
        rows.add(
            f'BLEU into {language}',
            partial(_bleu, of, language),
        )
    rows.add('balanced accuracy of the fifth of five streams in one session, of the first', _stability)
    return _with_commands(rows.table("the corpus' test side"), versions, 'corpus')


def _ability(of: Callable[[Version], Figures], ability: str, version: Version) -> str | None:
    return value(of(version).get('per_category', {}).get(ability, {}), 'balanced_accuracy')


def _instructed(of: Callable[[Version], Figures], how: str, version: Version) -> str | None:
    return share(of(version).get('instructions', {}), how)


def _bleu(of: Callable[[Version], Figures], language: str, version: Version) -> str | None:
    return _nested(of(version).get('translation', {}).get(language, {}), 'bleu', 0)


def _nested(figures: Figures, name: str, digits: int) -> str | None:
    if figures.get(name) is None:
        return None
    return _with_interval(figures[name], figures.get('confidence_95'), digits)


def _stability(version: Version) -> str | None:
    last = version.figures('corpus').get('stability', {}).get('5', {})
    return None if 'balanced_accuracy_retained' not in last else f'{last["balanced_accuracy_retained"]:.2f}'


def running(versions: Sequence[Version]) -> str:
    """Return the table of scenes in real time, speed and size."""
    rows = _Rows(versions)
    sizes = {version.name: facts.sizes(version.checkpoint) for version in versions}
    rows.add('parameters, million', lambda v: f'{sizes[v.name]["parameters"] / 1e6:.1f}')
    rows.add('weights, MB', lambda v: f'{sizes[v.name]["weights_mb"]:.1f} ({sizes[v.name]["stored_as"]})')
    for measurement in (
        each.measurement for each in versions[0].measured if each.measurement.kept_as.startswith('scene-')
    ):
        _scene(rows, measurement.kept_as, measurement.title)
    rows.add('one core: times real time', lambda v: value(v.figures('speed'), 'real_time_factor', 0))
    for name in ('encode_one_chunk', 'drain_one_chunk', 'text_token'):
        rows.add(
            f'one core: {name.replace("_", " ")}, median and 99th percentile, ms',
            partial(_pass, name),
        )
    rows.add('one core: streams at once without a stall', lambda v: value(v.figures('sessions'), 'sessions', 0))
    return _with_commands(rows.table('running'), versions, 'scene-', 'speed', 'sessions')


def _scene(rows: _Rows, kept_as: str, title: str) -> None:
    def of(version: Version) -> Figures:
        return version.figures(kept_as)

    def heard(version: Version) -> str | None:
        found = of(version)
        if 'hazards' not in found:
            return None
        false = found['false_responses'] + found['false_alerts']
        said = f'{found["heard_by_model"]} of {found["hazards"]} by the model, {found["heard"]} in all, {false} false'
        wrong = [f'{found["misnamed"]} misnamed'] if found.get('misnamed') else []
        missed = [f'missed: {", ".join(found["missed"])}'] if found.get('missed') else []
        return '; '.join([said, *wrong, *missed, 'passed' if found['passed'] else 'not passed'])

    def latency(version: Version) -> str | None:
        spread = of(version).get('decision_latency_ms', {})
        return None if spread.get('p50') is None else f'{spread["p50"]:.1f}, {spread["p99"]:.1f}'

    def onset(version: Version) -> str | None:
        found = of(version).get('onset_to_response_s', {}).get('p50')
        return None if found is None else f'{found:.2f}'

    rows.add(f'{title}: hazards answered', heard)
    rows.add(f'{title}: onset to response, median, s', onset)
    rows.add(f'{title}: end of sound to decision, median and 99th percentile, ms', latency)


def _pass(name: str, version: Version) -> str | None:
    times = version.figures('speed').get('passes', {}).get(name)
    return None if times is None else f'{times["p50_ms"]:.2f}, {times["p99_ms"]:.2f}'


def procedural(corpus: Path) -> str:
    """Return which hazards of a corpus are known from recordings, and which from procedural sounds alone."""
    counts = facts.hazard_recordings(corpus)
    alone = [name for name, count in counts.items() if not count]
    recorded = [f'{name} {count}' for name, count in counts.items() if count]
    rows = [
        (f'procedural sounds alone ({len(alone)})', ', '.join(alone) or 'none'),
        (f'recordings, and how many ({len(recorded)})', ', '.join(recorded) or 'none'),
    ]
    return table(['hazards of the training side, known from', ''], rows)


def training(checkpoint: Path, run: Path | None) -> str:
    """Return what made a checkpoint: a table of its stages and one of where it comes from."""
    found = facts.training(checkpoint, run)
    recipe, stages, made = found['recipe'], found['stages'], found['made']
    parts = []
    if recipe is not None:
        rows = []
        for number in range(0 if recipe.encoder else 1, len(recipe.stages) + 1):
            name = recipe.stage_name(number)
            stage = recipe.stages[number - 1] if number else recipe.encoder
            trains = ', '.join(stage.trainable) if number else 'the encoder alone'
            took = stages.get(name, {})
            rows.append(
                (
                    name,
                    trains,
                    str(stage.steps),
                    f'{stage.learning_rate:g}',
                    _number(took, 'minutes', 0),
                    _number(took, 'hours_heard', 1),
                )
            )
        parts.append(
            table([f'recipe {recipe.name}: stage', 'trains', 'steps', 'learning rate', 'minutes', 'hours heard'], rows)
        )
    if made:
        parts.append(table(['made from', ''], _made_from(made)))
    return '\n'.join(parts)


def _number(figures: Figures, name: str, digits: int) -> str:
    return f'{figures[name]:.{digits}f}' if name in figures else '–'


def _made_from(made: Figures) -> list[tuple[str, str]]:
    rows = [
        ('code, commit', code['commit'] + (', with changes that are in no commit' if code['changed'] else ''))
        for code in made.get('code', [])
    ]
    rows.append(('recipe, SHA-256', str(made.get('recipe_sha256', '–'))))
    corpus = made.get('corpus', {})
    if 'hours' in corpus:
        seed = f', seed {corpus["seed"]}' if 'seed' in corpus else ''
        rows.append(('corpus', f'{corpus["hours"]:.1f} hours in {corpus["streams"]} streams{seed}'))
    rows += [
        (f'recordings {each["name"]}, SHA-256 of the manifest', str(each['manifest_sha256']))
        for each in made.get('libraries', [])
    ]
    rows += [
        (f'part {each["name"]} ({each["licence"]}), SHA-256 of the tensors', str(each['tensors_sha256']))
        for each in made.get('parts', [])
    ]
    took = ', '.join(f'{name} {minutes:.0f}' for name, minutes in made.get('minutes', {}).items())
    rows += [('minutes', took)] if took else []
    rows += [('machine', str(made['machine']))] if 'machine' in made else []
    return rows


def licences(checkpoint: Path) -> str:
    """Return the licences of the recordings a checkpoint was trained on; empty where it names none."""
    found = facts.licences(checkpoint)
    if not found:
        return ''
    rows = [
        (
            each.name,
            str(each.recordings),
            'yes' if each.share_alike else '',
            ', '.join(each.sources[:4]) + _more(each.sources),
        )
        for each in found
    ]
    whole = table(['licence', 'recordings', 'share-alike', 'sources'], rows)
    return f'{whole}\nCredit lines: `{facts.ATTRIBUTIONS}`, which must stay with the weights.\n'


def _more(sources: Sequence[str]) -> str:
    return f' and {len(sources) - 4} more' if len(sources) > 4 else ''


def _with_commands(text: str, versions: Sequence[Version], *kinds: str) -> str:
    """A table with the commands behind it, a seed in each that has one."""
    if not text:
        return ''
    found = [each for version in versions for each in version.measured if each.measurement.kept_as.startswith(kinds)]
    if not found:
        return text
    machines = ' and '.join(sorted({each.machine for each in found if each.machine}))
    where = f' on {machines}' if machines else ''
    commands = '\n'.join(commands_of(found))
    return f'{text}\nIn brackets: 95 % intervals. Measured{where} by\n\n```\n{commands}\n```\n'
