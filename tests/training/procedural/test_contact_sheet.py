"""The contact sheet shows every type, and what it shows can be seen and heard."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from training.procedural.contact_sheet import EXCERPT_S, write_contact_sheet
from training.procedural.registry import ALL_TYPES
from training.procedural.synth import SAMPLE_RATE

# One of every sub-category and label: a whole sheet takes long to render.
SOME = list({(kind.subcategory, kind.respond): kind for kind in ALL_TYPES.values()}.values())


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp('sheet') / 'sheet.html'
    write_contact_sheet(SOME, path, seed=3)
    return path.read_text(encoding='utf-8')


def articles(page: str) -> dict[str, str]:
    return dict(re.findall(r'<article id="(\w+)">(.*?)</article>', page, re.DOTALL))


def test_it_lists_every_type_once_with_its_label(page: str) -> None:
    found = articles(page)
    assert set(found) == {kind.name for kind in SOME}
    for kind in SOME:
        assert f'>{"respond" if kind.respond else "silent"}</span>' in found[kind.name]
        assert f'criterion {kind.criterion}:' in found[kind.name]
        assert all(f'<th scope="row">{name}</th>' in found[kind.name] for name in kind.signature.limits())


def test_librosa_is_asked_where_the_signature_states_the_like_and_nowhere_else(page: str) -> None:
    for kind in SOME:
        text, stated = articles(page)[kind.name], set(kind.signature.limits())
        assert ('<th scope="row">pitch</th>' in text) == ('pitch_hz' in stated)
        assert ('<th scope="row">tempo</th>' in text) == ('rhythm_hz' in stated)
        assert ('<th scope="row">onsets</th>' in text) == bool(stated & {'onsets_hz', 'rhythm_hz', 'on_s', 'off_s'})


def test_pictures_and_sounds_decode(page: str) -> None:
    pictures = re.findall(r'data:image/png;base64,([^"]+)', page)
    sounds = re.findall(r'data:audio/mpeg;base64,([^"]+)', page)
    assert len(pictures) == len(sounds) == len(SOME)
    for coded in pictures:
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(coded))).convert('RGB'))
        assert image.shape[0] > 80 and image.shape[1] > 150 and np.std(image) > 5, 'something is drawn'
    for coded in sounds:
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(coded)))
        assert rate_hz == SAMPLE_RATE and 0.5 < len(samples) / rate_hz <= EXCERPT_S + 0.01
        assert np.max(np.abs(samples)) > 0.05


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)|url\((?!#)|@import|<script|<link', page)
    assert len(page) / len(SOME) < 100_000, 'a full sheet stays under 19 MB'
