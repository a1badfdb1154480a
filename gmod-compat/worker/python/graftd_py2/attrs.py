"""Attributes that objects of Python 3 have lost, or that mean something else now.

A rule is for one type by its full name and one attribute, so no module is imported for the sake of a rule, and objects keep
their real types: whoever made a socket, old code hears strings from its `recv`. A rule for `*` holds for every object.
A class that Python 2 code made, and that defines the attribute itself, is left alone.
"""

import functools

from .classes import MARK

METHODS = {}
"""attribute -> {type's full name or "*": function(object, ...)}"""

VALUES = {}
"""attribute -> {type's full name or "*": function(object)}"""

_found = {}
_FOUND_MAX = 4096  # classes times attributes; a program that makes classes without end starts over


def method(types, *attributes):
    """Registers a function as the method `attributes` of `types` (full names, by blanks)."""

    def register(function):
        for attribute in attributes:
            rules = METHODS.setdefault(attribute, {})
            for name in types.split():
                rules[name] = function
        return function

    return register


def value(types, *attributes):
    """The same for an attribute that is not called."""

    def register(function):
        for attribute in attributes:
            rules = VALUES.setdefault(attribute, {})
            for name in types.split():
                rules[name] = function
        return function

    return register


def _full_name(cls):
    return "%s.%s" % (cls.__module__, cls.__qualname__)


def _rule(cls, attribute, mro=None):
    """("m" or "v", function) for objects of a class, or None. `mro` is what of its bases counts, for `super`."""
    methods, values = METHODS.get(attribute, {}), VALUES.get(attribute, {})
    for base in mro or cls.__mro__:
        own = base.__dict__
        if MARK in own and attribute in own:
            return None
        name = _full_name(base)
        if name in methods:
            return "m", methods[name]
        if name in values:
            return "v", values[name]
    if all(MARK in base.__dict__ for base in cls.__mro__[:-1]):
        return None  # a class of old code alone has what it defines
    if "*" in methods:
        return "m", methods["*"]
    if "*" in values:
        return "v", values["*"]
    return None


_BY_TYPE = ("builtins.str", "builtins.list", "builtins.tuple")


def _rule_of(owner, attribute):
    """The rule for an object that is seen for the first time."""
    if type(owner) is super and owner.__self_class__ is not None:
        bases = owner.__self_class__.__mro__
        rule = _rule(super, attribute, bases[bases.index(owner.__thisclass__) + 1 :])
        if rule is not None and rule[1] in [METHODS.get(attribute, {}).get(name) for name in _BY_TYPE]:
            # These rules ask the type itself, and want the object.
            return "m", lambda above, *args, **keywords: rule[1](above.__self__, *args, **keywords)
        return rule
    return _find(type(owner), attribute)


def _find(cls, attribute):
    if len(_found) > _FOUND_MAX:
        _found.clear()
    rule = _rule(cls, attribute)
    if rule is not None and rule[0] == "m" and not cls.__dictoffset__ and not issubclass(cls, type):
        # No attribute of the object's own can stand before the rule: "M" is a rule that needs no further look.
        rule = "M", rule[1]
    _found[cls, attribute] = rule
    return rule


def _of_class(cls, attribute):
    """`dict.has_key`, `str.strip`: a function that takes the object first."""
    if MARK in cls.__dict__ and attribute in cls.__dict__:
        return None
    rule = _rule(cls, attribute)
    if rule is None or rule[0] == "v":
        return None
    named = METHODS[attribute]
    if rule[1] is named.get("*") and hasattr(cls, attribute):
        # `dict.keys(d)` of a subclass that overrides `keys` must not end there again.
        plain = getattr(cls, attribute)
        if not callable(plain) or any(MARK in base.__dict__ and attribute in base.__dict__ for base in cls.__mro__):
            return None
        return _plainly(plain, attribute)
    return rule[1]


def _plainly(function, attribute):
    return lambda *args, **keywords: result(_listed(function(*args, **keywords)))


def attr(owner, attribute):
    """`owner.attribute` for an attribute that has rules."""
    try:
        rule = _found[type(owner), attribute]
    except KeyError:
        rule = _rule_of(owner, attribute)
    if isinstance(owner, type):
        made = _of_class(owner, attribute)
        return made if made is not None else result(getattr(owner, attribute))
    if rule is None:
        return result(getattr(owner, attribute))
    if rule[0] != "M" and attribute in getattr(owner, "__dict__", ()):
        return owner.__dict__[attribute]
    if rule[0] == "v":
        return rule[1](owner)
    return functools.partial(rule[1], owner)


def call(owner, attribute, /, *args, **keywords):
    """`owner.attribute(...)`."""
    try:
        rule = _found[type(owner), attribute]
    except KeyError:
        rule = _rule_of(owner, attribute)
    if rule is not None:
        if rule[0] == "M":
            return rule[1](owner, *args, **keywords)
        if rule[0] == "m" and not isinstance(owner, type) and attribute not in getattr(owner, "__dict__", ()):
            return rule[1](owner, *args, **keywords)
    return result(attr(owner, attribute)(*args, **keywords))


def getattr_(owner, attribute, *default):
    """`getattr()`."""
    if attribute in METHODS or attribute in VALUES:
        try:
            return attr(owner, attribute)
        except AttributeError:
            if default:
                return default[0]
            raise
    return getattr(owner, attribute, *default)


def hasattr_(owner, attribute):
    """`hasattr()`, which in Python 2 took every exception for a no."""
    missing = object()
    try:
        if attribute in METHODS and not isinstance(owner, type):
            rule = _rule(type(owner), attribute)
            if rule is None:
                return hasattr(owner, attribute)
            if rule[1] is METHODS[attribute].get("*"):
                probe = HAS.get(attribute)
                return probe(owner) if probe else hasattr(owner, attribute)
        return getattr_(owner, attribute, missing) is not missing
    except Exception:
        return False


HAS = {
    "next": lambda o: hasattr(o, "next") or hasattr(type(o), "__next__"),
    "has_key": lambda o: hasattr(o, "has_key") or (hasattr(o, "keys") and hasattr(o, "__getitem__")),
    "iteritems": lambda o: hasattr(o, "iteritems") or hasattr(o, "items"),
    "iterkeys": lambda o: hasattr(o, "iterkeys") or hasattr(o, "keys"),
    "itervalues": lambda o: hasattr(o, "itervalues") or hasattr(o, "values"),
}
"""For methods that every object seems to have, by a rule for `*`: whether this one does."""


# --- what comes from outside

_PLAIN = frozenset((str, int, float, bool, type(None)))
_SAMPLE = 256  # items of a container that are looked at


def result(value):
    """What a call gave, with strings for bytes, also inside of lists, tuples and dictionaries."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is bytes:
        return value.decode("latin-1")
    if kind is list or kind is tuple:
        for item in value[:_SAMPLE]:
            if type(item) not in _PLAIN and _has_bytes(item, 3):
                return kind(map(result, value))
    elif kind is dict:
        if _has_bytes(value, 3):
            return {result(key): result(item) for key, item in value.items()}
    return value


def _has_bytes(value, depth):
    kind = type(value)
    if kind is bytes:
        return True
    if not depth:
        return False
    if kind is list or kind is tuple:
        return any(type(item) not in _PLAIN and _has_bytes(item, depth - 1) for item in value[:_SAMPLE])
    if kind is dict:
        for index, (key, item) in enumerate(value.items()):
            if index == _SAMPLE:
                break
            if type(key) is bytes or (type(item) not in _PLAIN and _has_bytes(item, depth - 1)):
                return True
    return False


_VIEWS = tuple(type(view) for view in ({}.keys(), {}.values(), {}.items()))


def _listed(value):
    if isinstance(value, _VIEWS):
        return list(value)
    kind = type(value)
    if kind.__module__ in ("collections", "collections.abc", "_collections_abc", "builtins"):
        if kind.__name__ in ("odict_keys", "odict_values", "odict_items", "KeysView", "ValuesView", "ItemsView"):
            return list(value)
    return value


def listed(value):
    """A list, if `value` is a view of a dictionary."""
    return _listed(value)
