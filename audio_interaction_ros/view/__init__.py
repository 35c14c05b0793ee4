"""A recording as one page to look at and listen to: its sound, what was decided, what was said, and why."""
