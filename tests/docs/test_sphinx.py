"""The pages make one book without a warning: `make docs` adds the modules to it, which takes longer than a test may."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('sphinx')
ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_book_and_every_link_of_it_leads_somewhere(tmp_path):
    command = [sys.executable, '-m', 'sphinx', '--builder', 'dummy', '--fail-on-warning', '--keep-going', '--quiet']
    pages_only = ['-D', 'extensions=myst_parser', '-D', 'exclude_patterns=api']  # which `make docs` leaves there
    done = subprocess.run([*command, *pages_only, ROOT / 'docs', tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_link_to_what_is_beside_the_pages_becomes_its_path():
    rewrite = runpy.run_path(str(ROOT / 'docs' / 'conf.py'))['_without_links_out']
    source = ['[the card](../checkpoints/embedded/README.md#how-well) [`a.py`](../a.py) [`x`](x.md)']
    rewrite(None, 'page', source)
    assert source == ['the card (`checkpoints/embedded/README.md`) `a.py` [`x`](x.md)']


def test_make_docs_and_rosdoc2_build_the_same_folder():
    docs = (ROOT / 'Makefile').read_text().partition('\ndocs:')[2].partition('\n\n')[0]
    assert 'tools/setup.sh docs' in docs
    assert '--fail-on-warning' in docs and docs.split()[-2] == 'docs'
    (folder,) = re.findall(r"sphinx_sourcedir: '(\w+)'", (ROOT / 'rosdoc2.yaml').read_text())
    assert (ROOT / folder / 'conf.py').is_file()
    assert '<rosdoc2>rosdoc2.yaml</rosdoc2>' in (ROOT / 'package.xml').read_text()
