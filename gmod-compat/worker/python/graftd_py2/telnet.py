"""`telnetlib`, which Python has no more since 3.13: a client that says no to every option, with strings of Python 2."""

import re
import selectors
import socket
import sys
import time

from .text import of_bytes, to_bytes

TELNET_PORT = 23
DEBUGLEVEL = 0
theNULL = "\0"
SE, NOP, DM, BRK, IP, AO, AYT, EC, EL, GA, SB, WILL, WONT, DO, DONT, IAC = map(chr, range(240, 256))
ECHO, SGA, STATUS, TTYPE, NAWS, TSPEED, LFLOW, LINEMODE, XDISPLOC = map(chr, (1, 3, 5, 24, 31, 32, 33, 34, 35))
_RECEIVE = 4096  # bytes asked for at once


class Telnet:
    """A connection to a telnet server, or to anything that talks in lines."""

    def __init__(self, host=None, port=0, timeout=socket._GLOBAL_DEFAULT_TIMEOUT):
        self.debuglevel, self.host, self.port, self.timeout = DEBUGLEVEL, host, port, timeout
        self.sock = None
        self.rawq, self.cookedq, self.sbdataq = b"", b"", b""
        self.eof, self._option_callback, self._in_option = 0, None, False
        if host is not None:
            self.open(host, port, timeout)

    def open(self, host, port=0, timeout=socket._GLOBAL_DEFAULT_TIMEOUT):
        """Connects."""
        self.eof = 0
        self.host, self.port, self.timeout = host, int(port) or TELNET_PORT, timeout
        self.sock = socket.create_connection((host, self.port), timeout)

    def __del__(self):
        self.close()

    def msg(self, text, *args):
        """Prints what goes on, if the level is above 0."""
        if self.debuglevel > 0:
            sys.stdout.write("Telnet(%s,%s): %s\n" % (self.host, self.port, text % args if args else text))

    def set_debuglevel(self, debuglevel):
        """Sets the level."""
        self.debuglevel = debuglevel

    def close(self):
        """Closes."""
        sock, self.sock = self.sock, None
        self.eof = 1
        if sock is not None:
            sock.close()

    def get_socket(self):
        """The socket."""
        return self.sock

    def fileno(self):
        """Its descriptor."""
        return self.sock.fileno()

    def write(self, text):
        """Sends, with a 255 doubled."""
        data = to_bytes(text)
        self.msg("send %r", text)
        self.sock.sendall(data.replace(b"\xff", b"\xff\xff"))

    def set_option_negotiation_callback(self, callback):
        """Who answers options instead."""
        self._option_callback = callback

    def read_sb_data(self):
        """What came between SB and SE."""
        data, self.sbdataq = self.sbdataq, b""
        return of_bytes(data)

    # --- reading

    def read_until(self, match, timeout=None):
        """All up to and with `match`; less at the end of the connection or of the time (s)."""
        match = to_bytes(match)
        end = None if timeout is None else time.monotonic() + timeout
        seen = 0
        while True:
            self.process_rawq()
            place = self.cookedq.find(match, max(0, seen - len(match)))
            if place >= 0:
                return self._take(place + len(match))
            seen = len(self.cookedq)
            if self.eof or not self._wait(end):
                return self.read_very_lazy()
            self.fill_rawq()

    def read_all(self):
        """All up to the end of the connection."""
        self.process_rawq()
        while not self.eof:
            self.fill_rawq()
            self.process_rawq()
        return self._take(len(self.cookedq))

    def read_some(self):
        """At least one byte, unless the connection ends."""
        self.process_rawq()
        while not self.cookedq and not self.eof:
            self.fill_rawq()
            self.process_rawq()
        return self._take(len(self.cookedq))

    def read_very_eager(self):
        """All that can be had without waiting."""
        self.process_rawq()
        while not self.eof and self._wait(0):
            self.fill_rawq()
            self.process_rawq()
        return self.read_very_lazy()

    def read_eager(self):
        """Something that can be had without waiting."""
        self.process_rawq()
        while not self.cookedq and not self.eof and self._wait(0):
            self.fill_rawq()
            self.process_rawq()
        return self.read_very_lazy()

    def read_lazy(self):
        """What is here already, options taken out."""
        self.process_rawq()
        return self.read_very_lazy()

    def read_very_lazy(self):
        """What is here already."""
        text = self._take(len(self.cookedq))
        if not text and self.eof and not self.rawq:
            raise EOFError("telnet connection closed")
        return text

    def expect(self, list, timeout=None):
        """(index, match, text) of the first regular expression that is found; -1 and None for none."""
        patterns = [re.compile(item) if isinstance(item, str) else item for item in list]
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self.process_rawq()
            text = of_bytes(self.cookedq)
            for index, pattern in enumerate(patterns):
                match = pattern.search(text)
                if match:
                    return index, match, self._take(match.end())
            if self.eof or not self._wait(end):
                break
            self.fill_rawq()
        text = self._take(len(self.cookedq))
        if not text and self.eof:
            raise EOFError
        return -1, None, text

    def sock_avail(self):
        """Whether something can be read."""
        return self._wait(0)

    def _take(self, size):
        data, self.cookedq = self.cookedq[:size], self.cookedq[size:]
        return of_bytes(data)

    def _wait(self, end):
        """Waits until something can be read; False if the time is over. `end` is a time, None, or 0 for not at all."""
        left = None if end is None else max(0, end - time.monotonic()) if end else 0
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            return bool(selector.select(left))

    def fill_rawq(self):
        """One receive."""
        data = self.sock.recv(_RECEIVE)
        self.msg("recv %r", of_bytes(data))
        self.eof = not data
        self.rawq += data

    def process_rawq(self):
        """Takes options out of what was received."""
        raw, self.rawq = self.rawq, b""
        out, place = bytearray(), 0
        while place < len(raw):
            byte = raw[place]
            if byte != 255:
                end = raw.find(b"\xff", place)
                end = len(raw) if end < 0 else end
                chunk = raw[place:end].replace(b"\0", b"").replace(b"\x11", b"")
                if self._in_option:
                    self.sbdataq += chunk
                else:
                    out += chunk
                place = end
                continue
            command = raw[place + 1 : place + 2]
            wide = command and command[0] in (251, 252, 253, 254)
            if not command or (wide and place + 2 >= len(raw)):
                self.rawq = raw[place:]
                break
            if command == b"\xff":
                out += b"\xff"
                place += 2
            elif wide:
                self._option(command[0], raw[place + 2 : place + 3])
                place += 3
            else:
                if command[0] in (240, 250):
                    self._in_option = command[0] == 250
                    if self._in_option:
                        self.sbdataq = b""
                if self._option_callback:
                    self._option_callback(self.sock, of_bytes(command), "\0")
                place += 2
        self.cookedq += bytes(out)

    def _option(self, command, option):
        if self._option_callback:
            self._option_callback(self.sock, chr(command), of_bytes(option))
        else:
            self.sock.sendall(bytes((255, 252 if command in (253, 254) else 254)) + option)
