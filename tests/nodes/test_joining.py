"""What keeps a process from joining ROS is said, and it joins once that is done."""

from __future__ import annotations

import pytest
import rclpy

from audio_interaction_ros.nodes.joining import JoinError, in_namespace, join

pytestmark = pytest.mark.system


@pytest.fixture
def joined():
    """Whether joining succeeds, which is taken back."""

    def attempt(*args):
        join(['test', *args])
        rclpy.shutdown()
        return True

    yield attempt
    rclpy.try_shutdown()


@pytest.mark.cures("ROS_DOMAIN_ID is '{domain}'; set it to a number from 0 to")
def test_a_domain_that_there_is_not_is_refused_with_those_there_are(monkeypatch, joined):
    for domain in ('300', 'home', '-1'):
        monkeypatch.setenv('ROS_DOMAIN_ID', domain)
        with pytest.raises(JoinError, match=f"ROS_DOMAIN_ID is '{domain}'; set it to a number from 0 to 232, or unset"):
            joined()
    monkeypatch.setenv('ROS_DOMAIN_ID', '232')
    assert joined()


@pytest.mark.cures('ROS cannot read the arguments')
@pytest.mark.parametrize(
    ('wrong', 'right'),
    [
        (['-p', 'file'], ['-p', 'file:=sound.wav']),
        (['-r', 'a b:=c'], ['-r', 'a:=c']),
        (in_namespace('a b'), in_namespace('/a/')),
    ],
)
def test_arguments_that_ros_cannot_read_are_refused_with_the_form_that_it_reads(joined, wrong, right):
    with pytest.raises(JoinError, match='give values as `--ros-args -p NAME:=VALUE`') as refused:
        joined('--ros-args', *wrong)
    assert refused.value.by_arguments
    assert joined('--ros-args', *right)
