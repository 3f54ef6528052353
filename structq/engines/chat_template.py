"""Renders the chat templates of LMs: programs of the model's author, run in Jinja2's sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from structq.engines.chat import Render
from structq.errors import InputError, shorten

__all__ = ["chat_template", "renderer"]


def renderer(source: str, tokens: Mapping[str, str], *, start: str = "") -> Render:
    """What turns messages to text by a chat template.

    Args:
        source: The template.
        tokens: Special tokens by the names that templates use, such as ``bos_token``.
        start: What every prompt begins with; added where the template does not write it.

    Raises:
        InputError: It is not Jinja2.
    """
    try:
        template = _environment().from_string(source)
    except TemplateError as error:
        raise InputError(
            f"the LM's chat template is not Jinja2: {shorten(str(error))}", field="lm"
        ) from error
    given: Mapping[str, Any] = {
        **tokens,
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        # Templates that know the word leave no room for thoughts: an answer starts at once.
        "enable_thinking": False,
    }

    def render(turns: list[dict[str, str]]) -> str:
        text = template.render(messages=turns, **given)
        return text if text.startswith(start) else start + text

    return render


def chat_template(chat: Mapping[str, str]) -> str:
    """The chat format as Jinja2: a marker for each role, the text as it is, the end marker."""
    roles = {role: chat[role] for role in ("system", "user", "assistant")}
    markers = ", ".join(f"{role!r}: {marker!r}" for role, marker in roles.items())
    return (
        f"{{%- set markers = {{{markers}}} -%}}"
        "{%- for message in messages -%}"
        "{%- if message['role'] not in markers -%}"
        "{{- raise_exception('unknown role: ' + message['role']) -}}"
        "{%- endif -%}"
        f"{{{{- markers[message['role']] + message['content'] + {chat['end']!r} -}}}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- {chat['assistant']!r} -}}}}{{%- endif -%}}"
    )


def _environment() -> ImmutableSandboxedEnvironment:
    """The words that templates of the hub may use."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


class _Generation(Extension):
    """``{% generation %}``: marks the assistant's part for training; here it is just its body."""

    tags = {"generation"}  # noqa: RUF012 - so Jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    # Jinja2's own escapes for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)
