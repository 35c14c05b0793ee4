"""Where in a stream the first thing begins that was mixed into it: what stages 1 to 3 of the paper read ends there.

The paper mixes history questions, silent sounds and warnings into what stage 4 reads alone (Table 11, B.2). A corpus is
built once for all stages, with its mix-ins, each of them after the first line of its script. So a stage without them
reads what lies before: the same streams, each a little shorter, in place of the few into which nothing was mixed.
Of a heterogeneous stream it reads the first ability.
"""

from __future__ import annotations

from audio_interaction_ros.audio import CHUNK_SAMPLES
from training.streams import Event, Role, Stream

_UNANSWERED = frozenset({'silent', 'ordinary'})
_KNOWN = _UNANSWERED | {'proactive', 'history review'}


def plain_chunks(stream: Stream, chunk_samples: int = CHUNK_SAMPLES) -> int:
    """Return how many chunks of a stream, up to the end of a drain, lie before anything that was mixed in.

    All of them where nothing was; 0 where no reply is given before. A stream's record names what was mixed in and does
    not say which of its events that is, so it is the first that may be it: never more is returned than is plain.
    """
    if not stream.mixed_in and len(stream.abilities) < 2:
        return stream.chunks
    if not set(stream.mixed_in) <= _KNOWN:
        return 0
    onsets = _onsets(stream)
    first = min(onsets) // chunk_samples if onsets else stream.chunks  # what did not fit was left out
    before = [drain for drain in stream.drains if drain.last < first]
    return before[-1].last + 1 if any(drain.reply is not None for drain in before) else 0


def without_mix_ins(stream: Stream, chunk_samples: int = CHUNK_SAMPLES) -> Stream:
    """Return a stream up to what was mixed into it, where `plain_chunks` are any."""
    chunks = plain_chunks(stream, chunk_samples)
    drains = tuple(drain for drain in stream.drains if drain.last < chunks)
    return stream.model_copy(update={'chunks': chunks, 'drains': drains})


def _onsets(stream: Stream) -> list[int]:
    """The onsets of every event that may have been mixed in."""
    foreground = [event for event in stream.events if event.role is Role.FOREGROUND]
    answered = {reply.onset for reply in stream.replies}
    found: list[Event] = []
    if _UNANSWERED & set(stream.mixed_in):
        found += [event for event in foreground if not event.text and event.onset not in answered]
    if 'proactive' in stream.mixed_in:
        found += [event for event in foreground if event.respond and event.onset in answered]
    if 'history review' in stream.mixed_in:  # the question is the last line
        found += [event for event in foreground if event.text][-1:]
    # Another ability is what stage 4 alone reads, too: sequences in which one follows the other (§3.3).
    return [event.onset for event in found] + [turned.onset for turned in stream.abilities[1:]]
