"""Operators with Python 2's meaning."""

import re
import sys
import types

from .text import of_bytes, text_out


# --- division


def div(left, right):
    """`left / right` without `from __future__ import division`."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    if type(left).__name__ == "timedelta" and isinstance(right, int):
        return left // right
    return left / right


def idiv(left, right):
    """`left /= right`."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    own = getattr(type(left), "__itruediv__", None)
    if own is not None:
        made = own(left, right)
        if made is not NotImplemented:
            return made
    return div(left, right)


# --- text of numbers


class _Float(float):
    """A float that `%s` and `{}` show with 12 digits, as Python 2 did."""

    def __str__(self):
        return float_text(float(self))

    def __format__(self, spec):
        return float_text(float(self)) if spec == "" else format(float(self), spec)


def float_text(number):
    """`str()` of a float."""
    text = "%.12g" % number
    digits = text.lstrip("-")
    if not digits.isdigit():
        if len(digits.partition(".")[0]) < 12:
            return text
    elif len(digits) < 12:
        return text + ".0"
    # Twelve digits before the point leave none for the `.0` that a float has to show.
    mantissa, _, exponent = ("%.11e" % number).partition("e")
    return mantissa.rstrip("0").rstrip(".") + "e" + exponent


def str_(*args):
    """`str()`."""
    if not args:
        return ""
    (value,) = args
    kind = type(value)
    if kind is str:
        return value
    if kind is float:
        return float_text(value)
    if kind is bytes:
        return of_bytes(value)
    if kind is bytearray:
        return of_bytes(bytes(value))
    if kind in _CONTAINERS:
        return repr_(value)
    return str(value)


_CONTAINERS = frozenset((set, frozenset, list, tuple, dict))


def unicode_(*args, **keywords):
    """`unicode()`."""
    if len(args) + len(keywords) < 2:
        value = args[0] if args else keywords.get("object", "")
        own = getattr(type(value), "__unicode__", None)
        return own(value) if own is not None else str_(value)
    value = args[0] if args else keywords["object"]
    encoding = args[1] if len(args) > 1 else keywords.get("encoding", "ascii")
    errors = args[2] if len(args) > 2 else keywords.get("errors", "strict")
    if isinstance(value, str):
        value = value.encode("latin-1")
    return str(bytes(value), encoding, errors)


def repr_(value):
    """`repr()`: ASCII, each other byte as an escape; a set as `set([1])`."""
    kind = type(value)
    if kind is int and not -(1 << 63) <= value < 1 << 63:
        return "%dL" % value
    if kind is set or kind is frozenset:
        return "%s([%s])" % (kind.__name__, ", ".join(repr_(item) for item in value))
    text = repr(value)
    if text.isascii():
        return text
    return "".join(
        char if char < "\x7f" else "\\x%02x" % ord(char) if char < "\u0100" else "\\u%04x" % ord(char) for char in text
    )


class _Values:
    """The mapping behind `%(name)s`, whose floats are shown as Python 2 showed them."""

    def __init__(self, mapping):
        self.mapping = mapping

    def __getitem__(self, key):
        return shown(self.mapping[key])


_AS_IT_IS = (str, int, bool, type(None))


def shown_scalar(value):
    """What `format` has to be given for a value."""
    kind = type(value)
    if kind is float:
        return _Float(value)
    return of_bytes(value) if kind is bytes else value


def shown(value):
    """What `%s` has to be given for a value."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    return _Text(repr_(value)) if kind in _CONTAINERS else shown_scalar(value)


class _Text(str):
    """Text that is its own `repr`."""

    def __repr__(self):
        return str(self)


class _Bytes(str):
    """A string that is no ASCII, whose `repr` is."""

    def __repr__(self):
        return repr_(str(self))


def _represented(value):
    return _Bytes(value) if type(value) is str and not value.isascii() else shown(value)


_CONVERSION = re.compile(r"%[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([a-zA-Z%])")


def _cut(form, args):
    """Arguments with integers for floats where %x, %X and %o want them."""
    kinds = [found for found in _CONVERSION.findall(form) if found != "%"]
    if len(kinds) != len(args):
        return args
    return tuple(int(arg) if kind in "xXo" and isinstance(arg, float) else arg for kind, arg in zip(kinds, args))


def mod(left, right):
    """`left % right`."""
    if not isinstance(left, str):
        return left % right
    kind = type(right)
    show = _represented if "r" in left else shown
    if kind is tuple:
        args = tuple(map(show, right))
    elif kind in _AS_IT_IS:
        args = show(right)
    elif kind is dict or (hasattr(right, "__getitem__") and "%(" in left and kind is not list):
        args = _Values(right) if "%(" in left else shown(right)
    else:
        args = shown(right)
    try:
        return left % args
    except TypeError:
        # Python 2 took floats for %x and %o.
        if kind is not tuple:
            args = (args,)
        if any(isinstance(arg, float) for arg in args):
            return left % _cut(left, args)
        raise


def imod(left, right):
    """`left %= right`."""
    if isinstance(left, str):
        return mod(left, right)
    left %= right
    return left


# --- order


def _rank(value):
    """Where values of different kinds stand: None, numbers, then the names of the types."""
    if value is None:
        return 0, ""
    if isinstance(value, (int, float)) or type(value).__name__ in ("Decimal", "Fraction"):
        return 1, ""
    name = "str" if isinstance(value, (str, bytes)) else type(value).__name__
    return 2, name


def cmp(left, right):
    """-1, 0 or 1: Python 2's order of everything."""
    if left is right:
        return 0
    try:
        if left == right:
            return 0
        if left < right:
            return -1
        if left > right:
            return 1
    except TypeError:
        pass
    if isinstance(left, complex) or isinstance(right, complex):
        raise TypeError("no ordering relation is defined for complex numbers")
    for kind in (list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            for one, other in zip(left, right):
                if one is not other and one != other:
                    return cmp(one, other)
            return (len(left) > len(right)) - (len(left) < len(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return _cmp_dicts(left, right)
    one, other = _rank(left), _rank(right)
    if one == other:
        one, other = id(type(left)), id(type(right))
        if one == other:
            one, other = id(left), id(right)
    return (one > other) - (one < other)


def _cmp_dicts(left, right):
    if len(left) != len(right):
        return -1 if len(left) < len(right) else 1
    differ = lambda one, other: min((k for k in one if k not in other or one[k] != other[k]), key=Key, default=None)
    first, second = differ(left, right), differ(right, left)
    if first is None:
        return 0
    return cmp(first, second) or cmp(left[first], right[second])


class Key:
    """A sort key in Python 2's order."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return cmp(self.value, other.value) < 0


def lt(left, right):
    """`left < right`."""
    try:
        return left < right
    except TypeError:
        return cmp(left, right) < 0


def le(left, right):
    """`left <= right`."""
    try:
        return left <= right
    except TypeError:
        return cmp(left, right) <= 0


def gt(left, right):
    """`left > right`."""
    try:
        return left > right
    except TypeError:
        return cmp(left, right) > 0


def ge(left, right):
    """`left >= right`."""
    try:
        return left >= right
    except TypeError:
        return cmp(left, right) >= 0


_WORDS = {
    "lt": lt, "le": le, "gt": gt, "ge": ge, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "is": lambda a, b: a is b,
    "isnot": lambda a, b: a is not b, "in": lambda a, b: a in b, "notin": lambda a, b: a not in b,
}


def chain(words, *values):
    """`a < b <= c`."""
    made = True
    for index, word in enumerate(words.split()):
        made = _WORDS[word](values[index], values[index + 1])
        if not made:
            break
    return made


# --- exceptions


def unpack(value):
    """What `a, b = value` has to be given: an exception's arguments, if it is one."""
    return value.args if isinstance(value, BaseException) and not hasattr(type(value), "__iter__") else value


def item(value, index):
    """`value[index]`, also of an exception."""
    if isinstance(value, BaseException) and not hasattr(type(value), "__getitem__"):
        return value.args[index]
    return value[index]


def raise_(kind, value, trace):
    """What `raise kind, value, trace` raises."""
    while isinstance(kind, tuple) and kind:
        kind = kind[0]
    if isinstance(kind, type) and issubclass(kind, BaseException):
        if isinstance(value, kind):
            made = value
        elif value is None:
            made = kind()
        elif isinstance(value, tuple):
            made = kind(*value)
        else:
            made = kind(value)
    elif isinstance(kind, BaseException):
        made = kind
    else:
        name = "str" if isinstance(kind, str) else type(kind).__name__
        made = TypeError("exceptions must be old-style classes or derived from BaseException, not %s" % name)
    return made.with_traceback(trace) if isinstance(trace, types.TracebackType) else made


# --- output


def print_(dest, newline, *values):
    """`print >>dest, values`, without a line's end if not `newline`."""
    file = sys.stdout if dest is None else dest
    if file is None:
        return
    soft = getattr(file, "softspace", False)
    parts = []
    for value in values:
        text = str_(value)
        parts.append(" " + text if soft else text)
        soft = not text[-1:].isspace() or text[-1:] == " "
    if newline:
        parts.append("\n")
        soft = False
    text = "".join(parts)
    file.write(text_out(text) if _is_text(file) else text)
    try:
        file.softspace = soft
    except AttributeError:
        pass


def _is_text(file):
    return getattr(file, "encoding", None) is not None and hasattr(file, "buffer")
