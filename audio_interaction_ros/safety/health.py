"""Which nodes are well, from what they say of themselves. Time is a number given by the caller."""

from __future__ import annotations

from collections.abc import Collection

_GONE_AFTER_S = 1.6  # three reports of half a second and a little


class NodeHealth:
    """A `NodeHealth` is told of every node's own report and asked what is wrong.

    A node that has never reported is not missed.
    """

    def __init__(self, names: Collection[str]) -> None:
        """Look after the nodes of these names."""
        self._names = names
        self._reports: dict[str, tuple[float, str]] = {}

    def reported(self, name: str, problem: str, now_s: float) -> None:
        """Note what a node says is wrong, empty where nothing is; of other nodes nothing is noted."""
        if name in self._names:
            self._reports[name] = (now_s, problem)

    def reasons(self, now_s: float) -> list[str]:
        """Return what is wrong now, a sentence each."""
        found = []
        for name, (reported_s, problem) in sorted(self._reports.items()):
            if now_s - reported_s > _GONE_AFTER_S:
                found.append(f'{name} does not report any more.')
            elif problem:
                found.append(f'{name}: {problem}')
        return found
