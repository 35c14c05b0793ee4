"""A source of clips knows where it comes from and how its folder looks, and sends facts along with every clip."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from lhotse import AudioSource, CutSet, Recording, SupervisionSegment
from lhotse.audio import AudioLoadingError
from lhotse.cut import Cut

from audio_interaction_ros.audio import file_reader
from audio_interaction_ros.audio.file_reader import NO_LENGTH, AudioFile, read_piece
from audio_interaction_ros.audio.formats import AudioFormatError
from audio_interaction_ros.audio.resample import to_mono_16k
from training.errors import CorpusError
from training.sources.clip_library import VALIDATION_SHARE
from training.splits import Split

TEST_SHARE = 0.1  # of the recordings whose publisher gives no split; taken from the held-out fifth of `Clip.validation`
READ_CHARACTERS = 1 << 20  # of a JSON file at a time
LONGEST_RECORD_CHARACTERS = 1 << 26  # one recording of GigaSpeech has a few million

Family = Literal['speech', 'audio', 'acoustic event', 'noise', 'text']
PUBLISHED_SPLITS: Mapping[str, Split] = {  # by the words that publishers have for them
    **dict.fromkeys(('train', 'training', 'train_covost', 'tr'), 'train'),
    **dict.fromkeys(('validation', 'dev', 'cv'), 'validation'),
    **dict.fromkeys(('test', 'tt'), 'test'),
}

# What adapters and lhotse's recipes meet in files that are cut short or somebody else's.
_UNEXPECTED = (AssertionError, AudioLoadingError, LookupError, OSError, RuntimeError, TypeError, ValueError, csv.Error)

_log = logging.getLogger(__name__)


class SourceError(CorpusError):
    """A `SourceError` says that a corpus is absent, incomplete, or not laid out as its publisher does."""


@dataclass(frozen=True)
class Facts:
    """`Facts` hold what is known of a clip besides its sound, and are kept in `custom` of its lhotse supervision.

    `recording` is what must stay on one side of a split: the recording, or the speaker or artist behind it. It is the
    same in every corpus that took the clip from the same place ('freesound:…', 'youtube:…'). `respond` is None where
    the answer depends on the context. `caption` is '' where the publisher describes nothing.
    """

    category: str
    caption: str
    respond: bool | None
    source: str
    source_id: str
    recording: str
    licence: str
    attribution: str
    split: Split
    language: str

    @classmethod
    def of(cls, supervision: SupervisionSegment) -> Facts:
        """Return the facts in a supervision. Raises SourceError for one that no source of this package has made."""
        custom = supervision.custom or {}
        missing = [each.name for each in fields(cls) if each.name not in custom]
        if missing:
            raise SourceError(f"supervision '{supervision.id}' lacks {missing}; prepare its corpus with a source")
        return cls(**{each.name: custom[each.name] for each in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Item:
    """An `Item` is a clip as its publisher lists it: a file, or a piece of one.

    `start_s` and `duration_s` (seconds) name the piece; `duration_s` None is the whole file. `split` None is settled by
    the hash of `recording`. `source`, `licence` and `attribution` None are those of the whole corpus. With `id` None,
    `source_id` tells the clips of the corpus apart. `more` goes into the supervision's `custom` beside the facts.
    """

    audio: Path | Recording
    source_id: str
    recording: str
    category: str
    split: Split | None = None
    caption: str = ''
    respond: bool | None = None
    language: str = ''
    text: str | None = None
    speaker: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    id: str | None = None
    source: str | None = None
    licence: str | None = None
    attribution: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A `Source` is a corpus of paper Table 9 (roles: Appendix C).

    `layout` holds globs, each of which must match something in its folder. `archive` is the folder that its archive
    unpacks to, if the layout does not begin with that.
    """

    name: str
    title: str
    family: Family
    licence: str
    attribution: str
    homepage: str
    layout: tuple[str, ...]
    archive: str = '.'

    def locate(self, folder: Path) -> Path:
        """Return `folder`, or the archive's own folder within it, whichever holds the corpus.

        Raises SourceError, one line, if neither is this corpus.
        """
        missing = {root: self._missing(root) for root in (folder, folder / self.archive)}
        for root, pattern in missing.items():
            if pattern is None:
                return root
        # Of the two folders, speak of the one that has more of the corpus.
        root, pattern = max(missing.items(), key=lambda item: self.layout.index(str(item[1])))
        raise SourceError(
            f"no {self.title} at '{root}': nothing there matches {pattern}; "
            f'its layout is {", ".join(self.layout)}, and it comes from {self.homepage}'
        )

    def _missing(self, root: Path) -> str | None:
        return next((pattern for pattern in self.layout if not any(root.glob(pattern))), None)


@dataclass(frozen=True, kw_only=True)
class ClipSource(Source):
    """A `ClipSource` is a corpus of sounds; `read` lists what it holds, given its folder."""

    read: Callable[[Path], Iterable[Item]]

    def prepare(self, folder: Path, tell: Callable[[str, str], None] | None = None) -> CutSet:
        """Return a lazy CutSet, one cut and one supervision (with `Facts`) a clip, in the publisher's order.

        Files that are listed and not there, or cannot be read, are left out and counted in one warning: of corpora such
        as AudioSet nobody has every file. `tell` gets the name of each that cannot be read, and the
        reason. Raises SourceError if the folder is not this corpus, and on iteration if a row is not as expected or no
        file at all can be read.
        """
        return CutSet(_Cuts(self, self.locate(folder), tell))


@dataclass(frozen=True)
class _Cuts:
    """An iterable of cuts, rather than an iterator, can be read twice by a CutSet and sent to a worker."""

    source: ClipSource
    root: Path
    tell: Callable[[str, str], None] | None

    def __iter__(self) -> Iterator[Cut]:
        listed, absent, unreadable = 0, 0, []
        for item in self._items():
            listed += 1
            try:
                cut = make_cut(self.source, item, _open(item))
            except FileNotFoundError:
                absent += 1
            except Exception as error:  # whatever a file does to its reader, the others are used
                unreadable.append(f'{item.source_id} ({_line(error)})')
                if self.tell is not None:
                    self.tell(item.source_id, _line(error))
            else:
                yield cut
        if absent + len(unreadable) == listed:
            raise SourceError(
                f"{self.source.title} at '{self.root}' lists {listed} files, of which {absent} are not there and "
                f'{len(unreadable)} cannot be read; unpack it again from {self.source.homepage}'
            )
        if absent or unreadable:
            _log.warning(
                "%s at '%s': of %d files listed, %d are not there and %d cannot be read%s",
                self.source.title, self.root, listed, absent, len(unreadable),
                f', such as {unreadable[0]}' if unreadable else '',
            )  # fmt: skip

    def _items(self) -> Iterator[Item]:
        last = None
        try:
            for item in self.source.read(self.root):
                last = item.source_id
                yield item
        except SourceError:
            raise
        except _UNEXPECTED as error:
            raise SourceError(
                f"{self.source.title} at '{self.root}' is not as published, "
                f'{f"after clip {last}" if last else "from its first row"} ({_line(error)}); '
                f'unpack it again from {self.source.homepage}'
            ) from error


def _line(error: Exception) -> str:
    return ' '.join(f'{type(error).__name__}: {error}'.split())[:200]


def _open(item: Item) -> Recording:
    path = Path(item.audio.sources[0].source) if isinstance(item.audio, Recording) else item.audio
    if not path.is_file():
        raise FileNotFoundError(path)
    id_ = item.id or item.source_id
    recording = item.audio if isinstance(item.audio, Recording) else Recording.from_file(path, recording_id=id_)
    return recording if 0 < recording.num_samples < NO_LENGTH else _counted(path, recording.id)


def _counted(path: Path, id_: str) -> Recording:
    """A recording whose header does not say how long it is: its writer was killed, or wrote to a pipe."""
    with AudioFile(path) as file:
        for _ in file.blocks():
            pass
        rate_hz, channels = file.pcm.sample_rate_hz, list(range(file.pcm.channels))
        sources = [AudioSource('file', channels, str(path))]
        return Recording(id_, sources, rate_hz, file.frames, file.frames / rate_hz)


def make_cut(source: Source, item: Item, recording: Recording) -> Cut:
    """Return the cut that `item` becomes: all of `recording`, or the piece that the item names."""
    facts = Facts(
        item.category,
        item.caption,
        item.respond,
        item.source or source.title,
        item.source_id,
        item.recording,
        item.licence or source.licence,
        item.attribution or source.attribution,
        item.split or split_of(item.recording),
        item.language,
    )
    cut = recording.to_cut()
    if item.duration_s is not None:
        cut = cut.truncate(offset=item.start_s, duration=item.duration_s)
    cut.id = f'{source.name}:{item.id or item.source_id}'
    cut.supervisions = [
        SupervisionSegment(
            id=cut.id,
            recording_id=recording.id,
            start=0.0,
            duration=cut.duration,
            channel=cut.channel,
            text=item.text,
            language=item.language or None,
            speaker=item.speaker,
            custom={**item.more, **asdict(facts)},
        )
    ]
    return cut


def read_cut(cut: Cut) -> file_reader.Recording:
    """Return the sound of a cut, whatever its rate and channels, and what is wrong with its file, if anything.

    Of a file that is damaged it is what comes before the damage; of one without a length, all there is. Raises
    AudioFormatError where that is nothing.
    """
    path = cut.recording.sources[0].source
    try:
        samples = to_mono_16k(cut.load_audio().T, cut.sampling_rate)
    except Exception:  # what a decoder makes of a damaged file is anything
        return read_piece(path, cut.start, cut.end)
    last = cut.end > cut.recording.duration - 1 / cut.sampling_rate
    return file_reader.Recording(samples, _missing_at_end(path) if last else None)


def _missing_at_end(path: str) -> str | None:
    try:
        with AudioFile(path) as file:
            file.check_end()
            return file.damage
    except AudioFormatError:  # of a kind that lhotse alone reads
        return None


def split_of(recording: str) -> Split:
    """Return the side of a recording whose publisher gives no split.

    The rule is that of `Clip.validation`; half of what it holds out is for tests.
    """
    share = int.from_bytes(hashlib.sha256(recording.encode()).digest()[:4], 'big') / 2**32
    if share < TEST_SHARE:
        return 'test'
    return 'validation' if share < VALIDATION_SHARE else 'train'


def read_table(path: Path, columns: Sequence[str], **dialect: Any) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV or TSV file with a header.

    Raises SourceError if the file lacks one of `columns`, or if a row is cut short.
    """
    with path.open(newline='', encoding='utf-8') as file:
        rows = csv.DictReader(file, **dialect)
        missing = set(columns) - set(rows.fieldnames or ())
        if missing:
            raise SourceError(f"'{path}' lacks the columns {sorted(missing)}; give the file as its publisher wrote it")
        for row in rows:
            if any(row[column] is None for column in columns):
                raise SourceError(f"'{path}' line {rows.line_num} is cut short; unpack the corpus again")
            yield row


def read_json(path: Path, key: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON file, one at a time: one a line, or those of its array, or of the array under `key`.

    Memory is constant, because GigaSpeech's one JSON file has gigabytes. Raises SourceError, with the record's number,
    for anything else.
    """
    decoder, number = json.JSONDecoder(), 0
    with path.open(encoding='utf-8') as file:
        text = file.read(READ_CHARACTERS)
        opening = re.compile(r'\s*\[' if key is None else rf'.*?"{key}"\s*:\s*\[', re.DOTALL).match(text)
        if key is not None and opening is None:
            raise SourceError(f"'{path}' has no list '{key}' near its beginning; give it as its publisher wrote it")
        at = opening.end() if opening else 0
        while True:
            while at < len(text) and text[at] in ' \t\r\n,':
                at += 1
            if opening and text.startswith(']', at):
                return
            try:
                record, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                rest = len(text) - at
                piece = file.read(max(rest, READ_CHARACTERS)) if rest < LONGEST_RECORD_CHARACTERS else ''
                if piece:
                    text, at = text[at:] + piece, 0
                    continue
                if not rest and not opening:
                    return
                raise SourceError(
                    f"'{path}' is not JSON after record {number} ({error.msg}); unpack it again"
                ) from error
            if not isinstance(record, dict):
                raise SourceError(
                    f"'{path}' holds a {type(record).__name__} where record {number + 1} should be an object"
                )
            number += 1
            yield record
