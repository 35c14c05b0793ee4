"""The pictures of the documents, one module each, drawn from what the code says or does."""
