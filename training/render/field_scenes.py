"""A stand-in for recordings of the field: four scenes of a minute, of held-out recordings with permissive licences.

It is laid out as `evaluate field` reads it. Its sounds are real and its scenes are not: whoever has recordings of
a real kitchen takes those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from audio_interaction_ros.labels import write_labels
from audio_interaction_ros.matching import SceneEvent
from training.clips.categories import canonical
from training.clips.licences import permitted
from training.clips.sounds import SoundClip
from training.dsp.activity import FRAME_SAMPLES, activity
from training.dsp.fades import tile
from training.dsp.levels import scale, to_rms
from training.dsp.rooms import reverberate, room
from training.procedural.registry import ALL_TYPES, render
from training.random_streams import Purpose, random_stream
from training.scripts.script import texts
from training.sources.clip_library import Clip, ClipLibraryError, load_library, split, write_attributions
from training.speech.espeak import Speaker
from training.speech.voices import VALIDATION_VOICES

PERMISSIVE = (
    'CC0-*', 'CC-BY-[0-9]*', 'CC-PDM-*', 'MIT', 'BSD-*', 'Apache-2.0', 'Zlib', 'LicenseRef-*Public-Domain',
)  # fmt: skip
SECONDS = 60.0
_LONGEST_S, _PAUSE_S, _MARGIN_S = 5.0, (0.8, 3.0), 1.5
_HAZARD_DBFS, _ORDINARY_DBFS, _SPEECH_DBFS, _BED_DBFS = (-25.0, -19.0), (-34.0, -25.0), (-28.0, -23.0), (-46.0, -40.0)
_BED_S = 10.0  # the shortest recording that is taken to go on all the time, where there is one
_HAZARD, _SPEECH = 'hazard', 'speech'


@dataclass(frozen=True)
class FieldScene:
    """A `FieldScene` says what may be heard in a scene, by our names of categories, and how much its room echoes.

    `bed` goes on all the time; of `hazards` two are heard, and ordinary sounds in between.
    """

    bed: tuple[str, ...]
    hazards: tuple[str, ...]
    ordinary: tuple[str, ...]
    wet: tuple[float, float]


FIELD_SCENES = {
    'travel': FieldScene(
        ('crowd', 'airplane', 'train', 'sea waves'),
        ('train horn', 'scream', 'person sneeze', 'alarm'),
        ('footsteps', 'music', 'speech', 'airplane', 'laughter', 'whistle', 'coins', 'church bell'),
        (0.2, 0.4),
    ),
    'work': FieldScene(
        ('fan', 'machine', 'room tone', 'rain'),
        ('person sneeze', 'smoke alarm', 'electric spark', 'cough', 'door knock'),
        ('typing', 'printer', 'writing', 'scissors', 'speech', 'footsteps', 'rustling', 'clock tick', 'door'),
        (0.1, 0.2),
    ),
    'home': FieldScene(
        ('water', 'rain', 'fan'),
        ('glass breaking', 'baby cry', 'fire crackling', 'smoke alarm', 'doorbell'),
        ('music', 'clock tick', 'door', 'footsteps', 'dishes', 'household object', 'laughter', 'dog bark', 'snoring'),
        (0.1, 0.3),
    ),
    'commute': FieldScene(
        ('traffic', 'wind', 'rain', 'engine'),
        ('car horn', 'siren', 'chainsaw', 'crash'),
        ('bicycle', 'car door', 'footsteps', 'dog bark', 'bird song', 'helicopter', 'horse', 'music'),
        (0.0, 0.1),
    ),
}


def make_field(library: Path, out: Path, seed: int) -> dict[str, object]:
    """Write `out`/SCENE/stand-in.flac and .csv for each scene, and `out`/ATTRIBUTIONS.csv; return a summary.

    All recordings are of the held-out side of `library`, under one of the PERMISSIVE licences, and each family of them
    is heard in one scene at most. Raises ClipLibraryError where there are too few.
    """
    _, held_out = split(load_library(library))
    clips = [clip for clip in held_out if permitted(clip.licence, PERMISSIVE)]
    shelf = _Shelf(clips)
    summary: dict[str, object] = {'seed': seed}
    with Speaker() as speaker:
        for number, (name, scene) in enumerate(FIELD_SCENES.items()):
            rng = random_stream(Purpose.FIELD_SCENE, seed, number)
            samples, events = _scene(name, scene, shelf, speaker, rng, library)
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / 'stand-in.flac', samples, SAMPLE_RATE_HZ, subtype='PCM_16')
            write_labels(folder / 'stand-in.csv', events)
            summary[name] = {'events': len(events), 'hazards': sum(event.hazard for event in events)}
    write_attributions(shelf.taken, out / 'ATTRIBUTIONS.csv')
    return summary | {'recordings': len(shelf.taken)}


class _Shelf:
    """A `_Shelf` gives clips of which no other take was given before, and keeps what it gave in `taken`."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._by: dict[str, list[Clip]] = {}
        for clip in clips:
            self._by.setdefault(canonical(clip.category), []).append(clip)
        self.taken: list[Clip] = []

    def take(
        self, categories: Sequence[str], respond: bool | None, rng: np.random.Generator, least_s: float = 0.0
    ) -> SoundClip | None:
        """A sound of one of the categories, each as likely; None where none is left. `respond` None: whatever."""
        families = {clip.recording for clip in self.taken}
        left = {
            category: kept
            for category in categories
            if (
                kept := [
                    clip
                    for clip in self._by.get(category, ())
                    if clip.recording not in families and (respond is None or clip.respond is respond)
                    if not least_s or soundfile.info(str(clip.path)).duration >= least_s
                ]
            )
        }
        while left:
            category = list(left)[int(rng.integers(len(left)))]
            clip = left[category].pop(int(rng.integers(len(left[category]))))
            sound = SoundClip.of(category, bool(respond), clip.source_id, clip.read().samples)
            if sound.audible:
                self.taken.append(clip)
                return sound
            if not left[category]:
                del left[category]
        return None


def _scene(
    name: str, scene: FieldScene, shelf: _Shelf, speaker: Speaker, rng: np.random.Generator, library: Path
) -> tuple[Samples, list[SceneEvent]]:
    length = int(SECONDS * SAMPLE_RATE_HZ)
    bed = shelf.take(scene.bed, None, rng, _BED_S) or shelf.take(scene.bed, None, rng)
    if bed is None:
        raise ClipLibraryError(
            f"the held-out side of '{library}' has no recording of {', '.join(scene.bed)} under a permissive licence, "
            f'as the scene {name} needs; give a library with more of them'
        )
    dry = np.zeros(length, np.float32)
    events: list[SceneEvent] = []
    used: set[str] = set()
    at, last = int(_MARGIN_S * SAMPLE_RATE_HZ), length - int(_MARGIN_S * SAMPLE_RATE_HZ)
    # Hazards a third and two thirds through, words before and after; else what is ordinary there.
    due = [(_SPEECH, 0.1), (_HAZARD, 0.3), (_SPEECH, 0.5), (_HAZARD, 0.7)]
    while at < last:
        kind = due.pop(0)[0] if due and at >= due[0][1] * length else ''
        text = ''
        if kind == _SPEECH:
            sentences = texts()['dictation']
            text = sentences[int(rng.integers(len(sentences)))]
            voices = [voice for voice in VALIDATION_VOICES if voice.language == 'en']
            piece, category = speaker.speak(text, voices[int(rng.integers(len(voices)))]).samples, 'speech'
            level_dbfs = rng.uniform(*_SPEECH_DBFS)
        else:
            categories = scene.hazards if kind else scene.ordinary
            fresh = [category for category in categories if category not in used]
            sound = None
            for choice in (fresh, categories):  # what was heard already only where there is nothing else
                sound = sound or shelf.take(choice, bool(kind), rng) or _rendered(choice, bool(kind), rng)
            if sound is None:
                break
            category = sound.category
            used.add(category)
            piece, _ = sound.excerpt(sound.onset, _LONGEST_S)
            level_dbfs = rng.uniform(*(_HAZARD_DBFS if kind else _ORDINARY_DBFS))
        if at + len(piece) > last:
            break
        dry[at : at + len(piece)] += scale(piece, activity(piece), level_dbfs)
        onset_s, end_s = (round(sample / SAMPLE_RATE_HZ, 3) for sample in (at, at + len(piece)))
        event = SceneEvent(onset_s=onset_s, end_s=end_s, category=category, hazard=kind == _HAZARD, text=text)
        events.append(event)
        at += len(piece) + int(rng.uniform(*_PAUSE_S) * SAMPLE_RATE_HZ)
    if due:
        raise ClipLibraryError(
            f"the held-out side of '{library}' has too few recordings under a permissive licence: the scene {name} "
            f'ends after {at / SAMPLE_RATE_HZ:.0f} s of {SECONDS:.0f} s; give a library with more of '
            f'{", ".join(scene.hazards + scene.ordinary)}'
        )
    under, frames = bed.excerpt(bed.onset, SECONDS)
    under = under[: (int(np.flatnonzero(frames)[-1]) + 1) * FRAME_SAMPLES]  # without a fade at its end
    under = tile(to_rms(under, rng.uniform(*_BED_DBFS)), length, 0)
    samples = reverberate(dry, room(rng), rng.uniform(*scene.wet)) + under
    return np.clip(np.pad(samples, (0, -length % CHUNK_SAMPLES)), -1, 1), events


def _rendered(categories: Sequence[str], respond: bool, rng: np.random.Generator) -> SoundClip | None:
    """A render, for where the library has no recording left."""
    names = [name for name, kind in ALL_TYPES.items() if kind.category in categories and kind.respond is respond]
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    return SoundClip.of(ALL_TYPES[name].category, respond, name, render(name, rng))
