"""Python 2's `file`: bytes in and out as strings, without any encoding or buffering of text in between."""

import errno
import io
import os

from .text import name_out, of_bytes, to_bytes


class file:
    """What `open` gives. `raw` is the binary file below."""

    softspace = 0
    encoding = None
    errors = None

    def __init__(self, name, mode="r", buffering=-1):
        if not isinstance(mode, str):
            raise TypeError("file() argument 2 must be string")
        kind = mode.replace("U", "").replace("b", "").replace("t", "")
        if kind[:1] not in ("r", "w", "a"):
            kind = "r" + kind
        self.raw = io.open(name_out(name), kind + "b", -1 if buffering == 1 else buffering)
        self.name, self.mode = name, mode
        self._universal = "U" in mode
        self._line_wise = buffering == 1

    @classmethod
    def over(cls, raw, name="<fdopen>", mode="r"):
        """A file over a binary file that is open already."""
        self = cls.__new__(cls)
        self.raw, self.name, self.mode = raw, name, mode
        self._universal, self._line_wise = "U" in mode, False
        return self

    def _text(self, data):
        if data is None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if self._universal and b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data.decode("latin-1")

    def read(self, size=-1):
        """All, or up to `size` bytes."""
        size = -1 if size is None else size
        data = self.raw.read(size)
        if size > 0 and data and len(data) < size and isinstance(self.raw, io.RawIOBase):
            # Without a buffer the system gives what it has; a file of Python 2 waited for all.
            rest = self.raw.read(size - len(data))
            while rest:
                data += rest
                rest = self.raw.read(size - len(data)) if len(data) < size else b""
        return self._text(data)

    def readline(self, size=-1):
        """A line."""
        return self._text(self.raw.readline(size))

    def readlines(self, sizehint=-1):
        """All lines."""
        if self._universal:
            return self.read().splitlines(True)
        return list(map(of_bytes, self.raw.readlines(sizehint if sizehint and sizehint > 0 else -1)))

    def xreadlines(self):
        """The lines, one after another."""
        return self

    def __iter__(self):
        return self

    def __next__(self):
        line = self.raw.readline()
        if not line:
            raise StopIteration
        return self._text(line)

    next = __next__

    def readinto(self, buffer):
        """Fills a buffer."""
        return self.raw.readinto(buffer)

    def write(self, text):
        """Writes a string."""
        self.softspace = 0
        data = to_bytes(text)
        done = self.raw.write(data)
        while done is not None and done < len(data) and isinstance(self.raw, io.RawIOBase):
            data = data[done:]
            done = self.raw.write(data)
        if self._line_wise:
            self.raw.flush()

    def writelines(self, lines):
        """Writes strings."""
        for line in lines:
            self.write(line)

    def seek(self, offset, whence=0):
        """Moves to a place."""
        self.raw.seek(int(offset), whence)

    def tell(self):
        """The place."""
        return self.raw.tell()

    def truncate(self, *size):
        """Cuts the file."""
        self.raw.flush()
        self.raw.truncate(*size)

    def flush(self):
        """Writes what is buffered."""
        self.raw.flush()

    def fileno(self):
        """The descriptor."""
        return self.raw.fileno()

    def isatty(self):
        """Whether it is a terminal."""
        return self.raw.isatty()

    def readable(self):
        """For the standard library's own readers."""
        return self.raw.readable()

    def writable(self):
        """For the standard library's own writers."""
        return self.raw.writable()

    def seekable(self):
        """Whether `seek` works."""
        return self.raw.seekable()

    @property
    def closed(self):
        """Whether it is closed."""
        return self.raw.closed

    @property
    def newlines(self):
        """Not kept."""
        return None

    def close(self):
        """Closes it."""
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        state = "closed" if self.closed else "open"
        return "<%s file %r, mode %r at 0x%x>" % (state, self.name, self.mode, id(self))


def open_(name, mode="r", buffering=-1):
    """`open()`."""
    return file(name, mode, buffering)


class process_file(file):
    """What `os.popen` gives: closing it waits for the process and answers its status, None for 0."""

    def close(self):
        process = getattr(self, "process", None)
        self.raw.close()
        if process is None:
            return None
        self.process = None
        status = process.wait()
        if status == 0:
            return None
        return status << 8 if status > 0 else -status

    def __del__(self):
        try:
            if not self.raw.closed:
                self.close()
        except Exception:
            pass


def bytes_of(source):
    """A binary file of any file, for the standard library's readers of bytes."""
    if isinstance(source, file):
        return source.raw
    return source if isinstance(source, (io.RawIOBase, io.BufferedIOBase)) else _Bytes(source)


class _Bytes:
    """Reads bytes of a file that gives strings."""

    def __init__(self, source):
        self._source = source

    def read(self, *size):
        """Bytes."""
        return to_bytes(self._source.read(*size))

    def readline(self, *size):
        """A line."""
        return to_bytes(self._source.readline(*size))

    def __iter__(self):
        return (to_bytes(line) for line in self._source)

    def write(self, data):
        """Writes bytes as a string."""
        return self._source.write(of_bytes(bytes(data)))

    def __getattr__(self, attribute):
        return getattr(self._source, attribute)
