"""A rewrite rule has a pattern, what it is read as, and the kind of change that it counts as."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

# The tags of Figure 16, in its order.
Change = Literal[
    'markdown_strip',
    'numeral_expand',
    'abbrev_expand',
    'symbol_replace',
    'punctuation_normalize',
    'code_block_drop',
]
CHANGES: tuple[Change, ...] = get_args(Change)

STOPS = '.!?:;,。！？：；，、'


@dataclass(frozen=True)
class RewriteRule:
    """A `RewriteRule` reads whatever matches `pattern` as `spoken`: a template, or a function of the match.

    `change` is the kind of change that it counts as.
    """

    change: Change
    pattern: re.Pattern[str]
    spoken: str | Callable[[re.Match[str]], str]


def numeral(pattern: str, spoken: str | Callable[[re.Match[str]], str]) -> RewriteRule:
    """Return the rule that reads what matches `pattern` as a number."""
    return RewriteRule('numeral_expand', re.compile(pattern), spoken)


def symbol(pattern: str, spoken: str | Callable[[re.Match[str]], str]) -> RewriteRule:
    """Return the rule that reads what matches `pattern` as a symbol."""
    return RewriteRule('symbol_replace', re.compile(pattern), spoken)


def either(words: Iterable[str]) -> str:
    """Return the pattern that matches any of the words, the longest first."""
    return '|'.join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def apply(rules: Iterable[RewriteRule], text: str, changes: set[Change]) -> str:
    """Run the rules in order, and add to `changes` the kinds of those that changed something."""
    for rule in rules:
        read = rule.pattern.sub(rule.spoken, text)
        if read != text:
            changes.add(rule.change)
            text = read
    return text
