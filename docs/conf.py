"""How Sphinx makes the manual from these Markdown pages: ``./bonewatch docs``. Nothing is fetched from any network."""

import importlib.metadata
from typing import Final

project: Final = "Bonewatch"
author: Final = "The Bonewatch project"
project_copyright: Final = "the Bonewatch project; Apache-2.0"
version = release = importlib.metadata.version("bonewatch")
language: Final = "en_GB"

extensions: Final = ["myst_parser"]
exclude_patterns: Final = ["contracts/schemas/**"]
nitpicky: Final = True

myst_heading_anchors: Final = 4
"""Headings get the anchors that the repository's web page gives them, so that links work in both places."""

html_theme: Final = "furo"
html_title: Final = f"Bonewatch {version}"
html_show_sphinx: Final = False
html_copy_source: Final = False
html_show_copyright: Final = False
html_static_path: Final = ["_static"]
html_css_files: Final = ["print.css"]
