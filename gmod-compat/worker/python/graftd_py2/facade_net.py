"""Sockets, HTTP and the other protocols."""

from .attrs_io import data_in
from .edge import outward
from .facades import carrying, facade, same
from .text import text_in, to_bytes


@facade("socket")
def _socket_facade(real):
    own = carrying(real, "inet_ntoa")
    own["inet_ntop"] = lambda family, packed: real.inet_ntop(family, to_bytes(packed))

    def ssl(sock, keyfile=None, certfile=None):
        return _wrap(sock, keyfile, certfile)

    own.update(_socketobject=real.socket, ssl=ssl, _fileobject=_file_over)
    return own


def _file_over(sock, mode="rb", bufsize=-1, close=False):
    from .attrs import call

    return call(sock, "makefile", mode, bufsize)


def _wrap(sock, keyfile=None, certfile=None, server_side=False, cert_reqs=0, ssl_version=None, ca_certs=None,
          do_handshake_on_connect=True, suppress_ragged_eofs=True, ciphers=None):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.VerifyMode(cert_reqs)
    if ca_certs:
        context.load_verify_locations(ca_certs)
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    if ciphers:
        context.set_ciphers(ciphers)
    return context.wrap_socket(
        sock, server_side, do_handshake_on_connect=do_handshake_on_connect, suppress_ragged_eofs=suppress_ragged_eofs
    )


@facade("ssl")
def _ssl_facade(real):
    own = carrying(real, "DER_cert_to_PEM_cert PEM_cert_to_DER_cert")
    own.update(wrap_socket=_wrap, sslwrap_simple=_wrap)
    for name in "PROTOCOL_SSLv2 PROTOCOL_SSLv3 PROTOCOL_TLSv1".split():
        if not hasattr(real, name):
            own[name] = real.PROTOCOL_TLS
    return own


@facade("httplib", "http.client")
def _httplib_facade(real):
    def given(timeout):
        import socket

        return socket._GLOBAL_DEFAULT_TIMEOUT if timeout is None or timeout is _UNSET else timeout

    class HTTPConnection(real.HTTPConnection):
        """A connection; `strict` is there for old code that gives it."""

        def __init__(self, host, port=None, strict=None, timeout=_UNSET, source_address=None):
            super().__init__(host, port, given(timeout), source_address)

    class HTTPSConnection(real.HTTPSConnection):
        """The same with TLS."""

        def __init__(self, host, port=None, key_file=None, cert_file=None, strict=None, timeout=_UNSET,
                     source_address=None, context=None):
            if cert_file and context is None:
                import ssl

                context = ssl.create_default_context()
                context.load_cert_chain(cert_file, key_file)
            super().__init__(host, port, timeout=given(timeout), source_address=source_address, context=context)

    class HTTP:
        """The interface of Python 1.5."""

        _kind = _connection_class = HTTPConnection

        def __init__(self, host="", port=None, strict=None):
            self._conn = self._kind(host, port or None)
            self.file = self.headers = None

        def __getattr__(self, name):
            return getattr(self._conn, name)

        def connect(self, host=None, port=None):
            """Connects."""
            if host is not None:
                self._conn = self._kind(host, port)
            self._conn.connect()

        def send(self, data):
            """Sends a body."""
            self._conn.send(data_in(data))

        def getreply(self, buffering=False):
            """(status, reason, headers)."""
            try:
                self.file = self._conn.getresponse()
            except real.BadStatusLine as why:
                self.headers = None
                return -1, why.line, None
            self.headers = self.file.msg
            return self.file.status, self.file.reason, self.headers

        def getfile(self):
            """The body."""
            return self.file

        def close(self):
            """Closes."""
            self._conn.close()

    class HTTPS(HTTP):
        """The same with TLS."""

        _kind = HTTPSConnection

    return dict(HTTPConnection=HTTPConnection, HTTPSConnection=HTTPSConnection, HTTP=HTTP, HTTPS=HTTPS)


_UNSET = object()

facade("cookielib", "http.cookiejar")(same)
facade("Cookie", "http.cookies")(same)
facade("SimpleXMLRPCServer", "xmlrpc.server")(same)
facade("BaseHTTPServer", "http.server")(same)
facade("SimpleHTTPServer", "http.server")(same)
facade("CGIHTTPServer", "http.server")(same)
facade("SocketServer", "socketserver")(same)
facade("robotparser", "urllib.robotparser")(same)


@facade("xmlrpclib", "xmlrpc.client")
def _xmlrpclib_facade(real):
    class Binary(real.Binary):
        """Bytes of a string."""

        def __init__(self, data=None):
            super().__init__(None if data is None else to_bytes(data))

    def dumps(params, *args, **keywords):
        return text_in(real.dumps(outward(params), *args, **keywords))

    return dict(Server=real.ServerProxy, dumps=dumps, Binary=Binary, Boolean=bool, loads=lambda data, *args, **keywords: real.loads(to_bytes(data), *args, **keywords))


@facade("asyncore asynchat", "")
def _asyncore_facade(_):
    from . import old_asyncore

    return {name: what for name, what in vars(old_asyncore).items() if name[:1] != "_"}


@facade("telnetlib", "")
def _telnetlib_facade(_):
    from . import telnet

    return {name: what for name, what in vars(telnet).items() if name[:1] != "_"}
