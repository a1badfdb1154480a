"""Values of Python 2's literals. A string literal is the bytes that stand in the file (`text.py` says why)."""

import re
import unicodedata

_ESCAPE = re.compile(r"\\(\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|x)")
_UNICODE_ESCAPE = re.compile(
    r"\\(\n|[\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]+\}|[xuUN])"
)
_RAW_UNICODE_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SIMPLE = {
    "\n": "", "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}


def _escaped(match):
    what = match.group(1)
    if what in _SIMPLE:
        return _SIMPLE[what]
    first = what[0]
    if first in "01234567":
        return chr(int(what, 8) & 0xFF)
    if first == "N":
        return unicodedata.lookup(what[2:-1])
    if len(what) == 1:
        raise ValueError("invalid \\%s escape" % what)
    return chr(int(what[1:], 16))


def _joined(text):
    """Characters of pairs of surrogates, which a literal may be written in."""
    if not any("\ud800" <= char < "\udc00" for char in text):
        return text
    return _PAIR.sub(lambda found: found.group().encode("utf-16", "surrogatepass").decode("utf-16"), text)


def string(token, encoding, unicode_literals):
    """(value, is_unicode) of a string token. Raises ValueError."""
    quote = min(i for i in (token.find("'"), token.find('"')) if i >= 0)
    prefix = token[:quote].lower()
    width = 3 if token[quote : quote + 3] in ("'''", '"""') else 1
    body = token[quote + width : len(token) - width]
    is_unicode = "u" in prefix or (unicode_literals and "b" not in prefix)
    if is_unicode:
        if "r" not in prefix:
            return _joined(_UNICODE_ESCAPE.sub(_escaped, body)), True
        if "u" not in prefix:
            return body, True
        return _RAW_UNICODE_ESCAPE.sub(lambda m: m.group(1) + chr(int(m.group(2)[1:], 16)), body), True
    if not body.isascii():
        body = body.encode(encoding, "surrogateescape").decode("latin-1")
    if "r" not in prefix and "\\" in body:
        body = _ESCAPE.sub(_escaped, body)
    return body, False


def number(token):
    """The value of a number token. Raises ValueError."""
    text = token.lower()
    if text[-1] == "j":
        return complex(0, float(text[:-1]))
    if text[:2] == "0x":
        return int(text.rstrip("l"), 16)
    if text[:2] in ("0o", "0b"):
        return int(text.rstrip("l"), 0)
    if "." in text or "e" in text:
        return float(text)
    text = text.rstrip("l")
    if len(text) > 1 and text[0] == "0":
        return int(text, 8)
    return int(text)
