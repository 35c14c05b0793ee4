"""`make fuzz` counts its cases, and what fails is kept with the seed by which it fails again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzzing

KIND = """
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.cases import cases

@cases(10)
@given(st.integers())
def test_numbers(number):
    assert {claim}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(fuzzing.FOLDER / 'conftest.py', tmp_path)
    (tmp_path / 'test_holds.py').write_text(KIND.format(claim='number == number'))
    (tmp_path / 'test_fails.py').write_text(KIND.format(claim='number < 1_000'))
    monkeypatch.setattr(fuzzing, 'FOLDER', tmp_path)
    monkeypatch.setattr(fuzzing, 'KINDS', ['fails', 'holds'])
    monkeypatch.setattr(fuzzing, 'KEPT', tmp_path / 'kept')
    return tmp_path


def test_a_kind_that_fails_is_kept_with_its_seed_and_fails_again_by_it(folder, capsys):
    assert fuzzing.main(['--seed', '5']) == 1
    said = capsys.readouterr().out
    assert 'held: holds, seed 5, 50 cases' in said
    assert 'number=1000' in said.replace('_', '')
    assert 'python -m tests.fuzz --kind fails --seed 5' in said
    assert 'number=1000' in (folder / 'kept' / 'fails-5.txt').read_text().replace('_', '')
    assert fuzzing.main(['--seed', '5', '--kind', 'fails']) == 1
