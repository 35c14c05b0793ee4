"""Vocabularies: the embedded checkpoint's own, byte-level, so that any text can be written with it, or a given one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from audio_interaction_ros.model.protocol import Protocol

_ROLES = ('online', 'offline', 'system', 'chunk_begin', 'chunk_end', 'audio', 'silent', 'response', 'eos')
_LANGUAGES = ('english', 'chinese')
_EMOTIONS = ('happy', 'sad', 'angry', 'surprise', 'normal', 'urgent')  # the released model's


_ALL_ROLES = (*_ROLES, *_LANGUAGES, *_EMOTIONS)
_UNUSED = re.compile(r'<.*(reserved|unused|extra_id|dummy|placeholder).*>', re.IGNORECASE)  # the names of spare tokens


def make_tokenizer(texts: Iterable[str], vocabulary_size: int) -> tuple[Tokenizer, Protocol]:
    """Learn byte-pair encoding from `texts`, with the protocol's tokens first.

    Merges are learnt until there are `vocabulary_size` tokens. Returns the tokenizer, and the protocol with their ids.
    """
    special = [f'<|{name}|>' for name in _ALL_ROLES]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(list(texts), trainer)

    return tokenizer, _protocol({name: _id_of(tokenizer, f'<|{name}|>') for name in _ALL_ROLES})


def add_control_tokens(tokenizer: Tokenizer, eos: int | None) -> Protocol:
    """Give ids of a tokenizer to the protocol's roles: those that it keeps spare, then new ones after its own.

    `eos`: the id that ends a text already, None where there is none.
    """
    added = sorted(tokenizer.get_added_tokens_decoder().items())
    spare = [id_ for id_, token in added if token.special and _UNUSED.fullmatch(token.content)]
    ids = {} if eos is None else {'eos': eos}
    for name in (name for name in _ALL_ROLES if name not in ids):
        if spare:
            ids[name] = spare.pop(0)
        else:
            token = AddedToken(f'<|{name}|>', special=True, normalized=False)
            tokenizer.add_special_tokens([token])
            ids[name] = _id_of(tokenizer, token.content)
    return _protocol(ids)


def _id_of(tokenizer: Tokenizer, token: str) -> int:
    id_ = tokenizer.token_to_id(token)
    assert id_ is not None  # it was put in
    return id_


def _protocol(ids: dict[str, int]) -> Protocol:
    return Protocol(
        **{role: ids[role] for role in _ROLES},
        languages={name: ids[name] for name in _LANGUAGES},
        emotions={name: ids[name] for name in _EMOTIONS},
    )
