"""A script performed: voices cast, clips cut and cleaned, everything mixed, and each reply given its chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from audio_interaction_ros.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.clips.store import ClipStore, StoredClip
from training.dsp.activity import FRAME_SAMPLES, activity, evidence_end
from training.dsp.rooms import to_unit_energy
from training.render.mix import Mixing, Part, Placed, mix
from training.render.tfjp import TfjpError, TfjpSettings, tfjp
from training.scripts.accepted import ACCEPTED
from training.scripts.script import Line, Script, Speech, pick
from training.speech.casting import Casting, utterance_id
from training.streams import Event, Reply, Role, Stream, Turned, schedule, speaking_s

_PAUSES_KEPT = TfjpSettings(silence_limit_ms=None)


_TAIL_S = (0.4, 2.0)  # heard after the last line, so that late replies have their chunk


class Performance(BaseModel):
    """`Performance` says how scripts become streams."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    max_chunks: int = Field(default=60, ge=4, description='L_max (Table 11)')
    mixing: Mixing = Mixing()
    tfjp: TfjpSettings | None = Field(default=TfjpSettings(), description='null: clips as they are, for an ablation')
    measured_room_share: float = Field(
        default=0.5, ge=0, le=1, description='of the streams, where the library has measured rooms'
    )


@dataclass(frozen=True)
class _Tag:
    """What a line of the script is, while the mixer places it."""

    line: Line
    clip: StoredClip
    known: int


def perform(
    id_: str,
    script: Script,
    split: str,
    casting: Casting,
    clips: ClipStore,
    speech: ClipStore,
    settings: Performance,
    rng: np.random.Generator,
) -> tuple[Stream, Samples]:
    """Perform a script: voices and clips are cut, cleaned and mixed; return its record and float32 [chunks × 6400].

    Raises MixingError or ClipStoreError, which say what is missing.
    """
    parts: list[Part] = []
    for line in script.lines:
        if isinstance(line.hear, Speech) and line.hear.clip:
            clip = clips[line.hear.clip]
            samples = _sounding(clips.samples(clip.id))
            known = len(samples)
        elif isinstance(line.hear, Speech):
            clip = speech[utterance_id(line.hear.text, casting[line.hear.speaker, line.hear.language])]
            samples = speech.samples(clip.id)
            known = len(samples)
        else:
            clip = clips[line.hear.clip]
            samples = clips.samples(clip.id)
            if not clip.id.startswith(ACCEPTED):  # which is what would be left, and was judged as such
                samples = cut(samples, line.hear.longest_s, clip.cadence, settings.tfjp)
            known = evidence_end(activity(samples), len(samples))
        gap_s = line.gap_s + (_spoken_before(script, len(parts)) if script.aloud else 0.0)
        far = isinstance(line.hear, Speech) and line.hear.far
        parts.append(Part(samples, line.role, gap_s, far, _Tag(line, clip, known)))
    seconds = sum(len(part.samples) / SAMPLE_RATE_HZ + part.gap_s for part in parts if part.role is Role.FOREGROUND)
    wanted = int(np.ceil((seconds + rng.uniform(*_TAIL_S)) * SAMPLE_RATE_HZ / CHUNK_SAMPLES))
    chunks = min(wanted, settings.max_chunks)
    behind = [pick(rng, clips.noise(split, sort)).id for sort in ('event', 'ambient')]
    event_noise, ambient_noise = map(clips.samples, behind)
    response = None
    if (rooms := clips.rooms(split)) and rng.random() < settings.measured_room_share:
        behind.append(pick(rng, rooms).id)
        response = to_unit_energy(clips.samples(behind[-1]))
    mixed = mix(parts, event_noise, ambient_noise, chunks, settings.mixing, rng, response)
    events = tuple(_event(place) for place in mixed.placed)
    replies = tuple(reply for place in mixed.placed for reply in _replies(place))
    stream = Stream(
        id=id_,
        split=split,
        category=script.category,
        task=script.task,
        instruction=script.instruction,
        made_by=script.made_by,
        mixed_in=script.mixed_in,
        chunks=chunks,
        aloud=script.aloud,
        event_snr_db=round(mixed.event_snr_db, 3),
        ambient_snr_db=round(mixed.ambient_snr_db, 3),
        events=events,
        replies=replies,
        drains=tuple(schedule(replies, chunks, script.aloud)),
        behind=tuple(behind),
        credits=_credits(mixed.placed),
        lines_left_out=len(parts) - len(events),
        abilities=_turned(script, mixed.placed),
    )
    return stream, mixed.samples


def _spoken_before(script: Script, index: int) -> float:
    """Whoever was answered aloud listens before going on."""
    said = script.lines[index - 1].say if index else ()
    return sum(speaking_s(say.text, say.language) for say in said)


def _sounding(samples: Samples) -> Samples:
    """Without the silence before and after; recorded speech is otherwise left as it is."""
    active = np.flatnonzero(activity(samples))
    return samples[int(active[0]) * FRAME_SAMPLES : (int(active[-1]) + 1) * FRAME_SAMPLES]


def cut(samples: Samples, longest_s: float, cadence: bool, settings: TfjpSettings | None) -> Samples:
    """Return at most `longest_s` (seconds) from the first sound on, float32 [m], cleaned by TFJP with `settings`.

    A clip that TFJP can do nothing with stays as it is; with `cadence` its pauses do.
    """
    active = np.flatnonzero(activity(samples))
    start = int(active[0]) * FRAME_SAMPLES if len(active) else 0
    piece = samples[start : start + int(longest_s * SAMPLE_RATE_HZ)]
    if settings is None:
        return piece
    try:
        kept = _PAUSES_KEPT if cadence else settings
        return tfjp(piece, kept).samples
    except TfjpError:
        return piece


def _credits(placed: Sequence[Placed]) -> tuple[tuple[str, str, str], ...]:
    heard = (place.tag.line.hear for place in placed if isinstance(place.tag, _Tag))
    return tuple(sorted({hear.credit for hear in heard if isinstance(hear, Speech) and hear.credit}))


def _turned(script: Script, placed: Sequence[Placed]) -> tuple[Turned, ...]:
    """Where each ability begins to be heard, without those that did not fit."""
    onsets = {id(place.tag.line): place.onset for place in placed if isinstance(place.tag, _Tag)}
    begins = [ability.line for ability in script.abilities] + [len(script.lines)]
    turned = []
    for ability, end in zip(script.abilities, begins[1:], strict=True):
        lines = (line for line in script.lines[ability.line : end] if line.role is Role.FOREGROUND)
        if heard := [onsets[id(line)] for line in lines if id(line) in onsets]:
            turned.append(Turned(category=ability.category, task=ability.task, onset=min(heard)))
    return tuple(turned)


def _event(place: Placed) -> Event:
    tag = place.tag
    assert isinstance(tag, _Tag)
    return Event(
        onset=place.onset,
        end=place.end,
        known=min(place.onset + tag.known, place.end),
        role=place.role,
        clip=tag.clip.id,
        category=tag.clip.category,
        respond=tag.clip.respond,
        text=tag.line.hear.text if isinstance(tag.line.hear, Speech) else '',
    )


def _replies(place: Placed) -> list[Reply]:
    tag = place.tag
    assert isinstance(tag, _Tag)
    replies = []
    for say in tag.line.say:
        due = {'end': place.end, 'evidence': place.onset + tag.known}.get(say.due)
        if due is None:
            due = place.onset + int(tag.clip.words[say.word][2] * SAMPLE_RATE_HZ)
        due = max(place.onset + 1, min(due, place.end))
        replies.append(Reply(onset=place.onset, due=due, text=say.text, emotion=say.emotion, language=say.language))
    return replies
