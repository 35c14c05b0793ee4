"""Sphinx's settings: for `make docs`, and for rosdoc2, which copies this folder away from the repository."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
IN_REPOSITORY = (ROOT / 'package.xml').exists()  # rosdoc2 says itself what the manifest says

project = 'audio_interaction_ros'
author = 'audio_interaction_ros maintainers'
copyright = 'audio_interaction_ros maintainers. License: Apache-2.0'
extensions = ['myst_parser']
root_doc = 'index'
exclude_patterns = ['_build', '**/__pycache__']
html_theme = 'sphinx_rtd_theme'
html_theme_options = {'navigation_depth': 3}
html_show_sphinx = False

myst_heading_anchors = 4  # as the repository's web page has them

if IN_REPOSITORY:
    release = version = ElementTree.parse(ROOT / 'package.xml').findtext('version') or ''
    extensions.append('autodoc2')
    # Read, not imported: it takes neither ROS nor PyTorch. rosdoc2 runs sphinx-apidoc in its place.
    autodoc2_packages = [
        {'path': '../audio_interaction_ros', 'exclude_dirs': ['msg', 'srv', '__pycache__'], 'auto_mode': True},
    ]
    autodoc2_output_dir = 'api'
    autodoc2_index_template = None
    autodoc2_hidden_objects = {'private', 'dunder', 'inherited'}
    autodoc2_docstring_parser_regexes = [('.*', 'myst')]  # backticks are code in them, as in Markdown
    autodoc2_render_plugin = 'myst'


def _without_links_out(app, name: str, source: list[str]) -> None:
    """Write the path of a file beside `docs`, which no page here has, in place of a link to it."""

    def path(match: re.Match[str]) -> str:
        text, target = match[1], match[2].partition('#')[0]
        return f'`{target}`' if text.strip('`') == target else f'{text} (`{target}`)'

    source[0] = re.sub(r'\[([^\]]+)\]\(\.\./([^)\s]+)\)', path, source[0])


def _without_what_is_not_made(app, name: str, source: list[str]) -> None:
    """Leave out of the index, under "Its interfaces", what neither this build nor rosdoc2 around it has made."""
    if name == root_doc:
        before, caption, made = source[0].partition('   :caption: Its interfaces\n')
        options, pages = made.split('\n\n', maxsplit=1)
        there = [page for page in pages.split() if page in app.env.found_docs]
        source[0] = f'{before}{caption}{options}\n\n' + ''.join(f'   {page}\n' for page in there)


def setup(app) -> None:
    app.connect('source-read', _without_what_is_not_made)
    app.connect('source-read', _without_links_out)
