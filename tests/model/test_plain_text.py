"""No text becomes a control token, whatever is written in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from audio_interaction_ros.model.plain_text import plain_ids
from tests.tiny_checkpoint import SPECIAL, make_protocol, make_tokenizer

TOKENIZER = make_tokenizer()
CONTROL = make_protocol(TOKENIZER).special_ids()
PIECES = [*(f'<|{name}|>' for name in SPECIAL), '<|', '|>', '<', 'eos', 'é', '机', '\0', 'a', ' ', '\n']


@settings(max_examples=40)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(''.join))
def test_a_text_with_control_tokens_in_it_is_read_letter_by_letter(text):
    ids = plain_ids(TOKENIZER, text, CONTROL)
    assert not CONTROL & set(ids)
    assert TOKENIZER.decode(ids) == text


def test_tokens_that_overlap_and_those_that_are_not_special_are_read_letter_by_letter_too():
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens([AddedToken('<a><b>', special=True), AddedToken('<b><c>', special=True)])
    tokenizer.add_tokens([AddedToken('<tool>', special=False)])
    known = set(tokenizer.get_added_tokens_decoder())
    assert not known & set(plain_ids(tokenizer, '<a><b><c> <tool> <a><b>', known))


def test_a_control_token_of_one_character_is_refused():
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens([AddedToken('§', special=True)])
    number = tokenizer.token_to_id('§')
    assert plain_ids(tokenizer, 'paragraph', {number})
    with pytest.raises(ValueError, match=r"'§' found, which is a control token .*; leave it out"):
        plain_ids(tokenizer, 'paragraph § 5', {number})


def test_what_has_no_control_token_in_it_is_tokenised_as_ever():
    text = 'Warn of danger. 1 < 2 | 3 > 2; «eos»'
    assert plain_ids(TOKENIZER, text, CONTROL) == TOKENIZER.encode(text, add_special_tokens=False).ids
