"""The live page: what the assistant hears, decides and says just now, in a browser."""
