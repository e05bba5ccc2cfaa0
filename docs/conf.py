"""The pages as a site, by `make docs-site`; its root is that of the project, so that README and links to code count."""

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
exclude_patterns += ["docs/results/page.md"]  # of which docs/results.md is made
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages, whose pages would have to be fetched
default_role = "code"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["myst.header"]  # GitHub's pages may begin with any level
html_theme = "furo"
html_title = "advgen"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_extra_path = ["site/index.html"]
html_copy_source = html_show_sphinx = html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# what mermaid computes with, and the theme's colours that take its place
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
    """A diagram, drawn when the site is built: nothing is fetched by who reads it."""

    has_content = True
    option_spec: ClassVar[dict[str, object]] = {}

    def run(self) -> list[nodes.Node]:
        config = {"htmlLabels": False, "flowchart": {"htmlLabels": False}, "themeVariables": VARIABLES}
        picture = mermaidx.render("\n".join(self.content), theme="base", config=config).svg()
        for colour, variable in COLOURS.items():
            picture = re.sub(colour, f"var({variable})", picture, flags=re.IGNORECASE)
        return [nodes.raw("", f'<div class="diagram">{picture}</div>', format="html")]


def place_decisions(app: Sphinx, page: str, source: list[str]) -> None:
    """List the decisions below their page, whose own list is readable without a site, too."""
    if page == "docs/decisions/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n0*\nlibraries\n```\n"


def setup(app: Sphinx) -> None:
    """Make diagrams known, and the decisions part of the navigation."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", place_decisions)
