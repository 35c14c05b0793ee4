"""What each part of the method is worth: the same training with one thing changed at a time (paper §5.4)."""
