"""The options of a command, made from the settings that it may set; knows no command."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import Field
from pydantic.fields import FieldInfo

from structq.cli.terminal import exit_code
from structq.errors import InputError, shorten
from structq.modules.settings import Settings, Shown, plain_types

__all__ = ["Given", "Lm", "LmSettings", "Out", "Program", "Source", "lm_options", "takes"]

Given = Mapping[str, Any]
"""The options that were given, by the names of their settings, with their values."""

Source = Annotated[str, typer.Argument(metavar="IN", help="JSON Lines file, or - for stdin.")]
Out = Annotated[str, typer.Option("--output", "-o", help="JSON Lines file, or - for stdout.")]
Lm = Annotated[
    str | None,
    typer.Option(
        "--lm",
        envvar="STRUCTQ_LM",
        help="nano, vllm/MODEL, openai/gpt-4o-mini, ...: the README lists them.",
    ),
]
Program = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A saved EvolQuality; options that are given win over it."),
]


class LmSettings(Settings):
    """What may be said about the LM of a command."""

    api_base: Annotated[str | None, Shown("URL")] = Field(
        default=None, description="Address of a server of your own."
    )
    max_tokens: int | None = Field(default=None, ge=1, description="Longest answer, in tokens.")
    temperature: float | None = Field(default=None, ge=0, description="0 is greedy.")
    timeout: float | None = Field(
        default=None, gt=0, description="Of servers: seconds of one attempt, until it is answered."
    )
    lm_option: Annotated[list[str], Shown("NAME=VALUE")] = Field(
        default_factory=list,
        description="Any other option of the LM, as `structq models --options` lists them; may be "
        "given several times.",
    )


def takes(
    *models: type[Settings],
    without: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    flags: Mapping[str, str] | None = None,
    config: bool = False,
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Gives a command an option for each setting of the models.

    The command gets those that were given, parsed, as ``given``, and returns its exit code.

    Args:
        models: Of a name that two of them have, the first counts.
        without: Settings that do not apply to the command.
        defaults: What the command has in place of the settings' own defaults, to be shown.
        flags: What an option is called, where not by its setting.
        config: Whether ``--config FILE`` may hold them, and ``--print-config`` writes such a file.
    """
    fields: dict[str, FieldInfo] = {}
    for model in models:
        for name, field in model.model_fields.items():
            if name not in without:
                fields.setdefault(name, field)
    optional = {name: field.default for name, field in fields.items() if not field.is_required()}
    shown = optional | dict(defaults or {})

    def decorate(command: Callable[..., int | None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            def action() -> int | None:
                texts = {name: values.pop(name) for name in fields}
                given = {
                    name: _value(name, fields[name], text)
                    for name, text in texts.items()
                    if text not in (None, [], ())
                }
                prints = bool(values.pop("print_config", False))
                given = _from_file(values.pop("config", None), fields, values) | given
                for model in models:
                    model.picked(given | {n: shown[n] for n in shown if n not in given})
                if "lm" in values and values["lm"] is None:
                    raise InputError("lm: must be given, such as nano or vllm/MODEL", field="lm")
                if prints:
                    typer.echo(as_toml({**values, **shown, **given}, fields), nl=False)
                    return None
                return command(**values, given=given)

            told = " (what was answered is kept: the same command goes on)" if config else ""
            raise typer.Exit(exit_code(action, options=fields, interrupted=told))

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [one for one in own if one.name != "given"]
        parameters += [
            _parameter(name, field, shown.get(name), (flags or {}).get(name))
            for name, field in fields.items()
        ]
        parameters += _CONFIG if config else []
        keyword = inspect.Parameter.KEYWORD_ONLY
        signature = inspect.Signature([one.replace(kind=keyword) for one in parameters])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


_CONFIG = [
    inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, typer.Option(flag, help=told, metavar=metavar)],
    )
    for name, kind, flag, metavar, told in (
        ("config", str | None, "--config", "FILE", "TOML or JSON file of settings; options win."),
        ("print_config", bool | None, "--print-config", None, "Write such a file and do nothing."),
    )
]
_OF_COMMANDS = ("lm", "scorer_lm", "program")
"""What a file of settings may hold beside them."""


def _from_file(
    path: str | None, fields: Mapping[str, FieldInfo], values: dict[str, Any]
) -> dict[str, Any]:
    """The settings in a file; what the command itself takes goes to its values."""
    if path is None:
        return {}
    table = {name.replace("-", "_"): value for name, value in _table("config", path).items()}
    for name in _OF_COMMANDS:
        if name in values and name in table:
            found = table.pop(name)
            values[name] = found if values[name] is None else values[name]
    if unknown := sorted(table.keys() - fields.keys()):
        close = get_close_matches(unknown[0], [*fields, *_OF_COMMANDS], n=1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        message = f"config: {path!r} has an unknown setting {unknown[0]!r}{hint}"
        raise InputError(message, field="config")
    return {name: _listed(value) for name, value in table.items()}


def _listed(value: Any) -> Any:
    """A list as the pair that a scale is."""
    whole = isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)
    return tuple(value) if whole else value


def as_toml(values: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """A file of settings: what is not set stands in a comment."""
    lines = []
    for name, value in values.items():
        if name not in fields and name not in _OF_COMMANDS:
            continue
        if name in fields and fields[name].description:
            lines.append(f"# {fields[name].description}")
        empty = value is None or value == [] or "PydanticUndefined" in repr(value)
        lines += [f"# {name} =" if empty else f"{name} = {_toml(value)}", ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))} = {_toml(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's escapes are TOML's, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _parameter(name: str, field: FieldInfo, default: Any, flag: str | None) -> inspect.Parameter:
    """The option of a setting: ``None`` where it is not given."""
    kind, flag = plain_types(field)[0], flag or f"--{name.replace('_', '-')}"
    text = field.description or ""
    if default is not None and kind is not bool and field.default_factory is None:
        text = f"{text} [default: {default}]"
    if kind is bool:
        flags = f"{flag}/--no-{flag.removeprefix('--')}"
        told = f"{text} [default: {'yes' if default else 'no'}]"
        annotation: Any = Annotated[bool | None, typer.Option(flags, help=told)]
    else:
        value = list[str] if get_origin(kind) is list else str
        option = typer.Option(flag, metavar=_metavar(field, kind), help=text, show_default=False)
        annotation = Annotated[value | None, option]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=None, annotation=annotation)


def _metavar(field: FieldInfo, kind: Any) -> str:
    for mark in field.metadata:
        if isinstance(mark, Shown):
            return mark.metavar
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def _value(name: str, field: FieldInfo, text: Any) -> Any:
    """The value that the text of an option stands for; what it may be is checked by its model.

    Raises:
        InputError: The text has not the form of the option, or its file cannot be read.
    """
    kind = plain_types(field)[0]
    if not isinstance(text, str):
        return text
    if text == "none" and field.default is not None and NoneType in get_args(field.annotation):
        return None
    metavar = _metavar(field, kind)
    if metavar == "FILE":
        return _table(name, text) if get_origin(kind) is Mapping else _text(name, text)
    if metavar == "LOW-HIGH|FILE":
        return _scale(name, text)
    if metavar == "NAME=NUMBER,...|FILE":
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(mark for _, mark, _ in pairs):
            return _table(name, text)
        return {key.strip(): _number(float, value) for key, _, value in pairs}
    return _number(kind, text) if kind in (int, float) else text


def _number(kind: Callable[[str], Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text  # the model says what is allowed


def _scale(name: str, text: str) -> Any:
    if match := re.fullmatch(r"(-?\d{1,9})\s*(?:-|\.\.)\s*(-?\d{1,9})", text.strip()):
        return int(match[1]), int(match[2])
    if Path(text).suffix not in (".json", ".toml"):
        raise InputError(
            f"{name}: {shorten(text)} (must be LOW-HIGH, such as 1-6, or a .json or .toml file "
            "of label and description)",
            field=name,
        )
    return _table(name, text)


def _text(name: str, path: str) -> str:
    """The text of a UTF-8 file, without the line end at its end."""
    try:
        return Path(path).read_text(encoding="utf8").removesuffix("\n")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{name}: cannot read {path!r}: {reason}", field=name) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: {path!r} is not UTF-8", field=name) from error


def _table(name: str, path: str) -> dict[str, Any]:
    """The names and values of a JSON or TOML file."""
    text = _text(name, path)
    try:
        toml = Path(path).suffix == ".toml"
        table = tomllib.loads(text) if toml else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: {path!r} cannot be read: {error}", field=name) from error
    if not isinstance(table, dict):
        raise InputError(
            f"{name}: {path!r} must hold names and values, found {shorten(table)}", field=name
        )
    return table


def lm_options(given: Given, *, seed: int) -> dict[str, Any]:
    """What ``structq.lm`` is to be told: only what was given, so that the LM's defaults hold.

    Raises:
        InputError: An ``--lm-option`` is no NAME=VALUE, or the value is of another type.
    """
    options = {name: given[name] for name in LmSettings.model_fields if name in given}
    for text in options.pop("lm_option", []):
        name, mark, value = text.partition("=")
        if not mark:
            raise InputError(f"lm_option: {shorten(text)} (must be NAME=VALUE)", field="lm_option")
        name = name.strip().replace("-", "_")
        options[name] = _lm_value(name, value)
    if options.get("temperature"):  # greedy answers need no seed
        options.setdefault("seed", seed)
    return options


def _lm_value(name: str, text: str) -> Any:
    """The value that a text means to its option; `structq.lm` says what is wrong with it."""
    from structq.engines.kinds import all_options

    known = {name: option for group in all_options().values() for name, option in group.items()}
    if name in known and known[name].type not in (object, dict):
        return known[name].parse(name, text)
    try:
        return json.loads(text)
    except ValueError:
        return text
