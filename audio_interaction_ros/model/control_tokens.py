"""What untrained control tokens begin as: the mean of the embeddings, and output rows, of a plain word for the role.

So each begins near its meaning, and no two begin alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tokenizers import Tokenizer
from torch import Tensor

from audio_interaction_ros.model.protocol import Protocol

_WORDS = {
    'online': 'online',
    'offline': 'offline',
    'system': 'system',
    'chunk_begin': 'user',
    'chunk_end': 'assistant',
    'audio': 'audio',
    'silent': 'silent',
    'response': 'answer',
    'eos': 'end',
    'english': 'English',
    'chinese': 'Chinese',
    'happy': 'happy',
    'sad': 'sad',
    'angry': 'angry',
    'surprise': 'surprise',
    'normal': 'normal',
    'urgent': 'urgent',
}


def words_of_roles(protocol: Protocol, tokenizer: Tokenizer, trained: Collection[int | None]) -> dict[int, list[int]]:
    """Return for each control id the ids of its role's word, but for those ids that are `trained` as they are."""
    roles = protocol.model_dump(exclude={'languages', 'emotions'}) | protocol.languages | protocol.emotions
    return {
        id_: tokenizer.encode(_WORDS[role], add_special_tokens=False).ids
        for role, id_ in roles.items()
        if id_ is not None and id_ not in trained
    }


def with_control_rows(table: Tensor, words: Mapping[int, list[int]]) -> Tensor:
    """Return a copy of [vocabulary, width] with the rows of the control tokens set."""
    started = table.clone()
    for id_, ids in words.items():
        started[id_] = table[ids].float().mean(0).to(table.dtype)
    return started
