"""The matched synthetic split: of every recording a twin of the same labels, made as training makes its streams.

What sounds when, how loud and over which level of background is the recording's; the sounds are clips that no stage
trained on, or renders, the words are spoken by a synthetic voice, and the background is stationary noise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import AudioFormatError, Samples
from audio_interaction_ros.audio.levels import level_dbfs, power_dbfs
from audio_interaction_ros.matching import SceneEvent
from training.clips.categories import canonical
from training.clips.sounds import SoundClip
from training.dsp.activity import FRAME_SAMPLES, activity
from training.dsp.fades import tile
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.evaluate import sentence_on, tell
from training.evaluate.clip_sets import Library
from training.evaluate.hearing import language_of
from training.field.recordings import FieldRecording
from training.procedural.registry import ALL_TYPES, render
from training.random_streams import Purpose, random_stream
from training.sources.clip_library import Clip
from training.speech.espeak import Speaker
from training.speech.voices import VALIDATION_VOICES, SpeechError

_FRAME = SAMPLE_RATE_HZ // 10  # 100 ms, the grain of the background's level
_BACKGROUND_PERCENTILE = 20
_QUIETEST_DBFS, _FAINTEST_DBFS = -75.0, -55.0  # of a background, and of what is to be heard over it
_LOOPED = 2.0  # an event that lasts so many times its clip is the clip again and again
_LANGUAGES = {'english': 'en', 'chinese': 'cmn'}
_TRIES = 3


@dataclass(frozen=True)
class Twin:
    """A `Twin` is a recording's synthetic twin, and the events of the recording that there is no sound for."""

    recording: FieldRecording
    without: tuple[SceneEvent, ...]


class TwinMaker:
    """A `TwinMaker` makes twins of the held-out clips of some libraries, by `seed`, until it is closed.

    None of the recordings whose `source_id` is in `not_these` is in a twin.
    """

    def __init__(self, libraries: Sequence[Library], not_these: frozenset[str], seed: int) -> None:
        self._clips: dict[str, list[Clip]] = defaultdict(list)
        for clip in (clip for library in libraries for clip in library.clips):
            if clip.validation and clip.source_id not in not_these:
                self._clips[canonical(clip.category)].append(clip)
        self._renders: dict[str, list[str]] = defaultdict(list)
        for name, kind in ALL_TYPES.items():
            self._renders[kind.category].append(name)
        self._seed = seed
        self._speaker = Speaker()
        self._speaks = True

    def __enter__(self) -> TwinMaker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._speaker.close()

    def twin(self, recording: FieldRecording, number: int) -> Twin:
        """Return the twin of a recording, which is as long; `number` tells it from the others of the seed."""
        rng = random_stream(Purpose.FIELD_TWIN, self._seed, number)
        background_dbfs = max(_QUIETEST_DBFS, _background_dbfs(recording))
        samples = tile(noise_bed(20 * SAMPLE_RATE_HZ, background_dbfs, rng), len(recording.samples), 0)
        events, without = [], []
        for event in recording.events:
            onset = round(event.onset_s * SAMPLE_RATE_HZ)
            made = self._said(event, rng) if event.text else None
            made = self._sound(event, rng) if made is None else made
            if made is None:
                without.append(event)
                continue
            piece, text = made
            piece = piece[: len(samples) - onset]
            piece = scale(piece, activity(piece), _event_dbfs(recording, event, background_dbfs))
            samples[onset : onset + len(piece)] += piece
            end_s = (onset + len(piece)) / SAMPLE_RATE_HZ
            events.append(event.model_copy(update={'end_s': end_s, 'text': text}))
        twin = FieldRecording(recording.scene, recording.name, np.clip(samples, -1, 1), tuple(events))
        return Twin(twin, tuple(without))

    def _said(self, event: SceneEvent, rng: np.random.Generator) -> tuple[Samples, str] | None:
        language = _LANGUAGES[language_of(event.text)]
        voices = [voice for voice in VALIDATION_VOICES if voice.language == language]
        voice = voices[int(rng.integers(len(voices)))]
        if not self._speaks:
            return None
        try:
            return self._speaker.speak(event.text, voice).samples, event.text
        except SpeechError as error:
            tell(f'the twins speak none of the labelled words: {error}')
            self._speaks = False
            return None

    def _sound(self, event: SceneEvent, rng: np.random.Generator) -> tuple[Samples, str] | None:
        """As long as the event, or as long as the clip is; None where there is neither a clip nor a render."""
        seconds = event.end_s - event.onset_s
        sound = self._drawn(canonical(event.category), rng)
        if sound is None:
            return None
        piece, _ = sound.excerpt(sound.onset, seconds)
        if seconds * SAMPLE_RATE_HZ > _LOOPED * len(piece):
            piece = tile(piece, round(seconds * SAMPLE_RATE_HZ), 0)
        return piece, ''

    def _drawn(self, category: str, rng: np.random.Generator) -> SoundClip | None:
        clips = self._clips.get(category, [])
        for _ in range(_TRIES if clips else 0):
            clip = clips[int(rng.integers(len(clips)))]
            try:
                sound = SoundClip.of(category, False, clip.source_id, clip.read().samples)
            except AudioFormatError as error:
                tell(sentence_on(clip.path, error))
                continue
            if sound.audible:
                return sound
        names = self._renders.get(category, [])
        if not names:
            return None
        name = names[int(rng.integers(len(names)))]
        return SoundClip.of(category, False, name, render(name, rng))


def _background_dbfs(recording: FieldRecording) -> float:
    """The level that a fifth of the 100 ms lie below, of what is outside of all events if that is a second or more."""
    outside = np.ones(len(recording.samples), bool)
    for event in recording.events:
        outside[round(event.onset_s * SAMPLE_RATE_HZ) : round(event.end_s * SAMPLE_RATE_HZ)] = False
    samples = recording.samples[outside] if outside.sum() >= SAMPLE_RATE_HZ else recording.samples
    powers = np.square(samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME), dtype=np.float64).mean(axis=1)
    return power_dbfs(float(np.percentile(powers, _BACKGROUND_PERCENTILE)))


def _event_dbfs(recording: FieldRecording, event: SceneEvent, background_dbfs: float) -> float:
    """The level of what sounds while it is active, without the background under it."""
    piece = recording.samples[round(event.onset_s * SAMPLE_RATE_HZ) : round(event.end_s * SAMPLE_RATE_HZ)]
    active = np.repeat(activity(piece), FRAME_SAMPLES)[: len(piece)]
    power = 10 ** (level_dbfs(piece[active] if active.any() else piece) / 10) - 10 ** (background_dbfs / 10)
    return max(_FAINTEST_DBFS, power_dbfs(power))
