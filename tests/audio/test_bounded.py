"""A queue with a limit drops its oldest and says so."""

from __future__ import annotations

import threading

from audio_interaction_ros.audio.bounded import BoundedQueue


def test_the_oldest_item_goes_and_is_counted():
    queue: BoundedQueue[int] = BoundedQueue(2)
    assert [queue.put(item) for item in (1, 2, 3)] == [True, True, False]
    assert queue.dropped == 1
    assert [queue.get(0.0), queue.get(0.0), queue.get(0.0)] == [2, 3, None]


def test_a_waiting_consumer_is_woken():
    queue: BoundedQueue[int] = BoundedQueue(2)
    threading.Timer(0.05, queue.put, [7]).start()
    assert queue.get(5.0) == 7


def test_what_was_taken_and_lost_counts_as_dropped():
    queue: BoundedQueue[int] = BoundedQueue(3)
    for item in range(5):
        queue.put(item)
    assert queue.peek() == queue.flush() == [2, 3, 4]
    queue.count_dropped(3)
    assert (len(queue), queue.dropped) == (0, 5)


def test_under_a_lower_limit_the_oldest_go_and_are_counted():
    queue: BoundedQueue[int] = BoundedQueue(5)
    for item in range(5):
        queue.put(item)
    queue.resize(2)
    assert (queue.peek(), queue.dropped) == ([3, 4], 3)
    assert queue.put(5) is False
    queue.resize(3)
    assert queue.put(6) is True
    assert (queue.peek(), queue.dropped) == ([4, 5, 6], 4)
