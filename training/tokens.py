"""The embedded checkpoint's own small vocabulary: byte-level, so that any text can be written with it."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from audio_interaction_ros.model.protocol import Protocol

_ROLES = ('online', 'offline', 'system', 'chunk_begin', 'chunk_end', 'audio', 'silent', 'response', 'eos')
_LANGUAGES = ('english', 'chinese')
_EMOTIONS = ('happy', 'sad', 'angry', 'surprise', 'normal', 'urgent')  # the released model's


def make_tokenizer(texts: Iterable[str], vocabulary_size: int) -> tuple[Tokenizer, Protocol]:
    """Learn byte-pair encoding from `texts`, with the protocol's tokens first.

    Merges are learnt until there are `vocabulary_size` tokens. Returns the tokenizer, and the protocol with their ids.
    """
    special = [f'<|{name}|>' for name in (*_ROLES, *_LANGUAGES, *_EMOTIONS)]
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

    def id_of(name: str) -> int:
        token = tokenizer.token_to_id(f'<|{name}|>')
        assert token is not None  # the trainer puts every special token in
        return token

    protocol = Protocol(
        **{role: id_of(role) for role in _ROLES},
        languages={name: id_of(name) for name in _LANGUAGES},
        emotions={name: id_of(name) for name in _EMOTIONS},
    )
    return tokenizer, protocol
