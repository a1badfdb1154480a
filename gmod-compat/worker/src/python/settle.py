# Makes the interpreter ready, before any module runs. Names in here are not the module's. `plugins` are the modules' names.
import io
import sys


class Stream(io.FileIO):
    """Standard error, for all that is printed: never an exception for want of a reader."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError:
            return len(data)


def stream():
    raw = io.BufferedWriter(Stream(2, "w", closefd=False), 8192)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)


sys.stdout = sys.__stdout__ = stream()
sys.stderr = sys.__stderr__ = stream()

# Paths of installed packages, as `site` finds them. Code in .pth files (`import …`) costs megabytes where it is there, and
# a module needs it only where an import finds nothing without it: it is put off until then.
import site
from _frozen_importlib import ModuleSpec

late = []
# In a virtual environment `site` reads its files twice.
site.exec = lambda line: line in late or late.append(line)
site.main()
del site.exec


class Made:
    """Gives a module that put-off code has made."""

    def create_module(self, spec):
        return sys.modules[spec.name]

    def exec_module(self, module):
        pass


def look(finders, name, path, target):
    for finder in finders:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path, target) if find else None
        if spec is not None:
            return spec
    return None


class Late:
    """The last finder: runs what was put off, once, and looks again."""

    def find_spec(self, name, path=None, target=None):
        if name in plugins:
            # Whether there is an installed package of a module's own name; mostly there is none.
            return None
        # Whoever was added behind this one goes first.
        at = sys.meta_path.index(self)
        spec = look(sys.meta_path[at + 1 :], name, path, target)
        if spec is not None:
            return spec
        del sys.meta_path[at]
        lines, late[:] = late[:], []
        for line in lines:
            try:
                exec(line, {})
            except Exception as error:
                print("a .pth file's %s: %s: %s" % (line.strip(), type(error).__name__, error), file=sys.stderr)
        if name in sys.modules:
            return ModuleSpec(name, Made())
        return look(list(sys.meta_path), name, path, target)


if late:
    sys.meta_path.append(Late())
