"""Python 2's special methods, given to a class under the names by which Python 3 asks for them."""

import sys

MARK = "_py2_made"
"""A class with this in its own `__dict__` was made by Python 2 code."""

_RENAMED = {
    "next": "__next__", "__div__": "__truediv__", "__rdiv__": "__rtruediv__",
    "__idiv__": "__itruediv__",
}


def finish(cls):
    """The decorator of every class that Python 2 code makes."""
    if not isinstance(cls, type):
        return cls
    try:
        setattr(cls, MARK, True)
    except (AttributeError, TypeError):
        return cls
    own = cls.__dict__
    for old, new in _RENAMED.items():
        if callable(getattr(own.get(old), "__func__", own.get(old))) and new not in own:
            setattr(cls, new, own[old])
    truth = own.get("__nonzero__")
    if callable(truth) and "__bool__" not in own:
        # 0 and 1 will do for Python 2.
        cls.__bool__ = lambda self: bool(truth(self))
    if "__cmp__" in own:
        _order(cls, own)
    if "__eq__" in own and own.get("__hash__", 0) is None:
        inherited = next((base.__hash__ for base in cls.__mro__[1:] if base.__hash__ is not None), None)
        if inherited is not None:
            cls.__hash__ = inherited
    for old, new in (("__getslice__", "__getitem__"), ("__setslice__", "__setitem__"), ("__delslice__", "__delitem__")):
        if old in own:
            setattr(cls, new, _sliced(own[old], getattr(cls, new, None)))
    if "ctypes" in sys.modules and issubclass(cls, (sys.modules["ctypes"].Structure, sys.modules["ctypes"].Union)):
        from .facade_ctypes import adopt as adopt_structure

        adopt_structure(cls)
    if "threading" in sys.modules and issubclass(cls, sys.modules["threading"].Thread):
        from .facade_threading import adopt

        adopt(cls)
    return cls


def _order(cls, own):
    compare = own["__cmp__"]
    made = {
        "__eq__": lambda a, b: compare(a, b) == 0, "__ne__": lambda a, b: compare(a, b) != 0,
        "__lt__": lambda a, b: compare(a, b) < 0, "__le__": lambda a, b: compare(a, b) <= 0,
        "__gt__": lambda a, b: compare(a, b) > 0, "__ge__": lambda a, b: compare(a, b) >= 0,
    }
    for name, method in made.items():
        if name not in own:
            setattr(cls, name, method)
    if "__hash__" not in own or own["__hash__"] is None:
        cls.__hash__ = object.__hash__


def _sliced(by_slice, by_index):
    def method(self, index, *value):
        if isinstance(index, slice) and index.step is None:
            size = len(self) if hasattr(self, "__len__") else 0
            start = 0 if index.start is None else index.start
            stop = (1 << 63) - 1 if index.stop is None else index.stop
            return by_slice(self, start + size if start < 0 else start, stop + size if stop < 0 else stop, *value)
        if by_index is None:
            raise TypeError("this object takes slices only")
        return by_index(self, index, *value)

    return method


