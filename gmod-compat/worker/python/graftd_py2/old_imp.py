"""`imp`, which Python has no more since 3.12, for old code."""

import os as _os
import sys as _sys
import types as _types

PY_SOURCE, PY_COMPILED, C_EXTENSION, PKG_DIRECTORY, C_BUILTIN, PY_FROZEN = 1, 2, 3, 5, 6, 7


def new_module(name):
    """An empty module."""
    return _types.ModuleType(name)


def load_source(name, path, file=None):
    """Runs a file as a module."""
    from .loading import code_of, run

    with open(path, "rb") as source_file:
        source = source_file.read()
    module = _sys.modules.get(name)
    if not isinstance(module, _types.ModuleType):
        module = _types.ModuleType(name)
    module.__dict__["__file__"] = path
    _sys.modules[name] = module
    old, code = code_of(source, path, {})
    run(module, code, old)
    return module


def find_module(name, path=None):
    """(file, path, description) of a module. Raises ImportError."""
    from .files import file

    for folder in path if path is not None else _sys.path:
        found = _os.path.join(folder, name)
        if _os.path.isfile(_os.path.join(found, "__init__.py")):
            return None, found, ("", "", PKG_DIRECTORY)
        if _os.path.isfile(found + ".py"):
            return file(found + ".py", "U"), found + ".py", (".py", "U", PY_SOURCE)
    import importlib.util

    if path is None and importlib.util.find_spec(name) is not None:
        return None, name, ("", "", C_BUILTIN)
    raise ImportError("No module named %s" % name)


def load_module(name, file, path, description):
    """Loads what `find_module` found."""
    if description[2] == PY_SOURCE:
        return load_source(name, path)
    if description[2] == PKG_DIRECTORY:
        module = load_source(name, _os.path.join(path, "__init__.py"))
        module.__path__ = [path]
        return module
    import importlib

    return importlib.import_module(name)


def acquire_lock():
    """Nothing to do."""


def release_lock():
    """Nothing to do."""


def lock_held():
    """Never."""
    return False


def get_suffixes():
    """What modules' files end in."""
    return [(".py", "U", PY_SOURCE)]


def reload(module):
    """Loads a module anew."""
    import importlib

    return importlib.reload(module)
