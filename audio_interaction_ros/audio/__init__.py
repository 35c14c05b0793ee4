"""Sound as numbers: sample formats, resampling, exact 400 ms chunks, causal log-mel."""

SAMPLE_RATE_HZ = 16_000
CHUNK_SAMPLES = 6_400  # 400 ms (paper §3.3)
CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE_HZ
