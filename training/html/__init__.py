"""Reports as single HTML pages: matplotlib draws, librosa listens, jinja2 sets; nothing is loaded from elsewhere."""
