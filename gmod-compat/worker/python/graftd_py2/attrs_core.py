"""Rules for objects of the language itself: dictionaries, iterators, functions, exceptions, lists."""

import functools

from . import ops
from .attrs import listed, method, result, value


def _view(attribute):
    def called(owner, *args, **keywords):
        return result(listed(getattr(owner, attribute)(*args, **keywords)))

    method("*", attribute)(called)


def _iterator(old, new):
    def called(owner, *args, **keywords):
        native = getattr(owner, old, None)
        if native is not None:
            return native(*args, **keywords)
        return iter(getattr(owner, new)(*args, **keywords))

    method("*", "iter" + new)(called)


for _name in ("keys", "values", "items"):
    _view(_name)
    _iterator("iter" + _name, _name)


def _native_or(attribute, other):
    def called(owner, *args, **keywords):
        native = getattr(owner, attribute, None)
        if native is not None:
            return result(native(*args, **keywords))
        return other(owner, *args, **keywords)

    method("*", attribute)(called)


for _name in ("keys", "values", "items"):
    _native_or("view" + _name, functools.partial(lambda name, owner: getattr(owner, name)(), _name))


def _has_key(owner, key):
    if not hasattr(owner, "keys"):
        getattr(owner, "has_key")
    return key in owner


def _next(owner):
    step = getattr(type(owner), "__next__", None)
    if step is None:
        raise AttributeError("'%s' object has no attribute 'next'" % type(owner).__name__)
    return result(step(owner))


_native_or("has_key", _has_key)
_native_or("next", _next)


@value("BaseException builtins.BaseException", "message")
def _message(error):
    own = getattr(type(error), "message", None)
    if own is not None:
        return getattr(error, "message")
    return error.args[0] if len(error.args) == 1 else ""


def _alias(old, new):
    def get(owner):
        try:
            return getattr(owner, old)
        except AttributeError:
            try:
                return getattr(owner, new)
            except AttributeError:
                pass
            raise

    value("*", old)(get)


for _old, _new in (
    ("func_name", "__name__"), ("func_code", "__code__"), ("func_globals", "__globals__"), ("func_defaults", "__defaults__"),
    ("func_doc", "__doc__"), ("func_dict", "__dict__"), ("func_closure", "__closure__"), ("im_func", "__func__"),
    ("im_self", "__self__"), ("gi_frame", "gi_frame"),
):
    _alias(_old, _new)


@value("*", "im_class")
def _im_class(owner):
    return owner.im_class if hasattr(owner, "im_class") else type(owner.__self__)


@method("builtins.list", "sort")
def sort(items, cmp=None, key=None, reverse=False):
    """`list.sort()`, with `cmp` and for items of different kinds."""
    if cmp is not None:
        by_cmp = functools.cmp_to_key(cmp)
        list.sort(items, key=by_cmp if key is None else lambda item: by_cmp(key(item)), reverse=reverse)
        return
    before = list(items)
    try:
        list.sort(items, key=key, reverse=reverse)
    except TypeError:
        items[:] = before
        list.sort(items, key=ops.Key if key is None else lambda item: ops.Key(key(item)), reverse=reverse)


@method("builtins.list builtins.tuple", "__getslice__")
def _getslice(items, start, stop):
    return items[max(start, 0) : max(stop, 0)]


@method("builtins.list", "__setslice__")
def _setslice(items, start, stop, others):
    items[max(start, 0) : max(stop, 0)] = others


@method("builtins.list", "__delslice__")
def _delslice(items, start, stop):
    del items[max(start, 0) : max(stop, 0)]


_THREAD = "threading.Thread"


@method(_THREAD, "isAlive")
def _is_alive(thread):
    return thread.is_alive()


for _old, _get in (
    ("getName", lambda thread: thread.name), ("isDaemon", lambda thread: thread.daemon),
    ("setName", lambda thread, name: setattr(thread, "name", name)),
    ("setDaemon", lambda thread, daemon: setattr(thread, "daemon", daemon)),
):
    method(_THREAD, _old)(_get)


@method("threading.Condition", "notifyAll")
def _notify_all(condition):
    condition.notify_all()


@method("threading.Event", "isSet")
def _is_set(event):
    return event.is_set()


@method(_THREAD, "_Thread__stop")
def _stop(thread):
    """Python 2 marked a thread as ended with this; nothing is ended by it."""


for _name in ("target", "args", "kwargs"):
    value(_THREAD, "_Thread__" + _name)(functools.partial(lambda name, thread: getattr(thread, name), "_" + _name))
