"""Nodes for what Python 2 has and Python 3's `ast` has not. `lower.py` turns them into what it has."""

import ast


class Print(ast.stmt):
    """`print >>dest, values`; `nl` is false with a comma at the end."""

    _fields = ("dest", "values", "nl")
    _attributes = ast.stmt._attributes


class Exec(ast.stmt):
    """`exec body in globals, locals`."""

    _fields = ("body", "globals", "locals")
    _attributes = ast.stmt._attributes


class Raise(ast.stmt):
    """`raise type, inst, tback`."""

    _fields = ("type", "inst", "tback")
    _attributes = ast.stmt._attributes


class Repr(ast.expr):
    """Backticks."""

    _fields = ("value",)
    _attributes = ast.expr._attributes
