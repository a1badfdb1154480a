"""What `lower.py` has to know of a whole module or function before it changes a node in it."""

import ast
import builtins

_FUNCTIONS = (ast.FunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OPERATORS = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne", ast.Is: "is",
    ast.IsNot: "isnot", ast.In: "in", ast.NotIn: "notin",
}


def operator_name(op):
    """The word for a comparison that `ops.chain` knows."""
    return _OPERATORS[type(op)]


def flat(items):
    """Statements, of which a visit may have made several or none."""
    out = []
    for item in items:
        if isinstance(item, list):
            out.extend(item)
        elif item is not None:
            out.append(item)
    return out


class Facts:
    """`module_bound`, `local_bound`: names that the module and, by its id, each function gives a meaning. `defined`: those
    that are functions or classes of its own and nothing else. `caught`: names of caught exceptions. `raised`: names that are raised or caught as exceptions.
    `generators`: ids of functions that yield. `leaks`: for ids of list comprehensions, the names that are read outside.
    `globals`: for ids of functions, the names they declare global."""

    def __init__(self, tree):
        self.caught, self.raised = set(), set()
        self.generators, self.leaks, self.globals = set(), {}, {}
        stored, made = set(), set()
        stack = [(tree, _Scope(tree, None))]
        scopes = [stack[0][1]]
        while stack:
            node, scope = stack.pop()
            kind = type(node)
            inner = scope
            if kind is ast.Name:
                if not isinstance(node.ctx, ast.Load):
                    stored.add(node.id)
                    scope.bound.add(node.id)
                scope.name(node)
            elif kind is ast.arg:
                stored.add(node.arg)
                scope.bound.add(node.arg)
            elif kind is ast.alias:
                stored.add((node.asname or node.name).split(".")[0])
                scope.bound.add((node.asname or node.name).split(".")[0])
            elif kind in (ast.FunctionDef, ast.ClassDef):
                made.add(node.name)
                scope.bound.add(node.name)
            elif kind is ast.ExceptHandler:
                self._handler(node)
            elif kind is ast.Global:
                self.globals.setdefault(id(scope.node), []).extend(node.names)
            elif kind is ast.Yield:
                self.generators.add(id(scope.node))
            elif kind.__name__ == "Raise":
                self._exceptions(node.type)
            if kind in (ast.FunctionDef, ast.Lambda, ast.ClassDef):
                inner = _Scope(node, scope)
                scopes.append(inner)
            for child in ast.iter_child_nodes(node):
                where = inner
                if inner is not scope and (
                    child in getattr(node, "decorator_list", ()) or child in getattr(node, "bases", ())
                ):
                    where = scope
                stack.append((child, where))
            if kind in _COMPREHENSIONS and not hasattr(node, "py2_own_scope"):
                scope.comprehensions.append(node)
        self.defined = made - stored
        self.module_bound = scopes[0].bound.union(*(names for names in self.globals.values()))
        self.local_bound = {id(scope.node): scope.bound for scope in scopes[1:]}
        for scope in scopes:
            scope.find_leaks(self.leaks)

    def is_bound(self, name, functions):
        """Whether a name is the module's own where `functions` and classes are around."""
        return name in self.module_bound or any(name in self.local_bound[id(function)] for function in functions)

    def _handler(self, node):
        if isinstance(node.name, ast.Name):
            self.caught.add(node.name.id)
        self._exceptions(node.type)

    def _exceptions(self, node):
        if isinstance(node, ast.Tuple):
            for item in node.elts:
                self._exceptions(item)
        elif isinstance(node, ast.Call):
            self._exceptions(node.func)
        elif isinstance(node, ast.Name):
            self.raised.add(node.id)


class _Scope:
    """The names that one function, class or module reads, or a function in it does, and the comprehensions in it."""

    def __init__(self, node, around):
        self.node, self.around = node, around
        self.loads, self.bound = {}, set()
        self.comprehensions = []

    def name(self, node):
        scope = self if isinstance(node.ctx, ast.Load) else None
        while scope is not None:
            scope.loads[node.id] = scope.loads.get(node.id, 0) + 1
            scope = scope.around

    def find_leaks(self, leaks):
        if not self.comprehensions or isinstance(self.node, ast.ClassDef):
            return
        # A comprehension within another may not always assign in Python 3; nobody reads what leaks there.
        hidden = set()
        for comp in self.comprehensions:
            hidden.update(id(node) for node in ast.walk(comp) if node is not comp)
        inside = {}
        for comp in self.comprehensions:
            own = _targets(comp)
            for node in ast.walk(comp):
                if isinstance(node, ast.Name) and node.id in own and isinstance(node.ctx, ast.Load):
                    inside.setdefault(node.id, set()).add(id(node))
        for comp in self.comprehensions:
            if id(comp) in hidden or not isinstance(comp, ast.ListComp):
                continue
            found = [name for name in _targets(comp) if self.loads.get(name, 0) > len(inside.get(name, ()))]
            if found:
                leaks[id(comp)] = found


def _targets(comp):
    out = []
    for generator in comp.generators:
        out.extend(node.id for node in ast.walk(generator.target) if isinstance(node, ast.Name))
    return out


BUILTINS = frozenset(dir(builtins)) | frozenset(
    "StandardError apply basestring buffer cmp coerce execfile file intern long raw_input reduce reload unichr unicode "
    "xrange".split()
)

SPACE = "_py2_space"
"""The variable with the names of a function in which there is an `exec`: Python 2 looked there before the globals."""


def executes(function):
    """Whether an `exec` stands in a function itself, and not in one within it."""
    stack = list(function.body)
    while stack:
        node = stack.pop()
        if type(node).__name__ == "Exec":
            return True
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))
    return False


def begin_space(lower, node):
    """Gives a function with an `exec` its names."""
    empty = lower.at(node, ast.Dict([], []))
    made = lower.at(node, ast.Assign([lower.name(node, SPACE, ast.Store())], empty))
    node.body.insert(1 if _has_docstring(node) else 0, made)


def leak(lower, comp, names):
    """Makes the variables `names` of a list comprehension outlive it: `[x for _x in y if ((x := _x),)]`."""
    for generator in comp.generators:
        tests = []
        for node in ast.walk(generator.target):
            if isinstance(node, ast.Name) and node.id in names:
                name = node.id
                node.id = "_py2_lc_" + name
                walrus = ast.NamedExpr(lower.name(comp, name, ast.Store()), lower.name(comp, node.id))
                tests.append(lower.at(comp, ast.Tuple([lower.at(comp, walrus)], ast.Load())))
        generator.ifs[0:0] = tests


def finish_function(lower, node):
    """Declares globals first, and lets StopIteration end a generator wherever it comes from."""
    names = lower.facts.globals.get(id(node))
    at = 1 if _has_docstring(node) else 0
    if id(node) in lower.facts.generators and _may_stop(node):
        body = node.body[at:]
        handler = ast.ExceptHandler(lower.name(node, "StopIteration"), None, [lower.at(node, ast.Return(None))])
        lower.at(node, handler)
        if body:
            node.body[at:] = [lower.at(body[0], ast.Try(body, [handler], [], []))]
    if names:
        node.body.insert(at, lower.at(node, ast.Global(sorted(set(names)))))


def declare_globals(lower, module):
    """The same for a file: it means something where its text is run in a function, by `exec`."""
    names = lower.facts.globals.get(id(module))
    if names:
        first = module.body[0]
        module.body.insert(1 if _has_docstring(module) else 0, lower.at(first, ast.Global(sorted(set(names)))))


def _has_docstring(node):
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _may_stop(node):
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and inner.value == "next":
            return True
        if isinstance(inner, ast.Name) and inner.id in ("next", "StopIteration"):
            return True
    return False


def finish_class(lower, node, bare):
    """Python 2's special methods and metaclass for a class; a base for one that is raised although it has none."""
    if bare and node.name in lower.facts.raised:
        node.bases = [lower.name(node, "Exception")]
    body = []
    for statement in node.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__metaclass__" for target in statement.targets
        ):
            node.keywords = [lower.at(statement, ast.keyword("metaclass", statement.value))]
            statement = lower.at(statement, ast.Pass())
        body.append(statement)
    names = lower.facts.globals.get(id(node))
    if names:
        body.insert(0, lower.at(node, ast.Global(sorted(set(names)))))
    node.body = body
    node.decorator_list.append(lower.name(node, "_py2_class"))
