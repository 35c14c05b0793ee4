"""The event head: what sounds, by what the encoder gives of the last 3.2 s, learnt after all stages within minutes.

A language model of millions of parameters knows a few hundred recordings by heart before it has learnt what they have
in common. This head sees means and maxima only, each of them mixed with another sound's (Zhang et al., 2018), and names
recordings of other hands far better (docs/training.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.logmel import CausalLogMel
from audio_interaction_ros.model.deciding import SPEECH
from audio_interaction_ros.model.network import AudioTower, EventHead
from training.clips.sounds import MADE, SoundClip
from training.dsp.augment import vary
from training.random_streams import Purpose, random_stream, torch_seed
from training.recipe import EventHeadStage
from training.render.one_clip import OneClip, one_clip_stream
from training.stages.crops import CropSource
from training.stages.distributed import Devices

T = TypeVar('T')

_FIRST_STREAM = 2_000_000  # the numbers before it are those of streams that are scored
_TOGETHER = 16  # streams that are encoded at once
_MOMENTS = 4  # of each stream that are learnt from, and one before the sound
_LONGEST_S = 7.0
_AS_IT_IS = 0.25  # of the sounds: neither faster nor slower, in the room where they were recorded
_RECORDED = 0.75  # of the sounds; the others are rendered
_SPOKEN = 0.1  # of the streams have somebody who talks to the robot, or to others
_BATCH, _DROPOUT, _MIXING = 256, (0.2, 0.4), 0.4


def fit_event_head(
    stage: EventHeadStage,
    tower: AudioTower,
    logmel: CausalLogMel,
    train: CropSource,
    classes: Sequence[str],
    seed: int,
    devices: Devices,
) -> EventHead:
    """Return a head for `classes` that learnt from the sounds of the training side; the same on every device."""
    pooled, labels = _heard(stage, tower, logmel, train, classes, seed, devices)
    torch.manual_seed(torch_seed(Purpose.INITIAL_WEIGHTS, seed, 3))
    head = EventHead(tower.config.output_dim, len(classes))
    head.mean.copy_(pooled.mean(0))
    head.deviation.copy_(pooled.std(0).clamp_min(1e-3))
    scaled = (pooled - head.mean) / head.deviation
    drop = [nn.Dropout(share) for share in _DROPOUT]
    optimiser = torch.optim.AdamW(head.parameters(), stage.learning_rate, weight_decay=stage.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, stage.steps)
    draws = random_stream(Purpose.EVENT_HEAD, seed, 0, 0)
    for _ in _bar(range(stage.steps), stage.steps, 'event head', 'step', devices):
        one, other = (torch.from_numpy(draws.integers(len(scaled), size=_BATCH)) for _ in range(2))
        share = float(draws.beta(_MIXING, _MIXING))
        mixed = share * scaled[one] + (1 - share) * scaled[other]
        logits = head.out(drop[1](nn.functional.relu(head.hidden(drop[0](mixed)))))
        loss = sum(
            part * nn.functional.cross_entropy(logits, labels[places])
            for part, places in ((share, one), (1 - share, other))
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.requires_grad_(False).eval()


@torch.no_grad()
def _heard(
    stage: EventHeadStage,
    tower: AudioTower,
    logmel: CausalLogMel,
    train: CropSource,
    classes: Sequence[str],
    seed: int,
    devices: Devices,
) -> tuple[Tensor, Tensor]:
    """What the head is given at some moments of every stream, float32 [n, 4 × width], and the classes, int64 [n]."""
    number = {name: 1 + place for place, name in enumerate(classes)}
    pool = _Pool(sound for sound in train.sounds if sound.category in number)
    draws = random_stream(Purpose.EVENT_HEAD, seed, 1, 0)
    pooled, labels = list[Tensor](), list[int]()
    count = -(-stage.streams // _TOGETHER)
    for batch in _bar(range(count), count, 'event head: what sounds', 'batch', devices):
        streams = [_stream(train, pool, SPEECH in number, seed, batch * _TOGETHER + at) for at in range(_TOGETHER)]
        for stream, vectors in zip(streams, _encoded(tower, logmel, streams, devices), strict=True):
            summaries, sounding = EventHead.summary(vectors), stream.answer_chunks
            moments = draws.permutation(np.arange(sounding.start, min(sounding.stop, len(summaries))))[:_MOMENTS]
            for moment in moments:
                pooled.append(EventHead.pooled(summaries[: moment + 1]))
                labels.append(number[stream.sound.category])
            if sounding.start > 0:
                pooled.append(EventHead.pooled(summaries[: sounding.start]))
                labels.append(0)
    return torch.stack(pooled), torch.tensor(labels)


class _Pool:
    """Sounds to draw: every recording as often as every other, however many takes it has, and every kind of render."""

    def __init__(self, sounds: Iterable[SoundClip]) -> None:
        recorded, made = dict[str, list[SoundClip]](), dict[str, list[SoundClip]]()
        for sound in sounds:
            if sound.source_id.startswith(MADE):
                made.setdefault(sound.category, []).append(sound)
            else:
                recorded.setdefault(sound.source_id, []).append(sound)
        self._recorded, self._made = list(recorded.values()), list(made.values())

    def draw(self, rng: np.random.Generator) -> SoundClip:
        groups = self._recorded if rng.random() < _RECORDED else self._made
        group = _one_of(groups or self._made or self._recorded, rng)
        return _one_of(group, rng)


def _one_of(things: Sequence[T], rng: np.random.Generator) -> T:
    return things[int(rng.integers(len(things)))]


def _stream(train: CropSource, pool: _Pool, with_speech: bool, seed: int, number: int) -> OneClip:
    rng = random_stream(Purpose.EVENT_HEAD, seed, 2, number)
    if with_speech and rng.random() < _SPOKEN and train.speaks:
        samples, clip = train.utterance(rng)
        sound = SoundClip.of(SPEECH, False, clip.recording, samples)
    else:
        sound = pool.draw(rng)
    if rng.random() >= _AS_IT_IS:
        piece, _ = sound.excerpt(sound.onset, _LONGEST_S)
        sound = SoundClip.of(sound.category, sound.respond, sound.source_id, vary(piece, rng))
    return one_clip_stream(sound, _FIRST_STREAM + number, seed)


def _encoded(tower: AudioTower, logmel: CausalLogMel, streams: Sequence[OneClip], devices: Devices) -> Iterator[Tensor]:
    """The vectors of each stream, float32 [chunks, vectors, width], up to the last chunk in which an answer counts."""
    longest = max(stream.answer_chunks.stop for stream in streams)
    waveforms = np.stack([stream.samples[: longest * CHUNK_SAMPLES] for stream in streams]).astype(np.float32)
    with devices.autocast():
        mel = logmel(torch.from_numpy(waveforms).to(devices.device))
        vectors = tower.encode_streams(mel.unflatten(-1, (longest, -1)).movedim(-2, 1))
    return (own[: stream.answer_chunks.stop].float().cpu() for own, stream in zip(vectors, streams, strict=True))


def _bar(items: range, count: int, doing: str, unit: str, devices: Devices) -> tqdm[int]:
    return tqdm(items, doing, count, unit=unit, disable=not devices.is_main)
