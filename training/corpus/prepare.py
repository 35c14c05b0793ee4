"""The first step of `corpus build`: sources → the library that scripts draw from, in parts that are each made once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.corpus.clips import FRAME_SAMPLES, NO_EVENT, Clip, activity, load_library
from training.corpus.compose import noise_bed
from training.corpus.curation.grammar import Grammar
from training.corpus.espeak import Speaker
from training.corpus.library import LibraryClip, part_done, write_part
from training.corpus.perform import utterance_id
from training.corpus.procedural.library import ALL_TYPES
from training.corpus.sources.base import split_of
from training.corpus.speech import Voice

CLIPS_A_PART = 64
SPLITS = ('train', 'validation', 'test')
# Their pauses are what makes them what they are.
CADENCED = frozenset(
    {'smoke alarm', 'siren', 'alarm', 'patient alarm', 'emergency alert', 'clock tick', 'clock ticking', 'bell'}
    | {'reversing beeper', 'telephone ringing', 'microwave beep', 'appliance beep', 'turning indicator', 'car horn'}
)
# What the two noise tracks of Algorithm 4 are made of where no noise corpus is at hand.
_EVENT_NOISE = ('crowd_murmur', 'typing', 'car_passing', 'footsteps', 'dishes')
_AMBIENT_NOISE = ('fan', 'air_conditioner', 'mains_hum', 'wind', 'rain', 'pink_noise', 'brown_noise')
_NOISE_S = 20.0


@dataclass(frozen=True)
class ClipsPart:
    """Rows `first` … of a clip folder."""

    folder: Path
    first: int
    out: Path


@dataclass(frozen=True)
class RendersPart:
    """Renders of one procedural type."""

    name: str
    renders: int
    seed: int
    out: Path


@dataclass(frozen=True)
class NoisePart:
    """The noise tracks of one side of the split."""

    split: str
    tracks: int
    seed: int
    out: Path


@dataclass(frozen=True)
class SpeechPart:
    """Sentences in voices."""

    utterances: tuple[tuple[str, Voice, str], ...]  # text, voice, split
    out: Path


def library_parts(folder: Path, renders: int, seed: int, out: Path) -> list[ClipsPart | RendersPart | NoisePart]:
    """Everything but speech, which depends on what the scripts say."""
    count = len(load_library(folder))
    return [
        *(ClipsPart(folder, first, out / f'clips-{first:06d}') for first in range(0, count, CLIPS_A_PART)),
        *(RendersPart(name, renders, seed, out / f'procedural-{name}') for name in sorted(ALL_TYPES)),
        *(NoisePart(split, 12, seed, out / f'noise-{split}') for split in SPLITS),
    ]


def make_part(part: ClipsPart | RendersPart | NoisePart | SpeechPart) -> int:
    """Write one part, unless it is there; returns its number of clips."""
    if part_done(part.out):
        return 0
    if isinstance(part, ClipsPart):
        return write_part(part.out, _recorded(part))
    if isinstance(part, RendersPart):
        return write_part(part.out, _rendered(part))
    if isinstance(part, NoisePart):
        return write_part(part.out, _noises(part))
    return write_part(part.out, _spoken(part))


def clip_split(clip: Clip) -> str:
    """ESC-10 folds 1–3 train, fold 4 is halved between validation and test by recording, others go by recording."""
    if not clip.fold:
        return split_of(clip.recording)
    if not clip.validation:
        return 'train'
    return 'validation' if hashlib.sha256(clip.recording.encode()).digest()[0] % 2 else 'test'


def _recorded(part: ClipsPart) -> Iterator[tuple[LibraryClip, Samples]]:
    criteria = Grammar().criteria
    for clip in load_library(part.folder)[part.first : part.first + CLIPS_A_PART]:
        if clip.category in NO_EVENT:
            continue
        samples = clip.read()
        if not activity(samples).any() or float(np.abs(samples).max()) < 1e-3:
            continue
        kind = {'speech': 'speech', 'spoken digit': 'speech', 'music': 'music'}.get(clip.category, 'event')
        yield (
            LibraryClip(
                id=f'clip:{clip.path.relative_to(part.folder).as_posix()}',
                kind=kind,
                category=clip.category,
                caption=clip.caption,
                respond=clip.respond,
                criterion=criteria.get(clip.category, 'none') if clip.respond else 'none',
                tags=_tags(samples),
                cadence=clip.category in CADENCED,
                split=clip_split(clip),
                recording=clip.recording,
                source=clip.source,
                source_id=clip.source_id,
                licence=clip.licence,
                attribution=clip.attribution,
            ),
            samples,
        )


def _rendered(part: RendersPart) -> Iterator[tuple[LibraryClip, Samples]]:
    """Every render is a recording of its own; a tenth each for validation and test."""
    kind = ALL_TYPES[part.name]
    for number in range(part.renders):
        rng = np.random.default_rng([part.seed, 70, number, *part.name.encode()])
        samples = kind.render(rng)
        id_ = f'procedural:{part.name}:{number}'
        category, tags = kind.category, _tags(samples)
        if kind.subcategory == 'Artistic' and kind.category == 'music':
            category, tags = part.name.split('_')[0], (*tags, 'instrument')
        if part.name.endswith('_in_tune'):
            tags = (*tags, 'in tune')
        if part.name.endswith('_out_of_tune'):
            tags = (*tags, 'out of tune')
        yield (
            LibraryClip(
                id=id_,
                kind='music' if 'instrument' in tags else 'event',
                category=category,
                caption=kind.caption,
                respond=kind.respond,
                criterion=kind.criterion,
                tags=tags,
                cadence=kind.category in CADENCED,
                split='train' if number % 10 > 1 else ('validation', 'test')[number % 10],
                recording=id_,
                source='procedural',
                source_id=id_,
                licence='Apache-2.0',
                attribution='made by this package',
            ),
            samples,
        )


def _tags(samples: Samples) -> tuple[str, ...]:
    """`short`: one sound of 0.1 … 0.7 s, then quiet; `beat`: a short one that starts at its loudest; `steady`."""
    active = activity(samples)
    frames = np.flatnonzero(active)
    if not len(frames):
        return ()
    a_second = SAMPLE_RATE_HZ // FRAME_SAMPLES
    window = np.zeros(a_second, bool)
    heard = active[frames[0] : frames[0] + a_second]
    window[: len(heard)] = heard
    tags = []
    runs = int((np.diff(window.astype(int)) == 1).sum()) + 1
    length_s = window.sum() / a_second
    # `activity` widens a sound by 0.1 s on either side.
    if runs == 1 and 0.2 < length_s < 0.9:
        tags.append('short')
        start = frames[0] * FRAME_SAMPLES
        if int(np.abs(samples[start : start + SAMPLE_RATE_HZ]).argmax()) < 0.18 * SAMPLE_RATE_HZ:
            tags.append('beat')
    stretch = active[frames[0] : frames[0] + int(3.2 * a_second)]
    if len(stretch) == int(3.2 * a_second) and stretch.mean() > 0.97:
        tags.append('steady')
    return tuple(tags)


def _noises(part: NoisePart) -> Iterator[tuple[LibraryClip, Samples]]:
    for sort, names in (('event', _EVENT_NOISE), ('ambient', _AMBIENT_NOISE)):
        for number in range(part.tracks):
            rng = np.random.default_rng([part.seed, 71, number, *f'{part.split}{sort}'.encode()])
            samples = noise_bed(int(_NOISE_S * SAMPLE_RATE_HZ), -40.0, rng)
            if number % 2:  # half are noise alone, half something real-sounding over it
                rendered = ALL_TYPES[names[int(rng.integers(len(names)))]].render(rng)
                repeated = np.tile(rendered, -(-len(samples) // len(rendered)))[: len(samples)]
                samples = samples + np.float32(0.3) * repeated.astype(np.float32)
            id_ = f'noise:{part.split}:{sort}:{number}'
            yield (
                LibraryClip(
                    id=id_,
                    kind='noise',
                    category='noise',
                    tags=(sort,),
                    split=part.split,
                    recording=id_,
                    source='procedural',
                    source_id=id_,
                    licence='Apache-2.0',
                    attribution='made by this package',
                ),
                samples / np.float32(1.05 * np.abs(samples).max()),
            )


def _spoken(part: SpeechPart) -> Iterator[tuple[LibraryClip, Samples]]:
    with Speaker() as speaker:
        for text, voice, split in part.utterances:
            samples, words = speaker.speak(text, voice)
            end = int(words[-1][2] * SAMPLE_RATE_HZ) if words else len(samples)
            id_ = utterance_id(text, voice)
            yield (
                LibraryClip(
                    id=id_,
                    kind='speech',
                    category='speech',
                    caption=text,
                    respond=None,
                    split=split,
                    recording=f'espeak:{voice.name}',
                    source='espeak-ng',
                    source_id=voice.name,
                    licence='Apache-2.0',
                    attribution='espeak-ng text-to-speech',
                    words=words,
                ),
                samples[:end],
            )
