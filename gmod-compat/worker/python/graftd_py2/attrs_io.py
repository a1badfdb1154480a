"""Rules for what carries bytes: sockets, pipes, responses, hashes, compressors. Strings go in, strings come out."""

import functools

from .attrs import method, result, value
from .text import of_bytes, text_out, to_bytes


def data_in(argument):
    """Bytes for a string, and everything else as it is."""
    return to_bytes(argument) if isinstance(argument, str) else argument


def _carries(types, attributes):
    for attribute in attributes.split():

        def called(owner, *args, _attribute=attribute, **keywords):
            made = getattr(owner, _attribute)(*map(data_in, args), **keywords)
            return result(made)

        method(types, attribute)(called)


_SOCKETS = "socket.socket _socket.socket ssl.SSLSocket"
_carries(_SOCKETS, "recv recvfrom send sendall sendto getsockopt setsockopt")
_carries("ssl.SSLSocket", "read write getpeercert")
_RAW_FILES = "_io.BufferedReader _io.BufferedWriter _io.BufferedRandom _io.BufferedRWPair _io.FileIO _io.BytesIO"
_RESPONSES = (
    "http.client.HTTPResponse urllib.response.addinfourl urllib.response.addbase urllib.error.HTTPError "
    "tempfile._TemporaryFileWrapper tempfile.SpooledTemporaryFile zipfile.ZipExtFile gzip.GzipFile bz2.BZ2File "
    "lzma.LZMAFile tarfile.ExFileObject socket.SocketIO socketserver._SocketWriter"
)
_carries(_RAW_FILES + " " + _RESPONSES, "read read1 readline peek write getvalue")
_carries("zlib.Compress zlib.Decompress _bz2.BZ2Compressor _bz2.BZ2Decompressor bz2.BZ2Compressor bz2.BZ2Decompressor",
         "compress decompress flush")


for _name in ("unused_data", "unconsumed_tail"):
    value("zlib.Decompress _bz2.BZ2Decompressor bz2.BZ2Decompressor", _name)(
        functools.partial(lambda name, owner: result(getattr(owner, name)), _name)
    )
_HASHES = "_hashlib.HASH _hashlib.HASHXOF _hashlib.HMAC hmac.HMAC _blake2.blake2b _blake2.blake2s _md5.md5 _sha1.sha1"
_carries(_HASHES + " _sha256.sha256 _sha256.sha224 _sha512.sha512 _sha512.sha384 _sha2.SHA256Type _sha2.SHA512Type"
         " _sha2.SHA224Type _sha2.SHA384Type", "update digest hexdigest")
for _name in ("value", "raw"):
    value("_ctypes._SimpleCData _ctypes.Array", _name)(
        functools.partial(lambda name, owner: result(getattr(owner, name)), _name)
    )
_carries("mmap.mmap", "read readline write find rfind read_byte write_byte")
_carries("_struct.Struct", "pack unpack unpack_from pack_into")
_carries("pyexpat.xmlparser", "Parse")
_carries("multiprocessing.connection.Connection", "send_bytes recv_bytes")


@method(_RAW_FILES + " " + _RESPONSES, "readlines", "xreadlines")
def _readlines(owner, *args):
    return [of_bytes(line) if isinstance(line, bytes) else line for line in owner.readlines(*args)]


@method(_RAW_FILES + " " + _RESPONSES, "writelines")
def _writelines(owner, lines):
    return owner.writelines(map(to_bytes, lines))


@method("_io.TextIOWrapper", "write")
def _write_text(owner, text):
    owner.write(text_out(text) if isinstance(text, str) else text)


@method("_io.TextIOWrapper", "writelines")
def _write_texts(owner, lines):
    for line in lines:
        _write_text(owner, line)


@method(_SOCKETS, "makefile")
def _makefile(sock, mode="r", bufsize=-1):
    from .files import file

    binary = "".join(char for char in mode if char in "rw") + "b"
    # Python 2 buffered what was written too, but code that forgets to flush was common with a size of 0 only.
    return file.over(sock.makefile(binary, None if bufsize in (-1, 1) else bufsize), "<socket>", mode)


@method("zipfile.ZipFile", "read")
def _read_member(archive, name, pwd=None):
    return of_bytes(archive.read(name, data_in(pwd)))


@method("ftplib.FTP", "retrbinary")
def _retrbinary(ftp, command, callback, *args):
    return ftp.retrbinary(command, lambda data: callback(of_bytes(data)), *args)


@method("smtplib.SMTP smtplib.SMTP_SSL", "sendmail")
def _sendmail(smtp, sender, receivers, message, *options):
    return smtp.sendmail(sender, receivers, to_bytes(message), *options)


for _name in ("content", "data", "body"):
    # What a response of somebody's HTTP library is: bytes.
    value("*", _name)(functools.partial(lambda name, owner: result(getattr(owner, name)), _name))


@method("ftplib.FTP", "storbinary")
def _storbinary(ftp, command, source, *args):
    from .files import bytes_of

    return ftp.storbinary(command, bytes_of(source), *args)


_carries("builtins.bytearray", "extend")


@method("array.array", "tostring")
def _tostring(array):
    return of_bytes(array.tobytes())


@method("array.array", "fromstring")
def _fromstring(array, text):
    array.frombytes(to_bytes(text))


# --- headers

_MESSAGES = "email.message.Message http.client.HTTPMessage"


@method(_MESSAGES, "getheader")
def _getheader(message, name, default=None):
    return message.get(name, default)


@method(_MESSAGES, "getheaders")
def _getheaders(message, name):
    return message.get_all(name) or []


@method(_MESSAGES, "getrawheader")
def _getrawheader(message, name):
    return " " + message[name] + "\n" if name in message else None


@value(_MESSAGES, "dict")
def _dict(message):
    return {key.lower(): text for key, text in message.items()}


@value(_MESSAGES, "headers")
def _headers(message):
    return ["%s: %s\r\n" % item for item in message.items()]


for _old, _new in (
    ("gettype", "get_content_type"), ("getmaintype", "get_content_maintype"), ("getsubtype", "get_content_subtype"),
    ("getparam", "get_param"), ("getencoding", "get_content_charset"),
):
    method(_MESSAGES, _old)(functools.partial(lambda name, message, *args: getattr(message, name)(*args), _new))


@method("http.client.HTTPConnection http.client.HTTPSConnection", "request")
def _request(connection, verb, url, body=None, headers=None):
    return connection.request(verb, text_url(url), data_in(body), headers or {})


@method("http.client.HTTPConnection http.client.HTTPSConnection", "send")
def _send(connection, data):
    return connection.send(data_in(data))


@method("http.client.HTTPConnection http.client.HTTPSConnection", "endheaders")
def _endheaders(connection, body=None):
    return connection.endheaders(data_in(body))


@method("http.client.HTTPResponse", "getheader")
def _response_header(response, name, default=None):
    return response.getheader(name, default)


def text_url(url):
    """A URL as Python 3 takes it: bytes past ASCII as %XX."""
    if isinstance(url, str) and not url.isascii():
        return "".join(char if char < "\x80" else "%%%02X" % ord(char) for char in url if char < "\u0100")
    return url


# --- urllib2

_REQUEST = "urllib.request.Request"


@method(_REQUEST, "get_data")
def _get_data(request):
    return result(request.data)


@method(_REQUEST, "add_data")
def _add_data(request, data):
    request.data = data_in(data)


for _name, _get in (
    ("has_data", lambda request: request.data is not None), ("get_host", lambda request: request.host),
    ("get_type", lambda request: request.type), ("get_selector", lambda request: request.selector),
    ("get_origin_req_host", lambda request: request.origin_req_host),
    ("is_unverifiable", lambda request: request.unverifiable),
):
    method(_REQUEST, _name)(_get)


@method("urllib.request.OpenerDirector", "open")
def _open(opener, url, data=None, *timeout, **keywords):
    return opener.open(text_url(url), data_in(data), *timeout, **keywords)


@method("urllib.response.addinfourl urllib.error.HTTPError http.client.HTTPResponse", "getcode")
def _getcode(response):
    return response.code


# --- XML

_ELEMENT = "xml.etree.ElementTree.Element"
_TREE = "xml.etree.ElementTree.ElementTree"


@method(_ELEMENT, "getchildren")
def _getchildren(element):
    return list(element)


@method(_ELEMENT + " " + _TREE, "getiterator")
def _getiterator(element, *tag):
    return list(element.iter(*tag))


# --- configuration

_PARSERS = "configparser.RawConfigParser"


@method(_PARSERS, "readfp")
def _readfp(parser, source, filename=None):
    parser.read_file(iter(source.readline, ""), filename or getattr(source, "name", "<???>"))


# --- subprocess

def streams(process):
    """Makes a process's pipes files of Python 2."""
    from .files import file

    for name, mode in (("stdin", "w"), ("stdout", "r"), ("stderr", "r")):
        pipe = getattr(process, name)
        if pipe is not None and not isinstance(pipe, file) and not hasattr(pipe, "encoding"):
            setattr(process, name, file.over(pipe, "<fdopen>", mode))


RAW = frozenset(
    "_io.BufferedReader _io.BufferedRandom _io.BufferedRWPair _io.FileIO _io.BytesIO".split() + _RESPONSES.split()
)
"""Full names of types whose lines are bytes, for `iter_`."""
