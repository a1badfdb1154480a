"""Which source is Python 2."""

import glob
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import graftd_py2  # noqa: E402

TWO = r"""
print "x"
print >>f, x
print
exec "x" in d
raise ValueError, "x"
x = 0777
x = 10L
x = `y`
if a <> b: pass
x = ur'abc'
try: pass
except IOError, e: pass
def f((a, b)): pass
import urllib2
import ConfigParser, os
from StringIO import StringIO
import cPickle as pickle
import httplib, urllib
import commands
from Queue import Queue
import thread
if d.has_key('x'): pass
for k, v in d.iteritems(): pass
x = unicode(y)
for i in xrange(3): pass
x = isinstance(y, basestring)
x = raw_input()
n = long(x)
print ("a %s") % x
print ("a"), b
import urllib; urllib.urlopen(x)
from urllib import urlencode
import os; os.getcwdu()
import sys; sys.maxint
import string; string.join(x)
from string import atoi
from itertools import izip
import types; types.StringType
l.sort(lambda a, b: cmp(a, b))
l.sort(f)
x = sorted(y, cmp=f)
x = it.next()
class A:|    __metaclass__ = M
class A:|    def __nonzero__(self): return 1
class A:|    def __iter__(self): return self|    def next(self): pass
k = d.keys(); k.sort()
k = d.keys()[0]
x = d.items() + e.items()
x = map(f, y)[0]
x = range(len(y) / 2)
x = y[len(y) / 2]
x = reduce(f, y)
x = file('/etc/passwd')
execfile('x')
s.send("stats\r\n")
s.sendall('GET %s' % x)
out = p.communicate()[0].split('\n')
out = p.communicate()[0]|for l in out.split('\n'): pass
out, err = p.communicate()|if 'x' in out: pass
out = subprocess.check_output(c).strip().split('\n')
data = ''|data = s.recv(10)|x = data.split(' ')
p = Popen(c)|for l in p.stdout:|    x = l.split(':')
x = hashlib.md5('x' + y)
x = base64.b64encode('%s:%s' % (u, p))
x = y.encode('hex')
try: pass|except ValueError as e:|    x = e.message
try: pass|except ValueError as e:|    x = e[0]
p.stdin.write('x\n')
#!/usr/bin/env python2
# graftd: python2
#!/usr/bin/python3|# graftd: python2
if 1:|        a = 1|	b = 2
import time; time.clock()
# -*- coding: latin-1 -*-|print "x"
"""

THREE = r"""
x = 1
import os|def metric_init(params): return []
print("x")
print(f"x {y}")
print("x", end="")
print("x", file=f)
def f(a: int) -> str: pass
x: int = 3
async def f(): await g()
def f():|    nonlocal x
def f(*, a): pass
class A(metaclass=M): pass
super().__init__()
from urllib.request import urlopen
import http.client, configparser
import queue
try: import urllib2|except ImportError: import urllib.request as urllib2
try: import ConfigParser|except ImportError: import configparser as ConfigParser
try:|    unicode|except NameError:|    unicode = str
import sys|if sys.version_info[0] >= 3: unicode = str|else: import urllib2
x = s.recv(10).decode('ascii')
x = s.recv(10).decode()
x = p.communicate()[0].decode('utf-8').split('\n')
out = subprocess.check_output(c, universal_newlines=True)|x = out.split('\n')
out = subprocess.check_output(c, text=True).split('\n')
s.send(b"stats\r\n")
s.send("stats".encode())
x = 7 / 2
for k in d.keys(): pass
k = sorted(d.keys())
for k, v in d.items(): pass
x = open('/proc/stat').read().split('\n')
x = '%s' % y
u = u'x'
from functools import reduce|x = reduce(f, y)
x = next(it)
l.sort(key=f)
l.sort()
try: pass|except ValueError as e: x = str(e)
raise ValueError("x") from e
x = map(f, y)
import string; string.ascii_letters
from collections.abc import Mapping
from __future__ import print_function|print("x")
from __future__ import division|x = 1 / 2
# -*- coding: utf-8 -*-|x = 1
#!/usr/bin/python3|import urllib2
# graftd: python3|print "x"
print(f"x"|
def f(a: int):|  retrun 1 2
try: open(x)|except FileNotFoundError: pass
subprocess.run(c)
if (n := 3): pass
import json, socket, re, time, threading, subprocess
x = y // 2
string = "a,b"|x = string.split(",")
def f(time, types): return time.clock, types.StringType
def f(p): p['x'].append(1); return {'a': 1}.get('a')
"""


class Detection(unittest.TestCase):
    """A line a source; `|` is a line's end."""

    def check(self, text, two):
        """Every line of `text`."""
        for line in text.strip("\n").split("\n"):
            with self.subTest(line):
                self.assertIs(graftd_py2.detect((line.replace("|", "\n") + "\n").encode()), two)

    def test_two(self):
        """Python 2."""
        self.check(TWO, True)

    def test_three(self):
        """Python 3, or both."""
        self.check(THREE, False)

    def test_bytes(self):
        """Sources that are no UTF-8, with and without a cookie, with a mark before, empty, or no text at all."""
        self.assertTrue(graftd_py2.detect(b"# \xe9\nprint 'x'\n"))
        self.assertTrue(graftd_py2.detect(b"# -*- coding: nonsense -*-\nprint '\xe9'\n"))
        self.assertTrue(graftd_py2.detect(b"\xef\xbb\xbfprint 'x'\r\n"))
        self.assertFalse(graftd_py2.detect(b""))
        self.assertFalse(graftd_py2.detect(b"\xef\xbb\xbfx = 1\n"))
        for junk in (b"\0", b"\xff\xfe\0", b"(" * 10000, b"\\", b"x = '", b"#coding:utf-16\nx"):
            self.assertIn(graftd_py2.detect(junk), (True, False))

    def test_modules(self):
        """The old modules are old; the standard library, which is Python 3 throughout, is not."""
        both = {"bothhelper.py", "__init__.py"}
        for path in glob.glob(os.path.join(HERE, "modules", "**", "*.py"), recursive=True):
            with open(path, "rb") as file, self.subTest(path):
                if os.path.basename(path) not in both:
                    self.assertTrue(graftd_py2.detect(file.read()))
        for path in sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py"))):
            with open(path, "rb") as file, self.subTest(path):
                self.assertFalse(graftd_py2.detect(file.read()))

    def test_time(self):
        """500 lines take no 20 ms of CPU; the best of several, for machines are busy."""
        with open(os.path.join(HERE, "modules", "conf_csv.py"), "rb") as file:
            lines = file.read().split(b"\n")
        source = b"\n".join((lines * 6)[:500])
        best = 1.0
        for _ in range(7):
            start = time.process_time()
            graftd_py2.detect(source)
            best = min(best, time.process_time() - start)
        self.assertLess(best, 0.02)


if __name__ == "__main__":
    unittest.main()
