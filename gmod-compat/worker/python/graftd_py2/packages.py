"""Whether a package that lies beside a module was written for Python 3, or for both. Such a package is one: its files hand
bytes and text to each other, so none of them is taken for Python 2 by itself."""

import os
import re

from .loading import sum_of

_KNOWS_BOTH = re.compile(rb"\bPY[23]\b|\bversion_info\b[^\n]*\b3\b")
"""How code that was written to run on both asks where it is."""

_known = {}


def _files(folder):
    """Paths of the package's sources, its own `__init__.py` first."""
    found = []
    for at, folders, names in os.walk(folder):
        folders.sort()
        found.extend(os.path.join(at, name) for name in sorted(names) if name.endswith(".py"))
    found.sort(key=lambda path: path != os.path.join(folder, "__init__.py"))
    return found


def is_new(folder, cache):
    """Whether the package in `folder` is run as Python 3: all of it compiles there, and something in it is Python 3's, or
    asks which of the two it is run by."""
    if folder in _known:
        return _known[folder]
    parts = []
    for path in _files(folder):
        try:
            with open(path, "rb") as file:
                parts += path.encode("utf-8", "surrogateescape"), file.read()
        except OSError:
            continue
    key = "package:" + sum_of(parts)
    said = cache.get(key)
    if said is None:
        said = cache[key] = b"3" if _reads_new(parts[1::2]) else b"2"
    _known[folder] = said == b"3"
    return _known[folder]


def _reads_new(sources):
    from .detection import clues_of, said

    head = said(sources[0]) if sources else None
    if head is not None:
        return not head
    new = False
    for source in sources:
        clues = clues_of(source)
        if clues is None:
            return False
        new = new or clues.three or _KNOWS_BOTH.search(source) is not None
    return new
