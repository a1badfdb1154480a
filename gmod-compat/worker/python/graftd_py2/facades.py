"""The standard library as old code knows it: modules under Python 2's names, with strings where Python 3 has bytes.

A facade is a module object of its own. What it does not define it takes from the real module, which stays as it is; what old
code sets on it is set on the real one too, as in `socket.setdefaulttimeout` or `sys.stdout = log`.
"""

import importlib
import types

BUILDERS = {}
"""Python 2's name of a module -> (the real one's name or None, function(real) that gives what is different)."""

_HOMES = {
    "facade_os": "os os.path sys platform posix fcntl statvfs commands popen2 subprocess time syslog pipes glob",
    "facade_net": "socket ssl httplib cookielib xmlrpclib SimpleXMLRPCServer BaseHTTPServer SimpleHTTPServer CGIHTTPServer "
    "SocketServer Cookie telnetlib robotparser asyncore asynchat",
    "facade_url": "urllib urllib2 urlparse",
    "facade_data": "json simplejson struct hashlib md5 sha hmac base64 binascii zlib gzip bz2 pickle cPickle marshal array "
    "StringIO cStringIO io csv tarfile zipfile tempfile",
    "facade_text": "re string ConfigParser HTMLParser htmlentitydefs cgi locale fileinput email email.MIMEText "
    "email.MIMEMultipart email.MIMEBase email.Utils email.Header email.Encoders email.Message email.Parser rfc822 mimetools",
    "facade_xml": "xml.etree.ElementTree xml.etree.cElementTree elementtree.ElementTree cElementTree xml.dom.minidom xml.sax "
    "xml.parsers.expat",
    "facade_threading": "threading thread dummy_thread dummy_threading Queue",
    "facade_core": "types itertools collections operator math exceptions __builtin__ sets new UserDict UserList UserString "
    "importlib copy_reg anydbm whichdb gdbm dumbdbm imp inspect user functools repr",
    "facade_ctypes": "ctypes",
    "facade_distutils": "distutils distutils.spawn distutils.version distutils.util distutils.sysconfig",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_PARENTS = {name.rpartition(".")[0] for name in _HOME_OF if "." in name} | {"xml"}
_made = {}


def facade(name, real=None):
    """Registers a builder: `real` is the real module's name, "" if there is none, the same name by default."""

    def register(builder):
        for one in name.split():
            BUILDERS[one] = (one if real is None else real, builder)
        return builder

    return register


class Facade(types.ModuleType):
    """A module as old code sees it."""

    def __getattr__(self, name):
        full = "%s.%s" % (self.__name__, name)
        if full in _HOME_OF or full in _PARENTS:
            return get(full)
        if name in self.__dict__.get("_py2_modules", ()):
            return get(name)
        real = self.__dict__.get("_py2_real")
        if real is None or name == "__all__":
            raise AttributeError("'module' object has no attribute '%s'" % name)
        if name == "__wrapped__":
            raise AttributeError(name)
        try:
            value = getattr(real, name)
        except AttributeError:
            raise AttributeError("'module' object has no attribute '%s'" % name) from None
        return value

    def __setattr__(self, name, value):
        real = self.__dict__.get("_py2_real")
        if real is not None and not name.startswith("__"):
            setattr(real, name, value)
            if name not in self.__dict__:
                return
        super().__setattr__(name, value)

    def __delattr__(self, name):
        if name in self.__dict__:
            super().__delattr__(name)
        if self.__dict__.get("_py2_real") is not None and hasattr(self._py2_real, name):
            delattr(self._py2_real, name)

    def __dir__(self):
        real = self.__dict__.get("_py2_real")
        return sorted(set(self.__dict__) | set(dir(real) if real else ()))


def get(name):
    """The facade of a module, or None where it needs none. Raises ImportError where Python has it no more."""
    made = _made.get(name)
    if made is not None:
        return made
    home = _HOME_OF.get(name)
    if home is None:
        if name not in _PARENTS:
            return None
        real, build = name, None
    else:
        importlib.import_module("." + home, __package__)
        real, build = BUILDERS[name]
    module = Facade(name)
    real = importlib.import_module(real) if real else None
    own = module.__dict__
    if real is not None:
        own.update(_py2_real=real, __doc__=real.__doc__)
        # `operator.__lt__` would be found on the facade itself.
        own.update((word, what) for word, what in vars(real).items() if word[:2] == "__" and hasattr(Facade, word)
                   and callable(what))
        for word in ("__file__", "__path__"):
            if hasattr(real, word):
                own[word] = getattr(real, word)
    else:
        own["_py2_real"] = None
    if build is not None:
        own.update(build(real))
    if real is not None and "__all__" not in own:
        public = getattr(real, "__all__", None) or [word for word in dir(real) if word[:1] != "_"]
        own["__all__"] = sorted({*public, *(word for word in own if word[:1] != "_")})
    return _made.setdefault(name, module)


def find(name, fromlist):
    """What `import name` gives old code, or None if that is the real module."""
    head = name.partition(".")[0]
    if head not in _HOME_OF and head not in _PARENTS:
        return None
    if head == "simplejson":
        from .importing import installed

        if installed(head):
            return None
    top = get(head) if head in _HOME_OF or head in _PARENTS else None
    if name == head:
        return top
    full = get(name)
    if full is None:
        real = importlib.import_module(name)
        if fromlist:
            return real
        if not isinstance(top, Facade):
            return None
        return top
    if not fromlist:
        return top
    if hasattr(full, "__path__"):
        for part in fromlist:
            if part != "*" and not hasattr(full, part):
                try:
                    importlib.import_module("%s.%s" % (full._py2_real.__name__, part))
                except ImportError:
                    pass  # the one who asked for it says what is missing
    return full


def carrying(real, names):
    """Functions of a module that take bytes and give bytes, for strings."""
    from .attrs import result
    from .attrs_io import data_in

    def wrap(function):
        def carried(*args, **keywords):
            return result(function(*map(data_in, args), **{key: data_in(value) for key, value in keywords.items()}))

        carried.__name__ = getattr(function, "__name__", "function")
        carried.__doc__ = getattr(function, "__doc__", None)
        return carried

    return {name: wrap(getattr(real, name)) for name in names.split() if hasattr(real, name)}


def same(_real):
    """A builder for a module that only has another name now."""
    return {}


