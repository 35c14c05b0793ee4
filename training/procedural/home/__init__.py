"""What is heard in a home."""
