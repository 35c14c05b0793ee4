"""The errors of making a corpus: each message is one sentence that names the cure."""

PARTLY = 3  # exit code: all was done, but for files that could not be read, or not to their end


class CorpusError(RuntimeError):
    """A corpus cannot be made or used; the classes derived from this one say what is wrong where."""


class BuildError(CorpusError):
    """The corpus cannot be built."""


class MixingError(ValueError):
    """Parts cannot become a stream."""
