"""Gives Python 2's meaning to a tree of Python 2 source: what differs becomes a call of a helper (`ops.py`, `attrs.py`).

Helpers are reached by names that begin with `_py2_`; they stand in the old code's own `__builtins__`, so its globals stay
its own. Every node keeps its line, so a traceback shows the original.
"""

import ast

from . import names, nodes, scopes

_ORDER = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_ITERATING = frozenset(("list", "tuple", "set", "frozenset"))
_OF_BYTES = ("c_char_p", "c_char")
"""Types that C code is declared with, so no class of ours can stand in for them; what they are made of are bytes."""
_NEVER_BYTES = frozenset(
    "len int float bool isinstance issubclass hasattr callable id ord range xrange abs super globals locals vars dir "
    "setattr delattr enumerate zip repr round hash long open file".split()
)


class Lower(ast.NodeTransformer):
    """One module. `future` is what it took from `__future__`."""

    def __init__(self, tree, future):
        self.future = future
        self.facts = scopes.Facts(tree)
        self.temporaries = 0
        self.functions = []  # the functions around the current node, outermost first; a class stands as itself
        self.executing = set()  # ids of those with an `exec` in them

    # --- small makers

    @staticmethod
    def at(place, made):
        """`made` at the place of another node."""
        made.lineno, made.col_offset = place.lineno, place.col_offset
        return made

    def name(self, place, text, ctx=None):
        """A name."""
        return self.at(place, ast.Name(text, ctx or ast.Load()))

    def text(self, place, text):
        """A constant."""
        return self.at(place, ast.Constant(text))

    def helper(self, place, what, *args, keywords=()):
        """A call of a helper."""
        return self.at(place, ast.Call(self.name(place, "_py2_" + what), list(args), list(keywords)))

    # --- operators

    def visit_BinOp(self, node):
        # Long chains of + are deep on the left: no recursion there.
        chain = []
        while isinstance(node, ast.BinOp):
            chain.append(node)
            node = node.left
        left = self.visit(node)
        for link in reversed(chain):
            left = self._binary(link, left, self.visit(link.right))
        return left

    def _binary(self, node, left, right):
        if isinstance(node.op, ast.Div) and "division" not in self.future:
            return self.helper(node, "div", left, right)
        if isinstance(node.op, ast.Mod) and not (
            isinstance(left, ast.Constant) and isinstance(left.value, (int, float))
        ):
            return self.helper(node, "mod", left, right)
        node.left, node.right = left, right
        return node

    def visit_AugAssign(self, node):
        kind = type(node.op)
        if kind is ast.Mod or (kind is ast.Div and "division" not in self.future):
            what = "imod" if kind is ast.Mod else "idiv"
            return self._augmented(node, what)
        self.generic_visit(node)
        return node

    def _temporary(self, place, value, before):
        if isinstance(value, (ast.Constant, ast.Name)):
            return value, value
        self.temporaries += 1
        name = "_py2_t%d" % self.temporaries
        before.append(self.at(place, ast.Assign([self.name(place, name, ast.Store())], value)))
        return self.name(place, name), self.name(place, name)

    def _augmented(self, node, what):
        """`a[i()] /= b` evaluates `a` and `i()` once."""
        target, before = node.target, []
        if isinstance(target, ast.Name):
            read = self.name(node, target.id)
        elif isinstance(target, ast.Attribute):
            owner, again = self._temporary(node, self.visit(target.value), before)
            read = self.at(node, ast.Attribute(owner, target.attr, ast.Load()))
            target = self.at(node, ast.Attribute(again, target.attr, ast.Store()))
        else:
            owner, again = self._temporary(node, self.visit(target.value), before)
            index = self.visit(target.slice)
            if isinstance(index, (ast.Slice, ast.Tuple)):
                return self.at(node, ast.AugAssign(target, node.op, self.visit(node.value)))
            index, index_again = self._temporary(node, index, before)
            read = self.at(node, ast.Subscript(owner, index, ast.Load()))
            target = self.at(node, ast.Subscript(again, index_again, ast.Store()))
        value = self.helper(node, what, read, self.visit(node.value))
        return before + [self.at(node, ast.Assign([target], value))]

    def visit_Compare(self, node):
        self.generic_visit(node)
        if not any(type(op) in _ORDER for op in node.ops):
            return node
        if len(node.ops) == 1:
            return self.helper(node, _ORDER[type(node.ops[0])], node.left, node.comparators[0])
        words = [scopes.operator_name(op) for op in node.ops]
        # All are evaluated, also behind one that fails: the price of evaluating none of them twice.
        return self.helper(node, "chain", self.text(node, " ".join(words)), node.left, *node.comparators)

    def visit_Repr(self, node):
        return self.helper(node, "repr", self.visit(node.value))

    # --- names, attributes, calls

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load) and self._may_be_executed(node.id):
            return self.helper(node, "name", self.name(node, scopes.SPACE), self._globals(node), self.text(node, node.id))
        return node

    def _may_be_executed(self, name):
        """Whether an `exec` around may have made a name that the source gives no meaning but the module."""
        if not self.executing or id(self.functions[-1] if self.functions else None) not in self.executing:
            return False
        return not any(
            name in self.facts.local_bound[id(function)] or name in self.facts.globals.get(id(function), ())
            for function in self.functions
        )

    def visit_Attribute(self, node):
        node.value = self.visit(node.value)
        if isinstance(node.ctx, ast.Load) and node.attr in names.WATCHED:
            return self.helper(node, "attr", node.value, self.text(node, node.attr))
        return node

    def visit_Subscript(self, node):
        watched = isinstance(node.value, ast.Name) and node.value.id in self.facts.caught
        # A URLError's reason is often an exception itself.
        watched = watched or (isinstance(node.value, ast.Attribute) and node.value.attr == "reason")
        self.generic_visit(node)
        if watched and isinstance(node.ctx, ast.Load):
            if isinstance(node.slice, ast.Slice):
                parts = [part or self.text(node, None) for part in (node.slice.lower, node.slice.upper, node.slice.step)]
                return self.helper(node, "item", node.value, self.helper(node, "slice", *parts))
            return self.helper(node, "item", node.value, node.slice)
        return node

    def visit_Call(self, node):
        function = node.func
        args = [self.visit(arg) for arg in node.args]
        keywords = [self.visit(keyword) for keyword in node.keywords]
        if isinstance(function, ast.Attribute) and function.attr in names.WATCHED:
            owner = self.visit(function.value)
            return self.helper(node, "call", owner, self.text(node, function.attr), *args, keywords=keywords)
        if getattr(function, "id", getattr(function, "attr", "")) in _OF_BYTES:
            args = [self.helper(node, "bytes", arg) for arg in args]
        node.args, node.keywords = args, keywords
        if isinstance(function, ast.Name):
            text = function.id
            if self._may_be_executed(text) and text not in scopes.BUILTINS:
                node.func = self.visit(function)
            elif not self.facts.is_bound(text, self.functions):
                made = self._builtin(node, text)
                if made is not None:
                    return made
                if text in _NEVER_BYTES:
                    return node
            elif text in self.facts.defined:
                return node
        else:
            node.func = self.visit(function)
        return self.helper(node, "r", node)

    def _builtin(self, node, text):
        """A call of a builtin that means something else now."""
        args = node.args
        if text in ("str", "unicode", "bytearray", "bytes", "memoryview"):
            node.func = self.name(node, "_py2_" + ("str" if text == "bytes" else text))
            return node
        if text == "int" and len(args) + len(node.keywords) == 2:
            node.func = self.name(node, "_py2_int")
            return node
        if text in _ITERATING and len(args) == 1 and not isinstance(args[0], ast.Starred):
            args[0] = self._iterated(args[0])
            return node
        if text == "locals" and not args and not node.keywords:
            return self._locals(node)
        if text in ("eval", "execfile") and args and not node.keywords and len(args) <= 3:
            return self.helper(node, text, args[0], *self._spaces(node, *args[1:]))
        return None

    def _spaces(self, place, global_=None, local=None):
        """The globals and locals of `exec`, `eval` and `execfile`."""
        if global_ is None or (isinstance(global_, ast.Constant) and global_.value is None):
            return self._globals(place), self._locals(place)
        return global_, (local or self.text(place, None))

    def _globals(self, place):
        return self.at(place, ast.Call(self.name(place, "_py2_globals"), [], []))

    def _locals(self, place):
        made = self.at(place, ast.Call(self.name(place, "_py2_locals"), [], []))
        if self.functions and id(self.functions[-1]) in self.executing:
            return self.helper(place, "own", self.name(place, scopes.SPACE), made)
        return made

    # --- iteration

    def _iterated(self, source):
        if isinstance(source, (ast.List, ast.Tuple, ast.Constant, ast.ListComp, ast.GeneratorExp, ast.Dict)):
            return source
        return self.helper(source, "iter", source)

    def visit_For(self, node):
        self.generic_visit(node)
        node.iter = self._iterated(node.iter)
        return node

    def visit_comprehension(self, node):
        self.generic_visit(node)
        node.iter = self._iterated(node.iter)
        return node

    def visit_ListComp(self, node):
        leaks = self.facts.leaks.get(id(node), ())
        self.generic_visit(node)
        if leaks:
            scopes.leak(self, node, leaks)
        return node

    def visit_Assign(self, node):
        self.generic_visit(node)
        value = node.value
        if isinstance(value, ast.Name) and value.id in self.facts.caught:
            if any(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets):
                node.value = self.helper(node, "unpack", value)
        return node

    # --- statements

    def visit_Print(self, node):
        dest = self.visit(node.dest) if node.dest else self.text(node, None)
        values = [self.visit(value) for value in node.values]
        return self.at(node, ast.Expr(self.helper(node, "print", dest, self.text(node, node.nl), *values)))

    def visit_Exec(self, node):
        parts = [self.visit(part) if part else None for part in (node.body, node.globals, node.locals)]
        if isinstance(parts[0], ast.Tuple) and parts[1] is None and len(parts[0].elts) in (2, 3):
            parts = (parts[0].elts + [None])[:3]
        done = self.at(node, ast.Expr(self.helper(node, "exec", parts[0], *self._spaces(node, *parts[1:]))))
        is_bare = parts[1] is None or (isinstance(parts[1], ast.Constant) and parts[1].value is None)
        if is_bare and self.functions and isinstance(self.functions[-1], ast.FunctionDef):
            return self._exec_in_function(node, done)
        return done

    def _exec_in_function(self, node, done):
        """A bare `exec` sets its function's own variables; other names stay where `visit_Name` looks for them."""
        function = self.functions[-1]
        names = self.facts.local_bound[id(function)] - set(self.facts.globals.get(id(function), ()))
        made = []
        for name in sorted(names):
            test = ast.Compare(self.text(node, name), [ast.In()], [self.name(node, scopes.SPACE)])
            value = self.at(node, ast.Subscript(self.name(node, scopes.SPACE), self.text(node, name), ast.Load()))
            assign = self.at(node, ast.Assign([self.name(node, name, ast.Store())], value))
            made.append(self.at(node, ast.If(self.at(node, test), [assign], [])))
        # Also what it set before it failed.
        return self.at(node, ast.Try([done], [], [], made)) if made else done

    def visit_Raise(self, node):
        if node.type is None:
            return self.at(node, ast.Raise(None, None))
        parts = [self.visit(part) if part else self.text(node, None) for part in (node.type, node.inst, node.tback)]
        if self.functions and self._ends_generator(node):
            return self.at(node, ast.Return(None))
        if node.inst is None and isinstance(parts[0], (ast.Name, ast.Call, ast.Attribute)):
            return self.at(node, ast.Raise(parts[0], None))
        return self.at(node, ast.Raise(self.helper(node, "raise", *parts), None))

    def _ends_generator(self, node):
        kind = node.type
        if isinstance(kind, ast.Call):
            kind = kind.func
        function = self.functions[-1]
        return isinstance(kind, ast.Name) and kind.id == "StopIteration" and id(function) in self.facts.generators

    def visit_ExceptHandler(self, node):
        target, node.name = node.name, None
        self.generic_visit(node)
        if target is None:
            return node
        # The name outlives the handler, which Python 3 does not want: the handler gets a name of its own.
        node.name = "_py2_caught"
        value = self.name(node, "_py2_caught")
        if isinstance(target, (ast.Tuple, ast.List)):
            value = self.helper(node, "unpack", value)
        node.body.insert(0, self.at(node, ast.Assign([self.visit(target)], value)))
        return node

    def visit_ImportFrom(self, node):
        if node.module == "__future__" and not node.level:
            return self.at(node, ast.Pass())
        if self.functions and node.names[0].name == "*":
            module = self.text(node, node.module or "")
            return self.at(node, ast.Expr(self.helper(node, "star", module, self.text(node, node.level),
                self._globals(node))))
        return node

    def visit_Module(self, node):
        self.generic_visit(node)
        scopes.declare_globals(self, node)
        return node

    def visit_Global(self, node):
        # They are moved to the head of their function or file (whose text an `exec` may have), for Python 3 wants them before any use.
        return self.at(node, ast.Pass())

    def visit_FunctionDef(self, node):
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        node.args = self.visit(node.args)
        self.functions.append(node)
        executes = scopes.executes(node)
        if executes:
            self.executing.add(id(node))
        node.body = scopes.flat(self.visit(statement) for statement in node.body)
        self.functions.pop()
        if executes:
            scopes.begin_space(self, node)
        scopes.finish_function(self, node)
        return node

    def visit_Lambda(self, node):
        self.functions.append(node)
        self.generic_visit(node)
        self.functions.pop()
        return node

    def visit_ClassDef(self, node):
        bare = not node.bases
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        node.bases = [self.visit(item) for item in node.bases]
        self.functions.append(node)
        node.body = scopes.flat(self.visit(statement) for statement in node.body)
        self.functions.pop()
        scopes.finish_class(self, node, bare)
        return node
