"""What a robot would use instead, on the same streams: YAMNet's hazard classes, and a linear probe on its scores.

Both decide when ours does, after every chunk, and an answer counts in the same chunks. The hazard classes are those
that categories.yaml maps to a category with an answer; their threshold is the best on the sounds of each library
themselves, so it flatters them. The probe is a logistic regression that learns from the training side alone, threshold
included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_S, CHUNK_SAMPLES
from training.clips.answers import load_answers
from training.clips.categories import judged as judged_category
from training.evaluate.clip_sets import Scored
from training.evaluate.judged import Judged, YardstickHeard
from training.evaluate.ordinary import OrdinaryAudio
from training.evaluate.rightness import category_named
from training.evaluate.trials import Listened, Trial, rates, with_false_alarms
from training.evaluate.yamnet import Yamnet
from training.metrics import SILENCE_WEIGHT, area_under_roc, best_threshold
from training.render.one_clip import OneClip, one_clip_stream

_POOLED = 5  # decisions, 2 s: what the probe looks back on, by their maximum and mean
_TAUGHT = 4  # moments of each stream that it learns from
_PENALTIES = (0.003, 0.03, 0.3)  # inverse strengths, of which the training side chooses
_FOLDS = 3
_FIRST_TRAINING_STREAM = 1_000_000  # the numbers before it are those of streams that are scored


def hazard_classes(names: Sequence[str]) -> dict[int, str]:
    """Return our category of each of AudioSet's classes that deserves an answer, by the number of the class."""
    found = {number: judged_category(name, [name]) for number, name in enumerate(names)}
    return {number: category for number, (category, respond) in found.items() if respond}


def pooled(scores: np.ndarray) -> np.ndarray:
    """Return what the probe sees at each moment: float32 [moments, 1042] of scores, float32 [moments, 521].

    It is the maximum and the mean of the last five moments' scores, each as its square root.
    """
    roots = np.sqrt(scores)
    rows = [roots[max(0, moment - _POOLED + 1) : moment + 1] for moment in range(len(roots))]
    return np.stack([np.concatenate([row.max(axis=0), row.mean(axis=0)]) for row in rows])


def heard_scores(yamnet: Yamnet, stream: OneClip) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores at a stream's answer chunks, float32 [n, 521], and what a probe sees at them, [n, 1042]."""
    chunks = stream.answer_chunks
    first = max(0, chunks.start - _POOLED + 1)
    scores = yamnet.scores(stream.samples, range(first, chunks.stop))
    before = chunks.start - first
    return scores[before:], pooled(scores)[before:]


@dataclass(frozen=True)
class Probe:
    """A `Probe` is a logistic regression on YAMNet's scores, and the threshold that the training side chose for it."""

    model: LogisticRegression
    threshold: float

    @classmethod
    def fit(cls, yamnet: Yamnet, sounds: Sequence[Scored], seed: int) -> Probe:
        """Learn from streams of `sounds`, none of which is scored.

        Penalty and threshold are chosen on families of recordings that were left out of fitting.
        """
        seen: list[np.ndarray] = []
        for number, scored in enumerate(tqdm(sounds, desc='probe: training side', unit='stream')):
            stream = one_clip_stream(scored.sound, _FIRST_TRAINING_STREAM + number, seed)
            seen.append(heard_scores(yamnet, stream)[1])
        labels = np.array([scored.sound.respond for scored in sounds])
        families = [scored.recording for scored in sounds]
        best: tuple[float, float, float] | None = None
        for penalty in _PENALTIES:
            scores = np.zeros(len(sounds))
            for fitted, left in GroupKFold(_FOLDS).split(seen, labels, families):
                model = _regression([seen[n] for n in fitted], labels[fitted], penalty)
                for n in left:
                    scores[n] = _chances(model, seen[n]).max()
            merit = area_under_roc(labels, scores)
            if best is None or merit > best[0]:
                best = merit, penalty, best_threshold(labels, scores, SILENCE_WEIGHT)
        assert best is not None
        return cls(_regression(seen, labels, best[1]), best[2])

    def chances(self, seen: np.ndarray) -> np.ndarray:
        """Return P(hazard) at each moment, float [n], of what `pooled` gives, [n, 1042]."""
        return _chances(self.model, seen)


def _regression(seen: Sequence[np.ndarray], labels: np.ndarray, penalty: float) -> LogisticRegression:
    rows, wanted = [], []
    for moments, label in zip(seen, labels, strict=True):
        kept = np.unique(np.linspace(0, len(moments) - 1, min(_TAUGHT, len(moments))).astype(int))
        rows.append(moments[kept])
        wanted += [label] * len(kept)
    return LogisticRegression(C=penalty, class_weight='balanced', max_iter=300).fit(np.concatenate(rows), wanted)


def _chances(model: LogisticRegression, seen: np.ndarray) -> np.ndarray:
    return model.predict_proba(seen)[:, 1]


@dataclass(frozen=True)
class YardstickHour:
    """A `YardstickHour` is the ordinary sound of one library as the yardstick heard it.

    Each part is a recording, the highest hazard score after each of its chunks, and the probe's, None without one.
    """

    parts: tuple[tuple[OrdinaryAudio, np.ndarray, np.ndarray | None], ...] = ()

    def __add__(self, other: YardstickHour) -> YardstickHour:
        return YardstickHour(self.parts + other.parts)

    def listened(self, threshold: float, probe: bool) -> list[tuple[str, Listened]]:
        """Return its stretches at a threshold, each with the name of its set.

        A response is a run of moments at or above the threshold, made at its first.
        """
        found: list[tuple[str, Listened]] = []
        for audio, hazard, chance in self.parts:
            scores = chance if probe and chance is not None else hazard
            above = np.r_[False, scores >= threshold]
            found += audio.listened(((np.flatnonzero(above[1:] & ~above[:-1]) + 1) * CHUNK_S).tolist())
        return found


class Yardstick:
    """A `Yardstick` is YAMNet with its hazard classes and, where there is a training side, a probe."""

    def __init__(self, yamnet: Yamnet, training: Sequence[Scored], seed: int) -> None:
        self.yamnet = yamnet
        self.hazards = hazard_classes(yamnet.names)
        self._numbers = np.array(list(self.hazards))
        both = {scored.sound.respond for scored in training} == {True, False}
        self.probe = Probe.fit(yamnet, training, seed) if both else None

    def hear(self, stream: OneClip) -> YardstickHeard:
        """Hear a one-clip stream; what it says is what it says while an answer is in place."""
        scores, seen = heard_scores(self.yamnet, stream)
        hazards = scores[:, self._numbers]
        loudest = int(hazards.max(axis=0).argmax())
        return YardstickHeard(
            hazard=float(hazards.max()),
            category=self.hazards[int(self._numbers[loudest])],
            probe=float(self.probe.chances(seen).max()) if self.probe else None,
        )

    def hear_hour(self, audio: OrdinaryAudio) -> YardstickHour:
        """Hear a recording of ordinary sounds."""
        chunks = range(len(audio.samples) // CHUNK_SAMPLES)
        scores = self.yamnet.scores(audio.samples, chunks, 'ordinary sound, YAMNet')
        chance = self.probe.chances(pooled(scores)) if self.probe else None
        return YardstickHour(((audio, scores[:, self._numbers].max(axis=1), chance),))


def against(
    yardstick: Yardstick,
    judged: Sequence[Judged],
    noisy: Mapping[str, Sequence[Judged]],
    hours: Mapping[str, YardstickHour],
    seed: int,
) -> dict[str, Any]:
    """Return the figures of the hazard classes and of the probe, laid out as the checkpoint's; None without a probe.

    The threshold of the hazard classes is the one with the best balanced accuracy on all recordings of a library, and
    for renders and noises that of the first library.
    """
    libraries = list(dict.fromkeys(j.set.library for j in judged if j.set.library is not None))
    best = {
        library: best_threshold(
            [j.trial.respond for j in judged if j.set.library == library],
            [_heard(j).hazard for j in judged if j.set.library == library],
        )
        for library in libraries
    }
    found: dict[str, Any] = {'file': str(yardstick.yamnet.path), 'hazard_classes': None, 'linear_probe': None}
    ways: list[tuple[str, bool, dict[str, float]]] = [('hazard_classes', False, best)]
    if yardstick.probe:
        ways.append(('linear_probe', True, dict.fromkeys(libraries, yardstick.probe.threshold)))
    for name, probe, thresholds in ways:
        first = thresholds[libraries[0]] if libraries else 1.0
        rows: dict[str, Any] = {}
        for one in dict.fromkeys(j.set.name for j in judged):
            own = [j for j in judged if j.set.name == one]
            library = own[0].set.library
            hour = hours.get(library) if library is not None else None
            heard = hour.listened(thresholds[library], probe) if hour and library is not None else []
            rows[one] = with_false_alarms(
                rates([_trial(j, thresholds.get(library or '', first), probe) for j in own], seed),
                [stretch for set_name, stretch in heard if set_name == one],
                seed,
            )
        found[name] = {
            'thresholds': {library: round(value, 4) for library, value in thresholds.items()},
            'sets': rows,
            'ordinary_sound': {
                library: with_false_alarms(
                    {'confidence_95': {}},
                    [stretch for _, stretch in hour.listened(thresholds[library], probe)],
                    seed,
                )
                for library, hour in hours.items()
            },
            'by_snr': {snr: rates([_trial(j, first, probe) for j in own], seed) for snr, own in noisy.items()},
        }
    return found


def _heard(one: Judged) -> YardstickHeard:
    assert one.yardstick is not None  # the yardstick heard every stream that was judged
    return one.yardstick


def _trial(one: Judged, threshold: float, probe: bool) -> Trial:
    heard = _heard(one)
    score = heard.probe if probe and heard.probe is not None else heard.hazard
    answered = score >= threshold
    said = load_answers()[heard.category].sentences[0]
    return Trial(
        unit=one.trial.unit,
        category=one.trial.category,
        respond=one.trial.respond,
        answered=answered,
        score=score,
        correct=category_named(said, one.trial.category) if answered and one.trial.respond and not probe else None,
    )
