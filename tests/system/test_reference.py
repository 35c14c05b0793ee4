"""docs/reference.md names the topics and services that the nodes have: those of the policy, which a test compares."""

from __future__ import annotations

import re

import pytest

from audio_interaction_ros.nodes.parameters import NODES
from tests.system.test_policy import ROOT, allowed

REFERENCE = (ROOT / 'docs' / 'reference.md').read_text()
COMMON = {'/rosout', '/parameter_events', '/diagnostics'}  # of every node


def rows(heading: str) -> dict[str, str]:
    """Return what stands in the first column of a section's table, and the node in its third."""
    section = REFERENCE.partition(f'\n## {heading}\n')[2].partition('\n## ')[0]
    found = re.findall(r'^\| `([^`]+)` \| `[^`]+` \| (?:`(\w+)`|all) \|', section, re.MULTILINE)
    return {'/' + name.lstrip('/'): node for name, node in found}


@pytest.mark.parametrize(('heading', 'kind'), [('Topics', 'publish'), ('Services', 'reply')])
def test_every_topic_and_service_is_in_the_reference_with_its_node(heading, kind):
    expected = {}
    for node in NODES:
        own = {name for name in allowed(node)[kind] if not name.startswith(f'/{node}/')} - COMMON
        expected |= dict.fromkeys(own, node)
    shown = rows(heading)
    shown.pop('/diagnostics', None)
    assert shown == expected
