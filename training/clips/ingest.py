"""Recordings as clips of the library: a source's folder → its manifest → pieces of the library, at most 30 s a clip."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from lhotse.cut import Cut
from lhotse.utils import fastcopy

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.categories import canonical, judged
from training.clips.licences import permitted, write_left_out
from training.clips.manifest import (
    RECORDS_A_PIECE,
    piece_count,
    read_manifest,
    read_piece,
    write_dialogues,
    write_manifest,
)
from training.clips.quoted import FEWEST_WORDS, quoted
from training.clips.store import QUOTED, StoredClip
from training.dsp.activity import FRAME_SAMPLES, activity
from training.dsp.augment import vary
from training.files import json_lines, write_whole
from training.procedural.registry import CRITERION_OF
from training.random_streams import Purpose, random_stream
from training.sources import find_source
from training.sources.base import Facts, Family, read_cut
from training.sources.clip_library import NO_EVENT
from training.sources.text import TextSource

LONGEST_S = 30.0
SHORTEST_REST_S = 1.0  # what is left at the end of a long recording and shorter than this is not used
ALTERED = '~'  # before the number of an altered copy, in its id
SILENT = 1e-3  # peak of a recording that holds nothing
# Their pauses are what makes them what they are.
CADENCED = frozenset(
    {'smoke alarm', 'siren', 'alarm', 'patient alarm', 'emergency alert', 'clock tick', 'clock ticking', 'bell'}
    | {'reversing beeper', 'telephone ringing', 'microwave beep', 'appliance beep', 'turning indicator', 'car horn'}
)
_AMBIENT_SHARE = 0.97  # of its frames: a noise track that sounds so much of the time is no event
_DIRECT_S, _ROOM_S = 0.0025, 1.0  # of an impulse response: what the mixer adds itself, and what is heard of the rest
_HELD_OUT = {'train': 0, 'validation': 1, 'test': 2}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFolder:
    """A `SourceFolder` is a source by name, where it lies, and the corpus that it goes into."""

    name: str
    folder: Path
    corpus: Path

    @property
    def manifest(self) -> Path:
        """Return the path of the source's manifest in the corpus."""
        return self.corpus / 'manifests' / f'{self.name}.jsonl.gz'

    @property
    def text(self) -> bool:
        """Return True for dialogues, which are said aloud, and False for recordings."""
        return isinstance(find_source(self.name), TextSource)


@dataclass(frozen=True)
class ManifestPart:
    """A `ManifestPart` is piece `piece` of a source's manifest.

    `variants`: how many altered copies each sound to train on has. `licences`: patterns of what may be used.
    `quotations`: whether what the caption of a voice quotes is its text. `limited`: whether only the chosen rows of the
    manifest are taken (`chosen_file`).
    """

    source: SourceFolder
    piece: int
    variants: int = 0
    seed: int = 0
    licences: tuple[str, ...] = ()
    quotations: bool = False
    limited: bool = False

    @property
    def out(self) -> Path:
        """Return the path of its part of the clip store, without a suffix."""
        return self.source.corpus / 'library' / 'clips' / f'{self.source.name}-{self.piece:06d}'

    @property
    def failures(self) -> Path:
        """Return the path of what could not be read, one JSON line each with the reason."""
        return unreadable_files(self.source.corpus) / f'library-{self.source.name}-{self.piece:06d}.jsonl'


def prepare_source(source: SourceFolder) -> int:
    """Write a source's manifest, unless it is there. Raises SourceError if its folder is not that source."""
    if source.manifest.exists():
        return 0
    found = find_source(source.name)
    if isinstance(found, TextSource):
        write_dialogues(found.prepare(source.folder), source.manifest)
    else:
        failures: list[dict[str, str]] = []
        cuts = found.prepare(source.folder, lambda item, reason: _fail(failures, item, found.title, reason))
        write_manifest((piece for cut in cuts for piece in pieces(cut)), source.manifest)
        if failures:
            write_whole(unreadable_files(source.corpus) / f'manifest-{source.name}.jsonl', json_lines(failures))
    return 1


def pieces(cut: Cut) -> Iterator[Cut]:
    """Yield `cut`, or the pieces of 30 s that it consists of; nobody knows what is said in which of them."""
    if cut.duration <= LONGEST_S:
        yield cut
        return
    for start_s in np.arange(0.0, cut.duration - SHORTEST_REST_S, LONGEST_S).tolist():
        piece = cut.truncate(offset=start_s, duration=min(LONGEST_S, cut.duration - start_s))
        piece.id = f'{cut.id}@{start_s:.0f}'
        (whole,) = cut.supervisions
        piece.supervisions = [fastcopy(whole, id=piece.id, start=0.0, duration=piece.duration, text=None)]
        yield piece


def settle_sides(sources: Sequence[SourceFolder], corpus: Path, quotations: bool = False) -> None:
    """Write which side has each recording that sources put on several, unless that is written.

    Corpora share recordings (Freesound's, YouTube's, Common Voice's) and not their splits. The side that is held out
    more keeps it. With `quotations`, recordings of which captions quote the same sentence count as one.
    """
    kept = _sides_file(corpus)
    if kept.exists():
        return
    sides: dict[str, str] = {}
    shared: dict[str, str] = {}
    saying: dict[str, set[str]] = defaultdict(set)  # sentence → recordings
    for source in sources:
        for cut in read_manifest(source.manifest):
            facts = Facts.of(cut.supervisions[0])
            if quotations and len((words := quoted(facts.category, facts.caption).lower()).split()) >= FEWEST_WORDS:
                saying[words].add(facts.recording)
            if (side := sides.setdefault(facts.recording, facts.split)) != facts.split:
                side = max(side, facts.split, key=lambda name: _HELD_OUT[name])
                sides[facts.recording] = shared[facts.recording] = side
    for recordings in saying.values():
        side = max((sides[recording] for recording in recordings), key=lambda name: _HELD_OUT[name])
        shared |= {recording: side for recording in recordings if sides[recording] != side}
        sides |= dict.fromkeys(recordings, side)
    if shared:
        _log.warning(
            '%d recordings are on several sides in their sources; the one held out more keeps them', len(shared)
        )
    write_whole(kept, json.dumps(dict(sorted(shared.items()))).encode())


def chosen_file(source: SourceFolder) -> Path:
    """Return the file that says which rows of a source's manifest are taken: bool [rows], as NumPy writes it."""
    return source.corpus / 'manifests' / f'{source.name}.chosen.npy'


def _sides_file(corpus: Path) -> Path:
    return corpus / 'manifests' / 'sides.json'


@lru_cache(maxsize=2)
def _shared(corpus: Path) -> dict[str, str]:
    return json.loads(_sides_file(corpus).read_text())


def manifest_parts(
    source: SourceFolder,
    variants: int,
    seed: int,
    licences: tuple[str, ...] = (),
    quotations: bool = False,
    limited: bool = False,
) -> list[ManifestPart]:
    """Return the pieces of a source's manifest, which must be there."""
    numbers = range(piece_count(source.manifest))
    return [ManifestPart(source, number, variants, seed, licences, quotations, limited) for number in numbers]


def recorded(part: ManifestPart) -> Iterator[tuple[StoredClip, Samples]]:
    """Yield the clips of a piece, but those that are silent, cannot be read, or have a licence that is not permitted.

    Of the unreadable ones `part.failures` says why; `count_left_out` counts those without permission. Of a file that is
    damaged what comes before is used, without the words that are said in the whole, and `damaged_files` says so.
    """
    family = find_source(part.source.name).family
    damaged: list[dict[str, str]] = []
    shared = _shared(part.source.corpus)
    failures: list[dict[str, str]] = []
    left_out: Counter[str] = Counter()
    for cut in _taken(part):
        facts = Facts.of(cut.supervisions[0])
        if shared.get(facts.recording, facts.split) != facts.split:
            continue
        if not permitted(facts.licence, part.licences):
            left_out[facts.licence] += 1
            continue
        try:
            recording = read_cut(cut)
        except Exception as error:  # whatever a file does to its reader, the others are used
            _fail(failures, cut.id, facts.source, ' '.join(f'{type(error).__name__}: {error}'.split())[:200])
            continue
        samples = recording.samples
        if recording.problem:
            _log.warning('%s: %s', cut.id, recording.problem)
            damaged.append({'item': cut.id, 'reason': recording.problem})
            cut.supervisions = [fastcopy(each, text=None) for each in cut.supervisions]
        if activity(samples).any() and float(np.abs(samples).max()) >= SILENT:
            clip, samples = _clip(cut, facts, family, samples)
            if part.quotations and not clip.text and not recording.problem and _whole(cut):
                clip = _with_quotation(clip)
            yield clip, samples
            if clip.split == 'train' and clip.kind in ('event', 'music'):
                yield from _variants(clip, samples, part)
    write_left_out(part.source.corpus, part.out.name, left_out)
    if failures:
        write_whole(part.failures, json_lines(failures))
    if damaged:
        write_whole(damaged_files(part.source.corpus) / f'{part.out.name}.jsonl', json_lines(damaged))


def _taken(part: ManifestPart) -> list[Cut]:
    cuts = read_piece(part.source.manifest, part.piece)
    if not part.limited:
        return cuts
    chosen = np.load(chosen_file(part.source), mmap_mode='r')[part.piece * RECORDS_A_PIECE :]
    return [cut for cut, taken in zip(cuts, chosen, strict=False) if taken]


def _fail(failures: list[dict[str, str]], item: str, source: str, reason: str) -> None:
    failures.append({'item': item, 'reason': f'a clip of {source} cannot be read ({reason})'})
    _log.warning('%s: a clip of %s cannot be read (%s); it is left out', item, source, reason)


def unreadable_files(corpus: Path) -> Path:
    """Return the folder with what could not be made; files of recordings begin with 'library-' or 'manifest-'."""
    return corpus / 'failures'


def count_unreadable(corpus: Path) -> int:
    """Return how many recordings of a corpus's sources could not be read."""
    folder = unreadable_files(corpus)
    return _lines(file for kind in ('library', 'manifest') for file in folder.glob(f'{kind}-*.jsonl'))


def damaged_files(corpus: Path) -> Path:
    """Return the folder that says which recordings were used up to where their file is damaged, and where that is."""
    return corpus / 'damaged'


def count_damaged(corpus: Path) -> int:
    """Return how many clips of a corpus's sources are shorter, or may be, because their file is damaged."""
    return _lines(damaged_files(corpus).glob('*.jsonl'))


def _lines(files: Iterable[Path]) -> int:
    return sum(len(file.read_text(encoding='utf-8').splitlines()) for file in files)


def _variants(clip: StoredClip, samples: Samples, part: ManifestPart) -> Iterator[tuple[StoredClip, Samples]]:
    """The same at other speeds, in other rooms, through other microphones; the same recording as far as splits go."""
    for number in range(part.variants):
        varied = vary(samples, random_stream(Purpose.RECORDED_VARIANT, part.seed, number, clip.id))
        varied = varied / max(1.0, 1.05 * float(np.abs(varied).max()))
        yield clip.model_copy(update={'id': f'{clip.id}{ALTERED}{number}', 'tags': shape_tags(varied)}), varied


def _clip(cut: Cut, facts: Facts, family: Family, samples: Samples) -> tuple[StoredClip, Samples]:
    (supervision,) = cut.supervisions
    custom = supervision.custom or {}
    category, respond = canonical(facts.category), facts.respond
    kind = _kind(family, category)
    caption = facts.caption
    tags: tuple[str, ...] = ()
    if labels := custom.get('labels', ()):
        caption = caption or ', '.join(labels)
    if kind == 'event' and labels:
        category, respond = judged(facts.category, labels)
        kind = _kind(family, category)
    elif kind == 'music' and category != 'music':  # a genre, which no task asks for
        category, caption = 'music', caption or f'{category} music'
    if kind == 'noise':
        tags = ('ambient' if activity(samples).mean() > _AMBIENT_SHARE else 'event',)
    elif kind == 'room':
        samples = _tail(samples)
    else:
        tags = shape_tags(samples)
    text = _written(supervision.text or '', facts.language)
    clip = StoredClip(
        id=cut.id,
        kind=kind,
        category=category,
        caption=caption or text,
        respond=respond,
        criterion=CRITERION_OF.get(category, 'none') if respond else 'none',
        tags=tags,
        cadence=category in CADENCED,
        split=facts.split,
        recording=facts.recording,
        source=facts.source,
        source_id=facts.source_id,
        licence=facts.licence,
        attribution=facts.attribution,
        language=facts.language,
        text=text,
        translation=custom.get('translation', '') if text else '',
    )
    return clip, samples


def _whole(cut: Cut) -> bool:
    """Nobody knows what is said in which piece of a recording."""
    return cut.num_samples == cut.recording.num_samples


def _with_quotation(clip: StoredClip) -> StoredClip:
    words = quoted(clip.category, clip.caption)
    return clip.model_copy(update={'text': words, 'language': 'en', 'tags': (*clip.tags, QUOTED)}) if words else clip


def _kind(family: Family, category: str) -> str:
    if family == 'noise':
        return 'noise'
    if category in NO_EVENT:
        return 'room'
    if family == 'audio' or category == 'music':
        return 'music'
    return 'speech' if family == 'speech' or category in ('speech', 'spoken digit') else 'event'


def _written(text: str, language: str) -> str:
    """As somebody would write it: Chinese without spaces between its words, English that is all capitals in small."""
    if language == 'zh':
        return ''.join(text.split())
    text = ' '.join(text.split())
    return text.lower() if text.isupper() else text


def _tail(response: Samples) -> Samples:
    """A measured impulse response as `mixing.room` makes them: without its direct sound, and not for ever."""
    start = int(np.abs(response).argmax()) + int(_DIRECT_S * SAMPLE_RATE_HZ)
    tail = response[start : start + int(_ROOM_S * SAMPLE_RATE_HZ)]
    return tail / np.float32(1.05 * np.abs(tail).max(initial=SILENT))


def shape_tags(samples: Samples) -> tuple[str, ...]:
    """Return which tags fit a sound: `short`, `beat`, `steady`.

    `short`: one sound of 0.1 … 0.7 s, then quiet; `beat`: a short one that starts at its loudest; `steady`: three
    seconds without a pause.
    """
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
