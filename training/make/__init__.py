"""From a recipe and recordings to a checkpoint with its card, by one command."""


class MakeError(ValueError):
    """A `MakeError` says in one sentence why a checkpoint cannot be made."""
