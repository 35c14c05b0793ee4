"""A queue that never blocks its producer: at the limit the oldest item is dropped and counted (contract 6)."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar('Item')


class BoundedQueue(Generic[Item]):
    """Thread-safe, first in first out, at most `max_items` long."""

    def __init__(self, max_items: int) -> None:
        self._items: deque[Item] = deque()
        self._max_items = max_items
        self._changed = threading.Condition()
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def dropped(self) -> int:
        """Items dropped at the limit since the queue was made."""
        return self._dropped

    def put(self, item: Item) -> bool:
        """Never blocks; False when the oldest item had to go."""
        with self._changed:
            full = len(self._items) == self._max_items
            if full:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify()
            return not full

    def get(self, timeout_s: float) -> Item | None:
        """The oldest item; None when the time ran out first."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) > 0, timeout_s)
            return self._items.popleft() if self._items else None

    def clear(self) -> None:
        """Drop everything, uncounted."""
        with self._changed:
            self._items.clear()
