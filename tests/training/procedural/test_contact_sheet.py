"""The contact sheet shows every type, and what it shows can be seen and heard."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.procedural.contact_sheet import EXCERPT_S, picture, write_contact_sheet
from training.procedural.registry import ALL_TYPES
from training.procedural.synth import SAMPLE_RATE

# One of every sub-category and label: a whole sheet takes long to render.
SOME = list({(kind.subcategory, kind.respond): kind for kind in ALL_TYPES.values()}.values())


def decoded(file: bytes) -> np.ndarray:
    """A paletted PNG as uint8 [rows, columns, 3], every checksum verified."""
    assert file.startswith(b'\x89PNG\r\n\x1a\n')
    chunks, at = {}, 8
    while at < len(file):
        size, kind = struct.unpack('>I4s', file[at : at + 8])
        chunks[kind] = file[at + 8 : at + 8 + size]
        assert struct.unpack('>I', file[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + chunks[kind])
        at += 12 + size
    columns, rows = struct.unpack('>II', chunks[b'IHDR'][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b'IDAT']), np.uint8).reshape(rows, 1 + columns)
    assert np.all(lines[:, 0] == 0), 'no line is filtered'
    return np.frombuffer(chunks[b'PLTE'], np.uint8).reshape(-1, 3)[lines[:, 1:]]


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp('sheet') / 'sheet.html'
    write_contact_sheet(SOME, path, seed=3)
    return path.read_text(encoding='utf-8')


def test_it_lists_every_type_once_with_its_label(page: str) -> None:
    articles = dict(re.findall(r'<article id="(\w+)">(.*?)</article>', page))
    assert set(articles) == {kind.name for kind in SOME}
    for kind in SOME:
        assert f'class={"respond" if kind.respond else "silent"}>' in articles[kind.name]
        assert f'criterion {kind.criterion}:' in articles[kind.name]
        assert all(f'<td>{name}</td>' in articles[kind.name] for name in kind.signature.limits())


def test_pictures_and_sounds_decode(page: str) -> None:
    pictures = re.findall(r'data:image/png;base64,([^"]+)', page)
    sounds = re.findall(r'data:audio/ogg;base64,([^"]+)', page)
    assert len(pictures) == len(sounds) == len(SOME)
    for coded in pictures:
        image = decoded(base64.b64decode(coded))
        assert image.shape == (160, 300, 3) and np.std(image) > 5, 'something is drawn'
    for coded in sounds:
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(coded)))
        assert rate_hz == SAMPLE_RATE and 0.5 < len(samples) / rate_hz <= EXCERPT_S + 0.01
        assert np.max(np.abs(samples)) > 0.05


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    assert '<script' not in page and 'http' not in page
    assert all(source.startswith('data:') for source in re.findall(r'src="([^"]{5})', page))
    assert len(page) / len(SOME) < 100_000, 'a full sheet stays under 15 MB'


def test_the_picture_shows_a_tone_as_one_bright_line() -> None:
    tone = np.sin(2 * np.pi * 1_000.0 * np.arange(32_000) / SAMPLE_RATE).astype(np.float32)
    spectrogram = picture(tone)[:128, 20:-20]
    brightest = 127 - np.argmax(spectrogram, axis=0)
    edges = np.geomspace(60.0, 8_000.0, 129)
    assert np.all((edges[brightest] < 1_060.0) & (edges[brightest + 1] > 940.0))
    assert np.mean(spectrogram > 32) < 0.1
