"""What `evaluate clips` scores: the sounds of clip libraries, by set, and what is left out of them, with the reason."""

from __future__ import annotations

import csv
import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from training.clips.categories import canonical, decision
from training.clips.sounds import SoundClip
from training.evaluate import EvaluationError, sentence_on, tell
from training.procedural.registry import SOUND_TYPES, render
from training.random_streams import Purpose, random_stream
from training.sources.clip_library import NO_EVENT, Clip, load_library, manifest_of, named_in

NEEDED = frozenset({'path', 'category'})
HELD_OUT_RENDERS = 3
_TRAINING_RENDERS = 2  # other ones than those: what a probe beside the checkpoint learns from
_TAKES_A_FAMILY = 3  # likewise
UNREADABLE = 'its file cannot be read'  # a reason to leave a clip out
_CREDITS = 'ATTRIBUTIONS.csv'


@dataclass(frozen=True)
class Scored:
    """A `Scored` sound is one that is put to the checkpoint.

    `recording`: the family of takes it belongs to, which stays on one side of every split. `file` and `label` are its
    path and its category as the manifest has them; the category of `sound` is our name for it. `problem`: what is wrong
    with the file although its sound can be used; None where nothing is.
    """

    sound: SoundClip
    recording: str
    file: str
    label: str
    problem: str | None = None


@dataclass(frozen=True)
class LeftOut:
    """A `LeftOut` is a clip that cannot be scored, and the reason."""

    library: str
    file: str
    clip: Clip
    reason: str


@dataclass(frozen=True)
class ClipSet:
    """A `ClipSet` is a row of the report: sounds of one library, or renders where `library` is None."""

    name: str
    library: str | None
    sounds: tuple[Scored, ...]


@dataclass(frozen=True)
class Library:
    """A `Library` is a clip library by the name it has in a report.

    `says_respond` is True where its manifest has the column `respond`: an empty cell then means that it depends on the
    context, and what the category deserves is not asked.
    """

    name: str
    path: Path
    says_respond: bool
    clips: tuple[Clip, ...]

    def without(self, clip: Clip, reason: str) -> LeftOut:
        """Return one of the clips as left out."""
        return LeftOut(self.name, self.file_of(clip), clip, reason)

    def file_of(self, clip: Clip) -> str:
        """Return the path of a clip as the manifest has it."""
        return named_in(manifest_of(self.path).parent, clip.path)


def open_libraries(paths: Sequence[Path], needed: frozenset[str] = NEEDED) -> list[Library]:
    """Return clip libraries, each a folder with a manifest.csv or such a file; a name is that of the folder or file.

    Raises ClipLibraryError for what is none, and EvaluationError for one that is named twice.
    """
    libraries: list[Library] = []
    for path in paths:
        manifest = manifest_of(path).resolve()
        if manifest in [manifest_of(library.path).resolve() for library in libraries]:
            raise EvaluationError(f"'{path}' is named twice; name each clip library once")
        clips = tuple(load_library(path, needed))
        stem = manifest.stem if path.is_file() and manifest.name != 'manifest.csv' else manifest.parent.name
        taken = {library.name for library in libraries}
        name = next(n for n in (stem, *(f'{stem}-{k}' for k in range(2, len(paths) + 2))) if n not in taken)
        with manifest.open(newline='', encoding='utf-8') as file:
            says_respond = 'respond' in next(csv.reader(file), [])
        libraries.append(Library(name, path, says_respond, clips))
    return libraries


def deserves_answer(clip: Clip, says_respond: bool) -> bool | None:
    """Return whether a clip deserves an answer, or None where nobody knows or it depends.

    The manifest's column decides, if there is one; else the decision about the category: categories.yaml, then the
    procedural sounds.
    """
    if clip.category in NO_EVENT:
        return None
    if says_respond:
        return clip.respond
    try:
        return decision(clip.category)
    except KeyError:
        return None


def _reason(clip: Clip, says_respond: bool) -> str:
    if clip.category in NO_EVENT:
        return 'no event'
    if says_respond:
        return 'respond is empty: it depends'
    try:
        decision(clip.category)
    except KeyError:
        return 'nobody knows whether it deserves an answer'
    return 'the place decides'


def scored_sounds(library: Library, clips: Iterable[Clip]) -> tuple[list[Scored], list[LeftOut]]:
    """Return those clips of a library that can be scored, and the others with the reason.

    Of files that cannot be read, or not to their end, it is told on stderr why.
    """
    sounds: list[Scored] = []
    left_out: list[LeftOut] = []
    for clip in tqdm(list(clips), desc=f'recordings of {library.name}', unit='clip'):
        respond = deserves_answer(clip, library.says_respond)
        if respond is None:
            left_out.append(library.without(clip, _reason(clip, library.says_respond)))
            continue
        try:
            recording = clip.read()
        except Exception as error:  # whatever a file does to its reader, the others are scored
            tell(sentence_on(clip.path, error))
            left_out.append(library.without(clip, UNREADABLE))
            continue
        if recording.problem:
            tell(recording.problem)
        sound = SoundClip.of(canonical(clip.category), respond, clip.source_id, recording.samples)
        if sound.audible:
            scored = Scored(sound, clip.recording, library.file_of(clip), clip.category, recording.problem)
            sounds.append(scored)
        else:
            left_out.append(library.without(clip, 'nothing is heard in it'))
    return sounds, left_out


def whole_sets(libraries: Sequence[Library]) -> tuple[list[ClipSet], list[LeftOut]]:
    """Return a set for each library with all of its clips that can be scored, and the others."""
    sets, left_out = [], []
    for library in libraries:
        sounds, more = scored_sounds(library, library.clips)
        sets.append(ClipSet(library.name, library.name, tuple(sounds)))
        left_out += more
    return [one for one in sets if one.sounds], left_out


def held_out_sets(
    libraries: Sequence[Library], unseen: Sequence[Library], trained_on: frozenset[str], seed: int
) -> tuple[list[ClipSet], list[LeftOut]]:
    """Return what no stage trained on, by set, and the clips that cannot be scored.

    The sets are, of each of `libraries`, its fold 4 and the other held-out recordings; each of `unseen` as a whole; and
    new renders of procedural hazards. An empty one is left out, and so is every recording whose `source_id` is in
    `trained_on`.
    """
    several = len(libraries) + len(unseen) > 1
    sets: list[ClipSet] = []
    left_out: list[LeftOut] = []
    for library, whole in [*((library, False) for library in libraries), *((library, True) for library in unseen)]:
        held_out = [clip for clip in library.clips if whole or clip.validation]
        left_out += [library.without(clip, 'trained on') for clip in held_out if clip.source_id in trained_on]
        held_out = [clip for clip in held_out if clip.source_id not in trained_on]
        sides: dict[str, list[Clip]] = {}
        for clip in held_out:
            side = '' if whole else 'fold 4' if clip.fold else 'other recordings'
            sides.setdefault(side, []).append(clip)
        for side in sorted(sides):
            sounds, more = scored_sounds(library, sides[side])
            left_out += more
            name = ': '.join(part for part in (library.name if several or not side else '', side) if part)
            sets.append(ClipSet(name, library.name, tuple(sounds)))
    sets.append(ClipSet('new procedural hazards', None, tuple(_renders('held-out', HELD_OUT_RENDERS, seed, True))))
    return [one for one in sets if one.sounds], left_out


def _renders(what: str, times: int, seed: int, hazards_only: bool) -> list[Scored]:
    first = 0 if what == 'held-out' else HELD_OUT_RENDERS
    renders = []
    for name, kind in SOUND_TYPES.items():
        for number in range(first, first + times) if kind.respond or not hazards_only else ():
            samples = render(name, random_stream(Purpose.HELD_OUT_RENDER, seed, number, name))
            id = f'procedural:{name}:{what}-{number}'
            renders.append(Scored(SoundClip.of(kind.category, kind.respond, id, samples), id, id, kind.category))
    return renders


def training_sounds(libraries: Sequence[Library], seed: int) -> list[Scored]:
    """Return what something beside the checkpoint may learn from: the libraries' training side, and renders.

    A family of many takes gives three of them, evenly spread. None of the renders is one that `held_out_sets` scores.
    """
    sounds = []
    for library in libraries:
        families: dict[str, list[Clip]] = {}
        for clip in library.clips:
            if not clip.validation:
                families.setdefault(clip.recording, []).append(clip)
        kept = [own[:: -(-len(own) // _TAKES_A_FAMILY)] for own in families.values()]
        sounds += scored_sounds(library, (clip for own in kept for clip in own))[0]
    return sounds + _renders('training', _TRAINING_RENDERS, seed, False)


@functools.cache
def recordings_trained_on(checkpoint: Path) -> frozenset[str]:
    """Return the `source_id` of every recording in a checkpoint's ATTRIBUTIONS.csv; none where it has no such file.

    Raises EvaluationError for one that cannot be read.
    """
    path = checkpoint / _CREDITS
    if not path.exists():
        return frozenset()
    try:
        with path.open(newline='') as file:
            return frozenset(row['source_id'] for row in csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise EvaluationError(f"'{path}' cannot be read ({error}); restore it with the checkpoint") from error


def count_left_out(left_out: Iterable[LeftOut]) -> dict[str, int]:
    """Return how many clips of each category, as the manifest has it, are left out."""
    return dict(Counter(one.clip.category for one in left_out))
