"""The first steps of `corpus build`: sources → manifests → the library that scripts draw from, each part made once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.categories import check_decided
from training.clips.ingest import (
    CADENCED,
    ManifestPart,
    SourceFolder,
    manifest_parts,
    prepare_source,
    recorded,
    settle_sides,
    shape_tags,
)
from training.clips.store import StoredClip, part_done, write_part
from training.dsp.noise_beds import noise_bed
from training.procedural.registry import ALL_TYPES
from training.random_streams import Purpose, random_stream
from training.sources import SOURCES, find_source
from training.sources.clip_folder import check_sides, is_library
from training.splits import SPLITS

# What the two noise tracks of Algorithm 4 are made of where no noise corpus is at hand.
_EVENT_NOISE = ('crowd_murmur', 'typing', 'car_passing', 'footsteps', 'dishes')
_AMBIENT_NOISE = ('fan', 'air_conditioner', 'mains_hum', 'wind', 'rain', 'pink_noise', 'brown_noise')
_NOISE_S = 20.0


@dataclass(frozen=True)
class RendersPart:
    """A `RendersPart` holds the renders of one procedural type."""

    name: str
    renders: int
    seed: int
    out: Path


@dataclass(frozen=True)
class NoisePart:
    """A `NoisePart` holds the noise tracks of one side of the split."""

    split: str
    tracks: int
    seed: int
    out: Path


ClipsPart = ManifestPart | RendersPart | NoisePart
# What does jobs: their title, the work, the jobs, and what one of them is called.
RunJobs = Callable[[str, Callable[[SourceFolder], int], Sequence[SourceFolder], str], int]


def locate_sources(sources: Mapping[str, Path], corpus: Path) -> None:
    """Raise SourceError if a folder, of which the corpus has no manifest yet, is not the source of that name.

    So it does if two clip libraries among them have a recording on different sides of the split, or one has a category
    that nobody has decided about.
    """
    new = {name: folder for name, folder in sources.items() if not SourceFolder(name, folder, corpus).manifest.exists()}
    for name, folder in new.items():
        find_source(name).locate(folder)
    for folder in (folder for name, folder in new.items() if is_library(name)):
        check_decided(folder)
    if any(is_library(name) for name in new):
        check_sides(folder for name, folder in sources.items() if is_library(name))


def prepare_sources(
    sources: Mapping[str, Path], run: RunJobs, corpus: Path, quotations: bool = False
) -> list[SourceFolder]:
    """Write the manifest of every source, by name and folder, into the corpus.

    With `quotations`, voices whose captions quote the same sentence are on one side. Raises SourceError if a source is
    not as its publisher lays it out.
    """
    folders = [SourceFolder(name, folder, corpus) for name, folder in sorted(sources.items())]
    run('sources', prepare_source, folders, 'source')
    settle_sides([each for each in folders if not each.text], corpus, quotations)
    return folders


def clips_parts(
    sources: list[SourceFolder],
    renders: int,
    variants: int,
    seed: int,
    corpus: Path,
    licences: tuple[str, ...] = (),
    quotations: bool = False,
    limited: Collection[str] = (),
) -> list[ClipsPart]:
    """Return the parts of the clip store, all but speech to render, which depends on what the scripts say.

    The sources must be prepared. Recordings whose licence does not fit the patterns `licences` are left out. With
    `quotations`, what the caption of a voice quotes is its text. Of the sources named in `limited` the chosen clips are
    taken.
    """
    out = corpus / 'library' / 'clips'
    with_sound = [source for source in sources if not source.text]
    return [
        *(
            part
            for source in with_sound
            for part in manifest_parts(source, variants, seed, licences, quotations, source.name in limited)
        ),
        *(RendersPart(name, renders, seed, out / f'procedural-{name}') for name in sorted(ALL_TYPES)),
        *(NoisePart(split, 12, seed, out / f'noise-{split}') for split in SPLITS),
    ]


def without_procedural(parts: Sequence[ClipsPart], sources: Sequence[SourceFolder]) -> list[ClipsPart]:
    """Return the parts without procedural sounds, but for instruments, of which no source says if they are in tune.

    Noise is made only where one of the three noise corpora is lacking.
    """
    noises = {name for name, source in SOURCES.items() if source.family == 'noise'}
    recorded_noise = noises <= {source.name for source in sources}
    return [
        part
        for part in parts
        if not (isinstance(part, RendersPart) and ALL_TYPES[part.name].subcategory != 'Artistic')
        and not (isinstance(part, NoisePart) and recorded_noise)
    ]


def make_clips(part: ClipsPart) -> int:
    """Write one part, unless it is there; return its number of clips."""
    if part_done(part.out):
        return 0
    if isinstance(part, ManifestPart):
        return write_part(part.out, recorded(part))
    if isinstance(part, RendersPart):
        return write_part(part.out, _rendered(part))
    return write_part(part.out, _noises(part))


def _rendered(part: RendersPart) -> Iterator[tuple[StoredClip, Samples]]:
    """Every render is a recording of its own; a tenth each for validation and test."""
    kind = ALL_TYPES[part.name]
    for number in range(part.renders):
        rng = random_stream(Purpose.PROCEDURAL_RENDER, part.seed, number, part.name)
        samples = kind.render(rng)
        id_ = f'procedural:{part.name}:{number}'
        category, tags = kind.category, shape_tags(samples)
        if kind.subcategory == 'Artistic' and kind.category == 'music':
            category, tags = part.name.split('_')[0], (*tags, 'instrument')
        if part.name.endswith('_in_tune'):
            tags = (*tags, 'in tune')
        if part.name.endswith('_out_of_tune'):
            tags = (*tags, 'out of tune')
        yield (
            StoredClip(
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


def _noises(part: NoisePart) -> Iterator[tuple[StoredClip, Samples]]:
    for sort, names in (('event', _EVENT_NOISE), ('ambient', _AMBIENT_NOISE)):
        for number in range(part.tracks):
            rng = random_stream(Purpose.NOISE_TRACK, part.seed, number, f'{part.split}{sort}')
            samples = noise_bed(int(_NOISE_S * SAMPLE_RATE_HZ), -40.0, rng)
            if number % 2:  # half are noise alone, half something real-sounding over it
                rendered = ALL_TYPES[names[int(rng.integers(len(names)))]].render(rng)
                repeated = np.tile(rendered, -(-len(samples) // len(rendered)))[: len(samples)]
                samples = samples + np.float32(0.3) * repeated.astype(np.float32)
            id_ = f'noise:{part.split}:{sort}:{number}'
            yield (
                StoredClip(
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
