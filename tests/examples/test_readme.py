"""The README is short, its subscriber runs as it is printed, and what it points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audio_interaction_ros.msg import Response
from audio_interaction_ros.nodes import qos

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text()
(SUBSCRIBER,) = re.findall(r'```python\n(.*?)```', README, re.DOTALL)


@pytest.mark.system
def test_the_subscriber_prints_a_response_once_it_is_whole_and_ends_with_ctrl_c(ros, run_interrupted, tmp_path):
    (tmp_path / 'listener.py').write_text(SUBSCRIBER)
    listener = run_interrupted(tmp_path / 'listener.py')
    publisher = ros.talk('ai/response', Response, qos.EVENTS)

    def printed() -> bool:
        publisher.publish(Response(text='A si', emotion='urgent'))
        publisher.publish(Response(emotion='normal', final=True, cancelled=True))  # cut short before the first word
        publisher.publish(Response(text='A siren!', emotion='urgent', final=True))
        return '[urgent] A siren!' in listener.log

    ros.until(printed, listener)
    publisher.publish(Response(text='That was all.', emotion='normal', final=True))
    assert listener.wait() == 0, listener.log
    assert set(listener.log.splitlines()) == {'[urgent] A siren!', '[normal] That was all.'}


def test_the_readme_has_at_most_150_lines_and_its_subscriber_15():
    assert len(README.splitlines()) <= 150
    assert len(SUBSCRIBER.splitlines()) <= 15


@pytest.mark.parametrize('page', ['CONTRIBUTING.md', 'docs/reference.md'])
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    text = (ROOT / page).read_text()
    links = re.findall(r'\]\(([^)\s]+)\)', text)
    assert links
    for link in links:
        path, _, heading = link.partition('#')
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if heading:
            headings = re.findall(r'^#+ (.*)$', target.read_text(), re.MULTILINE)
            assert heading in {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in headings}, link
