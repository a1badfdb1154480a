"""The names of a function in which there is an `exec`: Python 2 looked them up in the function's `locals()`, then as elsewhere."""


def own(space, local):
    """A function's `locals()`: its variables as they are, and what an `exec` in it has made."""
    space.update((key, value) for key, value in local.items() if key[:5] != "_py2_")
    return space


def finder(builtins):
    """What reads a name that the source of such a function gives no meaning."""

    def name(space, global_, key):
        for names in (space, global_, builtins):
            if key in names:
                return names[key]
        raise NameError("name '%s' is not defined" % key)

    return name
