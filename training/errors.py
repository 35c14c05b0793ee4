"""The errors of making a corpus: each message is one sentence that names the cure."""


class CorpusError(RuntimeError):
    """A corpus cannot be made or used; the classes derived from this one say what is wrong where."""


class BuildError(CorpusError):
    """The corpus cannot be built."""


class MixingError(ValueError):
    """Parts cannot become a stream."""
