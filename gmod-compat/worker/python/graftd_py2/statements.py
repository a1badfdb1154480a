"""The statements of Python 2.7, from tokens to an `ast.Module` (with the nodes of `nodes.py`)."""

import ast
import re
import sys

from . import nodes
from .expressions import Expressions
from .tokens import DEDENT, END, INDENT, KEYWORDS, NAME, NEWLINE, tokenize

_AUGMENTED = {
    "+=": ast.Add, "-=": ast.Sub, "*=": ast.Mult, "/=": ast.Div, "//=": ast.FloorDiv, "%=": ast.Mod, "&=": ast.BitAnd,
    "|=": ast.BitOr, "^=": ast.BitXor, "<<=": ast.LShift, ">>=": ast.RShift, "**=": ast.Pow,
}
_FUTURE = re.compile(r"^[ \t]*from[ \t]+__future__[ \t]+import[ \t]*(\([^)]*\)|[^\n;#]*)", re.MULTILINE)
_STOPS = frozenset((NEWLINE, ";", END))
_HAS_TYPE_PARAMS = sys.version_info >= (3, 12)


def futures(text):
    """The names that `text` takes from `__future__`."""
    names = set()
    for found in _FUTURE.finditer(text):
        names.update(re.findall(r"[a-z_]+", found.group(1)))
    return names


def parse(text, filename="<source>", encoding="utf-8"):
    """The tree of Python 2 source. Raises SyntaxError with the place in `text`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    future = futures(text)
    keywords = KEYWORDS - {"print"} if "print_function" in future else KEYWORDS
    tokens = tokenize(text, filename, keywords)
    parser = Statements(tokens, text, filename, encoding, "unicode_literals" in future)
    try:
        return parser.module()
    except RecursionError:
        return parser.fail("too many nested brackets or blocks")


def parse_expression(text, filename="<string>", encoding="utf-8", future=()):
    """The same for one expression: an `ast.Expression`."""
    keywords = KEYWORDS - {"print"} if "print_function" in future else KEYWORDS
    tokens = tokenize(text.strip(" \t\n"), filename, keywords)
    parser = Statements(tokens, text, filename, encoding, "unicode_literals" in future)
    body = parser.test_list()
    parser.accept(NEWLINE)
    parser.expect(END)
    return ast.Expression(body)


class Statements(Expressions):
    """What is not an expression."""

    def module(self):
        """All of a file."""
        body = []
        while self.kind != END:
            if not self.accept(NEWLINE):
                body.extend(self.statement())
        return ast.Module(body, [])

    def statement(self):
        """One compound statement, or the simple ones of a line: a list."""
        compound = _COMPOUND.get(self.kind)
        if compound:
            self._deeper()
            made = [compound(self)]
            self.nesting -= 1
            return made
        return self.simple_line()

    def simple_line(self):
        """`a; b; c` and the end of the line."""
        made = []
        while True:
            simple = _SIMPLE.get(self.kind)
            made.append(simple(self) if simple else self.expression_statement())
            if not self.accept(";") or self.kind == NEWLINE:
                break
        self.expect(NEWLINE)
        return made

    def block(self):
        """What stands behind a colon."""
        self.expect(":")
        if not self.accept(NEWLINE):
            return self.simple_line()
        if self.kind != INDENT:
            self.fail("expected an indented block")
        self.step()
        body = []
        while not self.accept(DEDENT):
            body.extend(self.statement())
        return body

    # --- simple statements

    def expression_statement(self):
        """An expression, an assignment, an augmented assignment."""
        start = self.at
        value = self.yield_() if self.kind == "yield" else self.test_list()
        if self.kind in _AUGMENTED:
            operator = _AUGMENTED[self.step().kind]()
            right = self.yield_() if self.kind == "yield" else self.test_list()
            return self.node(ast.AugAssign, start, self.store(value), operator, right)
        if self.kind != "=":
            return self.node(ast.Expr, start, value)
        targets = []
        while self.accept("="):
            targets.append(self.store(value))
            value = self.yield_() if self.kind == "yield" else self.test_list()
        return self.node(ast.Assign, start, targets, value)

    def print_(self):
        """`print a, b`, `print >>f, a,`."""
        start = self.step()
        dest, values, newline = None, [], True
        if self.accept(">>"):
            dest = self.test()
            if self.kind not in _STOPS:
                self.expect(",")
        while self.kind not in _STOPS:
            values.append(self.test())
            newline = not self.accept(",")
            if newline:
                break
        if not values:
            newline = True
        return self.node(nodes.Print, start, dest, values, newline)

    def exec_(self):
        """`exec code in globals, locals`."""
        start = self.step()
        body = self.binary(1)
        spaces = [None, None]
        if self.accept("in"):
            spaces[0] = self.test()
            if self.accept(","):
                spaces[1] = self.test()
        return self.node(nodes.Exec, start, body, *spaces)

    def raise_(self):
        """`raise type, value, traceback`."""
        start = self.step()
        parts = []
        while self.kind not in _STOPS and len(parts) < 3:
            parts.append(self.test())
            if not self.accept(","):
                break
        return self.node(nodes.Raise, start, *(parts + [None] * (3 - len(parts))))

    def del_(self):
        """`del a, b[c]`."""
        start = self.step()
        value = self.test_list()
        targets = value.elts if isinstance(value, ast.Tuple) else [value]
        return self.node(ast.Delete, start, [self._deleted(target) for target in targets])

    def _deleted(self, target):
        target = self.store(target)
        target.ctx = ast.Del()
        if isinstance(target, (ast.Tuple, ast.List)):
            target.elts = [self._deleted(item) for item in target.elts]
        return target

    def return_(self):
        """`return a, b`."""
        start = self.step()
        return self.node(ast.Return, start, None if self.kind in _STOPS else self.test_list())

    def global_(self):
        """`global a, b`."""
        start = self.step()
        names = [self.expect(NAME).text]
        while self.accept(","):
            names.append(self.expect(NAME).text)
        return self.node(ast.Global, start, names)

    def assert_(self):
        """`assert a, b`."""
        start = self.step()
        condition = self.test()
        return self.node(ast.Assert, start, condition, self.test() if self.accept(",") else None)

    def import_(self):
        """`import a.b as c, d`."""
        start = self.step()
        return self.node(ast.Import, start, self._aliases(self._dotted))

    def from_(self):
        """`from ..a import b as c`."""
        start = self.step()
        level = 0
        while self.accept("."):
            level += 1
        module = None if self.kind == "import" and level else self._dotted()
        self.expect("import")
        if self.kind == "*":
            place = self.step()
            return self.node(ast.ImportFrom, start, module, [self.node(ast.alias, place, "*", None)], level)
        closed = self.accept("(")
        names = self._aliases(lambda: self.expect(NAME).text)
        if closed:
            self.expect(")")
        return self.node(ast.ImportFrom, start, module, names, level)

    def _dotted(self):
        parts = [self.expect(NAME).text]
        while self.accept("."):
            parts.append(self.expect(NAME).text)
        return ".".join(parts)

    def _aliases(self, name):
        found = []
        while True:
            start = self.at
            what, other = name(), None
            if self.kind == "as" or (self.kind == NAME and self.at.text == "as"):
                self.step()
                other = self.expect(NAME).text
            found.append(self.node(ast.alias, start, what, other))
            if not self.accept(",") or self.kind == ")":
                return found

    # --- compound statements

    def if_(self):
        """`if`, and an `elif` as an `if` of its own."""
        start = self.step()
        condition = self.test()
        body, others = self.block(), []
        if self.kind == "elif":
            others = [self._elif()]
        elif self.accept("else"):
            others = self.block()
        return self.node(ast.If, start, condition, body, others)

    def _elif(self):
        # A chain of elifs is long rather than deep: no recursion.
        chain = []
        while self.kind == "elif":
            start = self.step()
            condition = self.test()
            chain.append(self.node(ast.If, start, condition, self.block(), []))
        last = self.block() if self.accept("else") else []
        for link in reversed(chain):
            link.orelse = last
            last = [link]
        return chain[0]

    def while_(self):
        """`while`."""
        start = self.step()
        condition = self.test()
        body = self.block()
        return self.node(ast.While, start, condition, body, self.block() if self.accept("else") else [])

    def for_(self):
        """`for`."""
        start = self.step()
        target = self.targets()
        self.expect("in")
        source = self.test_list()
        body = self.block()
        return self.node(ast.For, start, target, source, body, self.block() if self.accept("else") else [])

    def with_(self):
        """`with a as b, c as d`."""
        start = self.step()
        items = []
        while True:
            value, target = self.test(), None
            if self.accept("as"):
                target = self.store(self.binary(1))
            items.append(ast.withitem(value, target))
            if not self.accept(","):
                break
        return self.node(ast.With, start, items, self.block())

    def try_(self):
        """`try`; a handler's name is any target, in `name` (`lower.py` makes a name of it)."""
        start = self.step()
        body, handlers, others, last = self.block(), [], [], []
        while self.kind == "except":
            place = self.step()
            kind = target = None
            if self.kind != ":":
                kind = self.test()
                if self.accept("as") or self.accept(","):
                    target = self.store(self.test())
            handlers.append(self.node(ast.ExceptHandler, place, kind, target, self.block()))
        if handlers and self.accept("else"):
            others = self.block()
        if self.accept("finally"):
            last = self.block()
        if not handlers and not last:
            self.fail()
        return self.node(ast.Try, start, body, handlers, others, last)

    def parameters(self, closer):
        """(ast.arguments, [(name, target)]): names stand for the tuples among the parameters."""
        names, defaults, unpacked = [], [], []
        star = stars = None
        while self.kind != closer:
            start = self.at
            if self.accept("*"):
                star = self.node(ast.arg, start, self.expect(NAME).text, None)
            elif self.accept("**"):
                stars = self.node(ast.arg, start, self.expect(NAME).text, None)
            else:
                target = self._parameter()
                if isinstance(target, ast.Tuple):
                    name = "_py2_arg%d" % self.unnamed
                    self.unnamed += 1
                    unpacked.append((name, target))
                else:
                    name = target.id
                names.append(self.node(ast.arg, start, name, None))
                if self.accept("="):
                    defaults.append(self.test())
                elif defaults:
                    self.fail("non-default argument follows default argument")
            if not self.accept(","):
                break
        return ast.arguments([], names, star, [], [], stars, defaults), unpacked

    def _parameter(self):
        start = self.at
        if not self.accept("("):
            return self.node(ast.Name, start, self.expect(NAME).text, ast.Store())
        items = [self._parameter()]
        single = True
        while self.accept(","):
            single = False
            if self.kind == ")":
                break
            items.append(self._parameter())
        self.expect(")")
        return items[0] if single else self.node(ast.Tuple, start, items, ast.Store())

    def def_(self, decorators=()):
        """A function."""
        start = self.step()
        name = self.expect(NAME).text
        self.expect("(")
        arguments, unpacked = self.parameters(")")
        self.expect(")")
        body = self.block()
        if unpacked:
            made = [
                self.node(ast.Assign, start, [target], self.node(ast.Name, start, arg, ast.Load()))
                for arg, target in unpacked
            ]
            body[0:0] = made
        made = self.node(ast.FunctionDef, start, name, arguments, body, list(decorators), None)
        if _HAS_TYPE_PARAMS:
            made.type_params = []
        return made

    def class_(self, decorators=()):
        """A class."""
        start = self.step()
        name = self.expect(NAME).text
        bases = []
        if self.accept("("):
            while self.kind != ")":
                bases.append(self.test())
                if not self.accept(","):
                    break
            self.expect(")")
        made = self.node(ast.ClassDef, start, name, bases, [], self.block(), list(decorators))
        if _HAS_TYPE_PARAMS:
            made.type_params = []
        return made

    def decorated(self):
        """`@a` lines and what they stand before."""
        decorators = []
        while self.accept("@"):
            decorators.append(self.test())
            self.expect(NEWLINE)
        if self.kind == "class":
            return self.class_(decorators)
        if self.kind != "def":
            self.fail()
        return self.def_(decorators)


def _plain(cls):
    return lambda self: self.node(cls, self.step())


_SIMPLE = {
    "print": Statements.print_, "exec": Statements.exec_, "raise": Statements.raise_, "del": Statements.del_,
    "return": Statements.return_, "global": Statements.global_, "assert": Statements.assert_, "import": Statements.import_,
    "from": Statements.from_, "pass": _plain(ast.Pass), "break": _plain(ast.Break), "continue": _plain(ast.Continue),
}
_COMPOUND = {
    "if": Statements.if_, "while": Statements.while_, "for": Statements.for_, "with": Statements.with_,
    "try": Statements.try_, "def": Statements.def_, "class": Statements.class_, "@": Statements.decorated,
}
