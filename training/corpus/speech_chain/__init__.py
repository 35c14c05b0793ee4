"""Text into checked speech: spoken form, text-to-speech, recognition check (paper B.4, Figure 16)."""
