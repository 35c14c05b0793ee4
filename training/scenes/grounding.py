"""Grounding gives every sub-event a clip: retrieved, reprocessed, generated, or dropped, and recorded (Figure 14)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from audio_interaction_ros.audio import SAMPLE_RATE_HZ
from audio_interaction_ros.audio.formats import Samples
from training.scenes.generation import EventGenerator, Generated
from training.scenes.retrieval import CANDIDATES, Retriever
from training.scenes.scenario import (
    Acceptance,
    ClipInfo,
    Filling,
    GroundedEvent,
    Proposal,
    Refinement,
    Scenario,
    SubEvent,
    Verdict,
)
from training.scenes.verifier import FIT, SHORTEST_LOOP_S, Candidate, Neighbour, Verifier
from training.streams import Role

LONGEST_GENERATED_S = 10.0  # an ambient of a minute is tiled anyway


@dataclass(frozen=True)
class Grounded:
    """A `Grounded` event is its record, and its samples as accepted.

    `samples` are float32 [n] at 16 kHz, None if the event was dropped.
    """

    event: GroundedEvent
    samples: Samples | None


# TFJP (`training/render/tfjp.py`): float32 [n] → float32 [m]; it raises ValueError for what it cannot treat.
Reprocess = Callable[[Samples], Samples]
# What a clip is to the mix: the piece of it that a sub-event takes, as it would be heard.
Prepare = Callable[[ClipInfo, Samples, SubEvent], Samples]


@dataclass(frozen=True)
class _Accepted:
    clip: ClipInfo
    samples: Samples
    reprocessed: bool


class Grounder:
    """A `Grounder` fills the sub-events of a scene with clips.

    It retrieves, verifies, treats a clip with TFJP at most once, then generates under the same verifier (paper §3.2,
    Figure 14).
    """

    def __init__(
        self,
        retriever: Retriever,
        read: Callable[[ClipInfo], Samples],
        verifier: Verifier,
        reprocess: Reprocess,
        generator: EventGenerator | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        """Keep the parts; with `prepare`, clips are judged as it leaves them, else whole."""
        self._retriever = retriever
        self._read = read
        self._verifier = verifier
        self._reprocess = reprocess
        self._generator = generator
        self._prepare = prepare or (lambda clip, samples, event: samples)

    def ground(
        self,
        scenario: Scenario,
        refinements: Sequence[Refinement],
        rng: np.random.Generator,
        roles: Collection[Role] = tuple(Role),
    ) -> list[Grounded]:
        """Return one result for each sub-event of the `roles`, in order.

        Raises ValueError if refinements and sub-events do not match.
        """
        if len(refinements) != len(scenario.sub_events):
            raise ValueError(
                f'{len(refinements)} refinements for {len(scenario.sub_events)} sub-events; give one for each, in order'
            )
        return [
            self._ground(scenario, refinements, index, rng)
            for index, event in enumerate(scenario.sub_events)
            if event.role in roles
        ]

    def _ground(
        self, scenario: Scenario, refinements: Sequence[Refinement], index: int, rng: np.random.Generator
    ) -> Grounded:
        event, refinement = scenario.sub_events[index], refinements[index]
        neighbours = _neighbours(scenario, refinements, index)
        trials: list[Proposal] = []

        def propose(clip: ClipInfo, samples: Samples) -> _Accepted | None:
            return self._propose(scenario.description, event, refinement, neighbours, clip, samples, trials)

        def result(filling: Filling, accepted: _Accepted | None, reason: str = '') -> Grounded:
            record = GroundedEvent(
                sub_event=event,
                refinement=refinement,
                filling=filling,
                clip=accepted.clip if accepted else None,
                trials=tuple(trials),
                reason=reason,
            )
            return Grounded(record, accepted.samples if accepted else None)

        # What is too long can be cut, what is too short cannot: it would only take the place of one that fits.
        shortest_s = SHORTEST_LOOP_S if event.role is Role.AMBIENT else FIT[0] * event.rough_duration_s
        for clip in self._retriever.search(refinement.query, rng, shortest_s, CANDIDATES):
            if accepted := propose(clip, self._prepare(clip, self._read(clip), event)):
                return result(Filling.REPROCESS if accepted.reprocessed else Filling.RETRIEVAL, accepted)
        candidates = sum(not trial.reprocessed for trial in trials)
        rejected = f'none of {candidates} clips was accepted' if candidates else 'nothing was retrieved'
        if self._generator is None:
            return result(Filling.DROPPED, None, f'{rejected}, and there is no generator')
        try:
            made = self._generator.generate(
                refinement.fallback_caption, min(event.rough_duration_s, LONGEST_GENERATED_S), rng
            )
        except ValueError as error:
            return result(Filling.DROPPED, None, f'{rejected}, and the generator refused: {error}')
        clip = _describe(made, refinement)
        if accepted := propose(clip, self._prepare(clip, made.samples, event)):
            return result(Filling.GENERATION, accepted)
        return result(Filling.DROPPED, None, f'{rejected}, nor what {made.made_by} made')

    def _propose(
        self,
        scenario: str,
        event: SubEvent,
        refinement: Refinement,
        neighbours: tuple[Neighbour, ...],
        clip: ClipInfo,
        samples: Samples,
        trials: list[Proposal],
    ) -> _Accepted | None:
        verdict = self._verifier.verify(Candidate(scenario, event, refinement, neighbours, clip, samples))
        trials.append(Proposal(clip=clip, reprocessed=False, verdict=verdict))
        if verdict.decision is Acceptance.ACCEPT:
            return _Accepted(clip, samples, reprocessed=False)
        if verdict.decision is Acceptance.REJECT:
            return None
        try:
            samples = self._reprocess(samples)
        except ValueError as error:
            verdict = Verdict(decision=Acceptance.REJECT, reason=f'TFJP: {error}', made_by='rules')
            trials.append(Proposal(clip=clip, reprocessed=True, verdict=verdict))
            return None
        if not len(samples):
            verdict = Verdict(decision=Acceptance.REJECT, reason='TFJP left nothing of it.', made_by='rules')
            trials.append(Proposal(clip=clip, reprocessed=True, verdict=verdict))
            return None
        clip = clip.model_copy(update={'duration_s': len(samples) / SAMPLE_RATE_HZ})
        verdict = self._verifier.verify(Candidate(scenario, event, refinement, neighbours, clip, samples))
        trials.append(Proposal(clip=clip, reprocessed=True, verdict=verdict))
        # A second call for reprocessing counts as a rejection: once is all that a clip gets.
        return _Accepted(clip, samples, reprocessed=True) if verdict.decision is Acceptance.ACCEPT else None


def _neighbours(scenario: Scenario, refinements: Sequence[Refinement], index: int) -> tuple[Neighbour, ...]:
    """Return the neighbours of the sub-event at `index`.

    Foregrounds follow one another; layers sound with all of them, and with each other.
    """
    events = scenario.sub_events
    foregrounds = [i for i, event in enumerate(events) if event.role is Role.FOREGROUND]
    layered = events[index].role is not Role.FOREGROUND
    near = set() if layered else set(foregrounds[max(0, foregrounds.index(index) - 1) : foregrounds.index(index) + 2])
    found = []
    for i, (event, refinement) in enumerate(zip(events, refinements, strict=True)):
        together = layered or event.role is not Role.FOREGROUND
        if i != index and (together or i in near):
            found.append(Neighbour(event.name, refinement.accept_tags, together))
    return tuple(found)


def _describe(made: Generated, refinement: Refinement) -> ClipInfo:
    digest = hashlib.sha256(np.ascontiguousarray(made.samples).tobytes()).hexdigest()
    return ClipInfo(
        clip_id=f'generated:{digest[:16]}',
        # A model that makes sound from words names no category: it is what was asked for.
        category=made.category or refinement.accept_tags[0],
        caption=made.caption,
        duration_s=max(len(made.samples), 1) / SAMPLE_RATE_HZ,
        respond=made.respond,
        source=made.made_by,
    )
