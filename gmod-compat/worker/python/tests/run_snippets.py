# -*- coding: utf-8 -*-
"""Runs snippets and prints what each showed, as JSON: under Python 2.7 as they are, under Python 3 through the layer.

Usage: run_snippets.py [name=value ...] FILE...   (names are given to the snippets, as text)
"""
import io
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from normal import normal, sections  # noqa: E402

OLD = sys.version_info[0] == 2


class Out(object):
    def __init__(self):
        self.parts = []

    def write(self, text):
        self.parts.append(text)

    def flush(self):
        pass


def run(source, names):
    shown = []
    space = dict(names)
    space.update(__name__="snippet", __file__="snippet.py", show=lambda *v: shown.extend(normal(x) for x in v))
    before = sys.stdout
    sys.stdout = out = Out()
    try:
        if OLD:
            code = compile(source, "snippet.py", "exec", 0, 1)
        else:
            from graftd_py2 import loading

            code = loading.convert(source.encode("latin-1"), "snippet.py")
            space["__builtins__"] = loading.old_builtins()
        exec(code, space)
    except BaseException as why:
        kind = type(why).__name__
        same = {"FileNotFoundError": "IOError", "OSError": "IOError", "ModuleNotFoundError": "ImportError",
                "ConnectionRefusedError": "IOError", "error": "IOError", "JSONDecodeError": "ValueError"}
        shown.append("raised " + same.get(kind, kind))
        if os.environ.get("SHOW_TRACE"):
            import traceback

            traceback.print_exc()
    finally:
        sys.stdout = before
    printed = "".join(out.parts)
    if printed:
        shown.append("printed " + normal(printed))
    return shown


def main(args):
    names = dict(arg.split("=", 1) for arg in args if "=" in arg)
    if OLD:
        names = dict((key, str(value)) for key, value in names.items())
    else:
        sys.path.insert(0, os.path.dirname(HERE))
    results = {}
    for path in args:
        if "=" in path:
            continue
        with io.open(path, encoding="latin-1") as source:
            text = source.read()
        stem = os.path.splitext(os.path.basename(path))[0]
        for name, source in sections(text):
            results["%s/%s" % (stem, name)] = run(source.encode("latin-1") if OLD else source, names)
    json.dump(results, sys.stdout, indent=0, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
