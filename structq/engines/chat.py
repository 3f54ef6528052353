"""Turns to tokens through a chat template, with row text kept apart from it; knows no model.

A template is rendered with stand-ins for the texts. So nothing in a text can steer the template,
no template can trim or rewrite a text, and it is known which markers are the template's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from tokenizers import Tokenizer

from structq.errors import InputError, shorten

__all__ = ["ChatFormat", "ChatRuntime", "Render"]

Render = Callable[[list[dict[str, str]]], str]
"""Messages with ``role`` and ``content`` to text, up to and including the assistant's header."""

_MAX_FORMS = 64


class ChatFormat:
    """The chat format of one LM; may be used from any thread.

    Tokens are those of the rendered text as a whole, as the LM saw it in training. Where a text
    holds what the tokenizer would read as a special token, the text between the template's own
    special tokens is encoded piece by piece instead, without special tokens.

    Args:
        tokenizer: Of the LM; it is never changed.
        render: The chat template.

    Raises:
        InputError: The template has no place for a user's text.
    """

    def __init__(self, tokenizer: Tokenizer, render: Render) -> None:
        self._render = render
        self._marked = _copy(tokenizer, special=True)
        self.plain = tokenizer if _is_plain(tokenizer) else _copy(tokenizer, special=False)
        """The tokenizer with special tokens in a text read as text."""
        self._special = frozenset(
            token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self._forms: dict[tuple[str, ...], _Form] = {}
        self._try()

    def _try(self) -> None:
        """What cannot be used shows now, and not with the first row."""
        try:
            self.decode(self.encode([("user", "A 1, é.")]))
        except (InputError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # tokenizers raises bare Exception; panics are not even that
            raise InputError(
                f"the LM's tokenizer cannot read a text: {shorten(str(error), 200)}", field="lm"
            ) from error

    def encode(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of ``(role, text)`` turns, up to and including the assistant's header.

        Raises:
            InputError: The template refuses these roles or drops a text, or a text has no UTF-8
                form.
        """
        texts = [text for _, text in turns]
        for text in texts:
            _check_utf8(text)
        form = self._form(tuple(role for role, _ in turns))
        whole = "".join(piece if isinstance(piece, str) else texts[piece] for piece in form.pieces)
        tokens: list[int] = self._marked.encode(whole, add_special_tokens=False).ids
        if self._specials_in(tokens) == form.specials:
            return tokens
        return list(self._encode_apart(form, texts))

    def encode_text(self, text: str) -> list[int]:
        """Tokens of plain text; markers of the chat template inside it stay text.

        Raises:
            InputError: The text has no UTF-8 form.
        """
        _check_utf8(text)
        return list(self.plain.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""
        return str(self.plain.decode(list(tokens), skip_special_tokens=True))

    def _form(self, roles: tuple[str, ...]) -> _Form:
        form = self._forms.get(roles)
        if form is None:
            pieces = _pieces(self._render, roles)
            frame = "".join(piece if isinstance(piece, str) else "x" for piece in pieces)
            ids = self._marked.encode(frame, add_special_tokens=False).ids
            form = _Form(pieces, self._specials_in(ids))
            if len(self._forms) >= _MAX_FORMS:
                self._forms.clear()
            self._forms[roles] = form
        return form

    def _specials_in(self, tokens: Sequence[int]) -> list[int]:
        return [token for token in tokens if token in self._special]

    def _encode_apart(self, form: _Form, texts: Sequence[str]) -> Iterator[int]:
        """Special tokens of the template as they are, and what lies between them as plain text."""
        run = ""
        for piece in form.pieces:
            if not isinstance(piece, str):
                run += texts[piece]
                continue
            end = 0
            found = self._marked.encode(piece, add_special_tokens=False)
            for token, (first, past) in zip(found.ids, found.offsets, strict=True):
                if token in self._special:
                    yield from self.encode_text(run + piece[end:first])
                    yield token
                    run, end = "", past
            run += piece[end:]
        yield from self.encode_text(run)


class ChatRuntime:
    """What the runtimes that speak through a :class:`ChatFormat` have in common."""

    form = "text"
    """How the LM writes answers best; see `structq.engines.scheduler.Runtime`."""
    _chat: ChatFormat

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, for building grammars; do not change its settings."""
        return self._chat.plain

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of ``(role, text)`` turns, up to and including the assistant's header.

        Raises:
            InputError: The chat template refuses the roles, or a text has no UTF-8 form.
        """
        return self._chat.encode(messages)

    def encode_text(self, text: str) -> list[int]:
        """Tokens of plain text; markers of the chat template inside it stay text.

        Raises:
            InputError: The text has no UTF-8 form.
        """
        return self._chat.encode_text(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""
        return self._chat.decode(tokens)


class _Form:
    """What a template makes of a run of roles."""

    def __init__(self, pieces: Sequence[str | int], specials: Sequence[int]) -> None:
        self.pieces = pieces
        """Texts of the template, and at which place which of the turns' texts stands."""
        self.specials = specials
        """The special tokens of the template, in order."""


def _pieces(render: Render, roles: Sequence[str]) -> list[str | int]:
    names = _stand_ins(render, roles)
    rendered = _rendered(render, roles, names)
    places = {name: place for place, name in enumerate(names)}
    split = re.split(f"({'|'.join(names)})", rendered) if names else [rendered]
    pieces: list[str | int] = [places.get(part, part) for part in split if part]
    if dropped := set(places.values()) - {piece for piece in pieces if isinstance(piece, int)}:
        raise InputError(
            f"the LM's chat template has no place for the text of the {roles[min(dropped)]} turn",
            field="messages",
        )
    return pieces


def _stand_ins(render: Render, roles: Sequence[str]) -> list[str]:
    """Names for the texts that the template itself does not contain."""
    empty = _rendered(render, roles, [""] * len(roles))
    word = next(word for number in count() if (word := f"SLOT{number}x") not in empty)
    return [f"{word}{place}y" for place in range(len(roles))]


def _rendered(render: Render, roles: Sequence[str], texts: Sequence[str]) -> str:
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    try:
        return render(turns)
    except Exception as error:  # a template may raise whatever its author likes
        raise InputError(
            f"the LM's chat template refuses turns of {', '.join(roles) or 'nobody'}: {error}",
            field="messages",
        ) from error


def _is_plain(tokenizer: Tokenizer) -> bool:
    # A copy of a large vocabulary takes a quarter of a second.
    settings = tokenizer.truncation, tokenizer.padding
    return bool(tokenizer.encode_special_tokens) and settings == (None, None)


def _copy(tokenizer: Tokenizer, *, special: bool) -> Tokenizer:
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = not special
    copy.no_truncation()
    copy.no_padding()
    return copy


def _check_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text has no UTF-8 form: a lone surrogate at character {error.start} of "
            f"{shorten(text)}",
            field="prompt",
        ) from error
