"""What is close to the language: types, iterators, numbers, collections, and how modules are found."""

import types as _types

from .facades import facade, same


@facade("types")
def _types_facade(real):
    from .builtins2 import long, xrange_
    from .files import file

    return dict(
        NoneType=type(None), TypeType=type, ObjectType=object, IntType=int, LongType=long, FloatType=float, BooleanType=bool,
        ComplexType=complex, StringType=str, UnicodeType=str, StringTypes=(str,), BufferType=str, TupleType=tuple,
        ListType=list, DictType=dict, DictionaryType=dict, UnboundMethodType=real.FunctionType, ClassType=type,
        InstanceType=object, FileType=file, XRangeType=type(xrange_(1)), SliceType=slice, EllipsisType=type(Ellipsis),
        NotImplementedType=type(NotImplemented),
    )


@facade("itertools")
def _itertools_facade(real):
    from .builtins2 import iter_
    from .ops import str_

    def imap(function, *sources):
        if function is str:
            function = str_
        rows = map(iter_, sources)
        return zip(*rows) if function is None else map(function, *rows)

    return dict(
        izip=lambda *sources: zip(*map(iter_, sources)), imap=imap,
        ifilter=lambda function, source: filter(function, iter_(source)), izip_longest=real.zip_longest,
        ifilterfalse=real.filterfalse,
    )


@facade("collections")
def _collections_facade(real):
    import collections.abc as abc

    return {name: getattr(abc, name) for name in abc.__all__ if not hasattr(real, name)}


@facade("operator")
def _operator_facade(real):
    from . import ops

    return dict(
        div=ops.div, idiv=ops.idiv, isCallable=callable, sequenceIncludes=real.contains, lt=ops.lt, le=ops.le, gt=ops.gt,
        ge=ops.ge, mod=ops.mod, isSequenceType=lambda value: hasattr(value, "__getitem__") and not hasattr(value, "keys"),
        isMappingType=lambda value: hasattr(value, "__getitem__") and hasattr(value, "keys"),
        isNumberType=lambda value: hasattr(value, "__int__"), repeat=lambda value, count: value * count,
        getslice=lambda value, start, stop: value[start:stop],
    )


@facade("math")
def _math_facade(real):
    return dict(floor=lambda number: float(real.floor(number)) if _finite(real, number) else float(number),
                ceil=lambda number: float(real.ceil(number)) if _finite(real, number) else float(number))


def _finite(real, number):
    return not isinstance(number, float) or (number == number and not real.isinf(number))




@facade("exceptions", "")
def _exceptions_facade(_):
    import builtins

    own = {
        name: what for name, what in vars(builtins).items() if isinstance(what, type) and issubclass(what, BaseException)
    }
    own["StandardError"] = Exception
    return own


@facade("__builtin__", "")
def _builtin_facade(_):
    from .loading import old_builtins

    return {name: what for name, what in old_builtins().items() if not name.startswith("_py2_") and name != "__name__"}


class Set(set):
    """`sets.Set`."""

    union_update, __hash__ = set.update, None


class ImmutableSet(frozenset):
    """`sets.ImmutableSet`."""


@facade("sets", "")
def _sets_facade(_):
    return dict(Set=Set, ImmutableSet=ImmutableSet, BaseSet=(Set, ImmutableSet))


@facade("new", "")
def _new_facade(_):
    def instance(cls, values=None):
        made = cls.__new__(cls)
        made.__dict__.update(values or {})
        return made

    def instancemethod(function, owner, cls=None):
        return function if owner is None else _types.MethodType(function, owner)

    return dict(
        instance=instance, instancemethod=instancemethod, function=_types.FunctionType, code=_types.CodeType,
        module=_types.ModuleType, classobj=type,
    )


class DictMixin:
    """All that a dictionary has, of `keys`, `__getitem__`, `__setitem__` and `__delitem__`."""

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, key):
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __len__(self):
        return len(self.keys())

    def has_key(self, key):
        """Whether it has the key."""
        return key in self

    def values(self):
        """The values."""
        return [self[key] for key in self.keys()]

    def items(self):
        """Keys and values."""
        return [(key, self[key]) for key in self.keys()]

    def iteritems(self):
        """The same, one after another."""
        return iter(self.items())

    def iterkeys(self):
        """The keys, one after another."""
        return iter(self.keys())

    def itervalues(self):
        """The values, one after another."""
        return iter(self.values())

    def get(self, key, default=None):
        """A value, or the default."""
        return self[key] if key in self else default

    def setdefault(self, key, default=None):
        """A value, which is set if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key, *default):
        """Takes a value out."""
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Takes any out."""
        for key in self.keys():
            return key, self.pop(key)
        raise KeyError("container is empty")

    def __eq__(self, other):
        return dict(self.items()) == (dict(other.items()) if isinstance(other, DictMixin) else other)

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __repr__(self):
        return repr(dict(self.items()))

    def clear(self):
        """Takes all out."""
        for key in list(self.keys()):
            del self[key]

    def update(self, other=None, **keywords):
        """Sets many."""
        for source in (other or {}, keywords):
            for key, value in source.items() if hasattr(source, "items") else source:
                self[key] = value


@facade("UserDict", "")
def _userdict_facade(_):
    import collections

    return dict(UserDict=collections.UserDict, IterableUserDict=collections.UserDict, DictMixin=DictMixin)


@facade("UserList", "")
def _userlist_facade(_):
    import collections

    return dict(UserList=collections.UserList)


@facade("UserString", "")
def _userstring_facade(_):
    import collections

    return dict(UserString=collections.UserString)


facade("copy_reg", "copyreg")(same)
facade("anydbm", "dbm")(same)
facade("dumbdbm", "dbm.dumb")(same)
facade("repr", "reprlib")(same)


@facade("gdbm", "")
def _gdbm_facade(_):
    import dbm.gnu

    return {name: what for name, what in vars(dbm.gnu).items() if name[:1] != "_"}


@facade("whichdb", "")
def _whichdb_facade(_):
    import dbm

    return dict(whichdb=dbm.whichdb)


@facade("user", "")
def _user_facade(_):
    import os

    return dict(home=os.path.expanduser("~"))


@facade("functools")
def _functools_facade(real):
    from .builtins2 import reduce_

    return dict(reduce=reduce_)


@facade("importlib")
def _importlib_facade(real):
    from .loading import old_builtins

    def import_module(name, package=None):
        if name.startswith("."):
            return real.import_module(name, package)
        return old_builtins()["__import__"](name, {}, None, ("__name__",), 0)

    return dict(import_module=import_module)


@facade("inspect")
def _inspect_facade(real):
    def getargspec(function):
        found = real.getfullargspec(function)
        return ArgSpec(found.args, found.varargs, found.varkw, found.defaults)

    import collections

    ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
    return dict(getargspec=getargspec, ArgSpec=ArgSpec)


@facade("imp", "")
def _imp_facade(_):
    from . import old_imp

    return {name: what for name, what in vars(old_imp).items() if name[:1] != "_"}
