"""Tables in a README between markers: what is outside them is written by hand and stays.

A table is padded, so that it can be read as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from training.card import CardError
from training.files import write_whole

_BEGIN = '<!-- card, {name}: python -m training card -->'
_END = '<!-- end of card, {name} -->'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand below each other."""
    cells = [[_cell(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    lines = [
        '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + ' |' for row in cells
    ]
    lines.insert(1, '|' + '|'.join('-' * (width + 2) for width in widths) + '|')
    return '\n'.join(lines) + '\n'


def _cell(text: str) -> str:
    return ' '.join(text.replace('|', '\\|').split())


def put_sections(readme: Path, title: str, sections: Mapping[str, tuple[str, str]]) -> list[str]:
    """Write each section, name → (heading, Markdown), between its markers of `readme`; return the names of new ones.

    A section whose markers are not there is appended under its heading, and a page that is not there is begun with
    `title`. Raises CardError where a marker stands alone, or the page cannot be read or written.
    """
    try:
        text = readme.read_text() if readme.exists() else f'# {title}\n'
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"'{readme}' cannot be read ({error}); restore it, or give another --readme") from error
    new = []
    for name, (heading, content) in sections.items():
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        block = f'{begin}\n\n{content.strip()}\n\n{end}'
        counts = text.count(begin), text.count(end)
        if counts == (0, 0):
            text = f'{text.rstrip()}\n\n## {heading}\n\n{block}\n'
            new.append(name)
            continue
        found = re.search(f'{re.escape(begin)}.*?{re.escape(end)}', text, re.DOTALL)
        if counts != (1, 1) or found is None:
            raise CardError(
                f"'{readme}' does not have '{begin}' and after it '{end}', each once; correct the markers, or remove "
                'them to have the section appended'
            )
        text = text[: found.start()] + block + text[found.end() :]
    try:
        write_whole(readme, text.encode())
    except OSError as error:
        raise CardError(f"'{readme}' cannot be written ({error}); give another --readme") from error
    return new
