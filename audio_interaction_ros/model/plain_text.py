"""Text from outside becomes tokens of text: what reads like a control token in it stays words."""

from __future__ import annotations

import re
from collections.abc import Collection

from tokenizers import Tokenizer


def plain_ids(tokenizer: Tokenizer, text: str, special: Collection[int]) -> list[int]:
    """Return the token ids of a text, none of them in `special`.

    Where one of the tokenizer's added tokens is written out, the text is cut after its first character, so that it is
    read letter by letter. Raises ValueError where that does not help, as with a token of one character.
    """
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    written = re.compile(f'(?=(?:{"|".join(map(re.escape, names))}))') if names else None
    cuts = [] if written is None else [match.start() + 1 for match in written.finditer(text)]
    ids: list[int] = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        ids += tokenizer.encode(text[begin:end], add_special_tokens=False).ids
    if control := set(special) & set(ids):
        token = tokenizer.id_to_token(min(control))
        raise ValueError(f"'{token}' found, which is a control token of this checkpoint; leave it out of the text")
    return ids
