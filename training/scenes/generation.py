"""Generators make a clip for a caption, from the procedural library or by a model of sound behind HTTP (paper B.4).

Whoever needs a sound that no recording fits asks an ``EventGenerator``. The procedural one is the default and works
offline; the two HTTP ones contact nothing until they are made and asked.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import httpx
import numpy as np
import soundfile
import tenacity

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.resample import to_mono_16k
from training.procedural.registry import ALL_TYPES
from training.procedural.synth import SoundType

ELEVENLABS_URL = 'https://api.elevenlabs.io'
ELEVENLABS_KEY = 'ELEVENLABS_API_KEY'
_LARGEST_ANSWER = 64 * 2**20  # bytes; half an hour of 16-bit mono at 16 kHz


class GenerationError(ValueError):
    """A `GenerationError` says why no sound could be made for a caption, and what to do."""


@dataclass(frozen=True)
class Generated:
    """A `Generated` sound has samples, float32 [n] at 16 kHz, and says what they are.

    `respond` is None and `category` empty where only the caption is known.
    """

    samples: Samples
    caption: str
    category: str
    respond: bool | None
    made_by: str


class EventGenerator(Protocol):
    """An `EventGenerator` makes a sound event from words."""

    def generate(self, caption: str, duration_s: float, rng: np.random.Generator) -> Generated:
        """Return a sound of at most about `duration_s` (seconds) for `caption`. Raises GenerationError."""
        ...


class ProceduralGenerator:
    """A `ProceduralGenerator` renders the procedural type whose words fit a caption best.

    They are its name, category and caption, compared by cosine of TF-IDF over word stems. The sound's own length is
    kept where it is shorter than asked: an event is not stretched or looped.
    """

    stand_in: ClassVar[bool] = True

    def __init__(self, types: Mapping[str, SoundType] = ALL_TYPES, least_similarity: float = 0.25) -> None:
        """Index `types`; a caption below `least_similarity` (0 … 1) is refused, not met with some other sound."""
        self._types = list(types.values())
        self._least = least_similarity
        texts = [f'{kind.caption} {kind.category} {kind.name.replace("_", " ")}' for kind in self._types]
        from sklearn.feature_extraction.text import TfidfVectorizer  # a second to import

        self._vectorizer = TfidfVectorizer(analyzer=_stems, sublinear_tf=True)
        self._index = self._vectorizer.fit_transform(texts)

    def closest(self, caption: str) -> tuple[SoundType, float]:
        """Return the type that fits best, and its similarity in 0 … 1.

        It is the cosine, times the share of words that are known. Without that share a long caption about something
        else would count by its one familiar word.
        """
        stems = _stems(caption)
        known = sum(stem in self._vectorizer.vocabulary_ for stem in stems) / max(len(stems), 1)
        fit = (self._index @ self._vectorizer.transform([caption]).T).toarray().ravel() * known
        best = int(np.argmax(fit))
        return self._types[best], float(fit[best])

    def generate(self, caption: str, duration_s: float, rng: np.random.Generator) -> Generated:
        """Return the closest procedural sound, cut to `duration_s`.

        Raises GenerationError for a caption that no type fits, or a duration that is not above zero.
        """
        kind, similarity = self.closest(caption)
        if similarity < self._least:
            raise GenerationError(
                f"no procedural sound fits '{caption}': the nearest, {kind.name}, has similarity {similarity:.2f} of "
                f'{self._least:.2f}; reword the caption or configure an HTTP generator'
            )
        samples = kind.render(rng)[: _samples(duration_s)]
        return Generated(samples, kind.caption, kind.category, kind.respond, f'procedural:{kind.name}')


@dataclass(frozen=True)
class HttpPolicy:
    """An `HttpPolicy` says how long to wait for an answer, and how often to ask again after a server's failure.

    Times are in seconds.
    """

    timeout_s: float = 60.0
    retries: int = 2
    pause_s: float = 1.0  # before the first repetition; doubles with each


class ElevenLabsGenerator:
    """An `ElevenLabsGenerator` asks ElevenLabs' sound-generation endpoint.

    The key is read from the environment when asked for a sound.
    """

    stand_in: ClassVar[bool] = False

    SHORTEST_S, LONGEST_S = 0.5, 22.0

    def __init__(
        self, base_url: str = ELEVENLABS_URL, key_variable: str = ELEVENLABS_KEY, policy: HttpPolicy | None = None
    ) -> None:
        self._url = f'{base_url.rstrip("/")}/v1/sound-generation'
        self._key_variable = key_variable
        self._policy = policy or HttpPolicy()

    def generate(self, caption: str, duration_s: float, rng: np.random.Generator) -> Generated:
        """Return a sound from the service, `duration_s` clipped to `SHORTEST_S` … `LONGEST_S`.

        The service has no seed, so `rng` is not used. Raises GenerationError.
        """
        key = os.environ.get(self._key_variable)
        if not key:
            raise GenerationError(f'no ElevenLabs key: set {self._key_variable} in the environment')
        seconds = float(np.clip(duration_s, self.SHORTEST_S, self.LONGEST_S))
        body = {'text': caption, 'duration_seconds': seconds}
        answer = _post(self._url, body, {'xi-api-key': key, 'accept': 'audio/mpeg'}, self._policy)
        return Generated(_decode(answer, self._url, duration_s), caption, '', None, 'elevenlabs')


class AudioXGenerator:
    """An `AudioXGenerator` asks a self-hosted AudioX server.

    The request is POST {caption, seconds, seed} to `url`, audio comes back.
    """

    stand_in: ClassVar[bool] = False

    def __init__(self, url: str, policy: HttpPolicy | None = None) -> None:
        self._url = url
        self._policy = policy or HttpPolicy()

    def generate(self, caption: str, duration_s: float, rng: np.random.Generator) -> Generated:
        """Return a sound from the server.

        The seed is drawn from `rng`, so the same state asks for the same sound. Raises GenerationError.
        """
        body = {'caption': caption, 'seconds': duration_s, 'seed': int(rng.integers(2**31))}
        answer = _post(self._url, body, {'accept': 'audio/wav'}, self._policy)
        return Generated(_decode(answer, self._url, duration_s), caption, '', None, 'audiox')


def _stems(text: str) -> list[str]:
    """Lower-case words without their common endings, so that 'hissing' meets 'hisses'; no function words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    words = [word for word in re.findall('[a-z]+', text.lower()) if word not in ENGLISH_STOP_WORDS]
    cut = [re.sub(r'(?<=[a-z]{2})(?:ing|ed|es|s|e)$', '', word) for word in words]
    return [re.sub(r'([b-df-hj-np-tv-z])\1$', r'\1', word) for word in cut]


def _samples(duration_s: float) -> int:
    if not duration_s > 0:
        raise GenerationError(f'a sound of {duration_s} s was asked for; ask for more than 0 s')
    return round(duration_s * SAMPLE_RATE_HZ)


class _FailedForNow(Exception):
    """The server said that it could not, or said too little; it may do better the next time."""


def _post(url: str, body: dict[str, Any], headers: dict[str, str], policy: HttpPolicy) -> bytes:
    """Return the answer's bytes.

    Silence, a broken connection, 429 and 5xx are worth another try; other refusals are final.
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((_FailedForNow, httpx.RequestError)),
        stop=tenacity.stop_after_attempt(policy.retries + 1),
        wait=tenacity.wait_exponential(multiplier=policy.pause_s),
        reraise=True,
    )
    try:
        return attempts(_post_once, url, body, headers, policy.timeout_s)
    except (_FailedForNow, httpx.RequestError, httpx.InvalidURL) as error:
        raise GenerationError(
            f'{url} gave no sound in {policy.retries + 1} attempts of {policy.timeout_s:g} s: '
            f'{str(error) or type(error).__name__}; is it running?'
        ) from error


def _post_once(url: str, body: dict[str, Any], headers: dict[str, str], timeout_s: float) -> bytes:
    content = bytearray()
    with httpx.stream('POST', url, json=body, headers=headers, timeout=timeout_s) as answer:
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > _LARGEST_ANSWER:
                raise GenerationError(f'{url} sent over {_LARGEST_ANSWER >> 20} MiB; ask for a shorter sound')
    if answer.is_success:
        return bytes(content)
    said = content[:200].decode(errors='replace').strip() or answer.reason_phrase
    reason = f'it answered {answer.status_code}: {said}'
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _FailedForNow(reason)
    raise GenerationError(f'{url} refused: {reason}; check the address, the key and the quota')


def _decode(content: bytes, url: str, duration_s: float) -> Samples:
    """Audio in any container that soundfile reads, as float32 [n] at 16 kHz, at most `duration_s` long."""
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(content), dtype='float32', always_2d=True)
        samples = to_mono_16k(samples, rate_hz)[: _samples(duration_s)]
    except (soundfile.SoundFileError, ValueError) as error:
        raise GenerationError(
            f'{url} sent {len(content)} bytes that are no audio ({error}); check that it is the right address'
        ) from error
    if not len(samples) or not np.all(np.isfinite(samples)) or np.max(np.abs(samples)) < 1e-4:
        raise GenerationError(f'{url} sent silence; reword the caption')
    return samples
