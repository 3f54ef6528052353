"""JSON Lines and JSON arrays: rows as JSON objects, read and written one at a time."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, BinaryIO

from structq.data.contracts import Fault, find_unwritable
from structq.errors import InputError, RowError, shorten

__all__ = [
    "UNREADABLE",
    "RawRow",
    "read_array",
    "read_lines",
    "to_line",
    "write_array",
    "write_lines",
]

UNREADABLE = "unreadable"
"""Column of a row that could not be read: its text, as far as it goes."""

RawRow = tuple[int, dict[str, Any], Fault | None]
"""Line (from 1), columns, and why they cannot be used."""

_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip (its name does not end in .gz)",
    b"\x28\xb5\x2f\xfd": "Zstandard (its name does not end in .zst)",
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "Parquet (its name does not end in .parquet)",
}
# What some readers take for a line end, and what moves a terminal's cursor or turns a line around:
# the escapes stand for the same characters.
_ESCAPED = {
    ord(char): f"\\u{ord(char):04x}"
    for char in (*map(chr, range(0x7F, 0xA0)), *"\u061c\u200e\u200f\u2028\u2029\ufeff",
                 *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
}  # fmt: skip
_CHUNK = 1 << 20


def read_lines(file: BinaryIO, path: str) -> Iterator[RawRow]:
    """One object a line.

    UTF-8. A byte order mark at the start, Windows line ends, blank lines and a last line without an
    end are fine. A key that stands twice in an object is an error, since every choice between the
    two loses text. Ids are not compared: a repeated id is a good row.

    Raises:
        RowError: The file as a whole is something else than JSON Lines.
    """
    first = True
    for line, raw in enumerate(file, start=1):
        content = (raw.removeprefix(_BOM) if line == 1 else raw).rstrip(b" \t\r\n")
        if not content:
            continue
        values, fault = _parse(content)
        readable = bool(values.keys() - {UNREADABLE})
        if first and fault and (reason := _not_json_lines(content, readable=readable)):
            raise RowError(path=path, line=line, field=None, reason=reason)
        first = False
        yield line, values, fault


def read_array(file: BinaryIO, path: str) -> Iterator[RawRow]:
    """The objects of one JSON array; the line is that on which an object begins.

    Raises:
        RowError: The file is no array, or ends within it.
    """
    array = _Array(file, path)
    if array.next() != "[":
        raise array.fault(f"no JSON array: begins with {array.head} (.jsonl is one object a line)")
    array.take(1)
    if array.next() == "]":
        array.take(1)
    else:
        yield array.item()
        while (mark := array.next()) == ",":
            array.take(1)
            array.next()
            yield array.item()
        if mark != "]":
            raise array.fault(f"neither , nor ] behind an object: found {array.head}")
        array.take(1)
    if array.next():
        raise array.fault(f"text behind the array: {array.head}")


class _Array:
    """The text of a file as it is needed, and the line where it stands."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._text, self._line, self._at_end = "", 1, False
        self._file, self._path = file, path
        self._bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()

    @property
    def head(self) -> str:
        """What comes next, for a message."""
        return shorten(self._text[:61]) if self._text else "the end of the file"

    def next(self) -> str:
        """The next character that is not white space; the empty text at the end."""
        while True:
            rest = self._text.lstrip(" \t\r\n")
            self.take(len(self._text) - len(rest))
            if rest or self._at_end:
                return rest[:1]
            self._read()

    def take(self, n: int) -> str:
        """Passes over that many characters."""
        taken, self._text = self._text[:n], self._text[n:]
        self._line += taken.count("\n")
        return taken

    def item(self) -> RawRow:
        """The value that begins here."""
        line = self._line
        while True:
            try:
                _, end = self._json.raw_decode(self._text)
            except RecursionError:
                raise self.fault("not usable JSON: nested too deeply") from None
            except ValueError as error:
                if self._at_end:
                    raise self.fault(f"not JSON: {self.head}") from error
            else:
                if end < len(self._text) or self._at_end:  # a number may go on
                    return (line, *_parse(self.take(end).encode("utf8", "surrogatepass")))
            self._read()

    def fault(self, reason: str) -> RowError:
        """The error for what stands here."""
        return RowError(path=self._path, line=self._line, field=None, reason=reason)

    def _read(self) -> None:
        # Twice as much at each try, so that a long object is not parsed over and over.
        chunk = self._file.read(max(_CHUNK, len(self._text)))
        self._at_end = not chunk
        try:
            self._text += self._bytes.decode(chunk, self._at_end)
        except UnicodeDecodeError as error:
            found = f"byte 0x{error.object[error.start]:02X}"
            raise self.fault(f"not UTF-8: {found} at or behind this line") from error


def to_line(values: Mapping[str, Any]) -> str:
    """A row as one line of JSON, without its end.

    Raises:
        InputError: A value has no JSON form, or a text no UTF-8 form.
    """
    try:
        line = json.dumps(dict(values), ensure_ascii=False, allow_nan=False)
        line.encode("utf8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the row has no JSON form: {error}", field="output") from error
    return line.translate(_ESCAPED)


def write_lines(rows: Iterable[Mapping[str, Any] | str], file: IO[bytes]) -> None:
    """One object a line; a row may be such a line already."""
    for row in rows:
        line = row if isinstance(row, str) else to_line(row)
        file.write(line.encode("utf8") + b"\n")


def write_array(rows: Iterable[Mapping[str, Any]], file: IO[bytes]) -> None:
    """One JSON array, an object a line."""
    before = b"[\n"
    for row in rows:
        file.write(before + to_line(row).encode("utf8"))
        before = b",\n"
    file.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def _not_json_lines(content: bytes, *, readable: bool) -> str | None:
    """Why a first line that is not an object condemns the whole file, or ``None``."""
    for magic, kind in _FOREIGN.items():
        if content.startswith(magic):
            return f"{kind} (must be JSON Lines in UTF-8)"
    head = content.lstrip()
    in_list = head.startswith(b"[")
    if readable or not (head == b"{" or (in_list and _is_array_of_rows(head))):
        return None
    kind = "one JSON array (--format json reads it)" if in_list else "JSON over several lines"
    return f"{kind} (must be JSON Lines: one object a line, without line ends inside it)"


def _is_array_of_rows(content: bytes) -> bool:
    """Whether a line that opens a list goes on past its end, or lists objects."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return True
    return bool(value) and all(isinstance(item, dict) for item in value)


class _Pairs:
    """Builds the objects of one line and remembers the keys that stand twice."""

    def __init__(self) -> None:
        self.repeated: list[str] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            times = Counter(key for key, _ in pairs)
            self.repeated += [key for key in built if times[key] > 1]
        return built


def _parse(content: bytes) -> RawParsed:
    """The columns of one object, and what makes it unusable, if anything."""
    pairs = _Pairs()
    try:
        value = json.loads(content.decode("utf8"), object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02X} at byte {error.start + 1} of the line"
        return _unread(content, f"not UTF-8: {found}")
    except json.JSONDecodeError as error:
        found = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return _unread(content, f"not JSON: {found}")
    except RecursionError:
        return _unread(content, "not usable JSON: nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return _unread(content, f"not usable JSON: {error}")
    if not isinstance(value, dict):
        return _unread(content, f"not an object: {shorten(value)}")
    if pairs.repeated:
        key = pairs.repeated[0]
        kept = {name: inner for name, inner in value.items() if name not in pairs.repeated}
        columns = {**_writable(kept), **_text_of(content)}
        return columns, Fault(field=key, reason="the key stands twice in its object")
    if fault := find_unwritable(value):
        return {**_writable(value), **_text_of(content)}, fault
    return value, None


RawParsed = tuple[dict[str, Any], Fault | None]


def _unread(content: bytes, reason: str) -> RawParsed:
    return _text_of(content), Fault(field=None, reason=reason)


def _text_of(content: bytes) -> dict[str, Any]:
    """The text of a line that no column holds, so that the output loses nothing."""
    return {UNREADABLE: content.decode("utf8", "backslashreplace")}


def _writable(values: dict[str, Any]) -> dict[str, Any]:
    """The columns that a UTF-8 JSON file can hold."""
    return {key: inner for key, inner in values.items() if not find_unwritable({key: inner})}
