"""These rules drop what is on a page for the eye only (Figure 16, first rule).

That is markdown, code, links, paths, hashtags and emoji.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from training.speech.normalise.rules import STOPS, Change, RewriteRule, apply

_LONGEST_CODE = 3  # lines; a longer block is not read out (Figure 16)
_LEFT_OUT = {'en': 'I will skip the code here.', 'zh': '这段代码就不念了。'}
_STOP = {'en': '.', 'zh': '。'}

_FENCE = re.compile(r'^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)', re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r'^[ \t]*(?:#{1,6}[ \t]+|(?:[-*+•▪◦][ \t]+|\d{1,2}[.)][ \t]+)(?:\[[ xX]\][ \t]+)?)(?=\S)')
_QUOTE = re.compile(r'^[ \t]*(?:>[ \t]?)+')
_ROW = re.compile(r'^[ \t]*\|(.+)\|[ \t]*$')
_RULER = re.compile(r'^[ \t]*(?:[-=*_|:][ \t]*){3,}$')
_CAMEL = re.compile(r'(?<=[a-z])(?=[A-Z])')
_EMOJI = '\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u23e9-\u23ff\ufe0f\u200d\u20e3\U000e0020-\U000e007f'


def _hashtag(match: re.Match[str]) -> str:
    return _CAMEL.sub(' ', match[1].replace('_', ' '))


_URL_CHARACTERS = r"[\w\-.~:/?#\[\]@!$&'()*+,;=%]"
_SPANS: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(r'<!--.*?-->|</?[A-Za-z][^<>]*>', re.DOTALL), ' '),
    (re.compile(r'^[ \t]*\[[^\]\n]+\]:[ \t]*\S+.*$', re.MULTILINE), ''),  # where a reference leads
    (re.compile(r'\[\^[^\]\n]+\]'), ''),  # a footnote's mark
    (re.compile(r'!?\[([^\[\]\n]*)\]\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)'), r'\1'),
    (re.compile(r'!?\[([^\[\]\n]+)\]\[[^\[\]\n]*\]'), r'\1'),
    (re.compile(rf'<?(?:https?|ftp)://{_URL_CHARACTERS}*[\w/=&%#]>?|\bwww\.{_URL_CHARACTERS}*[\w/]', re.ASCII), ''),
    (re.compile(r'(`+)([^`\n]+)\1'), r'\2'),
    (re.compile(r'(\*{2,3}|__)(?=\S)(.+?)(?<=\S)\1'), r'\2'),
    (re.compile(r'(?<![A-Za-z0-9*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?![A-Za-z0-9*])'), r'\1'),
    (re.compile(r'(?<![A-Za-z0-9_])_(?=[^\s_])([^_\n]+?)(?<=\S)_(?![A-Za-z0-9_])'), r'\1'),
    (re.compile(r'~~(?=\S)(.+?)(?<=\S)~~'), r'\1'),
    (re.compile(r'\\([\\`*_{}\[\]()#+.!|~-])'), r'\1'),
    # Paths: from the root, home or here; on a drive; or relative with a file's ending.
    (re.compile(r'(?<![\w/.<])(?:(?:~|\.{1,2})(?:/[\w.-]*\w)+/?|(?:/[\w.-]*\w){2,}/?)', re.ASCII), ''),
    (re.compile(r'\b[A-Za-z]:\\[\w\\.-]*\w', re.ASCII), ''),
    (re.compile(r'(?<![\w/])[\w.-]*\w(?:/[\w.-]*\w)+\.[A-Za-z]\w{0,4}\b', re.ASCII), ''),
    (re.compile(r'(?:[ \t]*#[^\W\d]\w*#?){2,}[ \t]*$', re.MULTILINE), ''),  # labels at the end, not a sentence's words
    (re.compile(r'(?<![\w#&])#([^\W\d]\w*)#?'), _hashtag),
    (re.compile(r'(?<!\S)[:;]-?[()DP](?!\S)'), ''),
    (re.compile(f'[{_EMOJI}]+'), ' '),
    (re.compile(r'\([ \t]*\)|（[ \t]*）|\[[ \t]*\]|<[ \t]*>'), ''),
]
_RULES = [
    RewriteRule(
        'symbol_replace', re.compile(r'&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,5});'), lambda m: html.unescape(m[0])
    ),
    *(RewriteRule('markdown_strip', pattern, spoken) for pattern, spoken in _SPANS),
]


def _without_code(text: str, language: str, changes: set[Change]) -> str:
    def read(match: re.Match[str]) -> str:
        lines = [line for line in match[2].splitlines() if line.strip()]
        changes.add('code_block_drop' if len(lines) > _LONGEST_CODE else 'markdown_strip')
        return f'\n{_LEFT_OUT[language]}\n' if len(lines) > _LONGEST_CODE else '\n' + '\n'.join(lines) + '\n'

    without, blocks = _FENCE.subn(read, text)
    return without.strip('\n') if blocks else text


def _one_line(text: str, language: str, changes: set[Change]) -> str:
    """Put lines in a row; a heading, a list item, a table row or a paragraph ends like a sentence."""
    said: list[str] = []

    def close() -> None:
        if said and said[-1][-1] not in STOPS:
            said[-1] += _STOP[language]

    change: Change = 'punctuation_normalize'  # if nothing but line ends and spaces goes
    for line in text.split('\n'):
        plain = _QUOTE.sub('', line)
        row = _ROW.match(plain)
        item = _ITEM.sub('', plain)
        if plain != line or row is not None or item != plain or _RULER.match(plain):
            change = 'markdown_strip'
        if not plain.strip() or _RULER.match(plain):
            close()
            continue
        if row is not None:
            item = ', '.join(cell.strip() for cell in row[1].split('|') if cell.strip())
        if item != plain:
            close()
        said.append(item.strip())
        if item != plain:
            close()
    joined = ' '.join(said)
    if joined != text:
        changes.add(change)
    return joined


def strip_markup(text: str, language: str, changes: set[Change]) -> str:
    """Return the words of `text` on one line; what is there for the eye only is gone.

    The kinds of change that were made are added to `changes`.
    """
    text = _without_code(text, language, changes)
    text = apply(_RULES, text, changes)
    return _one_line(text, language, changes)
