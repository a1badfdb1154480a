"""Imports of old code, and of what lies beside a module."""

import builtins
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
import os
import sys
import types

from . import facades
from .loading import PRIVATE, Source, code_of, run

_NEW_IN_3 = frozenset(
    "asyncio builtins concurrent configparser contextvars copyreg dataclasses dbm ensurepip enum faulthandler graphlib html "
    "http ipaddress lzma pathlib queue reprlib secrets selectors socketserver statistics tkinter tomllib tracemalloc typing "
    "venv xmlrpc zipapp zoneinfo".split()
)
"""Modules of the standard library that Python 2 had not: old code that imports such a name means a file of its own."""

_SUCCESSORS = {"MySQLdb": "pymysql"}
"""Packages that stand in for one that is not installed, as their own documentation offers."""

_folders = []
_cache = {}


def add_folder(folder, cache):
    """Makes the modules in a folder importable, after all others."""
    global _cache
    _cache = cache
    if folder not in _folders:
        _folders.append(folder)
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())


def installed(name):
    """Whether something else provides a module of this name."""
    if name in sys.builtin_module_names:
        return True
    try:
        # Not all of sys.meta_path: some finders there run code of their own for a name they do not know. And not the
        # folders that old code has added: what lies there is as old as itself.
        return PathFinder.find_spec(name, [folder for folder in sys.path if folder in _path]) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _file_of(name, folders):
    """(path, whether it is a package) of the module `name`."""
    stem = name.rpartition(".")[2]
    for folder in folders:
        for tail, package in ((os.path.join(stem, "__init__.py"), True), (stem + ".py", False)):
            path = os.path.join(folder, tail)
            if os.path.isfile(path):
                return path, package
    return None


def _package_of(path, name, package):
    """The folder of the outermost package that the file of the module `name` is in; None if it is in none."""
    depth = name.count(".") + package
    folder = path
    for _ in range(depth):
        folder = os.path.dirname(folder)
    return folder if depth else None


def _is_new(path, name, package):
    """Whether a file belongs to a package that is run as Python 3."""
    folder = _package_of(path, name, package)
    if folder is None:
        return False
    from .packages import is_new

    return is_new(folder, _cache)


class Finder:
    """Finds helpers for code that imports in Python 3's way. Stands at the end of `sys.meta_path`."""

    def find_spec(self, name, path=None, target=None):
        """A spec, or None."""
        found = _file_of(name, path if path is not None else _folders)
        if found is None:
            return None
        file, package = found
        spec = ModuleSpec(name, Loader(name, file, package), origin=file, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(file)]
        return spec


class Loader(SourceFileLoader):
    """Loads a helper; it is converted if it is Python 2."""

    def __init__(self, name, path, package):
        super().__init__(name, path)
        self._package = package

    def exec_module(self, module):
        """Runs it."""
        new = _is_new(self.path, self.name, self._package)
        old, code = code_of(self.get_data(self.path), self.path, _cache, new=new)
        run(module, code, old)


def _helper(name, folders):
    """A module that lies in `folders`, for old code; kept apart from all else in `sys.modules`."""
    found = _file_of(name, folders)
    if found is None:
        return None
    path, package = found
    key = "%s%s:%s" % (PRIVATE, name, path)
    module = sys.modules.get(key)
    if module is not None:
        return module
    module = types.ModuleType(name)
    with open(path, "rb") as file:
        source = file.read()
    module.__dict__.update(
        __file__=path, __package__=name if package else name.rpartition(".")[0], __loader__=Source(source)
    )
    if package:
        module.__path__ = [os.path.dirname(path)]
    sys.modules[key] = module
    try:
        old, code = code_of(source, path, _cache, True)
        run(module, code, old)
    except BaseException:
        sys.modules.pop(key, None)
        raise
    return module


def _walk(top, name):
    """The module `name` below the helper `top`, each part an attribute of the one before."""
    module = top
    at = top.__name__
    for part in name.split("."):
        at = at + "." + part
        below = _helper(at, getattr(module, "__path__", ()))
        if below is None:
            return None
        setattr(module, part, below)
        module = below
    return module


def import_old(name, globals=None, locals=None, fromlist=(), level=0):
    """The `__import__` of old code."""
    globals = globals or {}
    package = globals.get("__package__") or ""
    if level > 0 or (package and _is_helper(package, name)):
        return _relative(name, package, level, fromlist)
    head, _, rest = name.partition(".")
    if head in _NEW_IN_3 and _file_of(head, _folders):
        return _from_helper(head, rest, fromlist)
    if _file_of(head, _added(True)):
        return _from_helper(head, rest, fromlist)
    try:
        found = facades.find(name, fromlist)
    except ModuleNotFoundError as why:
        raise _missing(name, why) from None
    if found is not None:
        return found
    if head not in sys.modules and not installed(head):
        # Helpers of old code are old code's alone; `sys.modules` has them under private names.
        helper = _from_helper(head, rest, fromlist)
        if helper is not None:
            return helper
        other = _SUCCESSORS.get(head)
        if other and installed(other):
            return import_old(other + name[len(head) :], globals, locals, fromlist)
    try:
        return builtins.__import__(name, {"__name__": globals.get("__name__", "")}, None, fromlist or (), 0)
    except ModuleNotFoundError as why:
        raise _missing(name, why) from None
    except SyntaxError:
        # A package that is installed for this Python, and was written for the other.
        _add_home(head)
        helper = _from_helper(head, rest, fromlist)
        if helper is None:
            raise
        return helper


def _add_home(name):
    spec = PathFinder.find_spec(name)
    if spec is not None and spec.origin and spec.origin.endswith(".py"):
        home = os.path.dirname(spec.origin)
        home = os.path.dirname(home) if spec.submodule_search_locations else home
        if home not in _homes:
            _homes.append(home)


def _missing(name, why):
    """The error in Python 2's words; the one that came, if it is about something deeper."""
    if why.name is not None and (name + ".").startswith(why.name + "."):
        return ImportError("No module named %s" % name[name.rfind(".", 0, len(why.name)) + 1 :])
    return why


_path = list(sys.path)
_homes = []  # of packages that Python 3 cannot compile


def _added(first):
    """The folders that were put on `sys.path` since, those before all others if `first`, else those behind."""
    known = set(_path)
    at = next((index for index, folder in enumerate(sys.path) if folder in known), len(sys.path))
    return [folder for folder in (sys.path[:at] if first else sys.path[at:]) if folder not in known]


def _everywhere():
    return _added(True) + _added(False) + _folders + _homes


def _is_helper(package, name):
    module = _package(package)
    return module is not None and _file_of(name.partition(".")[0], module.__path__) is not None


def _package(package):
    top, _, rest = package.partition(".")
    module = _helper(top, _everywhere())
    if module is not None and rest:
        module = _walk(module, rest)
    return module if hasattr(module, "__path__") else None


def _relative(name, package, level, fromlist):
    parts = package.split(".") if package else []
    base = ".".join(parts[: len(parts) - max(level - 1, 0)])
    module = _package(base)
    if module is None:
        raise ImportError("No module named %s" % name)
    if not name:
        _load_parts(module, fromlist)
        return module
    below = _walk(module, name)
    if below is None:
        raise ImportError("No module named %s" % name)
    _load_parts(below, fromlist)
    return below if fromlist else getattr(module, name.partition(".")[0])


def _load_parts(module, fromlist):
    """What of a package is a module of its own, and is not loaded yet."""
    for part in fromlist or ():
        if part != "*" and not hasattr(module, part) and hasattr(module, "__path__"):
            _walk(module, part)


def _from_helper(head, rest, fromlist):
    found = _file_of(head, _everywhere())
    if found is None:
        return None
    if found[1] and _is_new(found[0], head, True):
        name = head + "." + rest if rest else head
        return builtins.__import__(name, {}, None, fromlist or (), 0)
    top = _helper(head, _everywhere())
    module = top
    if rest:
        module = _walk(top, rest)
        if module is None:
            raise ImportError("No module named %s.%s" % (head, rest))
    _load_parts(module, fromlist)
    return module if fromlist else top
