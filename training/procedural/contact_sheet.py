"""One page to look at and listen to: every type with its spectrogram, envelope, sound, label and signature.

The page is self-contained: pictures are PNG and sounds Ogg Vorbis inside it, nothing is loaded from elsewhere.
"""

from __future__ import annotations

import base64
import html
import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.procedural.signature import envelope
from training.procedural.synth import SAMPLE_RATE, SoundType
from training.procedural.taxonomy import CRITERIA, DOMAINS

Pixels = NDArray[np.uint8]

EXCERPT_S = 3.0
_WIDTH, _HEIGHT, _STRIP = 300, 128, 32  # pixels: of the picture, of the spectrogram, of the envelope under it
_RANGE_DB = 70.0
# Dark blue over red to pale yellow: brightness rises evenly, so it reads in grey too.
_ANCHORS = np.array([(8, 8, 24), (58, 16, 96), (150, 32, 92), (232, 92, 52), (252, 178, 64), (252, 252, 190)])

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 1.5em }
h2 { grid-column: 1 / -1; margin: 1em 0 0; border-bottom: 1px solid #bbb }
article { width: 300px } h3 { margin: 0; font-size: 15px } p { margin: .2em 0 }
img { display: block; width: 300px; height: 160px; image-rendering: pixelated } audio { width: 300px; height: 32px }
.respond { color: #b00020; font-weight: 600 } .silent { color: #356 }
table { font-size: 12px; border-spacing: .6em 0; margin-left: -.6em } td.out { color: #b00020; font-weight: 700 }
"""


def png(pixels: Pixels, palette: Pixels) -> bytes:
    """A paletted PNG file (RFC 2083) of ``pixels`` uint8 [rows, columns], indices into ``palette`` uint8 [≤ 256, 3]."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    rows, columns = pixels.shape
    header = struct.pack('>IIBBBBB', columns, rows, 8, 3, 0, 0, 0)  # 8 bits a pixel, colour type 3: palette
    lines = np.hstack([np.zeros((rows, 1), np.uint8), pixels]).tobytes()  # each line begins with filter type 0
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'PLTE', palette.astype(np.uint8).tobytes())
        + chunk(b'IDAT', zlib.compress(lines, 9))
        + chunk(b'IEND', b'')
    )


def palette() -> Pixels:
    """uint8 [64, 3] from dark to bright."""
    at = np.linspace(0, len(_ANCHORS) - 1, 64)
    return np.stack([np.interp(at, range(len(_ANCHORS)), _ANCHORS[:, c]) for c in range(3)], axis=1).astype(np.uint8)


def picture(samples: NDArray[np.float32]) -> Pixels:
    """uint8 [160, 300] in 0..63: spectrogram of 60 Hz to 8 kHz on a log axis, 70 dB deep, over the envelope."""
    size = 1024
    padded = np.pad(samples.astype(np.float64), (size // 2, size))
    starts = np.linspace(0, samples.size, _WIDTH).astype(int)
    frames = np.stack([padded[start : start + size] for start in starts]) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    # Each row is the loudest bin of its band, so that a thin line is not lost between rows.
    edges = np.geomspace(60.0, SAMPLE_RATE / 2, _HEIGHT + 1) * size / SAMPLE_RATE
    low = np.minimum(np.floor(edges[:-1]).astype(int), size // 2)
    high = np.maximum(np.ceil(edges[1:]).astype(int), low + 1)
    bands = np.stack([power[:, first:last].max(axis=1) for first, last in zip(low, high, strict=True)])
    decibels = 10 * np.log10(bands / bands.max() + 1e-12)
    spectrogram = np.clip(1.0 + decibels / _RANGE_DB, 0.0, 1.0)[::-1] * 63
    level = envelope(np.pad(samples, (0, _WIDTH)), samples.size / SAMPLE_RATE / _WIDTH)[:_WIDTH]
    height = level / level.max() * _STRIP
    strip = np.where(np.arange(_STRIP, 0, -1)[:, None] <= height[None, :], 44, 4)
    return np.vstack([spectrogram, strip]).astype(np.uint8)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode('ascii')


def _article(kind: SoundType, seed: int) -> str:
    whole = kind.render(np.random.default_rng([seed, *kind.name.encode()]))
    excerpt = whole[: round(EXCERPT_S * SAMPLE_RATE)]
    sound = io.BytesIO()
    soundfile.write(sound, excerpt, SAMPLE_RATE, format='OGG', subtype='VORBIS')
    measured = kind.signature.measure(whole)
    rows = [
        f'<tr><td>{name}</td><td{"" if low <= measured[name] <= high else " class=out"}>{measured[name]:.3g}</td>'
        f'<td>{low:g} – {high:g}</td></tr>'
        for name, (low, high) in kind.signature.limits().items()
    ]
    label = 'respond' if kind.respond else 'silent'
    return (
        f'<article id="{kind.name}"><h3>{kind.name}</h3>'
        f'<img alt="spectrogram of {kind.name}" src="data:image/png;base64,{_base64(png(picture(whole), palette()))}">'
        f'<audio controls preload="none" src="data:audio/ogg;base64,{_base64(sound.getvalue())}"></audio>'
        f'<p>{html.escape(kind.caption)}</p>'
        f'<p><span class={label}>{label}</span> · {html.escape(kind.category)} · '
        f'criterion {kind.criterion}: {CRITERIA[kind.criterion]} · {whole.size / SAMPLE_RATE:.1f} s</p>'
        f'<table>{"".join(rows)}</table></article>'
    )


def write_contact_sheet(types: Iterable[SoundType], out: Path, seed: int) -> None:
    """Writes one HTML page of all ``types``, placed in the taxonomy, in its order; each is rendered once.

    Pictures and measures are of the whole sound, the audio is its first 3 s. The same seed gives the same sounds.
    """
    types = list(types)
    parts = []
    for subcategory, domain in DOMAINS.items():
        here = [kind for kind in types if kind.subcategory == subcategory]
        if here:
            parts.append(f'<h2>{domain} · {subcategory}</h2>')
            parts += [_article(kind, seed) for kind in sorted(here, key=lambda kind: (not kind.respond, kind.name))]
    responding = sum(kind.respond for kind in types)
    out.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Procedural sounds</title><style>{_STYLE}</style>'
        f'<h1>Procedural sounds</h1><p>{len(types)} types, {responding} to answer; seed {seed}. '
        'Measures in red lie outside what the type states.</p>'
        f'<main>{"".join(parts)}</main></html>\n',
        encoding='utf-8',
    )
