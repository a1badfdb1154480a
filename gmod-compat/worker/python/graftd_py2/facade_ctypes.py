"""`ctypes` for strings: a `char *` is bytes, and Python 3 takes a `str` for a `wchar_t *` without a word."""

from .attrs import MARK, result
from .attrs_io import data_in
from .facades import facade


def _function_of(kind):
    """A class of foreign functions whose arguments and results may be strings."""

    class Function(kind):
        """A foreign function."""

        _flags_, _restype_ = kind._flags_, kind._restype_

        def __call__(self, *args):
            return result(super().__call__(*map(data_in, args)))

    return Function


def _library_of(kind):
    class Library(kind):
        """A library."""

        def __init__(self, name, *args, **keywords):
            super().__init__(name, *args, **keywords)
            self._FuncPtr = _function_of(self._FuncPtr)

    Library.__name__ = kind.__name__
    return Library


@facade("ctypes")
def _ctypes_facade(real):
    own = {name: _library_of(getattr(real, name)) for name in ("CDLL", "PyDLL") if hasattr(real, name)}
    own["cdll"] = real.LibraryLoader(own["CDLL"])
    own["pydll"] = real.LibraryLoader(own["PyDLL"])

    def create_string_buffer(init, size=None):
        return real.create_string_buffer(data_in(init), size)

    def string_at(pointer, size=-1):
        return result(real.string_at(data_in(pointer), size))

    own.update(
        create_string_buffer=create_string_buffer, c_buffer=create_string_buffer, string_at=string_at,
        memmove=lambda target, source, count: real.memmove(target, data_in(source), count),
    )
    return own


def adopt(cls):
    """Lets a structure of old code have strings in its fields."""
    if "__getattribute__" in cls.__dict__ or MARK not in cls.__dict__:
        return
    read, write = cls.__getattribute__, cls.__setattr__

    def __getattribute__(self, name):
        return result(read(self, name))

    def __setattr__(self, name, value):
        write(self, name, data_in(value))

    cls.__getattribute__, cls.__setattr__ = __getattribute__, __setattr__
