"""What `ros2 param describe` says can be read alone, without the line above it."""

from __future__ import annotations

import re

import pytest

from audio_interaction_ros.nodes.parameters import NODES

UNITS = {'_s': 'second', '_ms': 'millisecond', '_mb': 'megabyte', '_days': 'days', '_tokens': 'token', '_rate': 'hz'}
TEXTS = sorted({(name, field.description) for cls in NODES.values() for name, field in cls.model_fields.items()})


@pytest.mark.parametrize(('name', 'text'), TEXTS)
def test_a_parameter_is_described_by_a_sentence_of_its_own_with_its_unit(name, text):
    assert len(text.split()) >= 6
    assert text[0].isupper() and re.search(r'[.…]$', text)
    assert not re.match(r'(Of|Those|Such|Same|Also|Else|It|They)\b', text)
    assert not re.search(r'\b(such an?|those|that switch|the above)\b', text)
    for ending, unit in UNITS.items():
        if name.endswith(ending):
            assert unit in text.lower()
