"""Python 2's builtins, as the `__builtins__` of old code alone."""

import builtins
import functools
import itertools
import sys
import types

from . import attrs, attrs_core, attrs_io, attrs_text, classes, files, ops, spaces
from .text import of_bytes, text_in, text_out, to_bytes

_NOT_IN_2 = frozenset(
    "aiter anext ascii breakpoint exec ExceptionGroup BaseExceptionGroup EncodingWarning BlockingIOError BrokenPipeError "
    "ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError "
    "FileExistsError FileNotFoundError InterruptedError IsADirectoryError ModuleNotFoundError NotADirectoryError "
    "PermissionError ProcessLookupError RecursionError ResourceWarning StopAsyncIteration TimeoutError "
    "PythonFinalizationError".split()
)


class Builtin(functools.partial):
    """A function that stays one as an attribute of a class (`conv = map`), as those that are written in C do."""


_LONG_MIN, _LONG_MAX = -(1 << 63), (1 << 63) - 1


class _LongType(type):
    def __instancecheck__(cls, value):
        return isinstance(value, int) and not _LONG_MIN <= value <= _LONG_MAX

    def __call__(cls, *args, **keywords):
        return int_(*args, **keywords) if len(args) > 1 else int(*args, **keywords)


class long(int, metaclass=_LongType):
    """Python 2's `long`: makes an int; is the type of those past 64 bits."""


# --- iteration

_DIRECT = frozenset((list, tuple, dict, str, set, range, enumerate, map, zip, filter, reversed))


def iter_(source):
    """What a loop gets: strings, of files and foreign generators that give bytes."""
    kind = type(source)
    if kind in _DIRECT:
        return source
    if kind is bytes:
        return of_bytes(source)
    for base in kind.__mro__:
        if "%s.%s" % (base.__module__, base.__qualname__) in attrs_io.RAW:
            return map(attrs.result, source)
    if kind.__name__ == "generator" and "_py2_" not in repr(source.gi_code.co_names):
        frame = source.gi_frame
        if frame is not None and "_py2_div" not in frame.f_builtins:
            return map(attrs.result, source)
    if isinstance(source, BaseException) and not hasattr(kind, "__iter__"):
        return source.args
    return source


def iter_builtin(source, *sentinel):
    """`iter()`."""
    return iter(source, *sentinel) if sentinel else iter(iter_(source))


def next_(iterator, *default):
    """`next()`."""
    return attrs.result(next(iterator, *default))


def map_(function, *sources):
    """`map()`: a list; None for a function; the longest of several counts."""
    if function is str:
        function = ops.str_
    if not sources:
        raise TypeError("map() requires at least two args")
    if len(sources) == 1:
        if function is None:
            return list(iter_(sources[0]))
        return [function(item) for item in iter_(sources[0])]
    rows = itertools.zip_longest(*map(iter_, sources))
    return list(rows) if function is None else [function(*row) for row in rows]


def filter_(function, source):
    """`filter()`: a string of a string, a tuple of a tuple, a list of all else."""
    kept = [item for item in iter_(source) if (item if function is None or function is bool else function(item))]
    if isinstance(source, str):
        return "".join(kept)
    return tuple(kept) if isinstance(source, tuple) else kept


def zip_(*sources):
    """`zip()`: a list."""
    return list(zip(*map(iter_, sources)))


def range_(*args):
    """`range()`: a list."""
    return list(range(*args))


def xrange_(*args):
    """`xrange()`."""
    return range(*args)


def reduce_(function, source, *initial):
    """`reduce()`."""
    return functools.reduce(function, iter_(source), *initial)


def sorted_(source, cmp=None, key=None, reverse=False):
    """`sorted()`."""
    items = list(iter_(source))
    attrs_core.sort(items, cmp, key, reverse)
    return items


def _extreme(native, backwards):
    def found(*args, key=None):
        if len(args) == 1:
            args = (list(iter_(args[0])),)
        try:
            return native(*args, key=key)
        except TypeError:
            items = list(args[0]) if len(args) == 1 else list(args)
            if not items:
                raise
            best = items[0]
            value = key or (lambda item: item)
            for item in items[1:]:
                if ops.cmp(value(item), value(best)) * backwards < 0:
                    best = item
            return best

    return found


def sum_(source, *start):
    """`sum()`."""
    return sum(iter_(source), *start)


def enumerate_(source, start=0):
    """`enumerate()`."""
    return enumerate(iter_(source), start)


# --- numbers


def round_(number, ndigits=0):
    """`round()`: a float, halves away from zero."""
    number = float(number)
    if number != number or number in (float("inf"), float("-inf")):
        return number
    import decimal

    # A context of its own: the default 28 digits are too few for a large float, and its traps are the program's.
    context = decimal.Context(prec=800, rounding=decimal.ROUND_HALF_UP)
    step = decimal.Decimal(1).scaleb(-int(ndigits), context)
    if abs(ndigits) > 320:
        return number if ndigits > 0 else number * 0.0
    try:
        return float(context.quantize(decimal.Decimal(number), step))
    except decimal.InvalidOperation:
        return number


def int_(value=0, base=10):
    """`int(text, base)`: knows 0777 as octal."""
    if isinstance(value, str):
        text = value.strip().lower()
        sign = -1 if text[:1] == "-" else 1
        digits = text.lstrip("+-").rstrip("l")
        if base == 0 and len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            return sign * int(digits, 8)
        if base == 0 or base == 16:
            return int(text.rstrip("l"), base)
    return int(value, base)


def oct_(number):
    """`oct()`."""
    text = oct(number).replace("0o", "0")
    return ("0" if text == "00" else text) + "L" * isinstance(number, long)


def hex_(number):
    """`hex()`."""
    return hex(number) + "L" * isinstance(number, long)


def hash_(value):
    """`hash()`; a string's is the same in every process."""
    if isinstance(value, str) and type(value).__hash__ is str.__hash__:
        if not value:
            return 0
        made = ord(value[0]) << 7
        for char in value:
            made = ((1000003 * made) ^ ord(char)) & 0xFFFFFFFFFFFFFFFF
        made ^= len(value)
        made = made - (1 << 64) if made >> 63 else made
        return -2 if made == -1 else made
    return hash(value)


def chr_(code):
    """`chr()`."""
    if not 0 <= code < 256:
        raise ValueError("chr() arg not in range(256)")
    return chr(code)


def ord_(char):
    """`ord()`."""
    return ord(char)


def format_(value, spec=""):
    """`format()`."""
    return ops.str_(value) if spec == "" and type(value) is float else format(value, spec)


def coerce_(left, right):
    """`coerce()`."""
    kind = type(left + right)
    return kind(left), kind(right)


# --- the rest


def apply_(function, args=(), keywords=None):
    """`apply()`."""
    return function(*args, **(keywords or {}))


def buffer_(source, offset=0, *size):
    """`buffer()`: a string."""
    data = to_bytes(source)
    return of_bytes(data[offset : offset + size[0]] if size and size[0] >= 0 else data[offset:])


def bytearray_(source=b"", *encoding):
    """`bytearray()`."""
    return bytearray(to_bytes(source)) if isinstance(source, str) and not encoding else bytearray(source, *encoding)


def memoryview_(source):
    """`memoryview()`."""
    return memoryview(to_bytes(source) if isinstance(source, str) else source)


def intern_(text):
    """`intern()`."""
    return sys.intern(text)


def print_function(*values, sep=" ", end="\n", file=None):
    """`print()` of `from __future__ import print_function`."""
    file = sys.stdout if file is None else file
    text = (" " if sep is None else sep).join(map(ops.str_, values)) + ("\n" if end is None else end)
    file.write(text if isinstance(file, files.file) else text_out(text))


def raw_input_(prompt=""):
    """`raw_input()`."""
    return text_in(input(prompt))


def make(importer, converter):
    """The dictionary. `importer` is its `__import__`; `converter(text, filename, mode)` compiles old code."""
    own = {name: what for name, what in vars(builtins).items() if name not in _NOT_IN_2}

    def evaluate(source, global_, local):
        code = converter(source.strip(" \t"), "<string>", "eval") if isinstance(source, str) else source
        global_.setdefault("__builtins__", own)
        return attrs.result(eval(code, global_, local))

    def execute(source, global_, local):
        if hasattr(source, "read"):
            source = source.read()
        code = converter(source, "<string>", "exec") if isinstance(source, str) else source
        global_.setdefault("__builtins__", own)
        exec(code, global_, local)

    def execute_file(name, global_, local):
        with open(name, "rb") as source:
            code = converter(source.read(), name, "exec")
        global_.setdefault("__builtins__", own)
        exec(code, global_, local)

    def compile_(source, filename, mode, *_, **__):
        if isinstance(source, str):
            return converter(source, filename, mode)
        return compile(source, filename, mode)

    def reload_(module):
        import importlib

        from .facades import Facade

        # `reload(sys)` brought setdefaultencoding back; a facade has it always.
        return module if isinstance(module, Facade) else importlib.reload(module)

    own.update(
        __import__=importer, StandardError=Exception, apply=apply_, basestring=str, buffer=buffer_, bytes=str, chr=chr_, hex=hex_,
        cmp=ops.cmp, coerce=coerce_, compile=compile_, delattr=delattr, enumerate=enumerate_, file=files.file,
        filter=filter_, format=format_, getattr=attrs.getattr_, hasattr=attrs.hasattr_, hash=hash_, intern=intern_, iter=iter_builtin,
        long=long, map=map_, max=_extreme(max, -1), min=_extreme(min, 1), next=next_, oct=oct_, open=files.open_,
        print=print_function, range=range_, raw_input=raw_input_, reduce=reduce_, reload=reload_, repr=ops.repr_,
        round=round_, sorted=sorted_, sum=sum_, unichr=chr, unicode=str, xrange=xrange_, zip=zip_,
        _py2_attr=attrs.attr, _py2_call=attrs.call, _py2_r=attrs.result, _py2_iter=iter_, _py2_class=classes.finish,
        _py2_str=ops.str_, _py2_unicode=ops.unicode_, _py2_bytearray=bytearray_, _py2_memoryview=memoryview_, _py2_bytes=attrs_io.data_in, _py2_int=int_, _py2_eval=evaluate,
        _py2_exec=execute, _py2_execfile=execute_file, _py2_globals=globals, _py2_locals=locals, _py2_slice=slice,
        _py2_own=spaces.own, _py2_name=spaces.finder(own), _py2_repr=ops.repr_, _py2_raise=ops.raise_, _py2_print=ops.print_,
    )
    own["input"] = lambda prompt="": evaluate(raw_input_(prompt), {}, None)
    for name in "div idiv mod imod lt le gt ge chain item unpack".split():
        own["_py2_" + name] = getattr(ops, name)

    def star(module, level, global_):
        found = importer(module, global_, None, ("*",), level)
        names = getattr(found, "__all__", None) or [name for name in dir(found) if name[:1] != "_"]
        global_.update((name, getattr(found, name)) for name in names)

    own["_py2_star"] = star

    def around():
        """The globals and locals of the old code that called a helper."""
        frame = sys._getframe(1)
        while frame is not None and "_py2_div" not in frame.f_builtins:
            frame = frame.f_back
        return (frame.f_globals, frame.f_locals) if frame is not None else ({}, {})

    # As values: `map(eval, texts)`. Called by their names they are `_py2_eval` and `_py2_execfile`.
    own["eval"] = lambda source, *spaces: evaluate(source, *(spaces + (None,) if len(spaces) == 1 else spaces or around()))
    own["execfile"] = lambda name, *spaces: execute_file(name, *(spaces + (None,) if len(spaces) == 1 else spaces or around()))
    for name, what in own.items():
        if type(what) is types.FunctionType and not name.startswith("_"):
            own[name] = Builtin(what)
            own[name].__name__ = name
    return own
