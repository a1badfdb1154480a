"""Rules for strings, which count bytes: case, blanks and encodings as Python 2 has them for `str`."""

import binascii
import codecs

from . import ops
from .attrs import METHODS, method
from .text import is_utf8, of_bytes, to_bytes

_STR = "builtins.str"


def _through_bytes(name, text, args):
    made = getattr(text.encode("latin-1"), name)(*[to_bytes(arg) if isinstance(arg, str) else arg for arg in args])
    if isinstance(made, bytes):
        return of_bytes(made)
    if isinstance(made, list):
        return list(map(of_bytes, made))
    return made


def _byte_wise(name):
    """A method that must not take bytes above 0x7F for letters or blanks."""
    native = getattr(str, name)

    def called(text, *args):
        if text.isascii():
            return native(text, *args)
        try:
            return _through_bytes(name, text, args)
        except UnicodeEncodeError:
            return native(text, *args)

    method(_STR, name)(called)


for _name in (
    "strip lstrip rstrip split rsplit upper lower title capitalize swapcase isalpha isalnum isdigit isspace isupper "
    "islower istitle"
).split():
    _byte_wise(_name)


@method(_STR, "splitlines")
def _splitlines(text, keepends=False):
    try:
        return list(map(of_bytes, text.encode("latin-1").splitlines(keepends)))
    except UnicodeEncodeError:
        return text.splitlines(keepends)


@method(_STR, "join")
def _join(text, items):
    from .attrs import result

    try:
        return text.join(items)
    except TypeError:
        return text.join(map(result, items))


@method(_STR, "format")
def _format(text, *args, **keywords):
    args = [ops.shown_scalar(arg) for arg in args]
    return str.format(text, *args, **{key: ops.shown_scalar(arg) for key, arg in keywords.items()})


@method(_STR, "translate")
def _translate(text, table, deletechars=""):
    if isinstance(table, dict):
        return text.translate(table)
    made = text.encode("latin-1").translate(None if table is None else to_bytes(table), to_bytes(deletechars))
    return of_bytes(made)


@method(_STR, "__getslice__")
def _getslice(text, start, stop):
    return text[start:stop]


# --- encodings

_TO_TEXT = {
    "hex": (lambda data: binascii.hexlify(data), lambda data: binascii.unhexlify(data)),
    "base64": (lambda data: codecs.encode(data, "base64"), lambda data: codecs.decode(data, "base64")),
    "zlib": (lambda data: codecs.encode(data, "zlib"), lambda data: codecs.decode(data, "zlib")),
    "bz2": (lambda data: codecs.encode(data, "bz2"), lambda data: codecs.decode(data, "bz2")),
    "quopri": (lambda data: codecs.encode(data, "quopri"), lambda data: codecs.decode(data, "quopri")),
    "uu": (lambda data: codecs.encode(data, "uu"), lambda data: codecs.decode(data, "uu")),
    "string_escape": (lambda data: to_bytes(ops.repr_(of_bytes(data))[1:-1]), lambda data: codecs.escape_decode(data)[0]),
}
_ASCII_ALIKE = frozenset(("ascii", "utf-8", "utf8", "UTF-8", "latin-1", "iso-8859-1"))
_NAMES = {"hex_codec": "hex", "base64_codec": "base64", "zlib_codec": "zlib", "bz2_codec": "bz2", "zip": "zlib",
          "base_64": "base64", "quoted_printable": "quopri", "string_escape": "string_escape"}


def _codec(name):
    name = name.lower().replace("-", "_")
    return _TO_TEXT.get(_NAMES.get(name, name))


@method(_STR, "encode")
def encode(text, encoding="ascii", errors="strict"):
    """`str.encode()` and `unicode.encode()`: a string of bytes."""
    if text.isascii() and encoding in _ASCII_ALIKE:
        return text
    codec = _codec(encoding)
    if codec:
        return of_bytes(codec[0](to_bytes(text)))
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8") and is_utf8(text):
        # It is UTF-8 already, so it was no `unicode`: `if isinstance(s, unicode): s = s.encode("utf-8")` cannot tell here.
        return text
    if encoding.lower().replace("_", "").replace("-", "") == "rot13":
        return codecs.encode(text, "rot13")
    return of_bytes(text.encode(encoding, errors))


@method(_STR, "decode")
def decode(text, encoding="ascii", errors="strict"):
    """`str.decode()`: text."""
    codec = _codec(encoding)
    if codec:
        return of_bytes(codec[1](to_bytes(text)))
    if encoding.lower().replace("_", "").replace("-", "") == "rot13":
        return codecs.decode(text, "rot13")
    return to_bytes(text).decode(encoding, errors)


def watched():
    """The attributes that have rules for strings."""
    return [name for name, rules in METHODS.items() if _STR in rules]
