"""What tells Python 2 and Python 3 apart in source that Python 3 compiles."""

import ast

_MODULES_2 = frozenset(
    "urllib2 httplib urlparse ConfigParser StringIO cStringIO Queue cPickle commands popen2 md5 sha sets thread "
    "cookielib xmlrpclib SimpleXMLRPCServer DocXMLRPCServer SocketServer BaseHTTPServer SimpleHTTPServer CGIHTTPServer "
    "HTMLParser htmlentitydefs __builtin__ exceptions statvfs UserDict UserList UserString anydbm dbhash whichdb gdbm "
    "dumbdbm mimetools rfc822 MimeWriter multifile dummy_thread dummy_threading copy_reg new string_io Cookie robotparser "
    "repr htmllib sgmllib mhlib posixfile fpformat stringold strop user ihooks mimify Tkinter tkMessageBox".split()
)
_MODULES_3 = frozenset(
    "urllib.request urllib.parse urllib.error urllib.response http.client http.server http.cookies http.cookiejar "
    "configparser queue socketserver builtins pathlib typing asyncio dataclasses enum contextvars concurrent.futures "
    "collections.abc html.parser xmlrpc.client xmlrpc.server statistics ipaddress selectors importlib.metadata secrets "
    "tomllib zoneinfo reprlib copyreg _thread six six.moves".split()
)
_NAMES_2 = frozenset(
    "unicode xrange raw_input basestring long unichr reduce execfile cmp apply buffer intern coerce StandardError "
    "reload file".split()
)
_NAMES_3 = frozenset(
    "FileNotFoundError PermissionError ConnectionError ConnectionRefusedError ConnectionResetError BrokenPipeError "
    "TimeoutError ProcessLookupError FileExistsError NotADirectoryError IsADirectoryError ModuleNotFoundError "
    "InterruptedError ChildProcessError BlockingIOError RecursionError ResourceWarning".split()
)
_METHODS_2 = frozenset("has_key iteritems itervalues iterkeys viewitems viewkeys viewvalues".split())
_URLLIB_2 = frozenset("urlopen urlencode quote unquote quote_plus unquote_plus urlretrieve URLopener FancyURLopener".split())
_STRING_2 = frozenset(
    "join split splitfields joinfields atoi atof atol replace strip lstrip rstrip find rfind index lower upper letters "
    "lowercase uppercase maketrans translate zfill ljust rjust center count swapcase expandtabs".split()
)
_ATTRIBUTES_2 = {
    "os": frozenset("getcwdu popen2 popen3 popen4 errno tmpnam tempnam tmpfile spawnvp_".split()),
    "sys": frozenset("maxint setdefaultencoding exc_type exc_value exc_traceback exc_clear subversion".split()),
    "itertools": frozenset("izip imap ifilter izip_longest ifilterfalse".split()),
    "string": _STRING_2, "urllib": _URLLIB_2, "time": frozenset(("clock",)),
    "types": frozenset(
        "StringType UnicodeType ListType DictType TupleType IntType LongType FloatType StringTypes NoneType_ BooleanType "
        "ClassType InstanceType FileType DictionaryType ObjectType TypeType".split()
    ),
    "operator": frozenset(("isCallable", "sequenceIncludes", "div")), "base64": frozenset(("encodestring", "decodestring")),
    "inspect": frozenset(("getargspec",)), "platform": frozenset(("linux_distribution", "dist")), "cgi": frozenset(("escape",)),
    "thread": frozenset(("start_new_thread",)), "collections": frozenset(("Mapping", "Iterable", "Callable")),
}
_FROM_2 = {"urllib": _URLLIB_2, "itertools": _ATTRIBUTES_2["itertools"], "string": _STRING_2,
           "os": _ATTRIBUTES_2["os"], "sys": _ATTRIBUTES_2["sys"], "types": _ATTRIBUTES_2["types"],
           "collections": _ATTRIBUTES_2["collections"]}
_LISTS_IN_2 = frozenset(("keys", "values", "items"))
_SENDS = frozenset(("send", "sendall", "sendto"))
_TEXT_WORDS = frozenset("split rsplit startswith endswith find rfind index replace strip rstrip lstrip count partition "
                        "rpartition join".split())
_HASHES = frozenset("md5 sha1 sha256 sha512 sha224 sha384 b64encode b64decode encodestring".split())
_TEXT_KEYWORDS = frozenset("universal_newlines text encoding".split())
_SPECIAL_2 = {
    "__nonzero__": "__bool__", "__unicode__": "__str__", "__getslice__": "__getitem__", "__div__": "__truediv__",
    "next": "__next__",
}
"""Methods of Python 2 -> what has to stand beside them in code for both."""
_KEYWORDS_3 = frozenset(("exist_ok", "capture_output", "daemon"))


class Clues:
    """`two` and `three`: whether the tree has what only the one or the other has."""

    def __init__(self, tree):
        self.two = self.three = False
        self.bound, self.free, self.guarded = set(), set(), set()
        self.from_bytes, self.listy, self.special = set(), set(), set()
        self.processes = False
        self.text_pipes = False
        nodes = list(ast.walk(tree))
        self.print_function = any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__"
            and any(alias.name == "print_function" for alias in node.names)
            for node in nodes
        )
        # `string.split(x)` says something of the module; a variable may be called so too.
        self.imported = {
            alias.asname or alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        }
        for node in nodes:
            if isinstance(node, ast.Try):
                self._guards(node)
        for node in nodes:
            look = getattr(self, "_" + type(node).__name__, None)
            if look:
                look(node)
        if (self.free - self.bound) & _NAMES_2:
            self.two = True
        if any(_SPECIAL_2[name] not in self.bound for name in self.special):
            self.two = True
        if (self.free - self.bound) & _NAMES_3:
            self.three = True
        if not self.two and not self.three:
            for node in nodes:
                self._flow(node)

    def _guards(self, node):
        """What a `try` with a handler for a missing module imports says nothing by itself."""
        names = set()
        for handler in node.handlers:
            if handler.type is None:
                names.add("ImportError")
            else:
                names.update(part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name))
        if names & {"ImportError", "ModuleNotFoundError", "Exception", "NameError", "AttributeError"}:
            for statement in node.body + [inner for handler in node.handlers for inner in handler.body]:
                for inner in ast.walk(statement):
                    self.guarded.add(id(inner))

    # --- Python 3's own syntax

    def _said_three(self, _):
        self.three = True

    _JoinedStr = _AsyncFunctionDef = _Await = _AsyncFor = _AsyncWith = _Nonlocal = _AnnAssign = _NamedExpr = _said_three
    _YieldFrom = _MatMult = _Match = _TryStar = _TypeAlias = _said_three

    def _Raise(self, node):
        if node.cause is not None:
            self.three = True

    def _FunctionDef(self, node):
        self.bound.add(node.name)
        if node.returns is not None:
            self.three = True
        if node.name in _SPECIAL_2:
            self.special.add(node.name)

    def _ClassDef(self, node):
        self.bound.add(node.name)
        if node.keywords:
            self.three = True
        own = {statement.name for statement in node.body if isinstance(statement, ast.FunctionDef)}
        if "next" in own and "__iter__" in own:
            self.special.add("next")
        if {"__nonzero__", "__bool__"} <= own:
            self.three = True

    def _arguments(self, node):
        if node.kwonlyargs or node.posonlyargs:
            self.three = True

    def _arg(self, node):
        self.bound.add(node.arg)
        if node.annotation is not None:
            self.three = True

    def _Starred(self, node):
        if isinstance(node.ctx, ast.Store):
            self.three = True

    # --- imports

    def _module(self, node, name):
        if name in _MODULES_3 or name.split(".")[0] in ("asyncio", "six", "typing"):
            self.three = True
        elif name.split(".")[0] in _MODULES_2 and id(node) not in self.guarded:
            self.two = True
        elif name.split(".")[0] in _MODULES_2 and name in ("urllib2", "ConfigParser", "httplib", "Queue"):
            # With a fallback for Python 3 there is a name of Python 3 in it too; without one it is Python 2.
            self.two = True

    def _Import(self, node):
        for alias in node.names:
            self.bound.add((alias.asname or alias.name).split(".")[0])
            self._module(node, alias.name)

    def _ImportFrom(self, node):
        module = node.module or ""
        self.bound.update(alias.asname or alias.name for alias in node.names)
        if node.level:
            if node.names[0].name == "*":
                self.bound |= _NAMES_2
            return
        self._module(node, module)
        for alias in node.names:
            if alias.name in _FROM_2.get(module, ()) and id(node) not in self.guarded:
                self.two = True
            if "%s.%s" % (module, alias.name) in _MODULES_3:
                self.three = True

    # --- names and attributes

    def _Name(self, node):
        if isinstance(node.ctx, ast.Load):
            if node.id == "file" or id(node) in self.guarded:
                return
            self.free.add(node.id)
        else:
            self.bound.add(node.id)
            if node.id == "__metaclass__":
                self.two = True

    def _Attribute(self, node):
        owner = node.value
        if isinstance(owner, ast.Name) and owner.id == "int" and node.attr == "from_bytes":
            self.three = True
        if isinstance(owner, ast.Name) and owner.id in self.imported and id(node) not in self.guarded:
            if node.attr in _ATTRIBUTES_2.get(owner.id, ()):
                self.two = True
            if owner.id == "subprocess" and node.attr in ("run", "DEVNULL"):
                self.three = True
        if node.attr in ("func_name", "func_code", "im_func", "im_self", "func_globals"):
            self.two = True

    def _ExceptHandler(self, node):
        if node.name:
            self.bound.add(node.name)
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and inner.attr == "message":
                    self.two = self.two or (isinstance(inner.value, ast.Name) and inner.value.id == node.name)
                if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name) and inner.value.id == node.name:
                    self.two = True

    # --- calls and statements

    def _Expr(self, node):
        value = node.value
        if isinstance(value, ast.Name) and value.id == "print":
            self.two = True
        if isinstance(value, ast.Tuple) and value.elts:
            value = value.elts[0]
            if self._is_print(value):
                self.two = True
        if isinstance(value, ast.BinOp):
            while isinstance(value, ast.BinOp):
                value = value.left
            if self._is_print(value) or (isinstance(value, ast.Name) and value.id == "print"):
                self.two = True

    @staticmethod
    def _is_print(node):
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"

    def _Compare(self, node):
        # `sys.version_info[0] >= 3`, `sys.version_info < (3,)`: written for both.
        left = node.left
        if isinstance(left, ast.Subscript):
            left = left.value
        if isinstance(left, ast.Attribute) and left.attr in ("version_info", "version"):
            for other in ast.walk(node.comparators[0]):
                if isinstance(other, ast.Constant) and other.value in (3, "3"):
                    self.three = True
        if isinstance(left, ast.Attribute) and left.attr == "major":
            self.three = True

    def _Call(self, node):
        function = node.func
        keywords = {keyword.arg for keyword in node.keywords}
        if keywords & _TEXT_KEYWORDS:
            self.text_pipes = True
        if isinstance(function, ast.Name):
            name = function.id
            self.processes = self.processes or name == "Popen"
            if name == "print" and keywords and not self.print_function:
                self.three = True
            elif name == "super" and not node.args:
                self.three = True
            elif name == "file" and node.args and id(node) not in self.guarded:
                self.free.add("file")
            elif name == "sorted" and "cmp" in keywords:
                self.two = True
            elif name == "open" and "encoding" in keywords:
                self.three = True
            elif name == "range" and len(node.args) == 1 and self._halves(node.args[0]):
                self.two = True
            return
        if not isinstance(function, ast.Attribute):
            return
        name = function.attr
        self.processes = self.processes or name == "Popen"
        if keywords & _KEYWORDS_3 or (name in ("Popen", "check_output", "run") and keywords & {"text", "encoding"}):
            self.three = True
        if name in _METHODS_2 and id(node) not in self.guarded and len(node.args) == (name == "has_key"):
            self.two = True
        elif name == "next" and not node.args:
            self.two = True
        elif name == "sort" and (node.args or "cmp" in keywords):
            self.two = True
        elif name in ("decode", "encode"):
            if not node.args:
                self.three = True
            elif isinstance(node.args[0], ast.Constant) and node.args[0].value in ("hex", "base64", "string_escape", "zlib"):
                self.two = True
        elif name in _LISTS_IN_2 and not node.args:
            self.listy.add(id(node))

    def _halves(self, node):
        return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)

    def _Subscript(self, node):
        value = node.value
        if isinstance(value, ast.Call):
            function = value.func
            if isinstance(function, ast.Attribute) and function.attr in _LISTS_IN_2 and not value.args:
                self.two = True
            if isinstance(function, ast.Name) and function.id in ("map", "filter", "zip"):
                self.two = True
        if self._halves(node.slice):
            self.two = True

    def _BinOp(self, node):
        if isinstance(node.op, ast.Add):
            for side in (node.left, node.right):
                if isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute) and not side.args:
                    if side.func.attr in _LISTS_IN_2:
                        self.two = True

    # --- bytes taken for text, which fails in Python 3

    def _gives_bytes(self, node):
        """Whether an expression is bytes in Python 3, as far as its look tells."""
        if isinstance(node, ast.Subscript):
            node = node.value
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("communicate", "check_output"):
                return not self.text_pipes
            if name in ("recv", "recvfrom"):
                return True
            if name in ("read", "readline", "readlines") and isinstance(function, ast.Attribute):
                return self._gives_bytes(function.value)
            if name in _TEXT_WORDS | {"strip"} and isinstance(function, ast.Attribute):
                return self._gives_bytes(function.value)
            return False
        if isinstance(node, ast.Attribute):
            return self.processes and node.attr in ("stdout", "stderr") and not self.text_pipes and not (
                isinstance(node.value, ast.Name) and node.value.id == "sys"
            )
        return isinstance(node, ast.Name) and node.id in self.from_bytes

    @staticmethod
    def _is_text(node):
        return isinstance(node, ast.Constant) and isinstance(node.value, str)

    def _flow(self, node):
        kind = type(node)
        if kind is ast.Assign and self._gives_bytes(node.value):
            for target in node.targets:
                self.from_bytes.update(part.id for part in ast.walk(target) if isinstance(part, ast.Name))
        elif kind is ast.Assign and id(node.value) in self.listy and isinstance(node.targets[0], ast.Name):
            self.listy.add(node.targets[0].id)
        elif kind is ast.For and self._gives_bytes(node.iter):
            self.from_bytes.update(part.id for part in ast.walk(node.target) if isinstance(part, ast.Name))
        elif kind is ast.Call and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            if name == "decode" and self._gives_bytes(owner):
                self.three = True
            elif name in _TEXT_WORDS and node.args and self._is_text(node.args[0]) and self._gives_bytes(owner):
                self.two = True
            elif name in _SENDS and node.args and self._has_text(node.args[0]):
                self.two = True
            elif name == "write" and isinstance(owner, ast.Attribute) and owner.attr == "stdin" and node.args:
                self.two = self.two or (self._has_text(node.args[0]) and not self.text_pipes)
            elif name in _HASHES and node.args and self._has_text(node.args[0]):
                self.two = True
            elif name == "sort" and isinstance(owner, ast.Name) and owner.id in self.listy:
                self.two = True
            elif name in ("search", "match", "findall", "finditer", "sub", "split"):
                self.two = self.two or any(self._gives_bytes(arg) for arg in node.args)
        elif kind is ast.BinOp and isinstance(node.op, ast.Add):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if self._is_text(one) and self._gives_bytes(other):
                    self.two = True
        elif kind is ast.Compare and isinstance(node.ops[0], (ast.In, ast.NotIn, ast.Eq)):
            if self._is_text(node.left) and self._gives_bytes(node.comparators[0]):
                self.two = True

    def _has_text(self, node):
        """A literal of text at the beginning of what is sent."""
        while isinstance(node, ast.BinOp):
            node = node.left
        return self._is_text(node)
