"""Runs a gmond module's whole life and prints what it gave, as JSON: under 2.7 as gmond did it, under 3 through the layer.

Usage: run_module.py FILE [name=value ...]
"""
from __future__ import print_function

import json
import os
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from normal import normal  # noqa: E402

OLD = sys.version_info[0] == 2


def load(path):
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.remove(HERE)
    if not OLD:
        sys.path.insert(0, os.path.dirname(HERE))
        import graftd_py2

        with open(path, "rb") as source:
            return graftd_py2.load(name, source.read(), path, os.path.dirname(path), {})
    # The folder is the last of all, as gmond appended it.
    sys.path.append(os.path.dirname(path))
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path) as source:
        exec(compile(source.read(), path, "exec", 0, 1), module.__dict__)
    return module


def text(value):
    """A string of Python 2 as the text that has to leave a module."""
    if OLD and isinstance(value, str):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    return value


def call(function, *args):
    try:
        return normal(text(function(*args)))
    except Exception as why:
        return "raised " + type(why).__name__ + " " + str(why)


def main(path, *params):
    params = dict(param.split("=", 1) for param in params)
    out = sys.stdout
    sys.stdout = sys.stderr
    module = load(path)
    found = module.metric_init(params)
    found = [found] if isinstance(found, dict) else found
    shown = []
    for descriptor in found:
        plain = dict((key, text(value)) for key, value in descriptor.items() if key != "call_back")
        shown.append([normal(plain)] + [call(descriptor["call_back"], descriptor["name"]) for _ in range(3)])
    if hasattr(module, "metric_cleanup"):
        module.metric_cleanup()
    json.dump(shown, out, indent=0)
    out.write("\n")


main(*sys.argv[1:])
