"""Crops of the corpus' clips and of its speech, which stage 0 learns from.

Every crop is heard at another speed, in another room, through another microphone, at another level and in other noise.
Sounds: between-class mixtures with soft labels (Tokozume et al., 2018). Speech: the phoneme of every 40 ms vector, as
text-to-speech timed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.ingest import ALTERED
from training.clips.sounds import SoundClip, SoundPool
from training.clips.store import ClipStore, StoredClip, of_split
from training.dsp.activity import activity
from training.dsp.augment import at_speed, elsewhere
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.labels import VECTOR_SAMPLES
from training.random_streams import Purpose, random_stream
from training.recipe import ListeningStage
from training.render.single_sound import cut
from training.speech.voices import Phone

CROP_SAMPLES = 2 * SAMPLE_RATE_HZ
UNLABELLED, NO_PHONE = -100, 0
SPEECH_CATEGORY = 'speech'
_FEWEST = 30  # a phoneme that is said less often is not learnt


@dataclass(frozen=True)
class Crops:
    """A `Crops` is a batch of stage 0.

    `waveforms` float32 [batch, samples], `clean` the same without the noise; `sounds`, shares of the categories,
    float32 [batch, n]; `phones`, numbers of phonemes or UNLABELLED, int64 [batch, vectors].
    """

    waveforms: Tensor
    clean: Tensor
    sounds: Tensor
    phones: Tensor

    def to(self, device: torch.device) -> Crops:
        """Return the same on another device."""
        return Crops(*(tensor.to(device) for tensor in (self.waveforms, self.clean, self.sounds, self.phones)))


class CropSource:
    """A `CropSource` holds the sounds and the utterances of one side of the split.

    `judged` are the sounds of which somebody said whether they deserve an answer, each with its source.
    """

    def __init__(self, clips: ClipStore, speech: ClipStore, split: str) -> None:
        found = _sounds(clips, split)
        self.sounds = [sound for sound, _ in found]
        self.judged = [(sound, clip.source) for sound, clip in found if clip.respond is not None]
        self._speech = speech
        self._said = [clip for clip in of_split(speech.clips, split) if clip.phones]

    def categories(self) -> list[str]:
        """Return the categories of the sounds, and speech, sorted."""
        return sorted({SPEECH_CATEGORY, *(sound.category for sound in self.sounds)})

    def phones(self) -> list[str]:
        """Return the phonemes that are said often enough to be learnt; none where the speech has none timed."""
        counts = Counter(name for clip in self._said for name, _, _ in clip.phones)
        return sorted(name for name, count in counts.items() if count >= _FEWEST)

    @property
    def speaks(self) -> bool:
        """Return whether there is an utterance to draw."""
        return bool(self._said)

    def utterance(self, rng: np.random.Generator) -> tuple[Samples, StoredClip]:
        """Draw an utterance. Raises IndexError where there is no speech with phonemes."""
        clip = self._said[int(rng.integers(len(self._said)))]
        return self._speech.samples(clip.id), clip


class CropSampler:
    """A `CropSampler` draws the crops of every step; each depends on the seed, the step and its row alone.

    `length` is that of a crop, in samples; `phones` are the phonemes to label.
    """

    def __init__(
        self, source: CropSource, categories: Sequence[str], phones: Sequence[str], stage: ListeningStage, seed: int,
        length: int,
    ) -> None:  # fmt: skip
        self._source, self._stage, self._seed, self._length = source, stage, seed, length
        self._pool = SoundPool(source.sounds)
        self._category = {name: number for number, name in enumerate(categories)}
        self._phone = {name: 1 + number for number, name in enumerate(phones)}

    @property
    def rows(self) -> int:
        """Return how many crops a step has, on all devices together."""
        return self._stage.batch + (self._stage.speech_batch if self._phone else 0)

    def crops(self, step: int, rank: int, devices: int) -> Crops:
        """Draw what one of `devices` is given in a step: every `devices`th crop of it."""
        rows = range(rank, self.rows, devices)
        waveforms, clean = (np.zeros((len(rows), self._length), np.float32) for _ in range(2))
        sounds = np.zeros((len(rows), len(self._category)), np.float32)
        phones = np.full((len(rows), self._length // VECTOR_SAMPLES), UNLABELLED)
        for at, row in enumerate(rows):
            rng = random_stream(Purpose.CROP, self._seed, step, row)
            if row < self._stage.batch:
                clean[at] = self._sounding(sounds[at], rng)
            else:
                sounds[at, self._category[SPEECH_CATEGORY]] = 1.0
                clean[at], phones[at] = self._spoken(rng)
            waveforms[at] = _in_noise(clean[at], rng)
        return Crops(*map(torch.from_numpy, (waveforms, clean, sounds, phones)))

    def _sounding(self, shares: np.ndarray, rng: np.random.Generator) -> Samples:
        """A sound, or two mixed; fills the shares."""
        sound = self._pool.draw(rng)
        crop, share = _crop(sound, self._length, rng), 1.0
        if rng.random() < self._stage.mixed_share:
            other = self._pool.draw(rng)
            second = _crop(other, self._length, rng)
            share = float(rng.beta(1.0, 1.0))
            crop = share * crop + (1.0 - share) * _rms(crop) / _rms(second) * second
            shares[self._category[other.category]] += 1.0 - share
        shares[self._category[sound.category]] += share
        return crop

    def _spoken(self, rng: np.random.Generator) -> tuple[Samples, np.ndarray]:
        """A piece of an utterance, a third of the time with something else to hear behind it."""
        samples, clip = self._source.utterance(rng)
        speed = rng.uniform(0.85, 1.18)
        heard = elsewhere(at_speed(samples, speed), rng)
        crop, phones = speech_crop(heard, clip.phones, speed, self._phone, rng, self._length)
        crop *= 10 ** (rng.uniform(-38.0, -12.0) / 20) / _rms(crop)
        if rng.random() < 0.3:
            behind = _crop(self._pool.draw(rng), self._length, rng)
            crop += behind * (_rms(crop) / _rms(behind) * 10 ** (-rng.uniform(5.0, 20.0) / 20))
        return crop, phones


def crop_samples(chunk_samples: int) -> int:
    """Return the fewest whole chunks that hold 2 s, in samples."""
    return -(-CROP_SAMPLES // chunk_samples) * chunk_samples


def speech_crop(
    samples: Samples,
    phones: Sequence[Phone],
    speed: float,
    number: dict[str, int],
    rng: np.random.Generator,
    length: int = CROP_SAMPLES,
) -> tuple[Samples, np.ndarray]:
    """Cut a piece from before or within an utterance, at its level, with the phoneme in the middle of each vector.

    `phones` as at speed 1, `samples` as at `speed`. float32 [length]; int64 [vectors]: 0 for none, -100 if unnumbered.
    """
    start = int(rng.uniform(-CHUNK_SAMPLES, max(0, len(samples) - SAMPLE_RATE_HZ)))
    crop = np.zeros(length, np.float32)
    piece = samples[max(0, start) : start + length]
    crop[max(0, -start) :][: len(piece)] = piece
    labels = np.full(length // VECTOR_SAMPLES, NO_PHONE)
    for name, start_s, end_s in phones:
        first, last = ((second / speed * SAMPLE_RATE_HZ - start) / VECTOR_SAMPLES - 0.5 for second in (start_s, end_s))
        labels[max(0, int(np.ceil(first))) : max(0, int(np.ceil(last)))] = number.get(name, UNLABELLED)
    return crop, labels


def _crop(sound: SoundClip, length: int, rng: np.random.Generator) -> Samples:
    """A piece of a sound that begins within the first 400 ms, in another room, at a random level. float32 [length]."""
    piece, _ = cut(sound, rng.uniform(1.0, 1.3) * length / SAMPLE_RATE_HZ, rng)
    if rng.random() < 0.85:
        piece = elsewhere(at_speed(piece, rng.uniform(0.8, 1.25)), rng)
    piece = scale(piece, activity(piece), rng.uniform(-38.0, -12.0))
    at = int(rng.integers(0, max(1, min(length - len(piece), CHUNK_SAMPLES))))
    samples = np.zeros(length, np.float32)
    samples[at : at + len(piece)] = piece[: length - at]
    return samples


def _in_noise(crop: Samples, rng: np.random.Generator) -> Samples:
    level_dbfs = 20 * np.log10(_rms(crop))
    bed_dbfs = -100.0 if rng.random() < 0.15 else level_dbfs - rng.uniform(5.0, 40.0)
    return np.clip(crop + noise_bed(len(crop), bed_dbfs, rng), -1.0, 1.0)


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.square(samples).mean())) + 1e-6


def _sounds(library: ClipStore, split: str) -> list[tuple[SoundClip, StoredClip]]:
    """One side's events, music and recorded voices as sounds to name, without altered copies: crops are altered too."""
    sounds = [
        (SoundClip.of(clip.category, bool(clip.respond), clip.recording, library.samples(clip.id)), clip)
        for clip in of_split(library.clips, split)
        if clip.kind in ('event', 'music', 'speech') and ALTERED not in clip.id
    ]
    return [(sound, clip) for sound, clip in sounds if sound.audible]
