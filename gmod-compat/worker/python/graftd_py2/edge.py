"""Where old code meets whoever calls it: its strings become text, and text given to it becomes its strings."""

import functools
import sys
import types

from .text import of_bytes, text_in, text_out

_DEPTH_MAX = 16  # containers in containers
_ODD_MAX = 4096  # strings

RAISED_ANEW = sys.version_info < (3, 11)
"""Whether a bare `raise` brings the traceback back as it was; then the edge shows in it, by one frame."""

_odd = {}
"""Text -> the string it was made of, where that is not its UTF-8: a metric's name in Latin-1 has to come back as it went."""


def _in(text):
    if text.isascii():
        return text
    return _odd.get(text) or text_in(text)


def _out(string):
    text = text_out(string)
    if not text.isascii() and text_in(text) != string and len(_odd) < _ODD_MAX:
        _odd[text] = string
    return text


def inward(value, depth=_DEPTH_MAX):
    """What old code is given for a value."""
    kind = type(value)
    if kind is str:
        return _in(value)
    if kind is bytes:
        return of_bytes(value)
    if depth and kind in (list, tuple):
        return kind(inward(item, depth - 1) for item in value)
    if depth and kind is dict:
        return {inward(key, depth - 1): inward(item, depth - 1) for key, item in value.items()}
    return value


def outward(value, depth=_DEPTH_MAX):
    """What is made of a value that old code gives; functions in it are called across this edge too."""
    kind = type(value)
    if kind is str:
        return _out(value)
    if kind is bytes:
        return _out(of_bytes(value))
    if depth and isinstance(value, (list, tuple)) and kind.__iter__ in (list.__iter__, tuple.__iter__):
        items = [outward(item, depth - 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if depth and isinstance(value, dict):
        return {outward(key, depth - 1): outward(item, depth - 1) for key, item in value.items()}
    if isinstance(value, str):
        return _out(str(value))
    if callable(value) and not isinstance(value, type):
        return crossing(value)
    return value


def crossing(function):
    """A function of old code for callers outside."""

    @functools.wraps(function)
    def called(*args, **keywords):
        try:
            made = function(*map(inward, args), **{key: inward(value) for key, value in keywords.items()})
        except BaseException as error:
            shorten(error)
            if RAISED_ANEW:
                raise error
            raise
        return outward(made)

    return called


def shorten(error):
    """Takes the frames of helpers out of an error's traceback: nobody wrote them."""
    kept = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__package__") != __package__:
            kept.append(trace)
        trace = trace.tb_next
    made = None
    for trace in reversed(kept):
        made = types.TracebackType(made, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
    error.__traceback__ = made


class OldModule(types.ModuleType):
    """A module of old code, as seen from outside. Its own code works on its `__dict__` and sees nothing of this."""

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        if name[:2] == "__":
            return value
        return outward(value) if isinstance(value, (types.FunctionType, types.MethodType, str)) else value
