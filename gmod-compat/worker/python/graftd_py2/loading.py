"""Loads a module from its source, converted if it is Python 2."""

import hashlib
import linecache
import marshal
import sys
import types

from .detection import detect, encoding_of, text_of

VERSION = "1"
"""Goes into the cache's keys: raise it with every change of what conversion makes."""

PRIVATE = "graftd_py2:"
"""What names in `sys.modules` begin with that are ours."""

_state = {"builtins": None, "folders": []}


def convert(source, filename, mode="exec"):
    """The code object of Python 2 source (bytes, or a string of bytes). Raises SyntaxError."""
    import ast

    from . import lower, statements

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


def cached(source, filename, cache):
    """The same, from `cache` if it is there; else it is added."""
    key = hashlib.sha256(
        b"\0".join((VERSION.encode(), sys.version.encode(), filename.encode("utf-8", "surrogateescape"), source))
    ).hexdigest()
    found = cache.get(key)
    if found is not None:
        try:
            return marshal.loads(found)
        except (ValueError, EOFError, TypeError):
            pass
    code = convert(source, filename)
    cache[key] = marshal.dumps(code)
    return code


def old_builtins():
    """The one `__builtins__` of all old code in this process."""
    if _state["builtins"] is None:
        from . import builtins2, importing

        _state["builtins"] = builtins2.make(importing.import_old, convert)
    return _state["builtins"]


def run_old(module, source, filename, cache):
    """Runs Python 2 source as `module`, whose names are set already."""
    module.__dict__["__builtins__"] = old_builtins()
    exec(cached(source, filename, cache), module.__dict__)


def register_lines(source, filename, old):
    """Lets tracebacks show the source although nobody reads the file."""
    try:
        text = text_of(source) if old else source.decode(encoding_of(source), "replace")
    except LookupError:
        text = source.decode("latin-1")
    linecache.cache[filename] = (len(source), None, text.splitlines(True), filename)


def load(name, source, filename, folder, cache):
    """Makes and runs the module `name`. Old code is converted; other code runs as it is."""
    from . import edge, importing

    old = detect(source)
    if folder:
        importing.add_folder(folder, cache)
    register_lines(source, filename, old)
    module = (edge.OldModule if old else types.ModuleType)(name)
    module.__dict__.update(__file__=filename, __package__="", __loader__=None)
    private = "%s%s:%s" % (PRIVATE, name, filename)
    sys.modules[private] = module
    public = name not in sys.modules and not importing.installed(name)
    if public:
        sys.modules[name] = module
    try:
        if old:
            run_old(module, source, filename, cache)
        else:
            exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(private, None)
        if public:
            sys.modules.pop(name, None)
        raise
    return module


