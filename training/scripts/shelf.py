"""A shelf finds the clips of one side of the split by what a script needs."""

from __future__ import annotations

import copy
import threading
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
from num2words import num2words

from training.clips.answers import load_answers
from training.clips.sounds import category_weight
from training.clips.store import QUOTED, ClipStore, ClipStoreError, StoredClip, of_split
from training.llm import LlmClient
from training.scenes.curators import Curators
from training.scenes.grounding import Reprocess
from training.scenes.scenario import ClipInfo
from training.scenes.selection import SelectionSettings
from training.scripts.accepted import Accepted
from training.scripts.dialogues import REMARK, SENTENCE, Dialogues
from training.scripts.scenes import Cut, RandomScenes, Scene, Scenes, clip_info
from training.scripts.script import Line, Sound, Texts, pause_s, pick, texts, warning
from training.sources.text import Dialogue
from training.streams import Role

SHORTEST_S = 0.25
_BACKGROUND_S = 3.0
_MUSIC_SHARE = 0.15  # of what is in the background
# Heard everywhere, and easily taken for something to answer. How often each is drawn by `Shelf.ordinary`.
ORDINARY = {'voice': 0.5, 'music': 0.25, 'steps': 0.25}
_MUSICAL = frozenset({'instrument', 'drums', 'guitar', 'beatbox', 'singing', 'whistling', 'humming'})
_STEPS = frozenset({'footsteps'})
LONGEST_SAID_S = 10.0  # of recorded speech that is written down or translated; several must fit into a stream
MOST_TAKES = 5  # of one quoted text in one voice, that a library has often: a name that wakes a machine


class _Once:
    """`_Once` keeps scenes, made by the first thread that wants them: their index takes a second."""

    def __init__(self, make: Callable[[], Scenes | RandomScenes]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: Scenes | RandomScenes | None = None

    def __call__(self) -> Scenes | RandomScenes:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


class Shelf:
    """A `Shelf` draws clips of one side of the split by category, each as often as it has recordings to learn from.

    `texts` is what is said in a script; with a chat model, half of the scripts have its fresh ones. Scenes are
    `curated` or, for an ablation, sounds at random. `open_share` of the sentences to write down, and of the remarks to
    reply to, are open texts where the dialogues have some.
    """

    def __init__(
        self,
        library: ClipStore,
        split: str,
        reprocess: Reprocess,
        client: LlmClient | None = None,
        fresh: Texts | None = None,
        dialogues: Dialogues | None = None,
        curated: bool = True,
        open_share: float = 0.0,
        selection: SelectionSettings | None = None,
        cut: Cut | None = None,
    ) -> None:
        self.library = library
        self.accepted = Accepted()
        self.split = split
        self.texts = texts()
        self._fresh = fresh
        self._dialogues = dialogues
        self._open_share = open_share
        self._by: dict[tuple[str, str], dict[str, list[StoredClip]]] = defaultdict(lambda: defaultdict(list))
        self._weights: dict[tuple[str, str], np.ndarray] = {}
        answered = load_answers()
        takes: Counter[tuple[str, str]] = Counter()
        for clip in of_split(library.clips, split):
            if library.duration_s(clip.id) < SHORTEST_S:
                continue
            if clip.kind in ('event', 'music'):
                self._by['sound', 'any'][clip.category].append(clip)
            if clip.respond is False:
                self._by['silent', 'any'][clip.category].append(clip)
                self._by['silent', clip.kind][clip.category].append(clip)
                if sort := _ordinary_sort(clip):
                    self._by['ordinary', sort][clip.category].append(clip)
            if clip.respond and clip.category in answered:
                self._by['event', 'respond'][clip.category].append(clip)
                self._by['criterion', clip.criterion][clip.category].append(clip)
            for tag in clip.tags:
                self._by['tag', tag][clip.category].append(clip)
            self._by['kind', clip.kind][clip.category].append(clip)
            if clip.text and library.duration_s(clip.id) <= LONGEST_SAID_S:
                sort = clip.category
                if QUOTED in clip.tags:
                    take = clip.text.lower(), clip.recording
                    takes[take] += 1
                    if takes[take] > MOST_TAKES:
                        continue
                    sort = f'{QUOTED} {sort}'
                self._by['said', clip.language][sort].append(clip)
                if clip.translation:
                    self._by['translated', clip.language][clip.category].append(clip)

        kept = [c for kind in ('event', 'music') for group in self._by['kind', kind].values() for c in group]
        verifies = selection is not None and selection.verifier == 'llm'
        self.curators = Curators(client, [clip.caption for clip in kept if clip.caption], verifies)
        self._scenes = _Once(
            lambda: (
                Scenes(library, kept, self.curators, reprocess, selection, cut, self.accepted)
                if curated
                else RandomScenes(library, kept, self.curators)
            )
        )

    def with_texts(self, rng: np.random.Generator) -> Shelf:
        """Return the same clips, with the texts of one script: half the time the fresh ones, where there are any."""
        if self._fresh is None or rng.random() < 0.5:
            return self
        shelf = copy.copy(self)
        shelf.texts = self._fresh
        return shelf

    def info(self, clip_id: str) -> ClipInfo:
        """Return a clip as curation sees it."""
        return clip_info(self.library[clip_id], self.library.duration_s(clip_id))

    def clip(self, clip_id: str) -> StoredClip:
        """Return what is known of a clip of the library, or of a sound that was accepted for the script at hand."""
        accepted = self.accepted.clips.get(clip_id)
        return accepted[0] if accepted else self.library[clip_id]

    def phrase(self, clip_id: str) -> str:
        """Return what a clip is, as a noun phrase: 'a barking dog'."""
        clip = self.clip(clip_id)
        return f'a {clip.category}' if 'instrument' in clip.tags else self.curators.grammar.phrase(clip.category)

    def categories(self, key: str, value: str) -> list[str]:
        """Return the sorted categories that have clips of a sort, such as 'silent', 'event' or 'tag', 'beat'."""
        return sorted(self._by.get((key, value), {}))

    def draw(self, rng: np.random.Generator, key: str, value: str, category: str | None = None) -> StoredClip:
        """Return a clip of a sort, of `category` if one is given.

        Raises ClipStoreError where the split has none.
        """
        groups = self._by.get((key, value), {})
        names = [category] if category else sorted(groups)
        if not names or names[0] not in groups:
            wanted = f"{key} '{value}'" + (f" of category '{category}'" if category else '')
            raise ClipStoreError(
                f'the {self.split} side of the library has no {wanted}; add such clips or another source'
            )
        if category is None:
            weights = self._weights_of(key, value)
            category = names[int(rng.choice(len(names), p=weights))]
        return pick(rng, groups[category])

    def _weights_of(self, key: str, value: str) -> np.ndarray:
        """Return the share of each category of a sort, in the order of their names."""
        if (key, value) not in self._weights:
            groups = self._by[key, value]
            weights = [category_weight(clip.recording for clip in groups[name]) for name in sorted(groups)]
            self._weights[key, value] = np.array(weights) / sum(weights)
        return self._weights[key, value]

    def dialogue(self, rng: np.random.Generator, several: bool) -> Dialogue | None:
        """Return, half the time and where the split has some, a dialogue of one round, or of several; else None."""
        if not self._dialogues or not self._dialogues.count(several) or rng.random() < 0.5:
            return None
        return self._dialogues.draw(rng, several)

    def sentence(self, rng: np.random.Generator) -> Dialogue | None:
        """Return, as often as the share of open texts says, one of their sentences, which nobody answers; else None."""
        return self._opened(rng, SENTENCE)

    def remark(self, rng: np.random.Generator) -> Dialogue | None:
        """Return, as often as the share of open texts says, a remark of theirs and its reply; else None."""
        return self._opened(rng, REMARK)

    def _opened(self, rng: np.random.Generator, sort: str) -> Dialogue | None:
        # Nothing is drawn where there is nothing to draw from, so that other recipes keep their streams.
        if not self._open_share or not self._dialogues or not self._dialogues.count_of(sort):
            return None
        return self._dialogues.draw_of(rng, sort) if rng.random() < self._open_share else None

    def scene(self, rng: np.random.Generator, foregrounds: int) -> Scene:
        """Return a scene of at most `foregrounds` foreground sounds: coherent, unless the shelf has random ones."""
        return self._scenes().draw(rng, foregrounds)

    def layers(self, rng: np.random.Generator) -> Scene:
        """Return the ambient and background sounds of a scene."""
        return self._scenes().draw(rng, 0, (Role.BACKGROUND, Role.AMBIENT))

    def silent(self, rng: np.random.Generator, longest_s: float = _BACKGROUND_S) -> Line:
        """Return an ordinary sound that deserves no word, at most `longest_s` (seconds) of it."""
        return self._unanswered(rng, 'event', longest_s)

    def ordinary(self, rng: np.random.Generator) -> Line | None:
        """Return a recorded voice, music or footsteps, which deserve no word; None where the side has none."""
        sorts = [sort for sort in ORDINARY if self.categories('ordinary', sort)]
        if not sorts:
            return None
        shares = np.array([ORDINARY[sort] for sort in sorts])
        sort = sorts[int(rng.choice(len(sorts), p=shares / shares.sum()))]
        clip = self.draw(rng, 'ordinary', sort)
        return Line(hear=Sound(clip=clip.id, longest_s=_BACKGROUND_S), gap_s=pause_s(rng))

    def in_the_background(self, rng: np.random.Generator) -> Line:
        """Return an ordinary sound, music, or people who talk to others; none deserves a word.

        The voices are recorded, beside the rendered ones of small talk.
        """
        # Music has few recordings here and is on for hours in a home.
        music = self.categories('silent', 'music') and rng.random() < _MUSIC_SHARE
        return self._unanswered(rng, 'music' if music else 'any', _BACKGROUND_S)

    def _unanswered(self, rng: np.random.Generator, kind: str, longest_s: float) -> Line:
        clip = self.draw(rng, 'silent', kind)
        return Line(hear=Sound(clip=clip.id, longest_s=longest_s), gap_s=pause_s(rng))

    def warning(self, rng: np.random.Generator, criterion: str | None = None) -> Line:
        """Return a sound that deserves a warning, by `criterion` if one is given, and the warning."""
        key, value = ('criterion', criterion) if criterion else ('event', 'respond')
        clip = self.draw(rng, key, value)
        return Line(hear=Sound(clip=clip.id), say=(warning(clip.category, rng),), gap_s=pause_s(rng))


def is_musical(clip: StoredClip) -> bool:
    """Return whether a clip is music, or of somebody or something that makes music."""
    return clip.kind == 'music' or clip.category in _MUSICAL


def _ordinary_sort(clip: StoredClip) -> str:
    if clip.kind == 'speech':
        return 'voice'
    if is_musical(clip):
        return 'music'
    return 'steps' if clip.category in _STEPS else ''


def named(category: str) -> str:
    """Return the sentence in which the embedded model names a category."""
    return f'I hear: {category}.'


def counted(count: int) -> str:
    """Return a count up to twelve in words, a greater one in digits."""
    if count > 12:
        return str(count)
    return num2words(count) if count else 'no'
