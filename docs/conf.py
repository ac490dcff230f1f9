"""How the documentation is built, by ``make docs``: pages are Markdown, the reference is made from docstrings."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["COLUMNS"] = "100"  # argparse breaks its lines there

project = "Continuous retraining that can be trusted"
copyright = "its authors, Apache License 2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

html_theme = "furo"
html_title = project
html_show_sphinx = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True  # the fields of a declaration stand in its own text, once
nitpicky = True
# What other projects define: their own documentation can't be asked without a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|np|npt|collections|datetime|enum|typing|argparse|pathlib)\..*"),
    (r"py:.*", r"pipeline\.core\.(stats|evidence)\..*"),  # what a gate computes with: read it in the code
    (r"py:.*", r"(NDArray|Callable|Mapping|Sequence|Iterable|Iterator|Any|Literal|ClassVar|Protocol|date|datetime)"),
]


def by_its_last_words(app: Sphinx, env: Any, node: nodes.Element, inside: nodes.Node) -> nodes.Node | None:
    """A docstring's reference by a short name, such as ``Kind.rank``: resolved where one thing alone is called so."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    known = env.domains["py"].objects
    for called in (target, target.rpartition(".")[0]):  # a declaration's field stands in the text of its class
        found = [name for name in known if name == called or name.endswith(f".{called}")]
        if called and len(found) == 1:
            break
    else:
        return None
    name, entry = found[0], known[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, inside, name)


def one_by_one(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Fields that a docstring explains together (``low, high: …``) get the text each; a property has no type."""
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)
    made: list[str] = []
    at = 0
    while at < len(lines):
        found = re.match(r"    (\w+(?:, \w+)+): ", lines[at])
        text = [lines[at]]
        at += 1
        while found and at < len(lines) and lines[at].startswith("        "):
            text.append(lines[at])
            at += 1
        if not found:
            made += text
            continue
        for field in found[1].split(", "):
            made += [f"    {field}: {text[0][found.end() :]}", *text[1:]]
    lines[:] = made


class CommandLine(SphinxDirective):
    """The verbs of the command line, each with what ``--help`` says of it."""

    def run(self) -> list[nodes.Node]:
        """A section for each verb."""
        top = import_module("pipeline.cli.main").parser()
        verbs = next(action for action in top._actions if hasattr(action, "choices") and action.choices)
        sections: list[nodes.Node] = [nodes.literal_block(top.format_help(), top.format_help())]
        for name, verb in verbs.choices.items():
            section = nodes.section(ids=[nodes.make_id(name)], names=[name])
            text = verb.format_help()
            section += [nodes.title(name, name), nodes.literal_block(text, text)]
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    """What this project adds to Sphinx."""
    app.add_directive("command-line", CommandLine)
    app.connect("autodoc-process-docstring", one_by_one, priority=100)  # before napoleon reads it
    app.connect("missing-reference", by_its_last_words)
    return {"parallel_read_safe": True}
