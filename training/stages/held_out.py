"""Held-out recordings as stage 0 hears them, and what a linear classifier tells from an encoder's vectors of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.clips.sounds import MADE, SoundClip
from training.metrics import area_under_roc
from training.random_streams import Purpose, random_stream
from training.stages.crops import CropSource

T = TypeVar('T')
_CROP_S, _BATCH, _GAIN = 3.2, 16, 0.3


def some(items: Sequence[T], most: int, rng: np.random.Generator) -> list[T]:
    """Draw at most so many of the items, which keep their order."""
    return [items[place] for place in sorted(rng.permutation(len(items))[:most])]


def held_out_crops(sounds: Sequence[SoundClip], chunk_samples: int) -> Iterator[np.ndarray]:
    """Yield the first seconds of sounds in batches, float32 [batch, n], in whole chunks, at a third of full scale."""
    length = int(_CROP_S * SAMPLE_RATE_HZ) // chunk_samples * chunk_samples
    for first in range(0, len(sounds), _BATCH):
        starts = [sound.excerpt(0, length / SAMPLE_RATE_HZ)[0] for sound in sounds[first : first + _BATCH]]
        yield _GAIN * np.stack([np.pad(samples, (0, length - len(samples))) for samples in starts])


class LinearProbe:
    """A `LinearProbe` says what a linear classifier could tell from an encoder's vectors, and nothing else.

    A logistic regression on the mean and maximum of the vectors of recordings learns on the training side what deserves
    an answer, and is judged on the validation side. It needs nothing that stage 0 trains but the encoder, so it can be
    compared from the first step on, and between recipes.
    """

    def __init__(self, train: CropSource, held_out: CropSource, clips: int, seed: int) -> None:
        """Take so many recordings of either side, drawn once."""
        self._sides = []
        for number, side in enumerate((train, held_out)):
            recorded = [(sound, source) for sound, source in side.judged if not sound.source_id.startswith(MADE)]
            self._sides.append(some(recorded, clips, random_stream(Purpose.PROBE, seed, number)))

    def areas(self, summaries: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
        """Return the areas under the ROC curve, of all held-out recordings and by source.

        `summaries` gives the features of waveforms, float32 [batch, samples]. Sources with too few recordings to tell
        (ten of either kind) are in the first figure alone.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        features, answers = [], []
        for side in self._sides:
            crops = held_out_crops([sound for sound, _ in side], CHUNK_SAMPLES)
            features.append(np.concatenate([summaries(batch) for batch in crops]) if side else np.zeros((0, 1)))
            answers.append(np.array([sound.respond for sound, _ in side]))
        if any(len(set(side)) < 2 for side in answers):
            return {}
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        scores = probe.fit(features[0], answers[0]).decision_function(features[1])
        sources = np.array([source for _, source in self._sides[1]])
        areas = {'probe_auc': area_under_roc(answers[1], scores)}
        for source in sorted(set(sources)):
            of_source = answers[1][sources == source]
            if min(of_source.sum(), (~of_source).sum()) >= 10:
                areas[f'probe_auc/{source}'] = area_under_roc(of_source, scores[sources == source])
        return areas
