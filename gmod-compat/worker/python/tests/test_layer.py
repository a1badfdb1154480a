"""What the layer promises to everybody else: isolation, lines of tracebacks, names kept apart, a cache, text at its edge."""

import os
import random
import subprocess
import sys
import tempfile
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import graftd_py2  # noqa: E402
from graftd_py2 import loading, names  # noqa: E402


def load(source, name="old_one", folder="", cache=None, filename="/nonexistent/old_one.py"):
    """A module of source (text is Latin-1)."""
    source = source.encode("latin-1") if isinstance(source, str) else source
    return graftd_py2.load(name, source, filename, folder, {} if cache is None else cache)


class Isolation(unittest.TestCase):
    """Old code's world is old code's alone."""

    OLD = """
import urllib2, urllib, socket, os, sys, subprocess, json, re, string, threading, hashlib, ConfigParser, StringIO, types
import xml.etree.ElementTree, base64, struct, itertools, math, time, collections, csv, gzip, tempfile, pickle
x = 7 / 2
print >>sys.stderr, sorted([1, 'a'])
socket.setdefaulttimeout(12)
def all_of(): return sys.version_info[:2], str(0.1 + 0.2), {}.keys()
"""
    NEW = """
import builtins, math, os, re, socket, string, struct, sys, threading, urllib.request
same = ["%s.%s" % (m.__name__, n) for m, n, v in WAS if getattr(m, n) is not v]
div = 7 / 2
mixed = None
try:
    sorted([1, "a"])
except TypeError:
    mixed = "refused"
version = sys.version_info[0]
page = urllib.request.urlopen("data:text/plain,abc").read()
packed = struct.pack(">H", 1)
keys = type({}.keys()).__name__
shell = os.popen("echo x").read()
lines = open("/proc/self/stat").mode
floor = type(math.floor(2.5)).__name__
fine = not any(n.startswith("_py2") for n in dir(builtins)) and not hasattr(string, "letters")
"""

    def test_new_code_sees_nothing(self):
        """A module of Python 3 that is loaded after an old one works on the standard library as it is."""
        import builtins, math, os as os_, re, socket, string, struct, threading, urllib.request

        modules = (builtins, math, os_, re, socket, string, struct, threading, urllib.request, sys, traceback)
        was = [(m, n, getattr(m, n)) for m in modules for n in dir(m) if not n.startswith("__") and n != "last_exc"]
        stderr, sys.stderr = sys.stderr, open(os.devnull, "w", encoding="utf-8")
        try:
            old = load(self.OLD)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual(old.all_of(), ((2, 7), "0.3", []))
        self.assertEqual(socket.getdefaulttimeout(), 12)
        socket.setdefaulttimeout(None)
        space = {"WAS": was}
        source = self.NEW.encode()
        self.assertFalse(graftd_py2.detect(source))
        exec(compile(source, "new.py", "exec"), space)
        self.assertEqual(space["same"], [])
        self.assertEqual(
            [space[n] for n in "div mixed version page packed keys shell lines floor fine".split()],
            [3.5, "refused", 3, b"abc", b"\0\1", "dict_keys", "x\n", "r", "int", True],
        )

    def test_a_python_3_module_runs_unchanged(self):
        """The same `load` for it."""
        new = load("import sys\nv = sys.version_info[0], 7 / 2\nk = {}.keys()\ndef f(*, a=1): return b'x'\n", "new_one")
        self.assertEqual((new.v, type(new.k).__name__, new.f()), ((3, 3.5), "dict_keys", b"x"))
        self.assertIs(type(new), type(sys))

    def test_old_globals_stay_clean(self):
        """No helper's name among a module's own."""
        old = load("print 1,\nimport os\ndef f((a, b)): return a / b\n[x for x in 'ab']\nt = x\n")
        print()
        own = {n for n in vars(old) if not n.startswith("__")}
        self.assertEqual(own, {"os", "f", "t", "x"})


class Names(unittest.TestCase):
    """Modules of one name are kept apart."""

    def test_an_installed_package_wins(self):
        """In redis.py `import redis` is the package; beside it lie helpers, which are found after all others."""
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as site:
            for path, text in (
                (os.path.join(site, "apkg.py"), "who = 'installed'\n"),
                (os.path.join(folder, "apkg.py"), "print 'never'\n"),
                (os.path.join(folder, "ahelp.py"), "import apkg\nwho = `apkg.who`, 7/2\n"),
            ):
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            from graftd_py2 import importing

            sys.path.append(site)
            importing._path.append(site)
            try:
                source = "import apkg, ahelp\nw = 1 <> 2\nwho = apkg.who, ahelp.who, __name__, __file__\n"
                module = load(source, "apkg", folder)
                self.assertEqual(module.who, ("installed", ("'installed'", 3), "apkg", "/nonexistent/old_one.py"))
                self.assertNotIn("ahelp", sys.modules)
                new = load("import ahelp\nw = ahelp.who[1]\ndef f(*, a): pass\n", "bpkg", folder)
                self.assertEqual(new.w, 3)
            finally:
                sys.path.remove(site)
                importing._path.remove(site)
                for name in ("apkg", "ahelp", "bpkg"):
                    sys.modules.pop(name, None)

    def test_a_package_beside_it(self):
        """A package among the helpers, whose modules import each other relatively, down to a module of a package below."""
        with tempfile.TemporaryDirectory() as folder:
            below = os.path.join(folder, "dpkg_", "below")
            os.makedirs(below)
            for path, text in (
                (os.path.join(below, "__init__.py"), ""),
                (os.path.join(below, "thing.py"), "number = 5\n"),
                (os.path.join(below, os.pardir, "__init__.py"), "from .user import value\n"),
                (os.path.join(below, os.pardir, "user.py"), "from .below import thing\nvalue = thing.number\n"),
            ):
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            module = load("import dpkg_\nw = 1 <> 2\nwho = dpkg_.value\n", "importer", folder)
            self.assertEqual(module.who, 5)

    def test_a_package_for_both_is_one(self):
        """A package that runs on both is run as Python 3 throughout, though some of its files look old."""
        texts = {
            "__init__.py": "from . import wire\n",
            "_compat.py": "import sys\nPY2 = sys.version_info[0] == 2\nif PY2:\n    text = unicode\nelse:\n    text = str\n",
            "wire.py": "import os\nfrom ._compat import PY2\nfrom .cursors import Cursor\n"
            "def read():\n    buff = bytearray()\n    pipe = os.popen('echo a')\n    buff += pipe.buffer.read()\n    return bytes(buff)\n",
            "cursors.py": "class Cursor(object):\n    share = 3 / 2\n",
        }
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "both_"))
            for name, text in texts.items():
                with open(os.path.join(folder, "both_", name), "w", encoding="ascii") as file:
                    file.write(text)
            with open(os.path.join(folder, "alias_.py"), "w", encoding="ascii") as file:
                file.write("import both_\nglobals().update(vars(both_))\n")
            module = load(
                "import alias_\nimport both_.cursors\nw = 1 <> 2\nread = alias_.wire.read()\n"
                "share = alias_.cursors.Cursor.share, both_.cursors.Cursor.share, 3 / 2\n", "both_user", folder
            )
            self.assertEqual(module.read, "a\n")
            self.assertEqual(module.share, (1.5, 1.5, 1))

    def test_folders_that_old_code_adds(self):
        """What lies on a path that old code extends is old too, and so is an installed package that 3 cannot compile."""
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as last, tempfile.TemporaryDirectory() as site:
            for path, text in (
                (os.path.join(first, "json.py"), "who = 'first', 7/2, `1`\n"),
                (os.path.join(last, "json.py"), "who = 'last'\n"),
                (os.path.join(last, "clast.py"), "print >>file('/dev/null', 'w'), 1\nwho = 'last', 7/2\n"),
                (os.path.join(site, "cpkg.py"), "x = `1`\nimport urllib2\nwho = 7/2\n"),
            ):
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            from graftd_py2 import importing

            before = list(sys.path)
            try:
                sys.path.append(site)
                importing._path.append(site)
                module = load(
                    "import sys\nsys.path.insert(0, %r)\nsys.path.append(%r)\nimport clast, cpkg, json\nw = 1 <> 2\n"
                    "who = clast.who, cpkg.who, json.who\n" % (first, last), "adder"
                )
                self.assertEqual(module.who, (("last", 3), 3, ("first", 3, "1")))
            finally:
                sys.path[:] = before
                importing._path.remove(site)

    def test_a_failed_module_leaves_nothing(self):
        """Neither in sys.modules nor elsewhere."""
        before = set(sys.modules)
        with self.assertRaises(ZeroDivisionError):
            load("w = 1 <> 2\nx = 1/0\n", "failing_one")
        self.assertFalse([name for name in set(sys.modules) - before if "failing_one" in name])


class Lines(unittest.TestCase):
    """Tracebacks show the original."""

    def test_traceback(self):
        """File, line and text of what was written, not of what was made of it."""
        source = "# -*- coding: latin-1 -*-\ndef f((a, b)):\n    # \xe9\n    x = a / \\\n        b\n    return x\nw = 1 <> 2\n"
        old = load(source + "def g():\n    return f((1, 0)) # \xfc\n")
        try:
            old.g()
            self.fail("nothing raised")
        except ZeroDivisionError:
            text = traceback.format_exc()
            shown = [(f.name, f.lineno) for f in traceback.extract_tb(sys.exc_info()[2]) if f.filename == "/nonexistent/old_one.py"]
        self.assertEqual(shown, [("g", 9), ("f", 4)])
        self.assertIn("return f((1, 0)) # \xfc", text)
        self.assertLessEqual(text.count("graftd_py2"), 1 if sys.version_info < (3, 11) else 0)
        self.assertNotIn("^", "".join(line for line in text.split("\n") if "f((1" in line))

    def test_syntax_error(self):
        """The line of what is neither Python 2 nor 3."""
        with self.assertRaises(SyntaxError) as caught:
            load("print 'x'\ny = = 2\n")
        why = caught.exception
        self.assertEqual((why.lineno, why.filename, why.text), (2, "/nonexistent/old_one.py", "y = = 2"))

    def test_whose_words(self):
        """Of two parsers the one that got farther is heard; a bracket is told where it opens."""
        old, new, tail = "print 'x'\n", "import os\nd = {'a': 1}\n", "def f(a):\n    return a\n"
        for source, line, words in (
            (old + "y = = 2\n" + tail, 2, "invalid syntax"),
            (old + "y = (1,\n" + tail, 2, "'(' was never closed"),
            (old + "y = f([1, 2)\n" + tail, 2, None),
            (new + "y = (1,\n" + tail + "z = [2]\n", 3, "was never closed"),
            (new + "def g(a)\n    pass\n" + tail, 3, None),
            ("print 'x' y\n", 1, "invalid syntax"),
            ("w = 1\nx: int = 2\ny = = 3\n", 3, None),
            ("def f(a, /, b=1):\n    return a\ny = = 3\n", 3, None),
            ("# graftd: python2\nw = 1\nx: int = 2\ny = = 3\n", 3, None),
        ):
            with self.subTest(source):
                with self.assertRaises(SyntaxError) as caught:
                    load(source)
                why = caught.exception
                self.assertEqual((why.lineno, why.filename), (line, "/nonexistent/old_one.py"), why)
                self.assertIsNone(why.__cause__)
                self.assertTrue(why.__suppress_context__)
                if words and sys.version_info >= (3, 10):
                    self.assertIn(words, why.msg)

    def test_nothing_but_syntax_errors(self):
        """Whatever is fed to the parser."""
        with open(os.path.join(HERE, "snippets", "language.txt"), encoding="latin-1") as file:
            text = file.read()
        chance = random.Random(20121221)
        pieces = list("()[]{}:,;.=`'\"\\\n\t @") + "print exec def class lambda if else for in yield not is 0x 1e u'".split()
        from graftd_py2 import statements

        for _ in range(300):
            start = chance.randrange(len(text) - 400)
            cut = list(text[start : start + chance.randrange(1, 400)])
            for _ in range(chance.randrange(4)):
                cut[chance.randrange(len(cut))] = chance.choice(pieces)
            try:
                statements.parse("".join(cut))
            except SyntaxError:
                pass
        for deep in ("(" * 5000, "[" * 5000 + "]" * 5000, "x = " + "-" * 5000 + "1", "not " * 5000 + "x", "if 1:\n" * 3):
            with self.assertRaises(SyntaxError):
                statements.parse(deep)
        statements.parse("x = " + " + ".join(["1"] * 5000))
        loading.convert(b"x = " + b" + ".join([b"'a'"] * 900) + b"\n", "x.py")


class Cache(unittest.TestCase):
    """What was converted once is not converted again."""

    def test_hit(self):
        """The cache holds bytes under hexadecimal sums, and is all that is needed."""
        cache = {}
        source = "w = 1 <> 2\nv = 7/2\n"
        self.assertEqual(load(source, cache=cache).v, 3)
        ((key, kept),) = cache.items()
        self.assertRegex(key, "^[0-9a-f]{64}$")
        self.assertIsInstance(kept, bytes)
        self.assertEqual(load(source, cache=dict(cache)).v, 3)
        other = dict.fromkeys(cache, b"2garbage")
        self.assertEqual(load(source, cache=other).v, 3)
        self.assertEqual(other, cache)

    def test_a_hit_is_cheap(self):
        """No parser of either Python is loaded, no OpenSSL, no email."""
        cache = {}
        source = "import socket, time, os, re, string\nw = 1 <> 2\nv = string.split('a b')\n"
        load(source, cache=cache)
        script = (
            "import sys; sys.path.insert(0, %r)\nimport graftd_py2\n"
            "m = graftd_py2.load('old_one', %r, '/nonexistent/old_one.py', '', %r)\nassert m.v == ['a', 'b']\n"
            "print([n for n in ('ast', 'tokenize', 'hashlib', 'ssl', 'email', 'graftd_py2.statements', 'graftd_py2.clues')"
            " if n in sys.modules])"
        ) % (os.path.dirname(HERE), source.encode(), cache)
        run = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
        self.assertEqual((run.stdout, run.stderr), ("[]\n", ""))


class Edge(unittest.TestCase):
    """Text goes in and comes out as text."""

    def test_text(self):
        """Old code counts bytes; whoever calls it does not."""
        old = load(
            "w = 1 <> 2\ndef size(s): return len(s)\ndef same(s): return s\ndef latin(s): return '\\xe9' + s\n"
            "def desc(p): return [{'name': p.keys()[0], 'call_back': same, u'k': (u'\\xe9', 'caf\\xc3\\xa9')}]\n"
            "class V(dict): pass\ndef sub(): return V(a='\\xc3\\xa9')\nn = 'caf\\xc3\\xa9'\n"
        )
        self.assertEqual((old.size("\u20ac"), old.same("\u20ac"), old.latin("\u20ac"), old.n), (3, "\u20ac", "\xe9\u20ac", "caf\xe9"))
        (found,) = old.desc({"n\xe4me": 1})
        self.assertEqual(found["name"], "n\xe4me")
        self.assertEqual(found["k"], ("\xe9", "caf\xe9"))
        self.assertEqual(found["call_back"](found["name"]), "n\xe4me")
        self.assertEqual(old.sub(), {"a": "\xe9"})
        self.assertEqual(old.same([1, None, 2.5, True, {"a": b"\xff"}]), [1, None, 2.5, True, {"a": "\xff"}])

    def test_rules_and_names(self):
        """Every attribute that has rules is watched for, and no other."""
        loading.old_builtins()
        from graftd_py2 import attrs

        self.assertEqual(set(attrs.METHODS) | set(attrs.VALUES), set(names.WATCHED))

    def test_facades(self):
        """Every facade can be made."""
        from graftd_py2 import facades

        loading.old_builtins()
        for name in facades._HOME_OF:
            with self.subTest(name):
                try:
                    self.assertIsNotNone(facades.get(name))
                except ImportError as why:
                    # Some builds of Python leave out a database.
                    self.assertIn("dbm", str(why))


if __name__ == "__main__":
    unittest.main()
