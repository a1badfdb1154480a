# Files in folders for temporary files that belong to another user. gmond ran all modules as one user, so they share log files
# there, and one that gmond itself has left belongs to root. What cannot be written is written to a file of this module's
# own instead, from then on under the same name: reading finds what was written. `folder` is where.
import builtins
import io
import os

SHARED = "/tmp/", "/var/tmp/", "/dev/shm/"
moved = {}
opened, os_opened = io.open, os.open


def own(path):
    """The module's own file instead of this one; none where it lies elsewhere."""
    try:
        path = os.path.abspath(os.fsdecode(path))
    except (TypeError, ValueError):
        return None
    if not path.startswith(SHARED) or path.startswith(folder + "/"):
        return None
    if path not in moved:
        made()
        moved[path] = os.path.join(folder, path.lstrip("/").replace("%", "%25").replace("/", "%2F"))
        print("%s belongs to another user: it is written to %s" % (path, moved[path]))
    return moved[path]


def made():
    """The folder: made by this process, or else by somebody who prepared it, who must not get to choose what is written."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not moved:
            raise PermissionError("%s is there already, and not this module's" % folder) from None


def known(path):
    """Where it was moved to."""
    if not moved:
        return path
    try:
        return moved.get(os.path.abspath(os.fsdecode(path)), path)
    except (TypeError, ValueError):
        return path


def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    try:
        return opened(known(file), mode, buffering, encoding, errors, newline, closefd, opener)
    except PermissionError:
        other = own(file) if set("wax+") & set(mode) else None
        if other is None:
            raise
        return opened(other, mode, buffering, encoding, errors, newline, closefd, opener)


def os_open(path, flags, mode=0o777, *, dir_fd=None):
    try:
        return os_opened(known(path), flags, mode, dir_fd=dir_fd)
    except PermissionError:
        other = own(path) if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else None
        if other is None:
            raise
        return os_opened(other, flags, mode, dir_fd=dir_fd)


class Function:
    """As a function of C's: kept in a class it stays what it is, where one of Python's becomes a method."""

    def __init__(self, call, of):
        self.__call, self.__name__, self.__doc__, self.__module__ = call, of.__name__, of.__doc__, of.__module__

    def __call__(self, *args, **kwargs):
        return self.__call(*args, **kwargs)


# What calls them by position or by name goes on to; `logging` and `tempfile` among others look them up here.
builtins.open = io.open = Function(open, opened)
os.open = Function(os_open, os_opened)
