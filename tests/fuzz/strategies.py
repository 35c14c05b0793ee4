"""What several kinds have in common: damage to bytes, and what a sentence is."""

from __future__ import annotations

from hypothesis import strategies as st

_BYTES = st.binary(min_size=1, max_size=8) | st.sampled_from([b'\0' * 4, b'\xff' * 4, b'\0\0\0\x80', b'\xff\xfe'])


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes of a file with some of them replaced, taken out or put in, most of them in its beginning."""
    for _ in range(draw(st.integers(1, 4))):
        last = min(len(content), draw(st.sampled_from([64, 512, len(content)])))
        at = draw(st.integers(0, last))
        put, taken = draw(_BYTES), draw(st.integers(0, 8))
        match draw(st.sampled_from(['replace', 'insert', 'remove', 'end'])):
            case 'replace':
                content = content[:at] + put + content[at + len(put) :]
            case 'insert':
                content = content[:at] + put + content[at:]
            case 'remove':
                content = content[:at] + content[at + taken :]
            case 'end':
                content = content[:at]
    return content


def assert_one_sentence(error: object, about: str) -> None:
    """What is said is a line, names the file, and is not somebody's whole file."""
    text = str(error)
    assert about in text, text
    assert '\n' not in text.strip() and 'Traceback' not in text, text
    assert len(text) < 20_000, text
