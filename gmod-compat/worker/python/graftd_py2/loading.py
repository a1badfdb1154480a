"""Loads a module from its source, converted if it is Python 2."""

import marshal
import sys
import types

from . import lock

VERSION = "5"
"""Goes into the cache's keys: raise it with every change of what conversion makes."""

PRIVATE = "graftd_py2:"
"""What names in `sys.modules` begin with that are ours."""

_state = {"builtins": None, "folders": []}


_DEPTH = 6000
"""Frames that conversion may take: a bracket within a bracket takes ten, and Python's own limit is 1000."""


def convert(source, filename, mode="exec"):
    """The code object of Python 2 source (bytes, or a string of bytes). Raises SyntaxError."""
    with lock:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, _DEPTH))
        try:
            return _converted(source, filename, mode)
        except RecursionError:
            raise SyntaxError("nested too deep", (filename, 1, 1, "")) from None
        finally:
            sys.setrecursionlimit(before)


def _converted(source, filename, mode):
    import ast

    from . import lower, statements
    from .detection import encoding_of, text_of

    if isinstance(source, str):
        text, encoding = source.replace("\r\n", "\n").replace("\r", "\n"), "latin-1"
    else:
        text, encoding = text_of(source), encoding_of(source)
    for leaking in (True, False):
        if mode == "eval":
            tree = statements.parse_expression(text, filename, encoding)
        else:
            tree = statements.parse(text, filename, encoding)
        lowering = lower.Lower(tree, statements.futures(text))
        if not leaking:
            lowering.facts.leaks.clear()
        tree = lowering.visit(tree)
        _place(tree)
        if mode == "single":
            tree = ast.Interactive(tree.body)
        try:
            return compile(tree, filename, mode, dont_inherit=True, optimize=0)
        except SyntaxError:
            # Python 3 lets a list comprehension's variable out in fewer places than Python 2 did.
            if not (leaking and lowering.facts.leaks):
                raise
    return None


def _place(tree):
    """Gives every node a line, and no columns: they would be those of helpers that nobody wrote."""
    stack = [(tree, 1)]
    while stack:
        node, line = stack.pop()
        if "lineno" in node._attributes:
            line = node.lineno = getattr(node, "lineno", line)
            node.end_lineno = line
            node.col_offset = node.end_col_offset = -1
        for child in node.__dict__.values():
            if isinstance(child, list):
                stack.extend((item, line) for item in child if hasattr(item, "_fields"))
            elif hasattr(child, "_fields"):
                stack.append((child, line))


def sum_of(parts):
    """A text that stands for `parts` (bytes), for this Python and this conversion."""
    try:
        from _sha256 import sha256
    except ImportError:
        try:
            from _sha2 import sha256
        except ImportError:
            # The same, but it brings OpenSSL: some megabytes for one sum.
            from hashlib import sha256
    return sha256(b"\0".join([VERSION.encode(), sys.version.encode(), *parts])).hexdigest()


def _key(source, filename, how):
    return how + sum_of((filename.encode("utf-8", "surrogateescape"), source))


def code_of(source, filename, cache, unsure=False, new=False):
    """(whether `source` is Python 2, its code object), of `cache` if it is there; else it is added. For `unsure` see
    `detection.py`; `new` says that it is known to be Python 3."""
    key = _key(source, filename, "3:" if new else "?:" if unsure else "")
    found = cache.get(key)
    if found:
        try:
            return found[:1] == b"2", marshal.loads(found[1:])
        except (ValueError, EOFError, TypeError):
            pass
    with lock:
        from .detection import detect

        old = not new and detect(source, unsure)
        try:
            code = convert(source, filename) if old else compile(source, filename, "exec", dont_inherit=True)
        except SyntaxError as why:
            if not old:
                raise
            from .mistakes import farther

            raise farther(source, filename, why) from None
    cache[key] = (b"2" if old else b"3") + marshal.dumps(code)
    return old, code


_ONCE = "lower scopes statements expressions literals tokens nodes clues detection mistakes".split()


def _forget():
    """Lets go of what only conversion needs; where old code compiles code of its own it comes back."""
    package = sys.modules[__package__]
    with lock:
        for name in _ONCE:
            sys.modules.pop("%s.%s" % (__package__, name), None)
            package.__dict__.pop(name, None)


def old_builtins():
    """The one `__builtins__` of all old code in this process."""
    if _state["builtins"] is None:
        from . import builtins2, importing

        _state["builtins"] = builtins2.make(importing.import_old, convert)
    return _state["builtins"]


class Source:
    """What a traceback asks for the lines of a file that it cannot read, as a module's `__loader__`."""

    def __init__(self, source):
        self._source = source

    def get_source(self, _name):
        """The text."""
        from .detection import text_of

        return text_of(self._source)

    def is_package(self, _name):
        """It is not."""
        return False


def run(module, code, old):
    """Runs code as `module`, whose names are set already."""
    if old:
        module.__dict__["__builtins__"] = old_builtins()
    exec(code, module.__dict__)


def load(name, source, filename, folder, cache):
    """Makes and runs the module `name`. Old code is converted; other code runs as it is."""
    from . import importing

    old, code = code_of(source, filename, cache)
    _forget()
    if folder:
        importing.add_folder(folder, cache)
    if old:
        from .edge import OldModule as kind
    else:
        kind = types.ModuleType
    module = kind(name)
    module.__dict__.update(__file__=filename, __package__="", __loader__=Source(source))
    private = "%s%s:%s" % (PRIVATE, name, filename)
    sys.modules[private] = module
    public = name not in sys.modules and not importing.installed(name)
    if public:
        sys.modules[name] = module
    try:
        run(module, code, old)
    except BaseException as error:
        sys.modules.pop(private, None)
        if public:
            sys.modules.pop(name, None)
        if old:
            from .edge import RAISED_ANEW, shorten

            shorten(error)
            if RAISED_ANEW:
                raise error
        raise
    return module
