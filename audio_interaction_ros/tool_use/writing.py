"""A call is written token by token: which tokens a grammar of bytes allows next, for the vocabulary of a checkpoint."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from audio_interaction_ros.tool_use.declared import TOOL, Tools
from audio_interaction_ros.tool_use.errors import ToolsError
from audio_interaction_ros.tool_use.grammar import END, NOTHING, Expression, Text, Then, after, grammar_of_calls

_MASKS = 256  # that are remembered, the ones asked for last; each a byte a token of the vocabulary
_SPACE = b' \n\r\t'
_OPEN = ord('{')


class Vocabulary:
    """A `Vocabulary` is the bytes of each text token, in a tree by their beginnings.

    The tokens that are plain characters within a JSON text, which most are, stand beside it, with their lengths.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises ToolsError for a tokenizer that is not byte-level, or has no token for some byte."""
        settings = json.loads(tokenizer.to_str())
        if not _is_byte_level(settings.get('decoder')):
            raise ToolsError(
                'the tokenizer of this checkpoint is not byte-level BPE, and calls of tools are written by bytes; take '
                'another checkpoint, or no tools'
            )
        added = set(tokenizer.get_added_tokens_decoder())
        byte_of = {char: byte for byte, char in _byte_level_characters().items()}
        self.size = tokenizer.get_vocab_size()
        self.bytes_of: dict[int, bytes] = {
            id_: bytes(byte_of[char] for char in token)
            for token, id_ in tokenizer.get_vocab().items()
            if id_ not in added and token and all(char in byte_of for char in token)
        }
        self._single = {text[0] for text in self.bytes_of.values() if len(text) == 1}
        # With these whatever was begun can be ended; some vocabularies have no rare characters, and write none.
        if missing := {*range(0x20, 0x7F), *range(0x80, 0xC0)} - self._single:
            raise ToolsError(
                f'the tokenizer of this checkpoint has no token for the byte {min(missing)}, so that not every call '
                'can be written; take another checkpoint, or no tools'
            )
        lengths = {id_: plain for id_, text in self.bytes_of.items() if (plain := _plain_length(text))}
        self.longest = max(lengths.values(), default=1)
        self._plain = np.array(sorted(lengths), np.int64)
        self._lengths = np.array([lengths[id_] for id_ in sorted(lengths)], np.int64)
        self._tree, self._within = _Node(), _Node()  # of all, and of those that are not plain
        for id_, text in self.bytes_of.items():
            self._tree.add(text, id_)
            if id_ not in lengths:
                self._within.add(text, id_)
        self._masks: OrderedDict[Expression, npt.NDArray[np.bool_]] = OrderedDict()
        # By the first byte that is not a space: what might begin a call.
        self.opening = np.zeros(self.size, bool)
        self.opening[[id_ for id_, text in self.bytes_of.items() if text.lstrip(_SPACE)[:1] == b'{']] = True

    def require_writable(self, text: str) -> None:
        """Raise ToolsError where a text has a character that no tokens write."""
        if odd := next((char for char in text if not self._single.issuperset(char.encode())), ''):
            raise ToolsError(f"the tokenizer of this checkpoint cannot write '{odd}', which a tool has; leave it out")

    def allowed(self, state: Expression) -> npt.NDArray[np.bool_]:
        """Return which tokens a call may go on with, bool [size]."""
        state = state.far(self.longest)
        known = self._masks.get(state)
        if known is None:
            known = np.zeros(self.size, bool)
            text = state.first if isinstance(state, Then) else state
            if isinstance(text, Text) and not text.left and not text.escaped:
                known[self._plain[self._lengths <= text.most]] = True
                self._within.walk(state, known)
            else:
                self._tree.walk(state, known)
            self._masks[state] = known
            if len(self._masks) > _MASKS:
                self._masks.popitem(last=False)
        else:
            self._masks.move_to_end(state)
        return known


class CallWriter:
    """A `CallWriter` keeps a session's responses to text or to whole calls of declared tools.

    A response that begins with `{` is a call. What it is begun with is chosen freely among both; then it can only go on
    as a call, and ends where the call does.
    """

    def __init__(self, tools: Tools, vocabulary: Vocabulary) -> None:
        """Raises ToolsError where the vocabulary cannot write what a tool names."""
        vocabulary.require_writable(json.dumps(tools.schemas, ensure_ascii=False))
        self._vocabulary = vocabulary
        self._grammar = grammar_of_calls(tools.schemas, TOOL)
        self.begin()

    def begin(self) -> None:
        """Begin another response."""
        self._state: Expression | None = None
        self._undecided = True

    @property
    def calling(self) -> bool:
        """Return whether the response is a call."""
        return self._state is not None

    def barred(self, barred: Tensor, eos: int) -> Tensor:
        """Return `barred`, bool [outputs], with what this response cannot go on with barred too."""
        if self._state is not None:
            allowed = self._vocabulary.allowed(self._state)
            kept = torch.ones_like(barred)
            kept[: self._vocabulary.size] = torch.from_numpy(~allowed).to(barred.device)
            kept |= barred
            kept[eos] = not self._state.whole
            return kept
        if not self._undecided:
            return barred
        no_call = self._vocabulary.opening & ~self._vocabulary.allowed(self._grammar)
        more = torch.zeros_like(barred)
        more[: self._vocabulary.size] = torch.from_numpy(no_call).to(barred.device)
        return barred | more

    def took(self, token: int) -> None:
        """Go on behind this token."""
        text = self._vocabulary.bytes_of.get(token, b'')
        if self._state is None:
            if not self._undecided or not (begun := text.lstrip(_SPACE)):
                return
            self._undecided = False
            if begun[0] != _OPEN:
                return
            self._state = self._grammar
        for byte in text:
            self._state = after(self._state, byte)


class _Node:
    """A place in the tree of tokens: those that end here, and the bytes that go on."""

    __slots__ = ('ids', 'next')

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.next: dict[int, _Node] = {}

    def add(self, text: bytes, id_: int) -> None:
        node = self
        for byte in text:
            node = node.next.setdefault(byte, _Node())
        node.ids.append(id_)

    def walk(self, state: Expression, found: npt.NDArray[np.bool_]) -> None:
        """Mark the tokens below this place that may be written in a state."""
        left = [(self, state)]
        while left:
            node, here = left.pop()
            if here is END:
                continue
            for byte, child in node.next.items():
                there = after(here, byte)
                if there is not NOTHING:
                    found[child.ids] = True
                    left.append((child, there))


def _is_byte_level(decoder: Any) -> bool:
    if not isinstance(decoder, Mapping):
        return False
    return decoder.get('type') == 'ByteLevel' or any(map(_is_byte_level, decoder.get('decoders', ())))


def _byte_level_characters() -> dict[int, str]:
    """The character that stands for each byte in byte-level BPE (GPT-2): itself where it can be seen."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + number) for number, byte in enumerate(unseen)}


def _plain_length(text: bytes) -> int:
    """Return how many characters a text adds within quotes; 0 where it ends them, or is not all characters."""
    try:
        chars = text.decode()
    except UnicodeDecodeError:
        return 0
    if any(char in '"\\' or ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in chars):
        return 0
    return len(chars)
