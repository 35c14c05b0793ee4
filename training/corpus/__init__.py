"""Sources → clips → streams (paper §3.2, §4)."""


class CorpusError(RuntimeError):
    """A corpus cannot be made or used, in one sentence; what is wrong where is said by those that derive from it."""
