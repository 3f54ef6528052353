"""Jinja2 under lock: an immutable sandbox, and a list of what a template may do.

Templates come from people, from optimizers and from LMs. Before one is compiled, its syntax tree is
compared with an allow-list: what is not named here is refused, so that no template can loop for
long, call anything, or reach past the texts that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from structq.errors import TemplateError, shorten

__all__ = ["MAX_TEMPLATE_CHARS", "Rules", "compile_template"]

MAX_TEMPLATE_CHARS = 20_000
MAX_USES = 4

_PLAIN = (nodes.Output, nodes.TemplateData, nodes.Name)
_LOOPING = (
    *_PLAIN,
    nodes.For,
    nodes.If,
    nodes.Getattr,
    nodes.Filter,
    nodes.Const,
    nodes.Not,
    nodes.Add,
    nodes.Sub,
)
_LOOP_FACTS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with a short way to the one thing that an allowed template asks it for."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The attribute, if the sandbox grants it."""
        # A score prompt reads loop.index twice a response: the sandbox's way is a tenth of a call.
        if type(obj) is LoopContext and attribute in _LOOP_FACTS:
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


_ENVIRONMENT = _Sandbox(undefined=jinja2.StrictUndefined, autoescape=False)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a template may and must name."""

    fields: frozenset[str]
    """Names that have a value."""
    required: frozenset[str] = frozenset()
    """Names that must be used."""
    loop_over: str | None = None
    """The one list that may be walked, once deep; ``None`` allows plain output only."""


@lru_cache(maxsize=512)
def compile_template(text: str, rules: Rules, where: str = "template") -> jinja2.Template:
    """The compiled template; the last 512 are kept.

    Args:
        text: Jinja2 source of at most 20,000 characters.
        rules: What it may and must name.
        where: How an error calls the template.

    Raises:
        TemplateError: It does not parse, names an unknown field, lacks a required one, names one
            too often, or uses syntax outside of the allow-list.
    """
    if len(text) > MAX_TEMPLATE_CHARS:
        found = f"{len(text)} characters (at most {MAX_TEMPLATE_CHARS})"
        raise TemplateError(f"{where}: too long: {found}", field=where)
    try:
        tree = _ENVIRONMENT.parse(text)
        _check_nodes(tree, rules, where)
        _check_names(tree, rules, where)
        return _ENVIRONMENT.from_string(tree)
    except jinja2.TemplateSyntaxError as error:
        place = f"{where}, line {error.lineno}"
        raise TemplateError(f"{place}: does not parse: {error.message}", field=where) from error
    except RecursionError as error:
        raise TemplateError(f"{where}: nested too deeply", field=where) from error


def _check_nodes(tree: nodes.Template, rules: Rules, where: str) -> None:
    allowed = _PLAIN if rules.loop_over is None else _LOOPING
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, allowed) or not _is_harmless(node, rules):
            kind = type(node).__name__.lower()
            what = (
                "only {{ name }} output" if allowed is _PLAIN else "output, one loop and its index"
            )
            message = f"{where}, line {node.lineno}: {kind} is not allowed here ({what} is)"
            raise TemplateError(message, field=where)


def _is_harmless(node: nodes.Node, rules: Rules) -> bool:
    if isinstance(node, nodes.Getattr):
        return (
            isinstance(node.node, nodes.Name)
            and node.node.name == "loop"
            and node.attr in _LOOP_FACTS
        )
    if isinstance(node, nodes.Filter):
        return (
            node.name in ("length", "count")
            and _names(node.node, rules.loop_over)
            and not node.args
        )
    if isinstance(node, nodes.For):
        inner = any(child.find(nodes.For) for child in node.body)
        inner = inner or any(isinstance(child, nodes.For) for child in node.body)
        plain = isinstance(node.target, nodes.Name) and node.test is None and not node.recursive
        return plain and not inner and _names(node.iter, rules.loop_over)
    return True


def _names(node: nodes.Node | None, name: str | None) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _check_names(tree: nodes.Template, rules: Rules, where: str) -> None:
    local = {"loop"} if rules.loop_over else set()
    local.update(
        loop.target.name for loop in tree.find_all(nodes.For) if isinstance(loop.target, nodes.Name)
    )
    uses: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        uses[name.name] = uses.get(name.name, 0) + 1
        if name.name not in rules.fields and name.name not in local:
            known = ", ".join(sorted(rules.fields))
            found = f"unknown field {shorten(name.name)} (there are {known})"
            raise TemplateError(f"{where}, line {name.lineno}: {found}", field=where)
    if missing := sorted(rules.required - uses.keys()):
        names = " and ".join(f"{{{{ {name} }}}}" for name in missing)
        raise TemplateError(f"{where}: lacks the field {names}", field=where)
    if often := [name for name in sorted(rules.required) if uses[name] > MAX_USES]:
        message = f"{where}: names {often[0]} {uses[often[0]]} times (at most {MAX_USES})"
        raise TemplateError(message, field=where)
