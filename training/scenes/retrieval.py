"""Retrieval finds clips for a sub-event, by captions and categories or by CLAP embeddings (paper §3.2 iii).

An index searches what it was given, so give it the clips of one side of the split.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import soxr

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.scenes.scenario import ClipInfo

CANDIDATES = 3  # paper §3.2: top-3
_TIE = 0.1  # scores this close, relative to each other, count as equal
_CLAP_RATE_HZ = 48_000


class Retriever(Protocol):
    """A `Retriever` finds clips by a few words."""

    def search(
        self, query: str, rng: np.random.Generator, shortest_s: float = 0.0, count: int = CANDIDATES
    ) -> list[ClipInfo]:
        """Return at most `count` clips of `shortest_s` (seconds) or longer, the likeliest first.

        Of clips that fit equally well, some are chosen at random.
        """


class TextIndex:
    """A `TextIndex` is TF-IDF over the letters of categories and captions, so that 'barking' finds 'barks'."""

    stand_in: ClassVar[bool] = True

    def __init__(self, clips: Sequence[ClipInfo]) -> None:
        """Index the clips. Raises ValueError without any."""
        if not clips:
            raise ValueError('no clips to search; give at least one')
        self._clips = list(clips)
        from sklearn.feature_extraction.text import TfidfVectorizer  # a second to import

        self._vectoriser = TfidfVectorizer(analyzer='char_wb', ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
        # The category counts twice: it says what the clip is, the caption also what it is like.
        self._index = self._vectoriser.fit_transform(f'{c.category} {c.category} {c.caption}' for c in clips)

    def search(
        self, query: str, rng: np.random.Generator, shortest_s: float = 0.0, count: int = CANDIDATES
    ) -> list[ClipInfo]:
        """Return the clips by cosine similarity of their words to the query.

        Clips that share nothing with the query are not returned.
        """
        scores = (self._index @ self._vectoriser.transform([query]).T).toarray().ravel()
        return _best(self._clips, scores, rng, shortest_s, count)


class ClapRetriever:
    """A `ClapRetriever` compares what the clips sound like with what the query says, by CLAP (Wu et al. 2023).

    It loads transformers when made.
    """

    stand_in: ClassVar[bool] = False

    def __init__(
        self, clips: Sequence[ClipInfo], read: Callable[[ClipInfo], Samples], model: str | Path, batch: int = 16
    ) -> None:
        """Embed every clip once.

        `model` is a folder or a name on the hub, `read` gives float32 [n] at 16 kHz.
        """
        import torch
        from transformers import ClapModel, ClapProcessor

        self._torch = torch
        self._clips = list(clips)
        self._processor: Any = ClapProcessor.from_pretrained(model)
        self._model: Any = ClapModel.from_pretrained(model).eval()
        batches = (self._clips[at : at + batch] for at in range(0, len(self._clips), batch))
        self._embeddings = np.concatenate([self._of_sounds([read(clip) for clip in chosen]) for chosen in batches])

    def _of_sounds(self, sounds: Iterable[Samples]) -> np.ndarray:
        # CLAP looks at so much; what is longer its processor would cut at random, another way every time.
        longest = int(self._processor.feature_extractor.max_length_s * SAMPLE_RATE_HZ)
        audio = [soxr.resample(samples[:longest], SAMPLE_RATE_HZ, _CLAP_RATE_HZ) for samples in sounds]
        inputs = self._processor(audio=audio, sampling_rate=_CLAP_RATE_HZ, return_tensors='pt')
        with self._torch.inference_mode():
            return self._model.get_audio_features(**inputs).pooler_output.numpy()

    def search(
        self, query: str, rng: np.random.Generator, shortest_s: float = 0.0, count: int = CANDIDATES
    ) -> list[ClipInfo]:
        """Return the clips by cosine similarity of their embeddings to that of the query."""
        inputs = self._processor(text=[query], return_tensors='pt', padding=True)
        with self._torch.inference_mode():
            embedding = self._model.get_text_features(**inputs).pooler_output[0].numpy()
        return _best(self._clips, self._embeddings @ embedding, rng, shortest_s, count)


def _best(
    clips: Sequence[ClipInfo], scores: np.ndarray, rng: np.random.Generator, shortest_s: float, count: int
) -> list[ClipInfo]:
    # Without some chance, every scene with a dog would hear the same dog.
    tried = np.argsort(-scores * rng.uniform(1.0 - _TIE, 1.0, len(scores)), kind='stable')
    likely = (clips[index] for index in tried if scores[index] > 0 and clips[index].duration_s >= shortest_s)
    return list(itertools.islice(likely, count))
