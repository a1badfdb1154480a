"""Formats of data, which Python 3 has in bytes."""

import io

from .attrs import result
from .attrs_io import data_in
from .edge import outward
from .facades import carrying, facade
from .files import bytes_of, file
from .text import is_utf8, of_bytes, to_bytes


def _texts(value):
    """Proper text in lists and dictionaries, for what is written as Unicode."""
    return outward(value)


def _json(real):
    def loads(text, encoding=None, **keywords):
        if isinstance(text, str) and not text.isascii() and is_utf8(text):
            text = to_bytes(text).decode(encoding or "utf-8")
        try:
            return real.loads(text, **keywords)
        except real.JSONDecodeError as why:
            if why.msg == "Expecting value":
                why.args = ("No JSON object could be decoded",)
            raise

    def load(source, encoding=None, **keywords):
        return loads(result(source.read()), encoding, **keywords)

    def dumps(value, *args, encoding="utf-8", **keywords):
        if keywords.get("indent") is not None and "separators" not in keywords:
            keywords["separators"] = (", ", ": ")
        return real.dumps(_texts(value), *args, **keywords)

    def dump(value, target, *args, **keywords):
        target.write(dumps(value, *args, **keywords))

    return dict(loads=loads, load=load, dumps=dumps, dump=dump)


facade("json")(_json)
facade("simplejson", "json")(_json)


@facade("struct")
def _struct_facade(real):
    own = carrying(real, "unpack unpack_from")

    def pack(form, *values):
        values = [to_bytes(value) if isinstance(value, str) else value for value in values]
        try:
            return of_bytes(real.pack(form, *values))
        except real.error:
            if any(isinstance(value, float) for value in values):
                # Python 2 cut floats where an integer was asked for, with a warning.
                whole = [int(value) if isinstance(value, float) else value for value in values]
                return of_bytes(real.pack(form, *whole))
            raise

    def pack_into(form, buffer, offset, *values):
        return real.pack_into(form, buffer, offset, *map(data_in, values))

    own.update(pack=pack, pack_into=pack_into)
    return own


_ALGORITHMS = "new md5 sha1 sha224 sha256 sha384 sha512"


@facade("hashlib")
def _hashlib_facade(real):
    own = carrying(real, _ALGORITHMS + " pbkdf2_hmac")
    own["new"] = lambda name, data="": real.new(name, to_bytes(data))
    own["algorithms"] = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
    return own


def _old_hash(name):
    def builder(_):
        import hashlib

        kind = getattr(hashlib, name)
        return dict(new=lambda data="": kind(to_bytes(data)), digest_size=kind().digest_size, blocksize=kind().block_size,
                    **{name if name == "md5" else "sha": lambda data="": kind(to_bytes(data))})

    return builder


facade("md5", "")(_old_hash("md5"))
facade("sha", "")(_old_hash("sha1"))


@facade("hmac")
def _hmac_facade(real):
    def new(key, msg=None, digestmod=None):
        from .facades import Facade

        if digestmod is None:
            digestmod = "md5"
        elif isinstance(digestmod, Facade):
            digestmod = "sha1" if digestmod.__name__ == "sha" else digestmod.__name__
        elif callable(digestmod) and not isinstance(digestmod, type):
            digestmod = digestmod("").name
        return real.new(to_bytes(key), data_in(msg), digestmod)

    return dict(new=new, HMAC=new, compare_digest=lambda one, other: real.compare_digest(data_in(one), data_in(other)))


@facade("base64")
def _base64_facade(real):
    own = carrying(
        real, "b64encode b64decode standard_b64encode standard_b64decode urlsafe_b64encode urlsafe_b64decode b32encode "
        "b32decode b16encode b16decode encodebytes decodebytes"
    )

    def decode(function):
        def called(*args, **keywords):
            try:
                return function(*args, **keywords)
            except ValueError as why:
                # binascii.Error was caught here and came out as this.
                raise TypeError(str(why)) from None

        return called

    for name in ("b64decode", "urlsafe_b64decode", "standard_b64decode", "b32decode", "b16decode"):
        own[name] = decode(own[name])

    own.update(
        encodestring=own["encodebytes"], decodestring=own["decodebytes"],
        encode=lambda source, target: real.encode(bytes_of(source), bytes_of(target)),
        decode=lambda source, target: real.decode(bytes_of(source), bytes_of(target)),
    )
    return own


@facade("binascii")
def _binascii_facade(real):
    own = carrying(real, "hexlify unhexlify b2a_hex a2b_hex b2a_base64 a2b_base64 b2a_qp a2b_qp b2a_uu a2b_uu crc_hqx")
    signed = lambda number: number - (1 << 32) if number & 0x80000000 else number
    own["crc32"] = lambda data, start=0: signed(real.crc32(to_bytes(data), start & 0xFFFFFFFF))
    return own


@facade("zlib")
def _zlib_facade(real):
    own = carrying(real, "compress decompress")
    signed = lambda number: number - (1 << 32) if number & 0x80000000 else number
    own["crc32"] = lambda data, start=0: signed(real.crc32(to_bytes(data), start & 0xFFFFFFFF))
    own["adler32"] = lambda data, start=1: signed(real.adler32(to_bytes(data), start & 0xFFFFFFFF))
    return own


@facade("gzip")
def _gzip_facade(real):
    def GzipFile(filename=None, mode=None, compresslevel=9, fileobj=None, mtime=None):
        mode = mode and mode.replace("U", "").replace("t", "")
        if fileobj is not None:
            fileobj = bytes_of(fileobj)
        made = real.GzipFile(filename, mode, compresslevel, fileobj, mtime)
        return file.over(made, filename or "", mode or "rb")

    return dict(GzipFile=GzipFile, open=lambda name, mode="rb", compresslevel=9: GzipFile(name, mode, compresslevel))


@facade("bz2")
def _bz2_facade(real):
    own = carrying(real, "compress decompress")
    own["BZ2File"] = lambda name, mode="r", buffering=0, compresslevel=9: file.over(
        real.BZ2File(name, mode.replace("U", "").replace("b", "") or "r", compresslevel=compresslevel), name, mode
    )
    return own


@facade("tarfile")
def _tarfile_facade(real):
    def opened(name=None, mode="r", fileobj=None, bufsize=10240, **keywords):
        if fileobj is not None:
            fileobj = bytes_of(fileobj)
        return real.open(name, mode, fileobj, bufsize, **keywords)

    return dict(open=opened)


@facade("zipfile")
def _zipfile_facade(real):
    class ZipFile(real.ZipFile):
        """An archive in a file of Python 2."""

        def __init__(self, source, *args, **keywords):
            super().__init__(source if isinstance(source, str) else bytes_of(source), *args, **keywords)

        def writestr(self, name, data, *args, **keywords):
            """Adds a member."""
            return super().writestr(name, data_in(data), *args, **keywords)

    return dict(ZipFile=ZipFile)


def _pickle(real):
    def loads(data):
        return real.loads(to_bytes(data), encoding="latin-1")

    def load(source):
        return real.load(bytes_of(source), encoding="latin-1")

    def dumps(value, protocol=0):
        return of_bytes(real.dumps(value, min(protocol if protocol is not None and protocol >= 0 else 2, 2)))

    def dump(value, target, protocol=0):
        target.write(dumps(value, protocol))

    return dict(loads=loads, load=load, dumps=dumps, dump=dump)


facade("pickle")(_pickle)
facade("cPickle", "pickle")(_pickle)


@facade("marshal")
def _marshal_facade(real):
    return dict(
        loads=lambda data: result(real.loads(to_bytes(data))), dumps=lambda value, version=2: of_bytes(real.dumps(value, version)),
        load=lambda source: result(real.load(bytes_of(source))),
        dump=lambda value, target, version=2: target.write(of_bytes(real.dumps(value, version))),
    )


@facade("array")
def _array_facade(real):
    class array(real.array):
        """An array that takes strings."""

        def __new__(cls, typecode, initializer=()):
            if typecode == "c":
                typecode = "B"
            if isinstance(initializer, str):
                initializer = to_bytes(initializer)
            return real.array.__new__(cls, typecode, initializer)

        def tostring(self):
            """Its bytes."""
            return of_bytes(self.tobytes())

        def fromstring(self, text):
            """Adds bytes."""
            self.frombytes(to_bytes(text))

    return dict(array=array, ArrayType=array)


class StringIO(io.StringIO):
    """A file in memory. Nothing is made of line ends."""

    softspace = 0

    def __init__(self, initial=""):
        super().__init__(of_bytes(initial) if isinstance(initial, (bytes, bytearray)) else initial or "", newline="\n")

    @property
    def len(self):
        """How much is in it."""
        return len(self.getvalue())

    @property
    def buf(self):
        """What is in it."""
        return self.getvalue()

    def write(self, text):
        """Writes a string, or what `str` makes of something else."""
        super().write(text if isinstance(text, str) else of_bytes(text) if isinstance(text, bytes) else str(text))

    def next(self):
        """The next line."""
        return self.__next__()

    def truncate(self, size=None):
        """Cuts it, and is there then."""
        if size is not None and size < 0:
            raise OSError(22, "Negative size not allowed")
        super().truncate(size)
        if size is not None and size < self.tell():
            self.seek(size)

    def reset(self):
        """Back to the beginning."""
        self.seek(0)


@facade("StringIO cStringIO", "")
def _stringio_facade(_):
    return dict(StringIO=StringIO, InputType=StringIO, OutputType=StringIO)


@facade("io")
def _io_facade(real):
    return dict(BytesIO=lambda data="": real.BytesIO(data_in(data)))


@facade("csv")
def _csv_facade(real):
    from .builtins2 import iter_

    class DictReader(real.DictReader):
        """Rows as dictionaries."""

        def __init__(self, source, *args, **keywords):
            super().__init__(iter_(source), *args, **keywords)

    return dict(reader=lambda source, *args, **keywords: real.reader(iter_(source), *args, **keywords), DictReader=DictReader)




@facade("tempfile")
def _tempfile_facade(real):
    def over(name):
        def made(mode="w+b", bufsize=-1, *args, **keywords):
            kind = mode.replace("U", "").replace("t", "")
            opened = getattr(real, name)(kind if "b" in kind else kind + "b", bufsize, None, None, *args, **keywords)
            shown = file.over(opened, getattr(opened, "name", "<fdopen>"), mode)
            if hasattr(opened, "delete"):
                shown.unlink = opened.delete
            return shown

        return made

    return dict(NamedTemporaryFile=over("NamedTemporaryFile"), TemporaryFile=over("TemporaryFile"), template="tmp")
