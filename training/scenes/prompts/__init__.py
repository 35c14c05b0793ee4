"""The prompts of the chat-model roles are one Markdown file each."""

from __future__ import annotations

import json
import string
from pathlib import Path


def fill(role: str, **fields: object) -> str:
    """Return `role`.md with each $placeholder replaced by its field as JSON.

    As JSON, and without angle brackets, a caption can neither close its quotation nor the <data> that it stands in.
    Raises KeyError if a placeholder has no field.
    """
    template = string.Template((Path(__file__).parent / f'{role}.md').read_text())
    return template.substitute({name: _as_json(value) for name, value in fields.items()})


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace('<', '\\u003c').replace('>', '\\u003e')
