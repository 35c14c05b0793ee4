"""The queue between a producer that must not wait and a consumer that may be slow (contract 6)."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar('Item')


class BoundedQueue(Generic[Item]):
    """A `BoundedQueue` is thread-safe, first in first out, and drops and counts its oldest item at the limit."""

    def __init__(self, max_items: int) -> None:
        self._items: deque[Item] = deque()
        self._max_items = max_items
        self._changed = threading.Condition()
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def dropped(self) -> int:
        """Return how many items were dropped since the queue was made."""
        return self._dropped

    def put(self, item: Item) -> bool:
        """Add an item without ever blocking; False means that the oldest item had to go."""
        with self._changed:
            full = len(self._items) >= self._max_items
            if full:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify()
            return not full

    def resize(self, max_items: int) -> None:
        """Set another limit; what lies above it is dropped and counted, the oldest first."""
        with self._changed:
            self._max_items = max_items
            while len(self._items) > max_items:
                self._items.popleft()
                self._dropped += 1

    def get(self, timeout_s: float) -> Item | None:
        """Take the oldest item, or None when there was none for `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) > 0, timeout_s)
            return self._items.popleft() if self._items else None

    def wait(self, timeout_s: float) -> bool:
        """Block until an item is queued; False means that the time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._items) > 0, timeout_s)

    def peek(self) -> list[Item]:
        """Return all items, oldest first, and leave them in the queue."""
        with self._changed:
            return list(self._items)

    def flush(self) -> list[Item]:
        """Take all items, oldest first, uncounted."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            return items

    def count_dropped(self, items: int) -> None:
        """Count items that were taken and then lost, as if they had been dropped here."""
        with self._changed:
            self._dropped += items
