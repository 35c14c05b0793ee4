"""The table of messages is what code and tests say, and every message says what to do."""

from __future__ import annotations

import pytest

from docs import messages


def test_the_table_is_what_the_code_says():
    assert messages.PAGE.read_text() == messages.page(), 'run python -m docs.messages'


@pytest.mark.parametrize('message', messages.messages(), ids=lambda message: f'{message.module}: {message.words[:60]}')
def test_every_message_says_what_to_do(message):
    """After its first semicolon."""
    assert message.cure, message.words


def test_every_mark_of_a_cure_is_about_a_message_that_there_is():
    marked = [(test.name, words) for test in messages.tests() for words in test.cures]
    assert len(marked) > 20
    said = messages.messages()
    assert [mark for mark in marked if not any(message.quoted(mark[1]) for message in said)] == []
