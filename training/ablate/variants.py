"""The variants, each with one thing changed, and what the paper found (§5.4, Tables 6, 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BASELINE = 'baseline'
RUNTIME_CHUNK_MS = 400
STAGES = 4  # of the recipes that can be ablated, as the paper's


@dataclass(frozen=True)
class Variant:
    """A `Variant` says what differs from the baseline.

    `corpus`: changes to the recipe's `streams_corpus`; with any, the variant is trained on a corpus of its own.
    `offline`: every stage reads exchanges instead of streams. `after_stage`: nothing is trained, the baseline is scored
    as it was after so many of its four stages.
    """

    name: str
    title: str
    chunk_ms: int = RUNTIME_CHUNK_MS
    stream_weight: float | None = None
    offline: bool = False
    corpus: Mapping[str, Any] = field(default_factory=dict)
    after_stage: int | None = None


# The baseline comes first: the others take their tokenizer from it, and their stage 0.
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(BASELINE, 'everything, chunks of 0.4 s, λ = 1'),
        Variant('offline-base', 'stages 1 and 2: offline only', after_stage=2),
        Variant('streaming-sft', 'stages 1 to 3: streaming, without what stage 4 adds', after_stage=3),
        Variant('no-tfjp', 'without TFJP', corpus={'performance': {'tfjp': None}}),
        Variant('no-event-selection', 'without event selection: sounds at random', corpus={'scenes': 'random'}),
        Variant('chunk-0.2', 'chunks of 0.2 s', chunk_ms=200),
        Variant('chunk-0.6', 'chunks of 0.6 s', chunk_ms=600),
        Variant('chunk-0.8', 'chunks of 0.8 s', chunk_ms=800),
        Variant('lambda-0.5', 'λ = 0.5', stream_weight=0.5),
        Variant('lambda-2', 'λ = 2', stream_weight=2.0),
        Variant('no-history-review', 'without history review', corpus={'mix_ins': {'history_review': 0.0}}),
        Variant('no-silence', 'without silence mixed in', corpus={'mix_ins': {'silent': 0.0}}),
        Variant('offline-only', 'all four stages offline, none streaming', offline=True),
    )
}


@dataclass(frozen=True)
class PaperTable:
    """A `PaperTable` is a table of the paper: columns, and for each variant its name there and its numbers."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, tuple[float | None, ...]]]


TABLES = (
    PaperTable(
        'Table 6',
        'streaming training and its data',
        ('MMAU', 'Alpaca', 'trigger accuracy, %'),
        {
            'offline-base': ('V1', (57.81, 4.32, None)),
            'streaming-sft': ('V2', (58.56, 4.17, 92.42)),
            'no-tfjp': ('V3', (57.74, 4.19, 85.35)),
            'no-event-selection': ('V4', (55.11, 4.25, 88.51)),
            BASELINE: ('V5', (58.15, 4.28, 96.77)),
        },
    ),
    PaperTable(
        'Table 7',
        'chunk size',
        ('Alpaca', 'MMAU', 'latency, ms'),
        {
            'chunk-0.2': ('', (3.41, 49.74, 258)),
            BASELINE: ('', (4.28, 58.15, 392)),
            'chunk-0.6': ('', (4.27, 58.46, 674)),
            'chunk-0.8': ('', (4.30, 59.13, 786)),
        },
    ),
    PaperTable(
        'Table 8',
        'weight λ of the streaming loss',
        ('MMAU', 'trigger accuracy, %'),
        {
            'lambda-0.5': ('', (58.3, 95.3)),
            BASELINE: ('', (58.2, 96.7)),
            'lambda-2': ('', (57.3, 96.9)),
        },
    ),
    PaperTable(
        'Not in the paper',
        'mix-ins of stage 4, and a language model that has learnt as much, but offline',
        (),
        {
            BASELINE: ('', ()),
            'no-history-review': ('', ()),
            'no-silence': ('', ()),
            'offline-only': ('', ()),
        },
    ),
)
