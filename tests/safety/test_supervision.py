"""Deafness is named within two seconds, wherever it begins; quiet that is wanted is not."""

from __future__ import annotations

import pytest

from audio_interaction_ros.safety.supervision import Supervisor

STEP_S = 0.1


class Assistant:
    """What a healthy one emits, less what is switched off: sound every 0.1 s, vectors and decisions every 0.4 s."""

    def __init__(self):
        self.now_s, self.off, self.dead = 100.0, set(), ''
        self.supervisor = Supervisor(self.now_s)

    def run(self, seconds):
        """What is wrong after each step."""
        problems = []
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            if 'capture' not in self.off:
                self.supervisor.sound(self.now_s, self.dead)
            if round(self.now_s / STEP_S) % 4 == 0 and 'capture' not in self.off and 'encoder' not in self.off:
                self.supervisor.encoded(self.now_s)
                if 'decoder' not in self.off:
                    self.supervisor.decided(self.now_s)
            problems.append(self.supervisor.problem(self.now_s))
        return problems


@pytest.fixture
def assistant():
    healthy = Assistant()
    assert set(healthy.run(30.0)) == {None}
    return healthy


@pytest.mark.parametrize(
    ('stage', 'words'),
    [('capture', 'no sound comes'), ('encoder', 'is not encoded'), ('decoder', 'nothing is decided')],
)
def test_a_stage_that_dies_is_named_within_two_seconds_and_forgiven_when_it_returns(assistant, stage, words):
    assistant.run(0.3)  # the last vectors are older than the last sound
    assistant.off = {stage}
    problems = assistant.run(2.0)
    assert problems[:10] == [None] * 10
    assert words in problems[-1]
    assert all(problem is None or words in problem for problem in problems), 'another stage was blamed first'
    assistant.off = set()
    assert assistant.run(0.5)[-1] is None


@pytest.mark.cures('see which node is not active, and what its log says')
def test_an_assistant_that_does_not_begin_is_well_when_the_missing_node_is_active():
    late = Assistant()
    late.off = {'decoder'}
    assert 'has not begun to listen; see which node is not active' in late.run(61.0)[-1]
    late.off = set()
    assert late.run(0.5)[-1] is None


def test_sound_in_which_nothing_can_be_heard_is_named(assistant):
    assistant.dead = 'the channels cancel'
    assert 'cannot hear: the channels cancel.' in assistant.run(0.2)[-1]
    assistant.dead = ''
    assert assistant.run(0.2)[-1] is None


def test_a_long_response_is_a_sign_of_life(assistant):
    assistant.off = {'decoder'}
    for _ in range(60):
        assistant.supervisor.spoke(assistant.now_s)  # a token every 0.1 s, and no decision meanwhile
        assert assistant.run(0.1) == [None]


def test_nothing_is_expected_after_the_end_of_a_file(assistant):
    assistant.supervisor.over()
    assistant.off = {'capture'}
    assert set(assistant.run(300.0)) == {None}


def test_another_file_after_the_first_is_watched_again(assistant):
    assistant.supervisor.over()
    assert set(assistant.run(5.0)) == {None}
    assistant.off = {'encoder'}
    assert 'not encoded' in assistant.run(2.0)[-1]


def test_a_start_that_takes_too_long_is_named():
    starting = Assistant()
    starting.off = {'decoder'}
    problems = starting.run(70.0)
    assert problems[:590] == [None] * 590
    assert 'has not begun' in problems[-1]
