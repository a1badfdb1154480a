"""`os`, `sys`, processes and what else belongs to the system."""

from .facades import carrying, facade, get
from .files import file, process_file
from .text import name_in, name_out, of_bytes, text_in, text_out, to_bytes

_NAMED = (
    "stat lstat open mkdir makedirs remove unlink rmdir removedirs rename renames chmod chown access readlink statvfs symlink "
    "link utime chdir mkfifo pathconf"
)
_PATHS = (
    "exists lexists isfile isdir islink ismount getsize getmtime getatime getctime realpath abspath samefile normpath"
)


def _named(real, names):
    """Functions that take names of files, which may be bytes that are no ASCII."""

    def wrap(function):
        def called(*args, **keywords):
            if all(arg.isascii() for arg in args if isinstance(arg, str)):
                made = function(*args, **keywords)
                return text_in(made) if isinstance(made, str) else made
            made = function(*map(name_out, args), **keywords)
            return of_bytes(made) if isinstance(made, bytes) else made

        called.__name__ = function.__name__
        return called

    return {name: wrap(getattr(real, name)) for name in names.split() if hasattr(real, name)}


@facade("os")
def _os_facade(real):
    import errno

    own = _named(real, _NAMED)
    own.update(carrying(real, "read write"))

    def listdir(path="."):
        return [name_in(name) for name in real.listdir(name_out(path))]

    def walk(top, topdown=True, onerror=None, followlinks=False):
        for where, folders, names in real.walk(name_out(top), topdown, onerror, followlinks):
            inner = [name_in(name) for name in folders]
            yield name_in(where), inner, [name_in(name) for name in names]
            if topdown and len(inner) != len(folders):
                folders[:] = [name for name in folders if name_in(name) in inner]

    def getenv(key, default=None):
        value = real.environ.get(key)
        return default if value is None else text_in(value)

    def fdopen(descriptor, mode="r", bufsize=-1):
        kind = mode.replace("U", "").replace("b", "") or "r"
        raw = real.fdopen(descriptor, kind + "b", -1 if bufsize == 1 else bufsize)
        return file.over(raw, "<fdopen>", mode)

    def popen(command, mode="r", bufsize=-1):
        process = _popen()(command, shell=True, bufsize=bufsize, **{"stdin" if "w" in mode else "stdout": -1})
        pipe = process.stdin if "w" in mode else process.stdout
        made = process_file.over(pipe.raw, command, mode)
        made.process = process
        return made

    def several(stderr):
        def opened(command, mode="t", bufsize=-1):
            process = _popen()(
                command, shell=isinstance(command, str), bufsize=bufsize, stdin=-1, stdout=-1, stderr=stderr, close_fds=True
            )
            _keep(process)
            if stderr == -1:
                return process.stdin, process.stdout, process.stderr
            return process.stdin, process.stdout

        return opened

    def tmpfile():
        import tempfile

        return file.over(tempfile.TemporaryFile(), "<tmpfile>", "w+b")

    own.update(
        listdir=listdir, walk=walk, getenv=getenv, fdopen=fdopen, popen=popen, popen2=several(None), popen3=several(-1),
        popen4=several(-2), tmpfile=tmpfile, errno=errno, getcwdu=real.getcwd, getcwd=lambda: text_in(real.getcwd()),
        path=get("os.path"),
    )
    return own


_kept = []
_KEPT_MAX = 64  # processes of popen2 and its like that nobody waits for; the oldest are let go


def _keep(process):
    """Python 2's popen2 left its process alone; ours would be waited for by whoever collects garbage."""
    _kept[:] = [old for old in _kept if old.poll() is None][-_KEPT_MAX:]
    _kept.append(process)


def _popen():
    return get("subprocess").Popen


@facade("os.path", "posixpath")
def _path_facade(real):
    def walk(top, function, argument):
        try:
            names = get("os").listdir(top)
        except OSError:
            return
        function(argument, top, names)
        for name in names:
            path = real.join(top, name)
            if not own["islink"](path) and own["isdir"](path):
                walk(path, function, argument)

    own = _named(real, _PATHS)
    own["walk"] = walk
    return own


@facade("posix")
def _posix_facade(real):
    return carrying(real, "read write")


class version_info(tuple):
    """`sys.version_info` of the Python that old code is run as."""

    major, minor, micro, releaselevel, serial = 2, 7, 18, "final", 0

    def __new__(cls):
        return tuple.__new__(cls, (2, 7, 18, "final", 0))

    def __repr__(self):
        return "sys.version_info(major=2, minor=7, micro=18, releaselevel='final', serial=0)"


@facade("sys")
def _sys_facade(real):
    if not hasattr(real, "argv"):
        real.argv = [""]
    return dict(
        maxint=(1 << 63) - 1, version_info=version_info(), hexversion=0x020712F0, py3kwarning=False, subversion=("CPython", "", ""),
        version="2.7.18 (graftd, on Python %s)" % real.version.split()[0], setdefaultencoding=lambda encoding: None,
        getdefaultencoding=lambda: "ascii", exc_clear=lambda: None, setcheckinterval=lambda interval: None,
        getcheckinterval=lambda: 100, api_version=1013, exitfunc=None, maxsize=(1 << 63) - 1,
    )


@facade("platform")
def _platform_facade(real):
    def release(key, default=""):
        try:
            with open("/etc/os-release", encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    name, _, value = line.strip().partition("=")
                    if name == key:
                        return value.strip("\"'")
        except OSError:
            pass
        return default

    def linux_distribution(*_, full_distribution_name=1, **__):
        name = release("NAME") if full_distribution_name else release("ID")
        return name, release("VERSION_ID"), release("VERSION_CODENAME")

    def dist(*_, **__):
        return release("ID"), release("VERSION_ID"), release("VERSION_CODENAME")

    return dict(
        linux_distribution=linux_distribution, dist=dist, python_version=lambda: "2.7.18",
        python_version_tuple=lambda: ("2", "7", "18"), popen=lambda *args: get("os").popen(*args),
    )


@facade("fcntl")
def _fcntl_facade(real):
    def call(name):
        def called(descriptor, operation, argument=0, *rest):
            if isinstance(argument, str):
                argument = to_bytes(argument)
            made = getattr(real, name)(descriptor, operation, argument, *rest)
            return of_bytes(made) if isinstance(made, bytes) else made

        return called

    return dict(fcntl=call("fcntl"), ioctl=call("ioctl"))


@facade("statvfs", "")
def _statvfs_facade(_):
    words = "F_BSIZE F_FRSIZE F_BLOCKS F_BFREE F_BAVAIL F_FILES F_FFREE F_FAVAIL F_FLAG F_NAMEMAX".split()
    return {word: index for index, word in enumerate(words)}


@facade("time")
def _time_facade(real):
    return dict(clock=real.process_time)


@facade("syslog")
def _syslog_facade(real):
    def syslog(*args):
        real.syslog(*[text_out(arg) if isinstance(arg, str) else arg for arg in args])

    return dict(syslog=syslog)


@facade("pipes", "")
def _pipes_facade(_):
    import shlex

    return dict(quote=shlex.quote)


@facade("glob")
def _glob_facade(real):
    def found(pattern):
        return [name_in(name) for name in real.glob(name_out(pattern))]

    return dict(glob=found, iglob=lambda pattern: iter(found(pattern)))


@facade("commands", "")
def _commands_facade(_):
    def getstatusoutput(command):
        pipe = get("os").popen("{ " + command + "; } 2>&1", "r")
        text = pipe.read()
        status = pipe.close()
        return status or 0, text[:-1] if text[-1:] == "\n" else text

    def mkarg(text):
        if "'" not in text:
            return " '" + text + "'"
        return ' "' + "".join("\\" + char if char in '\\$"`' else char for char in text) + '"'

    return dict(
        getstatusoutput=getstatusoutput, getoutput=lambda command: getstatusoutput(command)[1], mkarg=mkarg,
        getstatus=lambda name: getstatusoutput("ls -ld" + mkarg(name))[1],
    )


@facade("popen2", "")
def _popen2_facade(_):
    class Popen3:
        """A process with its pipes."""

        def __init__(self, command, capturestderr=False, bufsize=-1):
            self._process = _popen()(
                command, shell=isinstance(command, str), bufsize=bufsize, stdin=-1, stdout=-1,
                stderr=-1 if capturestderr else None,
            )
            self.pid = self._process.pid
            self.tochild, self.fromchild = self._process.stdin, self._process.stdout
            self.childerr = self._process.stderr
            self.sts = -1

        def _status(self, code):
            return code << 8 if code >= 0 else -code

        def poll(self, _deadstate=None):
            """-1, or the status."""
            code = self._process.poll()
            return -1 if code is None else self._status(code)

        def wait(self):
            """The status."""
            self.sts = self._status(self._process.wait())
            return self.sts

    class Popen4(Popen3):
        """The same with both outputs in one pipe."""

        def __init__(self, command, bufsize=-1):
            self._process = _popen()(
                command, shell=isinstance(command, str), bufsize=bufsize, stdin=-1, stdout=-1, stderr=-2
            )
            self.pid, self.sts, self.childerr = self._process.pid, -1, None
            self.tochild, self.fromchild = self._process.stdin, self._process.stdout

    def popen2(command, bufsize=-1, mode="t"):
        made = Popen3(command, False, bufsize)
        _keep(made._process)
        return made.fromchild, made.tochild

    def popen3(command, bufsize=-1, mode="t"):
        made = Popen3(command, True, bufsize)
        _keep(made._process)
        return made.fromchild, made.tochild, made.childerr

    def popen4(command, bufsize=-1, mode="t"):
        made = Popen4(command, bufsize)
        _keep(made._process)
        return made.fromchild, made.tochild

    return dict(Popen3=Popen3, Popen4=Popen4, popen2=popen2, popen3=popen3, popen4=popen4)


@facade("subprocess")
def _subprocess_facade(real):
    from .processes import build

    return build(real)
