"""Stage 0: the encoder learns to name sounds and phonemes, since nothing pretrained is at hand.

Two heads, both thrown away afterwards, on short crops of the corpus' clips and of its speech. Sounds: between-class
mixtures with soft labels (Tokozume et al., 2018). Speech: the phoneme of every 40 ms vector, as text-to-speech timed
it; frame by frame it is learnt in minutes, where an alignment-free loss has not begun to learn in an hour. Every crop
is heard at another speed, in another room, through another microphone, at another level and in other noise, under
SpecAugment (Park et al., 2019). Every chunk is encoded alone, as on the robot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.audio.logmel import HOP_SAMPLES
from audio_interaction_ros.model.encoder import ChunkEncoder
from training.clips.sounds import SoundClip, SoundPool
from training.clips.store import ClipStore, StoredClip, of_split
from training.dsp.activity import activity
from training.dsp.augment import at_speed, elsewhere
from training.dsp.levels import scale
from training.dsp.noise_beds import noise_bed
from training.labels import VECTOR_SAMPLES
from training.recipe import ListeningStage
from training.render.single_sound import cut
from training.speech.voices import Phone
from training.stages.encoder import encode

CROP_SAMPLES = 2 * SAMPLE_RATE_HZ
_UNLABELLED, _NO_PHONE = -100, 0
_FEWEST = 30  # a phoneme that is said less often is not learnt
_SPEECH = 'speech'
_VALIDATION_CROPS = 192


class Listener(nn.Module):
    """The encoder with a head for what sounds in a crop and one for the phoneme in each vector."""

    def __init__(self, encoder: ChunkEncoder, categories: Sequence[str], phones: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.categories = list(categories)
        width = encoder.audio_tower.config.output_dim
        self.dropout = nn.Dropout(0.2)
        self.sound_head = nn.Linear(2 * width, len(self.categories))
        self.phone_head = nn.Linear(width, 1 + len(phones))

    @property
    def chunk_samples(self) -> int:
        return self.encoder.frames_per_chunk * HOP_SAMPLES

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [batch, whole chunks] → logits [batch, categories] and [batch, vectors, 1 + phones]."""
        vectors = encode(self.encoder, waveforms, augment=self.training)
        pooled = vectors.mean(dim=2)
        summary = torch.cat([pooled.mean(dim=1), pooled.amax(dim=1)], dim=-1)
        sounds, phones = self.sound_head(self.dropout(summary)), self.phone_head(vectors.flatten(1, 2))
        return sounds.float(), phones.float()


@dataclass(frozen=True)
class Crops:
    """float32 [batch, samples]; shares of categories, float32 [batch, n]; phonemes or -100, int64 [batch, vectors]."""

    waveforms: np.ndarray
    sounds: np.ndarray
    phones: np.ndarray


class Material:
    """One side's clips and speech, as crops."""

    def __init__(self, clips: ClipStore, speech: ClipStore, split: str) -> None:
        self.sounds = _sounds(clips, split)
        self._speech = speech
        self._said = [clip for clip in of_split(speech.clips, split) if clip.phones]

    def categories(self) -> list[str]:
        return sorted({_SPEECH, *(sound.category for sound in self.sounds)})

    def phones(self) -> list[str]:
        """Those that are said often enough to be learnt; none where the engine of the corpus does not tell."""
        counts = Counter(name for clip in self._said for name, _, _ in clip.phones)
        return sorted(name for name, count in counts.items() if count >= _FEWEST)

    def utterance(self, rng: np.random.Generator) -> tuple[Samples, StoredClip]:
        """Raises IndexError where there is no speech with phonemes."""
        clip = self._said[int(rng.integers(len(self._said)))]
        return self._speech.samples(clip.id), clip


class Lessons:
    """The batches of stage 0: each depends on seed and step alone, and is made while the one before is computed."""

    def __init__(self, material: Material, listener: Listener, phones: Sequence[str], stage: ListeningStage, seed: int):
        self._material, self._listener, self._stage, self._seed = material, listener, stage, seed
        self._pool = SoundPool(material.sounds)
        self._length = crop_samples(listener)
        self._category = {name: number for number, name in enumerate(listener.categories)}
        self._phone = {name: 1 + number for number, name in enumerate(phones)}
        self._worker = ThreadPoolExecutor(1)
        self._waiting: dict[int, Future[Crops]] = {}

    def losses(self, step: int) -> dict[str, Tensor]:
        """Both losses of a step's batch and their sum, `total`."""
        for ahead in (step, step + 1):
            if ahead not in self._waiting:
                self._waiting[ahead] = self._worker.submit(self._crops, ahead)
        crops = self._waiting.pop(step).result()
        device = self._listener.sound_head.weight.device
        sound_logits, phone_logits = self._listener(torch.from_numpy(crops.waveforms).to(device))
        cross_entropy = nn.functional.cross_entropy
        sound = cross_entropy(sound_logits, torch.from_numpy(crops.sounds).to(device), label_smoothing=0.05)
        if not self._phone:
            return {'total': sound, 'sound': sound}
        targets = torch.from_numpy(crops.phones).to(device)
        phone = cross_entropy(phone_logits.flatten(0, 1), targets.flatten(), ignore_index=_UNLABELLED)
        return {'total': sound + phone, 'sound': sound, 'phone': phone}

    def _crops(self, step: int) -> Crops:
        rng = np.random.default_rng([self._seed, 10, step])
        speech = self._stage.speech_batch if self._phone else 0
        rows = self._stage.batch + speech
        waveforms = np.zeros((rows, self._length), np.float32)
        sounds = np.zeros((rows, len(self._category)), np.float32)
        phones = np.full((rows, self._length // VECTOR_SAMPLES), _UNLABELLED)
        for row in range(self._stage.batch):
            waveforms[row] = self._sounding(sounds[row], rng)
        for row in range(self._stage.batch, rows):
            sounds[row, self._category[_SPEECH]] = 1.0
            waveforms[row], phones[row] = self._spoken(rng)
        return Crops(waveforms, sounds, phones)

    def _sounding(self, shares: np.ndarray, rng: np.random.Generator) -> Samples:
        """A sound, or two mixed, in noise; fills the shares."""
        sound = self._pool.draw(rng)
        crop, share = _crop(sound, self._length, rng), 1.0
        if rng.random() < self._stage.mixed_share:
            other = self._pool.draw(rng)
            second = _crop(other, self._length, rng)
            share = float(rng.beta(1.0, 1.0))
            crop = share * crop + (1.0 - share) * _rms(crop) / _rms(second) * second
            shares[self._category[other.category]] += 1.0 - share
        shares[self._category[sound.category]] += share
        return _in_noise(crop, rng)

    def _spoken(self, rng: np.random.Generator) -> tuple[Samples, np.ndarray]:
        """A piece of an utterance, a third of the time with something else to hear behind it, in noise."""
        samples, clip = self._material.utterance(rng)
        speed = rng.uniform(0.85, 1.18)
        heard = elsewhere(at_speed(samples, speed), rng)
        crop, phones = speech_crop(heard, clip.phones, speed, self._phone, rng, self._length)
        crop *= 10 ** (rng.uniform(-38.0, -12.0) / 20) / _rms(crop)
        if rng.random() < 0.3:
            behind = _crop(self._pool.draw(rng), self._length, rng)
            crop += behind * (_rms(crop) / _rms(behind) * 10 ** (-rng.uniform(5.0, 20.0) / 20))
        return _in_noise(crop, rng), phones


def crop_samples(listener: Listener) -> int:
    """The fewest whole chunks that hold 2 s."""
    return -(-CROP_SAMPLES // listener.chunk_samples) * listener.chunk_samples


def speech_crop(
    samples: Samples,
    phones: Sequence[Phone],
    speed: float,
    number: dict[str, int],
    rng: np.random.Generator,
    length: int = CROP_SAMPLES,
) -> tuple[Samples, np.ndarray]:
    """A piece from before or within an utterance, at its level, and the phoneme in the middle of each vector.

    `phones` as at speed 1, `samples` as at `speed`. float32 [length]; int64 [vectors]: 0 for none, -100 if unnumbered.
    """
    start = int(rng.uniform(-CHUNK_SAMPLES, max(0, len(samples) - SAMPLE_RATE_HZ)))
    crop = np.zeros(length, np.float32)
    piece = samples[max(0, start) : start + length]
    crop[max(0, -start) :][: len(piece)] = piece
    labels = np.full(length // VECTOR_SAMPLES, _NO_PHONE)
    for name, start_s, end_s in phones:
        first, last = ((second / speed * SAMPLE_RATE_HZ - start) / VECTOR_SAMPLES - 0.5 for second in (start_s, end_s))
        labels[max(0, int(np.ceil(first))) : max(0, int(np.ceil(last)))] = number.get(name, _UNLABELLED)
    return crop, labels


@torch.no_grad()
def listening_figures(listener: Listener, material: Material, phones: Sequence[str]) -> dict[str, float]:
    """On another side's material, unchanged: share of phonemes that are named right, and `sound_figures`."""
    number = {name: 1 + place for place, name in enumerate(phones)}
    figures = sound_figures(listener, material.sounds)
    if not phones:
        return figures
    rng = np.random.default_rng(0)
    drawn = [material.utterance(rng) for _ in range(_VALIDATION_CROPS)]
    length = crop_samples(listener)
    crops = [speech_crop(samples, clip.phones, 1.0, number, rng, length) for samples, clip in drawn]
    labels = np.stack([label for _, label in crops])
    device = listener.sound_head.weight.device
    heard = listener(torch.from_numpy(np.stack([crop for crop, _ in crops])).to(device))[1].argmax(-1).cpu().numpy()
    return figures | {'phone_accuracy': float((heard == labels)[labels > _NO_PHONE].mean())}


@torch.no_grad()
def sound_figures(listener: Listener, sounds: Sequence[SoundClip]) -> dict[str, float]:
    """Whole recordings: how often the category is the likeliest, and how well hazards are told from the rest."""
    from training.metrics import area_under_roc

    known = [sound for sound in sounds if sound.category in listener.categories]
    hazards = sorted({listener.categories.index(sound.category) for sound in known if sound.respond})
    device = listener.sound_head.weight.device
    hits, scores = [], []
    for sound in known:
        samples = sound.excerpt(0, 5.2)[0] * 0.3
        samples = np.pad(samples, (0, -len(samples) % listener.chunk_samples))
        logits = listener(torch.from_numpy(samples)[None].to(device))[0][0].cpu()
        hits.append(listener.categories[int(logits.argmax())] == sound.category)
        scores.append(float(logits.softmax(0)[hazards].sum()))
    figures = {'sound_accuracy': float(np.mean(hits))} if hits else {}
    return figures | {'respond_auc': area_under_roc([sound.respond for sound in known], scores)}


def _crop(sound: SoundClip, length: int, rng: np.random.Generator) -> Samples:
    """A piece of a sound that begins within the first 400 ms, in another room, at a random level. float32 [length]"""
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


def _sounds(library: ClipStore, split: str) -> list[SoundClip]:
    """One side's events and music as sounds to name; whether an answer is wanted may depend on the context."""
    sounds = [
        SoundClip.of(clip.category, bool(clip.respond), clip.recording, library.samples(clip.id))
        for clip in of_split(library.clips, split)
        if clip.kind in ('event', 'music')
    ]
    return [sound for sound in sounds if sound.audible]
