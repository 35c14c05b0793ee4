"""Pretrained parts, from wherever they can be had, as checked directories in one layout."""


class PartsError(ValueError):
    """A `PartsError` says in one sentence why a pretrained part cannot be had, and what to do."""
