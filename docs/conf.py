"""Sphinx configuration of `make docs-site`. Its root is that of the project, so that links to README and code work."""

from __future__ import annotations

import re
from typing import ClassVar

import mermaidx
from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

project = "advgen"
author = copyright = "The advgen authors"
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "config/README.md", "results/README.md"]
exclude_patterns = [".*", "**/.*", "build", "dist", "results/*/*", "src", "tests", "benchmarks", "workflow", "profiles"]
exclude_patterns += ["docs/results/page.md"]  # the template of docs/results.md
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages, whose pages are not fetched
default_role = "code"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["myst.header"]  # pages for GitHub may start with any heading level
html_theme = "furo"
html_title = "advgen"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_extra_path = ["site/index.html"]
html_copy_source = html_show_sphinx = html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# colours for mermaid, and the variables of the theme that replace them in the SVG
COLOURS = {
    "#fafafb": "--color-background-secondary",
    "#4a4a4b": "--color-foreground-muted",
    "#202021": "--color-foreground-primary",
    "#f0f0f1": "--color-background-primary",
}
FILL, LINE, TEXT, PAPER = COLOURS
VARIABLES = {
    "primaryColor": FILL, "primaryBorderColor": LINE, "primaryTextColor": TEXT, "lineColor": LINE, "textColor": TEXT,
    "clusterBkg": PAPER, "clusterBorder": LINE, "edgeLabelBackground": PAPER, "titleColor": TEXT,
    "fontFamily": "sans-serif", "fontSize": "14px",
}  # fmt: skip


class Mermaid(Directive):
    """A diagram that is rendered at build time, so that the page loads nothing from the network."""

    has_content = True
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        config = {"htmlLabels": False, "flowchart": {"htmlLabels": False}, "themeVariables": VARIABLES}
        picture = mermaidx.render("\n".join(self.content), theme="base", config=config).svg()
        for colour, variable in COLOURS.items():
            picture = re.sub(colour, f"var({variable})", picture, flags=re.IGNORECASE)
        return [nodes.raw("", f'<div class="diagram">{picture}</div>', format="html")]


def place_decisions(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the decisions to the navigation; the list on their page also works without the site."""
    if page == "docs/decisions/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n0*\nlibraries\nfiles\n```\n"


def setup(app: Sphinx) -> None:
    """Register the directive for diagrams and the navigation of the decisions."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", place_decisions)
