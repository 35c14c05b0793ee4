"""The speech room turns text into checked speech: voices, text-to-speech, recognition check (paper B.4, Figure 16)."""
