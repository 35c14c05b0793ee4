"""The human voice and body, alone and in crowds."""
