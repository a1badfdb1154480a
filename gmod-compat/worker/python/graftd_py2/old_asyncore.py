"""`asyncore` and `asynchat`, which Python has no more since 3.12: dispatchers over select, with strings of Python 2."""

import errno as _errno
import select as _select
import socket as _socket
import sys as _sys
import time as _time

from .text import of_bytes as _of_bytes
from .text import to_bytes as _to_bytes

socket_map = {}
_CLOSED = (_errno.ECONNRESET, _errno.ENOTCONN, _errno.ESHUTDOWN, _errno.ECONNABORTED, _errno.EPIPE, _errno.EBADF)


class ExitNow(Exception):
    """Ends the loop."""


def read(obj):
    """Something can be read."""
    _guarded(obj, obj.handle_read_event)


def write(obj):
    """Something can be written."""
    _guarded(obj, obj.handle_write_event)


def _guarded(obj, event):
    try:
        event()
    except (ExitNow, KeyboardInterrupt, SystemExit):
        raise
    except Exception:
        obj.handle_error()


def poll(timeout=0.0, map=None):
    """One select."""
    map = socket_map if map is None else map
    if not map:
        return
    readers = [fd for fd, obj in map.items() if obj.readable()]
    writers = [fd for fd, obj in map.items() if obj.writable() and not obj.accepting]
    if not readers and not writers:
        _time.sleep(timeout)
        return
    readable, writable, _ = _select.select(readers, writers, [], timeout)
    for fds, act in ((readable, read), (writable, write)):
        for fd in fds:
            if fd in map:
                act(map[fd])


poll2 = poll3 = poll


def loop(timeout=30.0, use_poll=False, map=None, count=None):
    """Selects until nothing is open, or `count` times."""
    map = socket_map if map is None else map
    while map and (count is None or count > 0):
        poll(timeout, map)
        if count is not None:
            count -= 1


def close_all(map=None):
    """Closes everything."""
    for obj in list((socket_map if map is None else map).values()):
        obj.close()


class dispatcher:
    """A socket and what happens on it."""

    connected = accepting = connecting = closing = False
    addr = None

    def __init__(self, sock=None, map=None):
        self._map = socket_map if map is None else map
        self._fileno = self.socket = None
        if sock is not None:
            sock.setblocking(False)
            self.set_socket(sock, self._map)
            try:
                self.addr = sock.getpeername()
                self.connected = True
            except OSError:
                pass

    def create_socket(self, family=_socket.AF_INET, type=_socket.SOCK_STREAM):
        """A new socket."""
        sock = _socket.socket(family, type)
        sock.setblocking(False)
        self.set_socket(sock)

    def set_socket(self, sock, map=None):
        """Takes a socket."""
        self.socket, self._fileno = sock, sock.fileno()
        (self._map if map is None else map)[self._fileno] = self

    def set_reuse_addr(self):
        """SO_REUSEADDR."""
        self.socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)

    def readable(self):
        """Whether it wants to read."""
        return True

    def writable(self):
        """Whether it wants to write."""
        return True

    def listen(self, backlog):
        """Waits for callers."""
        self.accepting = True
        return self.socket.listen(backlog)

    def bind(self, address):
        """Takes an address."""
        self.addr = address
        return self.socket.bind(address)

    def connect(self, address):
        """Calls."""
        self.connected, self.connecting = False, True
        code = self.socket.connect_ex(address)
        if code in (_errno.EINPROGRESS, _errno.EALREADY, _errno.EWOULDBLOCK):
            self.addr = address
        elif code in (0, _errno.EISCONN):
            self.addr = address
            self._connected()
        else:
            raise OSError(code, _errno.errorcode.get(code, "unknown"))

    def accept(self):
        """(socket, address) of a caller, or None."""
        try:
            return self.socket.accept()
        except BlockingIOError:
            return None

    def send(self, data):
        """Sends what can be sent: how much."""
        try:
            return self.socket.send(_to_bytes(data))
        except BlockingIOError:
            return 0
        except OSError as why:
            if why.errno in _CLOSED:
                self.handle_close()
                return 0
            raise

    def recv(self, size):
        """What came; closed if nothing did."""
        try:
            data = self.socket.recv(size)
        except OSError as why:
            if why.errno not in _CLOSED:
                raise
            data = b""
        if not data:
            self.handle_close()
        return _of_bytes(data)

    def close(self):
        """Closes."""
        self.connected = self.accepting = self.connecting = False
        self._map.pop(self._fileno, None)
        if self.socket is not None:
            self.socket.close()

    def __getattr__(self, name):
        if name in ("socket", "_map"):
            raise AttributeError(name)
        return getattr(self.socket, name)

    def _connected(self):
        code = self.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, _errno.errorcode.get(code, "unknown"))
        self.handle_connect()
        self.connected, self.connecting = True, False

    def handle_read_event(self):
        """Something can be read."""
        if self.accepting:
            self.handle_accept()
            return
        if not self.connected and self.connecting:
            self._connected()
        self.handle_read()

    def handle_write_event(self):
        """Something can be written."""
        if self.accepting:
            return
        if not self.connected and self.connecting:
            self._connected()
        self.handle_write()

    def log(self, message):
        """Says something."""
        _sys.stderr.write("log: %s\n" % message)

    def log_info(self, message, type="info"):
        """Says something."""
        self.log("%s: %s" % (type, message))

    def handle_error(self):
        """Something failed."""
        import traceback

        traceback.print_exc()
        self.handle_close()

    def handle_read(self):
        """To be overridden."""

    def handle_write(self):
        """To be overridden."""

    def handle_connect(self):
        """To be overridden."""

    def handle_accept(self):
        """To be overridden."""

    def handle_close(self):
        """The other side is gone."""
        self.close()


class dispatcher_with_send(dispatcher):
    """The same with what is not sent yet."""

    def __init__(self, sock=None, map=None):
        super().__init__(sock, map)
        self.out_buffer = ""

    def initiate_send(self):
        """Sends some."""
        self.out_buffer = self.out_buffer[dispatcher.send(self, self.out_buffer[:4096]) :]

    def handle_write(self):
        """Sends some."""
        self.initiate_send()

    def writable(self):
        """Whether there is something."""
        return not self.connected or bool(self.out_buffer)

    def send(self, data):
        """Adds something."""
        self.out_buffer += data
        self.initiate_send()


class async_chat(dispatcher):
    """Talk in pieces that end in a terminator."""

    ac_in_buffer_size = ac_out_buffer_size = 4096

    def __init__(self, sock=None, map=None):
        super().__init__(sock, map)
        self.ac_in_buffer, self._out, self.terminator = "", [], None

    def set_terminator(self, term):
        """A string, a number of bytes, or None for all."""
        self.terminator = term

    def get_terminator(self):
        """What was set."""
        return self.terminator

    def handle_read(self):
        """Cuts what came."""
        self.ac_in_buffer += self.recv(self.ac_in_buffer_size)
        while self.ac_in_buffer:
            term = self.terminator
            if not term:
                data, self.ac_in_buffer = self.ac_in_buffer, ""
                self.collect_incoming_data(data)
            elif isinstance(term, int):
                data, self.ac_in_buffer = self.ac_in_buffer[:term], self.ac_in_buffer[term:]
                self.terminator = term - len(data)
                self.collect_incoming_data(data)
                if not self.terminator:
                    self.found_terminator()
            else:
                place = self.ac_in_buffer.find(term)
                if place < 0:
                    # All but what may be the beginning of a terminator.
                    keep = next((n for n in range(len(term) - 1, 0, -1) if self.ac_in_buffer.endswith(term[:n])), 0)
                    data = self.ac_in_buffer[: len(self.ac_in_buffer) - keep]
                    self.ac_in_buffer = self.ac_in_buffer[len(data) :]
                    if data:
                        self.collect_incoming_data(data)
                    return
                data, self.ac_in_buffer = self.ac_in_buffer[:place], self.ac_in_buffer[place + len(term) :]
                if data:
                    self.collect_incoming_data(data)
                self.found_terminator()

    def collect_incoming_data(self, data):
        """To be overridden."""
        raise NotImplementedError("must be implemented in subclass")

    def found_terminator(self):
        """To be overridden."""
        raise NotImplementedError("must be implemented in subclass")

    def push(self, data):
        """Sends a string, in turn."""
        self._out.append(data)
        self.initiate_send()

    def close_when_done(self):
        """Closes when all is sent."""
        self._out.append(None)

    def discard_buffers(self):
        """Forgets what is not sent."""
        self.ac_in_buffer = ""
        del self._out[:]

    def readable(self):
        """Always."""
        return True

    def writable(self):
        """Whether there is something."""
        return bool(self._out) or not self.connected

    def handle_write(self):
        """Sends some."""
        self.initiate_send()

    def initiate_send(self):
        """Sends what can be sent."""
        while self._out and self.connected:
            first = self._out[0]
            if first is None:
                self.handle_close()
                return
            sent = self.send(first[: self.ac_out_buffer_size])
            if sent < len(first):
                self._out[0] = first[sent:]
                return
            del self._out[0]
