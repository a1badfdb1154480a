"""What a Python 2 `str` is here: a Python 3 `str` each of whose characters is one byte (U+0000 to U+00FF).

Python 2 programs count, cut and compare bytes, so nothing else keeps `len()`, slices and `struct` right for whatever a
socket or a file gives. Where text leaves the old world (a value, a name, a line that is printed) `text_out` makes proper
text of it: bytes that are UTF-8 are read as such, and others stay what they are, which is Latin-1.
A `unicode` of Python 2 is a `str` as it is.
"""

import codecs


def _keep(error):
    """Of bytes that are no UTF-8: themselves, as Latin-1."""
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("graftd_py2_keep", _keep)


def of_bytes(data):
    """The Python 2 string that holds these bytes."""
    return data.decode("latin-1")


def to_bytes(text):
    """The bytes of a Python 2 string; real Unicode past U+00FF becomes UTF-8, where Python 2 would have failed."""
    if isinstance(text, str):
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogateescape")
    if isinstance(text, (bytes, bytearray, memoryview)):
        return bytes(text)
    to_string = getattr(text, "tobytes", None)
    if to_string is not None:
        return to_string()
    raise TypeError("must be string or buffer, not %s" % type(text).__name__)


def text_out(text):
    """Proper text of a Python 2 string."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8", "graftd_py2_keep")
    except UnicodeEncodeError:
        return text


def is_utf8(text):
    """Whether the bytes of a string are UTF-8."""
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False
    return True


def text_in(text):
    """The Python 2 string of proper text: its UTF-8 bytes. Of what the system gave, undecodable bytes come back."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def name_in(name):
    """The Python 2 string of a file's name, an environment variable and the like."""
    return text_in(name) if isinstance(name, str) else of_bytes(name)


def name_out(name):
    """What the system is to be given for a file's name: bytes, if it is a Python 2 string that is not ASCII."""
    if isinstance(name, str) and not name.isascii():
        return to_bytes(name)
    return name
