"""The model card: what a checkpoint's README says in tables, measured by the commands that anyone can run."""


class CardError(ValueError):
    """A `CardError` says in one sentence why a model card cannot be written."""
