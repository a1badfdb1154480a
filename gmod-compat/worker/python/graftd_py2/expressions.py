"""The expressions of Python 2.7, from tokens to `ast` nodes."""

import ast

from . import literals, nodes
from .tokens import NAME, NUMBER, STRING, error

NEST_MAX = 90
"""How deep brackets may nest; CPython 2 gave up at about 100 too ("s_push: parser stack overflow")."""

_BINARY = {
    "|": (1, ast.BitOr), "^": (2, ast.BitXor), "&": (3, ast.BitAnd), "<<": (4, ast.LShift), ">>": (4, ast.RShift),
    "+": (5, ast.Add), "-": (5, ast.Sub), "*": (6, ast.Mult), "/": (6, ast.Div), "%": (6, ast.Mod), "//": (6, ast.FloorDiv),
}
_UNARY = {"+": ast.UAdd, "-": ast.USub, "~": ast.Invert}
_COMPARE = {
    "<": ast.Lt, ">": ast.Gt, "==": ast.Eq, ">=": ast.GtE, "<=": ast.LtE, "<>": ast.NotEq, "!=": ast.NotEq, "in": ast.In,
}
_LITERALS = {"None": None, "True": True, "False": False}
_CLOSERS = frozenset((")", "]", "}", "NEWLINE", "=", ";", ":", "in", "END"))


class Expressions:
    """Recursive descent over `self.tokens`; `self.at` is the current one and `self.kind` its kind."""

    def __init__(self, tokens, text, filename, encoding, unicode_literals):
        self.tokens, self.text, self.filename = tokens, text, filename
        self.encoding, self.unicode_literals = encoding, unicode_literals
        self.index, self.at, self.kind = 0, tokens[0], tokens[0].kind
        self.nesting = 0
        self.unnamed = 0

    # --- tokens

    def step(self):
        """Takes the current token."""
        token = self.at
        if self.index + 1 < len(self.tokens):  # END stays
            self.index += 1
        self.at = self.tokens[self.index]
        self.kind = self.at.kind
        return token

    def accept(self, kind):
        """Takes the current token if it is of this kind."""
        if self.kind == kind:
            self.step()
            return True
        return False

    def expect(self, kind):
        """Takes the current token, which must be of this kind."""
        if self.kind != kind:
            self.fail()
        return self.step()

    def fail(self, why="invalid syntax"):
        """Raises a SyntaxError at the current token."""
        raise error(why, self.filename, self.text, self.at.line, self.at.col)

    def peek(self):
        """The kind of the token after the current one."""
        return self.tokens[self.index + 1].kind if self.index + 1 < len(self.tokens) else "END"

    @staticmethod
    def node(cls, place, *values):
        """A node at a token's or another node's place."""
        made = cls(*values)
        if isinstance(place, ast.AST):
            made.lineno, made.col_offset = place.lineno, place.col_offset
        else:
            made.lineno, made.col_offset = place.line, place.col
        return made

    # --- lists of expressions

    def test_list(self, item=None):
        """`test (',' test)* [',']`: one expression, or a tuple of them."""
        item = item or self.test
        start = self.at
        first = item()
        if self.kind != ",":
            return first
        items = [first]
        while self.accept(","):
            if self.kind in _CLOSERS or self._augmented():
                break
            items.append(item())
        return self.node(ast.Tuple, start, items, ast.Load())

    def _augmented(self):
        return self.kind[-1] == "=" and self.kind not in ("==", "<=", ">=", "!=")

    def targets(self):
        """What stands between `for` and `in`."""
        return self.store(self.test_list(lambda: self.binary(1)))

    def store(self, node):
        """Makes a target of an expression."""
        kind = type(node)
        if kind in (ast.Name, ast.Attribute, ast.Subscript):
            node.ctx = ast.Store()
        elif kind in (ast.Tuple, ast.List):
            node.ctx = ast.Store()
            for item in node.elts:
                self.store(item)
        elif kind is ast.Constant and getattr(node, "py2_name", None) in ("True", "False"):
            # `True, False = 1, 0`, for a Python older than 2.3. Nobody reads this name.
            return self.node(ast.Name, node, "_py2_" + node.py2_name, ast.Store())
        else:
            raise error("can't assign to this", self.filename, self.text, node.lineno, node.col_offset)
        if kind in (ast.Tuple, ast.List):
            node.elts = [self.store(item) if type(item) is ast.Constant else item for item in node.elts]
        return node

    # --- operators, from the loosest to the tightest

    def test(self):
        """An expression."""
        if self.kind == "lambda":
            return self.lambda_(self.test)
        start = self.at
        body = self.or_test()
        if self.kind != "if":
            return body
        self.step()
        condition = self.or_test()
        self.expect("else")
        return self.node(ast.IfExp, start, condition, body, self.test())

    def old_test(self):
        """An expression without a bare `x if y else z`: what a comprehension's `in` and `if` take."""
        return self.lambda_(self.old_test) if self.kind == "lambda" else self.or_test()

    def lambda_(self, body):
        """`lambda arguments: body`."""
        start = self.step()
        arguments, unpacked = self.parameters(":")
        self.expect(":")
        value = body()
        for name, target in reversed(unpacked):
            # lambda (a, b): x  is  lambda t: [x for a, b in [t]][0]
            source = self.node(ast.List, start, [self.node(ast.Name, start, name, ast.Load())], ast.Load())
            comp = self.node(ast.ListComp, start, value, [ast.comprehension(target, source, [], 0)])
            comp.py2_own_scope = True
            value = self.node(ast.Subscript, start, comp, self.node(ast.Constant, start, 0), ast.Load())
        return self.node(ast.Lambda, start, arguments, value)

    def or_test(self):
        """`a or b`."""
        return self._boolean("or", ast.Or, self.and_test)

    def and_test(self):
        """`a and b`."""
        return self._boolean("and", ast.And, self.not_test)

    def _boolean(self, word, operator, item):
        start = self.at
        first = item()
        if self.kind != word:
            return first
        values = [first]
        while self.accept(word):
            values.append(item())
        return self.node(ast.BoolOp, start, operator(), values)

    def not_test(self):
        """`not a`."""
        if self.kind == "not":
            self._deeper()
            start = self.step()
            made = self.node(ast.UnaryOp, start, ast.Not(), self.not_test())
            self.nesting -= 1
            return made
        return self.comparison()

    def comparison(self):
        """`a < b <= c`."""
        start = self.at
        left = self.binary(1)
        operators, others = [], []
        while True:
            if self.kind in _COMPARE:
                operators.append(_COMPARE[self.step().kind]())
            elif self.kind == "is":
                self.step()
                operators.append(ast.IsNot() if self.accept("not") else ast.Is())
            elif self.kind == "not" and self.peek() == "in":
                self.step()
                self.step()
                operators.append(ast.NotIn())
            else:
                break
            others.append(self.binary(1))
        return self.node(ast.Compare, start, left, operators, others) if operators else left

    def binary(self, least):
        """Operators from `|` (1) to `*` (6), by precedence climbing."""
        start = self.at
        left = self.factor()
        while True:
            found = _BINARY.get(self.kind)
            if found is None or found[0] < least:
                return left
            self.step()
            left = self.node(ast.BinOp, start, left, found[1](), self.binary(found[0] + 1))

    def factor(self):
        """`-a`, `a ** b`."""
        if self.kind in _UNARY:
            self._deeper()
            start = self.step()
            operand = self.factor()
            self.nesting -= 1
            return self.node(ast.UnaryOp, start, _UNARY[start.kind](), operand)
        start = self.at
        base = self.primary()
        if self.accept("**"):
            return self.node(ast.BinOp, start, base, ast.Pow(), self.factor())
        return base

    def _deeper(self):
        self.nesting += 1
        if self.nesting > NEST_MAX:
            self.fail("too many nested brackets")

    # --- what binds tightest

    def primary(self):
        """An atom and the calls, indices and attributes behind it."""
        start = self.at
        self._deeper()
        value = self.atom()
        while True:
            if self.kind == ".":
                self.step()
                value = self.node(ast.Attribute, start, value, self.expect(NAME).text, ast.Load())
            elif self.kind == "(":
                self.step()
                value = self.call(start, value)
            elif self.kind == "[":
                self.step()
                value = self.node(ast.Subscript, start, value, self.subscript(), ast.Load())
                self.expect("]")
            else:
                self.nesting -= 1
                return value

    def atom(self):
        """A name, a literal, or something in brackets."""
        start = self.at
        kind = self.kind
        if kind == NAME:
            self.step()
            if start.text in _LITERALS:
                made = self.node(ast.Constant, start, _LITERALS[start.text])
                made.py2_name = start.text
                return made
            return self.node(ast.Name, start, start.text, ast.Load())
        if kind == NUMBER:
            self.step()
            try:
                return self.node(ast.Constant, start, literals.number(start.text))
            except ValueError:
                raise error("invalid token", self.filename, self.text, start.line, start.col) from None
        if kind == STRING:
            return self.strings()
        if kind == "(":
            self.step()
            if self.accept(")"):
                return self.node(ast.Tuple, start, [], ast.Load())
            value = self.yield_() if self.kind == "yield" else self._list_or_for(ast.GeneratorExp)
            self.expect(")")
            if isinstance(value, (ast.Tuple, ast.GeneratorExp)):
                value.lineno, value.col_offset = start.line, start.col
            return value
        if kind == "[":
            self.step()
            if self.accept("]"):
                return self.node(ast.List, start, [], ast.Load())
            value = self._list_or_for(ast.ListComp)
            self.expect("]")
            if isinstance(value, ast.ListComp):
                return value
            return self.node(ast.List, start, self.listed if value is None else [value], ast.Load())
        if kind == "{":
            return self.braces()
        if kind == "`":
            self.step()
            value = self.test_list()
            self.expect("`")
            return self.node(nodes.Repr, start, value)
        return self.fail()

    def _list_or_for(self, comprehension):
        """Inside ( or [: a comprehension, one value, or many. Many in [ come as None and `self.listed`."""
        start = self.at
        first = self.test()
        if self.kind == "for":
            return self.node(comprehension, start, first, self.generators(comprehension is ast.ListComp))
        if self.kind != ",":
            return first
        items = [first]
        while self.accept(","):
            if self.kind in (")", "]"):
                break
            items.append(self.test())
        if comprehension is ast.ListComp:
            self.listed = items
            return None
        return self.node(ast.Tuple, start, items, ast.Load())

    def generators(self, in_list=False):
        """`for x in y if z for ...`."""
        found = []
        while self.accept("for"):
            target = self.targets()
            self.expect("in")
            source = self.test_list(self.old_test) if in_list else self.or_test()
            conditions = []
            while self.accept("if"):
                conditions.append(self.old_test())
            found.append(ast.comprehension(target, source, conditions, 0))
        return found

    def braces(self):
        """A dictionary, a set, or a comprehension of either."""
        start = self.step()
        if self.accept("}"):
            return self.node(ast.Dict, start, [], [])
        first = self.test()
        if self.accept(":"):
            value = self.test()
            if self.kind == "for":
                made = self.node(ast.DictComp, start, first, value, self.generators())
                self.expect("}")
                return made
            keys, values = [first], [value]
            while self.accept(",") and self.kind != "}":
                keys.append(self.test())
                self.expect(":")
                values.append(self.test())
            self.expect("}")
            return self.node(ast.Dict, start, keys, values)
        if self.kind == "for":
            made = self.node(ast.SetComp, start, first, self.generators())
            self.expect("}")
            return made
        items = [first]
        while self.accept(",") and self.kind != "}":
            items.append(self.test())
        self.expect("}")
        return self.node(ast.Set, start, items)

    def strings(self):
        """Literals that stand side by side."""
        start = self.at
        parts, is_unicode = [], False
        while self.kind == STRING:
            token = self.step()
            try:
                value, wide = literals.string(token.text, self.encoding, self.unicode_literals)
            except (ValueError, KeyError) as why:
                raise error(str(why), self.filename, self.text, token.line, token.col) from None
            parts.append(value)
            is_unicode = is_unicode or wide
        made = self.node(ast.Constant, start, "".join(parts))
        made.kind = "u" if is_unicode else None
        return made

    def yield_(self):
        """`yield x`."""
        start = self.expect("yield")
        value = None if self.kind in _CLOSERS else self.test_list()
        return self.node(ast.Yield, start, value)

    # --- behind an atom

    def call(self, start, function):
        """Arguments, up to the bracket that ends them."""
        positional, keywords = [], []
        while self.kind != ")":
            token = self.at
            if self.accept("*"):
                positional.append(self.node(ast.Starred, token, self.test(), ast.Load()))
            elif self.accept("**"):
                keywords.append(self.node(ast.keyword, token, None, self.test()))
            elif self.kind == NAME and self.peek() == "=":
                self.step()
                self.step()
                keywords.append(self.node(ast.keyword, token, token.text, self.test()))
            else:
                value = self.test()
                if self.kind == "for":
                    value = self.node(ast.GeneratorExp, token, value, self.generators())
                positional.append(value)
            if not self.accept(","):
                break
        self.expect(")")
        return self.node(ast.Call, start, function, positional, keywords)

    def subscript(self):
        """What stands between [ and ]."""
        start = self.at
        first = self._slice()
        if self.kind != ",":
            return first
        items = [first]
        while self.accept(","):
            if self.kind == "]":
                break
            items.append(self._slice())
        return self.node(ast.Tuple, start, items, ast.Load())

    def _slice(self):
        start = self.at
        if self.accept("..."):
            return self.node(ast.Constant, start, Ellipsis)
        lower = None if self.kind == ":" else self.test()
        if not self.accept(":"):
            return lower
        upper = None if self.kind in ("]", ",", ":") else self.test()
        step = None
        if self.accept(":") and self.kind not in ("]", ","):
            step = self.test()
        return self.node(ast.Slice, start, lower, upper, step)
