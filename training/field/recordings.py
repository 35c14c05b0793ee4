"""The recordings of the field: a folder for each of the four scenes, and labels beside every recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.file_reader import read_recording
from audio_interaction_ros.audio.formats import AudioFormatError, Samples
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.bag_files import SUFFIXES, is_bag
from audio_interaction_ros.bags import AudioBagReader, BagError
from audio_interaction_ros.labels import LabelsError, labels_beside, read_labels
from audio_interaction_ros.matching import SceneEvent
from audio_interaction_ros.streaming.replay import placed_sound
from training.evaluate import EvaluationError, tell

SCENES = ('travel', 'work', 'home', 'commute')
_LONGEST_S = 4 * 3_600.0  # of one recording, which is kept in memory
_LAYOUT = f'{", ".join(SCENES)}, each with recordings and a CSV of labels beside each'


@dataclass(frozen=True)
class FieldRecording:
    """A `FieldRecording` is sound of one scene, float32 [chunks × 6400] at 16 kHz, and what is labelled in it.

    `name` is 'scene/recording'.
    """

    scene: str
    name: str
    samples: Samples
    events: tuple[SceneEvent, ...]

    @property
    def chunks(self) -> int:
        """Return how many chunks it has."""
        return len(self.samples) // CHUNK_SAMPLES

    @property
    def duration_s(self) -> float:
        """Return how long it is, in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def spoken(self) -> tuple[SceneEvent, ...]:
        """Return the events whose words are known."""
        return tuple(event for event in self.events if event.text)


def find_recordings(folder: Path) -> list[tuple[str, Path]]:
    """Return (scene, path) of every recording, a bag or an audio file, in the order of SCENES and of their names.

    Raises EvaluationError where there is none, where one has no labels, and for a folder that is none of the scenes.
    """
    if not folder.is_dir():
        raise EvaluationError(f"no folder '{folder}'; give one with folders {_LAYOUT}")
    strange = sorted(one.name for one in folder.iterdir() if one.is_dir() and one.name not in SCENES)
    if strange:
        raise EvaluationError(f"'{folder}' has a folder '{strange[0]}', which is no scene; name it {', '.join(SCENES)}")
    suffixes = {f'.{name.lower()}' for name in soundfile.available_formats()} | {'.oga', '.opus', *SUFFIXES}
    found = [
        (scene, path)
        for scene in SCENES
        for path in sorted((folder / scene).glob('*'))
        if (_holds_bag(path) if path.is_dir() else path.suffix.lower() in suffixes)
    ]
    if not found:
        raise EvaluationError(f"'{folder}' holds no recording; it takes folders {_LAYOUT}")
    for _, path in found:
        labels = labels_beside(path)
        if not labels.is_file():
            raise EvaluationError(
                f"'{path}' has no labels '{labels.name}' beside it; mark them with `audio-interaction label`"
            )
    return found


def read_field_recording(scene: str, path: Path) -> FieldRecording:
    """Return a recording with its labels; sound that a bag lacks is a silence there.

    Raises EvaluationError for what cannot be read, or labels after its end.
    """
    labels = labels_beside(path)
    try:
        events = read_labels(labels, may_be_empty=True)
        samples = _bag_sound(path) if is_bag(path) else _file_sound(path)
    except (AudioFormatError, BagError, LabelsError) as error:
        raise EvaluationError(str(error)) from error
    if not len(samples):
        raise EvaluationError(f"'{path}' holds no sound; record it again, or leave it out")
    name = path.name if path.is_dir() else path.stem
    recording = FieldRecording(scene, f'{scene}/{name}', samples, tuple(events))
    if late := [event for event in events if event.onset_s >= recording.duration_s]:
        raise EvaluationError(
            f"'{labels}' has {len(late)} events after the end ({late[0].category} at {late[0].onset_s:g} s, "
            f'the recording ends at {recording.duration_s:g} s); give seconds from its first sound'
        )
    return recording


def _holds_bag(path: Path) -> bool:
    return any(one.suffix in SUFFIXES or one.name == 'metadata.yaml' for one in path.iterdir())


def _file_sound(path: Path) -> Samples:
    recording = read_recording(path)
    if recording.problem:
        tell(recording.problem)
    return np.pad(recording.samples, (0, -len(recording.samples) % CHUNK_SAMPLES))


def _bag_sound(path: Path) -> Samples:
    """The first audio topic's chunks at their stamps."""
    placed: list[tuple[int, Samples]] = []
    with AudioBagReader(path) as bag:
        for _, since_ns, piece in placed_sound(bag):
            placed.append((round(since_ns * SAMPLE_RATE_HZ / NS_PER_S), piece))
        for remark in (*bag.remarks, *bag.complaints):
            tell(f'{path}: {remark}')
    end = max((at + len(piece) for at, piece in placed), default=0)
    if end > _LONGEST_S * SAMPLE_RATE_HZ:
        raise EvaluationError(
            f"'{path}' lasts {end / SAMPLE_RATE_HZ / 3_600:.1f} h with its pauses, at most {_LONGEST_S / 3_600:g} h "
            'are expected; record shorter bags'
        )
    samples = np.zeros(end + -end % CHUNK_SAMPLES, np.float32)
    for at, piece in placed:
        if at >= 0:
            samples[at : at + len(piece)] = piece
    return samples
