# What modules that share a process are told apart by. A module is *held* while it runs; *helpers* are what it imports from the
# folder that it lies in.
import gc
import os
import sys

held = []
noted = {}
folders = []


def look(file):
    try:
        about = os.stat(file)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


class Noted:
    """Finds nothing: notes what a helper's file was when it was imported."""

    def find_spec(self, name, path=None, target=None):
        stem = name.rpartition(".")[2]
        for folder in folders if path is None else path:
            if isinstance(folder, str) and any((folder + "/").startswith(own + "/") for own in folders):
                for tail in stem + ".py", stem + "/__init__.py":
                    file = folder + "/" + tail
                    about = look(file)
                    if about:
                        noted[file] = about
        return None


sys.meta_path.insert(0, Noted())


def changed(module, file):
    source = getattr(module.__dict__.get("__loader__"), "_source", None)
    if source is None:
        return file in noted and noted[file] != look(file)
    try:
        with open(file, "rb") as now:
            return now.read() != source
    except OSError:
        return True


def fresh(folder):
    """Has helpers in `folder` imported anew if any of them has changed; whoever has them already goes on with what it has."""
    if folder not in folders:
        folders.append(folder)
    finder = sys.path_importer_cache.get(folder)
    if finder is not None:
        finder.invalidate_caches()
    helpers = {}
    for name, module in list(sys.modules.items()):
        try:
            file = vars(module).get("__file__")
        except TypeError:
            continue
        if isinstance(file, str) and file.startswith(folder + "/") and not any(module is own for own in held):
            helpers[name] = module, file
    if any(changed(module, file) for module, file in helpers.values()):
        for name in helpers:
            sys.modules.pop(name, None)


def hold(module):
    held.append(module)


def end(module):
    """Forgets a module: nobody can import it any more, and what only it had is freed."""
    held[:] = [other for other in held if other is not module]
    for name, other in list(sys.modules.items()):
        if other is module:
            sys.modules.pop(name, None)
    del module, other
    gc.collect()
