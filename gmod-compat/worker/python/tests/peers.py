"""Servers on loopback for the modules under test: HTTP, lines, redis, telnet, datagrams. Each answers the same to everybody."""

import base64
import http.server
import json
import socket
import socketserver
import threading

USER, PASSWORD = "bob", "s3cret"
STATS = {
    "hits": 7, "calls": 2, "rate": 0.1 + 0.2, "big": 12345678901, "name": "K\u00f6ln \u20ac", "none": None, "ok": True,
    "list": [1, 2, 3], "nested": {"a": 1, "b": "x"},
}
XML = (
    '<?xml version="1.0" encoding="iso-8859-1"?>\n<stats><stat name="a">5</stat><stat name="b">k\u00f6</stat>'
    '<group><stat name="c">7</stat></group></stats>'
).encode("latin-1")
PAGES = {
    "/stats.xml": ("text/xml", XML),
    "/server-status?auto": ("text/plain", b"Total Accesses: 12\nReqPerSec: .5\nScoreboard: __W_.\n"),
    "/table.html": ("text/html", b"<table><tr><td>1</td><td>x &amp; y</td></tr></table>"),
}


class Web(http.server.BaseHTTPRequestHandler):
    """Pages, one of them behind a password."""

    def _answer(self, status, kind, body, *headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """A page."""
        if self.path == "/stats.json":
            wanted = "Basic " + base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
            if self.headers.get("Authorization") != wanted:
                return self._answer(401, "text/plain", b"who?", ("WWW-Authenticate", 'Basic realm="stats"'))
            return self._answer(200, "application/json", json.dumps(STATS, ensure_ascii=False).encode())
        if self.path == "/cookie":
            return self._answer(200, "text/plain", (self.headers.get("Cookie") or "none").encode(), ("Set-Cookie", "k=v"))
        if self.path in PAGES:
            return self._answer(200, *PAGES[self.path])
        return self._answer(404, "text/plain", b"not here\n")

    def do_POST(self):
        """What came."""
        self._answer(200, "text/plain", self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        """Says nothing."""


def _line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line


class Talk(socketserver.BaseRequestHandler):
    """One of the protocols below; `speak` is set by `start`."""

    speak = staticmethod(lambda connection: None)

    def handle(self):
        """Talks."""
        try:
            type(self).speak(self.request)
        except OSError:
            pass


def zookeeper(connection):
    """Four letters."""
    if connection.recv(4) == b"mntr":
        connection.sendall(b"zk_version\t3.4.5--1, built on x\nzk_avg_latency\t12\nzk_float\t0.5\nzk_watch_count\t 9 \n")


def memcached(connection):
    """`stats`."""
    while _line(connection).strip() == b"stats":
        connection.sendall(b"STAT pid 99\r\nSTAT version 1.4.5\r\nSTAT bytes 123456789012\r\nEND\r\n")


def redis(connection):
    """`INFO`."""
    for _ in range(3):
        _line(connection)
    body = b"# Server\r\nredis_version:2.4.10\r\nused_memory:1024\r\ndb0:keys=5,expires=1\r\n"
    connection.sendall(b"$%d\r\n%s\r\n" % (len(body), body))


def telnet(connection):
    """A login, with options on the way."""
    connection.sendall(b"\xff\xfd\x18\xff\xfb\x01Welcome\r\nlogin: ")
    while _line(connection)[-4:] != b"bob\n":
        pass
    connection.sendall(b"Password: ")
    _line(connection)
    connection.sendall(b"\xff\xfa\x18\x01\xff\xf0host> ")
    _line(connection)
    connection.sendall(b"7260\n")
    _line(connection)
    connection.sendall(b"by\xff\xffe\n")


class Echo(socketserver.BaseRequestHandler):
    """A datagram, and one byte more."""

    def handle(self):
        """Answers."""
        data, sock = self.request
        sock.sendto(data + b"\xfe", self.client_address)


class _Threads(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = allow_reuse_address = True
    block_on_close = False


class Peers:
    """All of them; `names` are the parameters that tell a module where they are."""

    def __init__(self):
        self.servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)]
        self.names = {"user": USER, "pass": PASSWORD, "url": "http://127.0.0.1:%d" % self.servers[0].server_port}
        for name, speak in (("zk", zookeeper), ("mc", memcached), ("redis", redis), ("telnet", telnet)):
            server = _Threads(("127.0.0.1", 0), type("Talk", (Talk,), {"speak": staticmethod(speak)}))
            self.servers.append(server)
            self.names[name] = str(server.server_address[1])
        self.servers.append(socketserver.UDPServer(("127.0.0.1", 0), Echo))
        self.names["udp"] = str(self.servers[-1].server_address[1])
        # A port on which nobody listens, for as long as this socket holds it.
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        self.names["dead"] = str(self.dead.getsockname()[1])
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Ends them."""
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.dead.close()
