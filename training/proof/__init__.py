"""The GPU proof: that what was written for GPUs works on one, in minutes, with the figures beside their goals."""


class ProofError(RuntimeError):
    """A `ProofError` says in one sentence why there is no proof, or why a part of it failed."""
