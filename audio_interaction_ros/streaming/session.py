"""One listening session: what it has heard and said, and the only code that advances it (contract 4)."""

from __future__ import annotations

import threading
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from audio_interaction_ros.model.deciding import EventClasses, Kind, Sounding, Threshold, kind_of_response, weighed
from audio_interaction_ros.model.engine import Engine, KvCache
from audio_interaction_ros.model.network import EventHead
from audio_interaction_ros.model.protocol import AUDIO_TOKENS_PER_CHUNK, Protocol
from audio_interaction_ros.tool_use.writing import CallWriter

T = TypeVar('T')
# Yields embeddings [n, hidden] that the model is to read, is sent the logits [outputs] after them, and returns T.
ForwardRequest = Generator[Tensor, Tensor, T]

_LONGEST_CYCLE, _REPEATS, _FEWEST_LOOPED = 8, 4, 8  # tokens; times; tokens that a loop has before it is cut off
_BEFORE_A_RESPONSE = 8  # chunks kept with a response that is remembered: about as long as a request takes
_SPARE_SHARE = 16  # an idle session keeps this part of its context free, for the chunks of the next drain
_LONGEST_REREAD = 128  # positions that one pass reads of what is kept
_PREFIX_SHARE = 4  # of the context at most, for what the model is told
_RESPONSE_SHARE = 4  # of the context at most, for a response, where its limit is changed


@dataclass(frozen=True)
class SessionSettings:
    """`SessionSettings` are the limits and the policy of a session.

    `response_threshold`: respond when P(response) among the two control tokens reaches it, whatever is heard; None for
    what `thresholds` say.
    `thresholds`: what each kind of response takes; see `Threshold`.
    `warning_agreement`: hold an urgent warning back where the event head gives the sounds that call for one together a
    lower probability; 0 does not ask it.
    `instructed`: another instruction than the checkpoint's own is to be followed.
    `rearm_below`: after a response, the next has to wait until P(response) was as low as this once; 1 never waits.
    `max_context_chunks`: the longest context the model was trained on; past it, the session makes room.
    `max_response_tokens`: a longer response is ended with `eos`.
    `temperature`: 0 takes the likeliest token, more than that draws, by `seed`.
    `silent_between_chunks`: within a drain every chunk but the last is followed by `silent`, unasked, for a model that
    never saw chunks side by side.
    """

    response_threshold: float | None
    max_context_chunks: int
    max_response_tokens: int = 64
    rearm_below: float = 1.0
    temperature: float = 0.0
    seed: int = 0
    silent_between_chunks: bool = False
    thresholds: Mapping[Kind, Threshold] = field(default_factory=dict)
    warning_agreement: float = 0.0
    instructed: bool = False

    def is_enough(self, probability: float, before: float, sounding: Sounding | None) -> bool:
        """Return whether a P(response) is, given what sounds: by itself, or with that of the decision before.

        `before` is 0 where that was for a response.
        """
        if self.response_threshold:
            return probability >= self.response_threshold
        threshold = self._threshold(sounding)
        return probability >= threshold.at_once or min(probability, before) >= threshold.twice

    def weighed(self, probability: float, sounding: Sounding | None) -> float:
        """Return P(response), given the language model's and what sounds."""
        if sounding is None or not self.thresholds:
            return probability
        kind = kind_of_response(sounding, self.instructed)
        return weighed(probability, sounding.deserves(kind), self.thresholds[kind].event_share)

    def _threshold(self, sounding: Sounding | None) -> Threshold:
        return self.thresholds[kind_of_response(sounding, self.instructed)]


@dataclass
class _Turn:
    """A turn is the chunks of one drain and the tokens that answered them."""

    vectors: list[Tensor]
    tokens: list[int] = field(default_factory=list)
    mark: Hashable = None  # by which its response is found again


class Session:
    """A `Session` turns a drain of chunks into one control token and, while responding, gives one text token a call.

    The last token emitted is not in the cache yet: it enters with the next forward pass, so a drain and a text
    step cost one pass each.

    The methods that need forward passes come twice: as a call that runs them at once, and as a `ForwardRequest`, which
    `Brain` batches with those of other sessions.
    """

    def __init__(
        self,
        engine: Engine,
        protocol: Protocol,
        prefix: Sequence[int],
        vocabulary_size: int,
        settings: SessionSettings,
        events: EventClasses | None = None,
        capacity: int | None = None,
        calls: CallWriter | None = None,
    ) -> None:
        """Begin with the instruction's token ids, `prefix`; ids from `vocabulary_size` on are padding, never text.

        `events` are the classes of the engine's event head, None where it has none or nobody wants to know. `capacity`:
        how many positions are to be read and written at most; None makes room for the longest context. `calls`: what
        keeps calls of tools to their schemas; None has no tools, and all that is written is text.
        """
        self._engine = engine
        self._protocol = protocol
        self._prefix = list(prefix)
        self.settings = settings
        self._events = events if engine.event_head is not None else None
        self._calls = calls
        self._a_chunk = AUDIO_TOKENS_PER_CHUNK + 2 + settings.silent_between_chunks  # positions, without the answer
        longest = settings.max_context_chunks * (self._a_chunk + 2 + settings.max_response_tokens)
        positions = len(self._prefix) + longest if capacity is None else capacity
        self._cache = engine.new_cache(min(engine.config.max_position_embeddings, positions))
        forbidden = torch.zeros(engine.outputs, dtype=torch.bool, device=engine.device)
        forbidden[vocabulary_size:] = True
        forbidden[list(protocol.special_ids())] = True
        forbidden[protocol.eos] = False
        self._not_text = forbidden
        self._not_spoken = forbidden.clone()
        self._not_spoken[list(protocol.emotions.values())] = False
        # Right after `response` an emotion tag may come; an empty response may not.
        self._not_first = forbidden.clone()
        self._not_first[list(protocol.emotions.values())] = False
        self._not_first[protocol.eos] = True
        self._draws = torch.Generator().manual_seed(settings.seed)
        silence = [protocol.silent] if settings.silent_between_chunks else []
        self._begin, self._end = engine.embed([protocol.chunk_begin]), engine.embed([protocol.chunk_end])
        self._between = engine.embed([protocol.chunk_end, *silence, protocol.chunk_begin])
        self.compactions = 0
        self._changing = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything but the instruction."""
        self._turns: list[_Turn] = []
        self._lately: list[Tensor] = []  # what the event head hears by: the last chunks, whatever was said between
        self._cache.truncate(0)
        self._unread: list[int] = list(self._prefix)
        self._armed = True
        self.cut_short = False  # the last response: it was ended, and did not end by itself
        self._before = 0.0  # P(response) at the last decision, if it was for silence
        self.sounding: Sounding | None = None
        self.held_back = False  # the last response, because it was not urgent

    @property
    def responding(self) -> bool:
        """Return True between a `response` token and its `eos`: the queue must then be left alone. From any thread."""
        turns = self._turns  # read once: the thread that runs the session may put a new list there
        return bool(turns) and turns[-1].tokens[-1] not in (self._protocol.silent, self._protocol.eos)

    @property
    def calling(self) -> bool:
        """Return whether the last response is, as far as it is written, the call of a tool."""
        return self._calls is not None and self._calls.calling

    @property
    def longest_drain(self) -> int:
        """Return how many chunks one drain may have: half of the context, so that a rebuilt one has room for them."""
        return self.settings.max_context_chunks // 2

    @property
    def longest_prefix(self) -> int:
        """Return how many tokens `tell` takes: a quarter of the context, so that most of it is for what is heard."""
        return self._cache.capacity // _PREFIX_SHARE

    @property
    def longest_response(self) -> int:
        """Return how many tokens `max_response_tokens` may be changed to: a quarter of the context.

        With more, every drain would have to make room.
        """
        return self._cache.capacity // _RESPONSE_SHARE

    @property
    def context_chunks(self) -> int:
        """Return how many chunks the cache holds. From any thread."""
        return sum(len(turn.vectors) for turn in self._turns)

    @property
    def cache(self) -> KvCache:
        """Return the cache into which a `ForwardRequest` is read."""
        return self._cache

    @property
    def cache_bytes(self) -> int:
        """Return how many bytes the cache takes, full or empty."""
        return self._cache.keys.nbytes + self._cache.values.nbytes

    def drain(
        self, vectors: Sequence[Tensor], mark: Hashable = None, urgent_only: bool = False, keep: bool = True
    ) -> tuple[bool, float]:
        """Read chunks of [10, dim] and return whether to respond, and the probability of `response`.

        By a `mark` that is not None the response is found again. With `urgent_only` all others are held back.
        Without `keep` what is not responded to is not remembered.

        Raises RuntimeError while a response is under way, which would break the protocol, and ValueError for more
        chunks than `longest_drain`.
        """
        return self.run(self.drain_request(vectors, mark, urgent_only, keep))

    def drain_request(
        self, vectors: Sequence[Tensor], mark: Hashable = None, urgent_only: bool = False, keep: bool = True
    ) -> ForwardRequest[tuple[bool, float]]:
        """Request what `drain` does."""
        if self.responding:
            raise RuntimeError('drain() during a response; call next_token() until it returns eos, or cancel()')
        if len(vectors) > self.longest_drain:
            raise ValueError(
                f'a drain of {len(vectors)} chunks found, at most {self.longest_drain} expected, half of the context; '
                'leave out the oldest and count them as lost'
            )
        if not self._room_for(len(vectors)):
            yield from self._compact(len(vectors))
        turn = _Turn([chunk.to(self._engine.device, self._engine.dtype) for chunk in vectors], mark=mark)
        length = self._cache.length
        logits = yield torch.cat([self._engine.embed(self._unread), *self._chunk_embeddings(turn)])
        self._lately = self._lately_with(turn)
        self.sounding = sounding = self._sounding(self._lately)
        probability = self._p_response(logits, sounding)
        respond = self._responds(probability, sounding)
        agrees = self._agrees(sounding)
        self.held_back = False
        if respond and (urgent_only or not agrees):
            urgent = yield from self._begins_urgent()
            self.held_back = urgent_only and not urgent
            respond = agrees if urgent else not urgent_only
        self._armed = probability <= self.settings.rearm_below or (self._armed and not respond)
        self._before = 0.0 if respond or self.held_back else probability
        if not respond and not keep:
            self._cache.truncate(length)
            return False, probability
        turn.tokens.append(self._protocol.response if respond else self._protocol.silent)
        self._turns.append(turn)
        self._unread, self.cut_short = turn.tokens[-1:], False
        if respond and self._calls is not None:
            self._calls.begin()
        return respond, probability

    def next_token(self) -> int:
        """Return the next token of the response under way; `eos` ends it.

        It is `eos` also where the response is too long, goes round in circles, or leaves no room in the context.
        """
        return self.run(self.next_token_request())

    def next_token_request(self) -> ForwardRequest[int]:
        """Request what `next_token` does."""
        tokens = self._turns[-1].tokens
        full = self._cache.length + len(self._unread) + 1 >= self._cache.capacity
        if full or len(tokens) > self.settings.max_response_tokens or is_decoding_loop(tokens):
            return self.cancel()
        logits = yield self._engine.embed(self._unread)
        barred = self._not_first if len(tokens) == 1 else self._not_text
        if self._calls is not None:
            barred = self._calls.barred(barred, self._protocol.eos)
        token = self._choose(logits.masked_fill(barred, -torch.inf))
        if self._calls is not None and token != self._protocol.eos:
            self._calls.took(token)
        tokens.append(token)
        self._unread = [token]
        return token

    def log_probabilities(self, tokens: Sequence[int]) -> list[float]:
        """Return ln P of each of these tokens as the response under way would go on with them, among text and tags.

        Changes nothing. Raises ValueError where they do not fit into the context.
        """
        return self.run(self.log_probabilities_request(tokens))

    def log_probabilities_request(self, tokens: Sequence[int]) -> ForwardRequest[list[float]]:
        """Request what `log_probabilities` does."""
        length, unread, found = self._cache.length, self._unread, list[float]()
        if length + len(unread) + len(tokens) > self._cache.capacity:
            room = self._cache.capacity - length - len(unread)
            raise ValueError(f'{len(tokens)} tokens found, at most {room} fit into the context; give fewer')
        for token in tokens:
            logits = yield self._engine.embed(unread)
            found.append(float(logits.masked_fill(self._not_spoken, -torch.inf).log_softmax(0)[token]))
            unread = [token]
        self._cache.truncate(length)
        return found

    def cancel(self) -> int:
        """End the response under way and return `eos`; what was said stays in the context."""
        if self.responding:
            self._turns[-1].tokens.append(self._protocol.eos)
            self._unread = [*self._unread, self._protocol.eos]
            self.cut_short = True
        return self._protocol.eos

    def written(self, mark: Hashable) -> list[int]:
        """Return the tokens of the response with this mark, without the control tokens around them.

        Empty where it is under way, there is none, or it is not in the context any more.
        """
        place = self._place_of(mark)
        return [] if place is None else self._turns[place].tokens[1:-1]

    def keep_spoken(self, mark: Hashable, tokens: int) -> bool:
        """Keep in the context only the first `tokens` of a response's tokens, as if it had ended there.

        With 0, as if it had been silent. Returns False where `written` is empty, and then changes nothing. Raises
        RuntimeError while a response is under way.
        """
        return self.run(self.keep_spoken_request(mark, tokens))

    def keep_spoken_request(self, mark: Hashable, tokens: int) -> ForwardRequest[bool]:
        """Request what `keep_spoken` does: one pass over what came from there on."""
        if self.responding:
            raise RuntimeError('keep_spoken() during a response; call next_token() until it returns eos, or cancel()')
        place = self._place_of(mark)
        if place is None:
            return False
        turn, protocol = self._turns[place], self._protocol
        kept = [*turn.tokens[: 1 + tokens], protocol.eos] if tokens else [protocol.silent]
        if len(kept) < len(turn.tokens):
            turn.tokens = kept
            yield from self._read_again(place)
        return True

    def would_interrupt(self, vectors: Sequence[Tensor]) -> bool:
        """Return whether these chunks would get an urgent response if the one under way ended here.

        Changes nothing. False where they do not fit into the context any more.
        """
        return self.run(self.would_interrupt_request(vectors))

    def would_interrupt_request(self, vectors: Sequence[Tensor]) -> ForwardRequest[bool]:
        """Request what `would_interrupt` does."""
        turn = _Turn([chunk.to(self._engine.device, self._engine.dtype) for chunk in vectors])
        length = self._cache.length
        if length + len(self._unread) + 2 + len(vectors) * (self._a_chunk + 1) > self._cache.capacity:
            return False
        ended = self._engine.embed([*self._unread, self._protocol.eos])
        logits = yield torch.cat([ended, *self._chunk_embeddings(turn)])
        sounding = self._sounding(self._lately_with(turn))
        enough = self.settings.is_enough(self._p_response(logits, sounding), 0.0, sounding) and self._agrees(sounding)
        urgent = enough and (yield from self._begins_urgent())
        self._cache.truncate(length)
        return urgent

    def tidy(self) -> None:
        """Make room while there is nothing else to do, so that no decision has to wait for it."""
        self.run(self.tidy_request())

    def tidy_request(self) -> ForwardRequest[None]:
        """Request what `tidy` does."""
        if not self.responding and not self._room_for(self._spare):
            yield from self._compact(self._spare)

    def change(self, **settings: Any) -> None:
        """Set some of the settings and leave the others as they are. From any thread."""
        with self._changing:
            before, self.settings = self.settings, replace(self.settings, **settings)
            if self.settings.seed != before.seed:
                self._draws = torch.Generator().manual_seed(self.settings.seed)

    def tell(self, prefix: Sequence[int], instructed: bool = False) -> None:
        """Begin the context with another `prefix`; what was heard and said stays, as far as there is room for it.

        Raises RuntimeError while a response is under way, and ValueError for a prefix above `longest_prefix`.
        """
        self.run(self.tell_request(prefix, instructed))

    def tell_request(self, prefix: Sequence[int], instructed: bool = False) -> ForwardRequest[None]:
        """Request what `tell` does: one pass over all that stays, or none where nothing was heard yet.

        Where that pass fails the prefix counts all the same.
        """
        if self.responding:
            raise RuntimeError('tell() during a response; call next_token() until it returns eos, or cancel()')
        if len(prefix) > self.longest_prefix:
            raise ValueError(f'a prefix of {len(prefix)} tokens found, at most {self.longest_prefix} expected')
        self._prefix = list(prefix)
        self.change(instructed=instructed)
        if self._all_fit(self._spare):
            yield from self._rebuild(self._turns)
        else:
            yield from self._compact(self._spare)

    def run(self, request: ForwardRequest[T]) -> T:
        """Run the forward passes of a request, one after another, and return its result."""
        passes = self.passes(request)
        try:
            while True:
                next(passes)
        except StopIteration as done:
            result: T = done.value
            return result

    def passes(self, request: ForwardRequest[T], longest: int | None = None) -> Generator[None, None, T]:
        """Run a request, pause after every forward pass, and return its result.

        `longest`: a pass reads no more positions than that, and what is longer is read in several; None reads each at
        once.
        """
        logits: Tensor | None = None
        try:
            while True:
                embedded = next(request) if logits is None else request.send(logits)
                for part in embedded.split(longest or len(embedded)):
                    logits = self._engine.forward([self._cache], part[None])[0]
                    yield
        except StopIteration as done:
            result: T = done.value
            return result

    def _compact(self, needed_chunks: int) -> ForwardRequest[None]:
        """Build the cache anew from what is worth keeping, in the order in which it came.

        Kept are the instruction and, of half of what the context holds, the newest chunks and then, as far as there is
        room, the exchanges before them: what was said, with the last chunks of what it answered.
        """
        spared = self._kept(needed_chunks)
        self.compactions += 1
        yield from self._rebuild([turn for number, turn in enumerate(self._turns) if number in spared])

    def _rebuild(self, turns: list[_Turn]) -> ForwardRequest[None]:
        """Read the prefix and these turns anew, in the place of all that was read."""
        armed, before, lately = self._armed, self._before, self._lately
        self.reset()
        self._armed, self._before, self._lately = armed, before, lately
        if not turns:
            return
        embeddings = [self._engine.embed(self._prefix)]
        for turn in turns:
            embeddings += [*self._chunk_embeddings(turn), self._engine.embed(turn.tokens)]
        # Everything but the last token goes into the cache now; that one is read with the next chunks.
        # In several passes, for attention over all at once takes twice as long, and memory by the square.
        # `yield from` would send the logits to a tuple, which takes none.
        for part in torch.cat(embeddings)[:-1].split(_LONGEST_REREAD):  # noqa: UP028
            yield part
        self._turns = turns
        self._unread = turns[-1].tokens[-1:]

    def _place_of(self, mark: Hashable) -> int | None:
        """Where in `_turns` the finished response with this mark is."""
        for place in range(len(self._turns) - 1, -1, -1):
            turn = self._turns[place]
            if turn.mark == mark is not None and len(turn.tokens) > 1 and turn.tokens[-1] == self._protocol.eos:
                return place
        return None

    def _read_again(self, place: int) -> ForwardRequest[None]:
        """Read the turns from this place on in the place of what was read of them before."""
        turns = self._turns
        parts = [[*self._chunk_embeddings(turn), self._engine.embed(turn.tokens)] for turn in turns[place:]]
        before = sum(sum(map(len, self._chunk_embeddings(turn))) + len(turn.tokens) for turn in turns[:place])
        self._cache.truncate(len(self._prefix) + before)
        for part in torch.cat([each for turn in parts for each in turn])[:-1].split(_LONGEST_REREAD):  # noqa: UP028
            yield part  # as in `_rebuild`
        self._unread = turns[-1].tokens[-1:]

    def _kept(self, needed_chunks: int) -> set[int]:
        """Return which turns stay, as places in `_turns`."""
        chunks = self.longest_drain - needed_chunks
        positions = (self._cache.capacity - len(self._prefix)) // 2 - needed_chunks * (self._a_chunk + 1)
        exchanges = [number for number, turn in enumerate(self._turns) if len(turn.tokens) > 1]
        newest = list(range(len(self._turns) - 1, -1, -1))
        # Half of the room is the newest chunks' own, or a long conversation would leave none for them.
        wishes = [(newest, chunks if not exchanges else chunks // 2)]
        wishes += [(self._exchange(number), chunks) for number in reversed(exchanges)]
        wishes += [(newest, chunks)]
        kept: set[int] = set()
        used_chunks = used_positions = 0
        for numbers, room in wishes:
            for number in numbers:
                if number in kept:
                    continue
                turn = self._turns[number]
                more_chunks = used_chunks + len(turn.vectors)
                more_positions = used_positions + len(turn.vectors) * self._a_chunk + len(turn.tokens)
                if more_chunks > room or more_positions > positions:
                    break
                kept.add(number)
                used_chunks, used_positions = more_chunks, more_positions
        return kept

    def _exchange(self, number: int) -> list[int]:
        """Return a turn that was answered and the silent ones before it, newest first."""
        places, chunks = [number], len(self._turns[number].vectors)
        while number > 0 and len(self._turns[number - 1].tokens) == 1:
            number -= 1
            chunks += len(self._turns[number].vectors)
            if chunks > _BEFORE_A_RESPONSE:
                break
            places.append(number)
        return places

    @property
    def _spare(self) -> int:
        """How many chunks an idle session keeps room for."""
        return max(1, self.settings.max_context_chunks // _SPARE_SHARE)

    def _all_fit(self, more_chunks: int) -> bool:
        """Whether all turns, read anew, would leave room for so many chunks and a response to them."""
        positions = len(self._prefix) + more_chunks * (self._a_chunk + 1) + self.settings.max_response_tokens + 2
        positions += sum(len(turn.vectors) * self._a_chunk + len(turn.tokens) for turn in self._turns)
        fits = positions <= self._cache.capacity or not self._turns
        return fits and self.context_chunks + more_chunks <= self.settings.max_context_chunks

    def _room_for(self, chunks: int) -> bool:
        positions = self._cache.length + len(self._unread) + chunks * (self._a_chunk + 1)
        fits = positions + self.settings.max_response_tokens + 2 <= self._cache.capacity
        # A capacity too small for a whole response is cut short there rather than compacted for ever.
        fits |= not self._turns
        return fits and self.context_chunks + chunks <= self.settings.max_context_chunks

    def _responds(self, probability: float, sounding: Sounding | None) -> bool:
        return self._armed and self.settings.is_enough(probability, self._before, sounding)

    def _agrees(self, sounding: Sounding | None) -> bool:
        """Return whether what sounds may be warned of; only where it may not is a response's beginning looked at."""
        return sounding is None or sounding.warning >= self.settings.warning_agreement

    def _begins_urgent(self) -> ForwardRequest[bool]:
        """Ask how a response would begin; changes nothing."""
        length = self._cache.length
        if length == self._cache.capacity:
            return False
        logits = yield self._engine.embed([self._protocol.response])
        self._cache.truncate(length)
        first = int(logits.masked_fill(self._not_first, -torch.inf).argmax())
        return first == self._protocol.emotions.get('urgent')

    def _choose(self, logits: Tensor) -> int:
        if self.settings.temperature == 0:
            return int(logits.argmax())
        shares = (logits.cpu() / self.settings.temperature).softmax(-1)
        return int(torch.multinomial(shares, 1, generator=self._draws))

    def _p_response(self, logits: Tensor, sounding: Sounding | None) -> float:
        probability = float(logits[[self._protocol.silent, self._protocol.response]].softmax(0)[1])
        return self.settings.weighed(probability, sounding)

    def _lately_with(self, turn: _Turn) -> list[Tensor]:
        if self._events is None:
            return []
        heard = [*self._lately, *(EventHead.summary(chunk) for chunk in turn.vectors)]
        return heard[-max(EventHead.WINDOWS) :]

    def _sounding(self, lately: Sequence[Tensor]) -> Sounding | None:
        head = self._engine.event_head
        if self._events is None or head is None:
            return None
        return Sounding.of(self._events, head, torch.stack([*lately]))

    def _chunk_embeddings(self, turn: _Turn) -> list[Tensor]:
        parts = [part for chunk in turn.vectors for part in (self._between, chunk)]
        return [self._begin, *parts[1:], self._end]


def is_decoding_loop(tokens: Sequence[int]) -> bool:
    """Return whether one short sequence ends `tokens` four times over: a decoding loop (paper, error analysis)."""
    for cycle in range(1, _LONGEST_CYCLE + 1):
        span = max(_REPEATS * cycle, _FEWEST_LOOPED)
        last = list(tokens[-span:])
        if len(last) == span and last[cycle:] == last[:-cycle]:
            return True
    return False
