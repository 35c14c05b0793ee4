"""A file or a bag, heard once more: its sound, and every decision and response at its place in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from audio_interaction_ros.audio import CHUNK_S, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.file_reader import AudioFile
from audio_interaction_ros.audio.formats import PcmFormat, Samples
from audio_interaction_ros.audio.resample import pieces_at_16k
from audio_interaction_ros.audio.stamp_watch import StampFault
from audio_interaction_ros.audio.timeline import NS_PER_S
from audio_interaction_ros.bags import AudioBagReader
from audio_interaction_ros.model.checkpoint import DecoderHalf, EncoderHalf
from audio_interaction_ros.streaming.loop import Decision, Response, listen
from audio_interaction_ros.streaming.replay import BagListener, placed_sound
from audio_interaction_ros.view.picture import SoundPicture

Progress = Callable[[float], None]  # is told the seconds that were heard so far


@dataclass(frozen=True)
class Moment:
    """A `Moment` is a decision, `at_s` seconds from the first sample to the end of its newest chunk."""

    at_s: float
    probability: float
    responded: bool
    heard: str  # what the event head names, '' for nothing


@dataclass(frozen=True)
class Saying:
    """A `Saying` is a response, at the end of the chunk that triggered it."""

    at_s: float
    text: str
    emotion: str
    probability: float
    heard: str


@dataclass
class HeardRecording:
    """A `HeardRecording` holds what a page shows of a recording; `remarks` say what was wrong with it."""

    name: str
    picture: SoundPicture
    moments: list[Moment] = field(default_factory=list)
    sayings: list[Saying] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def take(self, event: Decision | Response, at_s: float) -> None:
        """Keep a decision, or a response that is whole."""
        decision = event if isinstance(event, Decision) else event.decision
        sounding = decision.sounding
        heard = (sounding.likeliest if sounding is not None else None) or ''
        if isinstance(event, Decision):
            self.moments.append(Moment(at_s, decision.probability, decision.respond, heard))
        elif event.final:
            self.sayings.append(Saying(at_s, event.text, event.emotion, decision.probability, heard))


def hear_file(
    path: Path, encoder: EncoderHalf, decoder: DecoderHalf, with_sound: bool, progress: Progress
) -> HeardRecording:
    """Hear an audio file from beginning to end, or to where it is damaged. Raises AudioFormatError."""
    heard = HeardRecording(path.name, SoundPicture(with_sound))

    def seen(file: AudioFile) -> Iterator[Samples]:
        for piece in pieces_at_16k(file.blocks(), file.pcm.sample_rate_hz):
            heard.picture.add(piece)
            progress(heard.picture.duration_s)
            yield piece

    with AudioFile(path) as file:
        for event in listen(encoder, decoder, seen(file)):
            decision = event if isinstance(event, Decision) else event.decision
            heard.take(event, decision.chunk.first_sample / SAMPLE_RATE_HZ + CHUNK_S)
        heard.remarks += filter(None, [file.unfinished, file.damage])
    return heard


def hear_bag(
    path: Path,
    topic: str | None,
    pcm: PcmFormat | None,
    encoder: EncoderHalf,
    decoder: DecoderHalf,
    with_sound: bool,
    progress: Progress,
) -> HeardRecording:
    """Hear the audio topic of a bag, as `replay` does; sound that is missing is a silence there. Raises BagError."""
    heard = HeardRecording(path.name, SoundPicture(with_sound))
    faults: dict[str, StampFault] = {}
    start_ns = see_bag(path, topic, pcm, heard.picture)
    with AudioBagReader(path, topic, pcm) as bag:
        listener = BagListener(bag, encoder, decoder)
        for event in listener.hear():
            decision = event if isinstance(event, Decision) else event.decision
            at_s = (decision.chunk.stamp_ns - start_ns) / NS_PER_S + CHUNK_S
            heard.take(event, at_s)
            progress(at_s)
        faults = listener.faults
        heard.remarks += [*bag.remarks, *bag.complaints, *(fault.sentence for fault in faults.values())]
    return heard


def see_bag(path: Path, topic: str | None, pcm: PcmFormat | None, picture: SoundPicture) -> int:
    """Put the sound of a bag into a picture, and return the stamp of its first sample, 0 without any.

    Sound that is missing is a silence there. Raises BagError.
    """
    start_ns = 0
    with AudioBagReader(path, topic, pcm) as bag:
        for stamp_ns, since_ns, samples in placed_sound(bag):
            start_ns = stamp_ns - since_ns
            picture.quiet_until(since_ns / NS_PER_S)
            picture.add(samples)
    return start_ns


def see_file(path: Path, picture: SoundPicture) -> list[str]:
    """Put the sound of an audio file into a picture, and return what is wrong with it. Raises AudioFormatError."""
    with AudioFile(path) as file:
        for piece in pieces_at_16k(file.blocks(), file.pcm.sample_rate_hz):
            picture.add(piece)
        return [sentence for sentence in (file.unfinished, file.damage) if sentence]
