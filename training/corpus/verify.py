"""`corpus verify`: what a corpus claims, checked against what can be measured and derived anew."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from audio_interaction_ros.audio import CHUNK_SAMPLES
from audio_interaction_ros.audio.formats import Samples
from training.clips.store import ClipStore, heard_clips
from training.errors import BuildError
from training.streams import Role, Stream, read_streams, schedule

CLIPPED = 0.9995


@dataclass
class Findings:
    """`Findings` say what is wrong, by kind, with the first few examples of each."""

    streams: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """Count one more of a kind."""
        self.counts[kind] += 1
        self.examples.setdefault(kind, [])
        if len(self.examples[kind]) < 3:
            self.examples[kind].append(example)

    def as_dict(self) -> dict[str, object]:
        """Return the findings as they are printed."""
        return {
            'streams': self.streams,
            'clean': not self.counts,
            'wrong': dict(self.counts),
            'examples': self.examples,
        }


def verify(out: Path) -> Findings:
    """Check every stream of a corpus. Raises BuildError where there is none."""
    clips, speech = heard_clips(out), ClipStore(out / 'library' / 'speech')
    sides: dict[str, str] = {}
    findings = Findings()
    ids: set[str] = set()
    total = sum(1 for _ in read_streams(out, audio=False))
    for stream, samples in tqdm(read_streams(out), desc='streams', total=total, unit='stream'):
        assert samples is not None
        findings.streams += 1
        if stream.id in ids:
            findings.add('twice', stream.id)
        ids.add(stream.id)
        for problem in problems(stream, samples):
            findings.add(problem, stream.id)
        for id_ in stream.behind:
            if clips[id_].split != stream.split:
                findings.add('clip of another split', f'{stream.id}: {id_}')
            if sides.setdefault(clips[id_].recording, stream.split) != stream.split:
                findings.add('leak', clips[id_].recording)
        for event in stream.events:
            clip = clips[event.clip] if event.clip in clips else speech[event.clip]
            if clip.split != stream.split:
                findings.add('clip of another split', f'{stream.id}: {clip.id}')
            if sides.setdefault(clip.recording, stream.split) != stream.split:
                findings.add('leak', clip.recording)
            if event.respond != clip.respond or event.category != clip.category:
                findings.add('event differs from its clip', f'{stream.id}: {clip.id}')
    if not findings.streams:
        raise BuildError(f"no streams under '{out}'")
    return findings


def problems(stream: Stream, samples: Samples) -> list[str]:
    """Yield what is wrong with one stream, by name."""
    found = []
    if len(samples) != stream.chunks * CHUNK_SAMPLES:
        found.append('length is not its chunks')
    if not np.isfinite(samples).all() or float(np.abs(samples).max()) >= CLIPPED:
        found.append('clipped')
    if any(not 0 <= event.onset < event.known <= event.end <= len(samples) for event in stream.events):
        found.append('event outside its stream')
    if tuple(schedule(stream.replies, stream.chunks, stream.aloud)) != stream.drains:
        found.append('labels differ from the timeline')
    spans = [(event.onset, event.end) for event in stream.events]
    if any(not any(a <= reply.onset and reply.due <= b for a, b in spans) for reply in stream.replies):
        found.append('reply to nothing that sounds')
    warned = {event.onset for event in stream.events if event.respond and not event.text}
    answered = {reply.onset for reply in stream.replies if reply.emotion == 'urgent'}
    # What another ability does with a hazard, such as naming it, is no warning.
    alone = not stream.abilities
    if alone and stream.category == 'proactive respond' and not warned <= {reply.onset for reply in stream.replies}:
        found.append('hazard without its warning')
    if alone and stream.category == 'proactive respond' and answered - warned:
        found.append('warning without its hazard')
    if (error_db := snr_error_db(stream, samples)) is not None and abs(error_db) > SNR_TOLERANCE_DB:
        found.append('SNR is not what was drawn')
    return found


SNR_TOLERANCE_DB = 6.0  # noise moves; what a pause shows of it is not its mean over the stream
_PAUSE_SAMPLES = 24_000


def snr_error_db(stream: Stream, samples: Samples) -> float | None:
    """Return the measured less the drawn ratio of foreground to both noise tracks, in dB; None without 1.5 s of pause.

    The mixer's own tests hold the drawn ratios to 0.5 dB. Here only the mixture is left: its power where nothing is
    said to sound, against that where something is, tells whether the record belongs to the sound.
    """
    quiet = np.ones(len(samples), bool)
    for event in stream.events:
        quiet[event.onset : event.end + 4_000] = False
    if quiet.sum() < _PAUSE_SAMPLES:
        return None
    noise = float(np.square(samples[quiet], dtype=np.float64).mean())
    loud = np.zeros(len(samples), bool)
    for event in stream.events:
        if event.role is Role.FOREGROUND:
            loud[event.onset : event.end] = True
    signal = float(np.square(samples[loud], dtype=np.float64).mean()) - noise
    drawn = 10 ** (-stream.event_snr_db / 10) + 10 ** (-stream.ambient_snr_db / 10)
    if signal <= 0 or noise <= 0:
        return None
    return 10 * np.log10(signal / noise) + 10 * np.log10(drawn)
