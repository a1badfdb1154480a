"""Python 2 source runs on Python 3: parsed by Python 2's grammar, given Python 2's meaning, and nothing else is touched.

`detect(source)` tells whether source is Python 2; `load(name, source, filename, folder, cache)` makes a module of source of
either kind. What the layer does is seen by old code alone: it has builtins of its own (`builtins2.py`), an import of its own
(`importing.py`) that hands out facades of the standard library (`facade_*.py`), and operators and attributes that go through
helpers (`lower.py`, `ops.py`, `attrs*.py`). The standard library and installed packages stay as they are.

Nothing here imports more than it needs: a module of Python 3 pays for `detect` alone.
"""

from _thread import RLock

lock = RLock()
"""Held by whoever looks at source or converts it: what only that needs is let go of afterwards, and modules on several threads may
share this process."""


def detect(source):
    """True if `source` (bytes) is Python 2; see `detection.py`."""
    with lock:
        from .detection import detect as found

        return found(source)


def load(name, source, filename, folder, cache):
    """The module `name` of `source` (bytes), run as `filename`, with the helpers in `folder` ("" for none) importable.

    `cache` maps hexadecimal sha256 to bytes: what is in it is not converted again, what is converted is added. Raises
    whatever the module raises, and SyntaxError with the original's line.
    """
    from .loading import load as made

    return made(name, source, filename, folder, cache)
