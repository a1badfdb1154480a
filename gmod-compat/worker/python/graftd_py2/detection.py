"""Is this source Python 2?

In this order, the first that says something decides:
1. a comment `# graftd: python2` or `# graftd: python3` among the first lines; a `#!` line that names python2 or python3;
2. source that Python 3 does not compile: Python 2, unless it has something that only Python 3 has (it is Python 3 with a
   mistake then, and its author shall read about that);
3. source that Python 3 compiles and that has something only Python 3 has: Python 3, also where it has a branch for 2;
4. source that compiles and asks for what Python 3 has not, or does what fails there (`clues.py`): Python 2;
5. all else is Python 3. It runs on both; what differs silently is `/`, and there a float too many does less harm than a
   share of 0: whoever wants an integer cuts it, but nobody finds the fraction again. A helper that old code imports is as old
   as that, if nothing says; a package that was written for 3, or for both, is 3 as a whole (`packages.py`).
"""

import ast
import re
import warnings

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_OVERRIDE = re.compile(rb"#[ \t]*graftd:[ \t]*python([23])\b")
_SHEBANG = re.compile(rb"^#!.*\bpython([23])")
_OVERRIDE_LINES = 5


def encoding_of(source):
    """The encoding of source (bytes): its cookie's, else UTF-8, else Latin-1 where it is not UTF-8."""
    if source.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    name = None
    for line in source.split(b"\n", 2)[:2]:
        found = _COOKIE.match(line)
        if found:
            name = found.group(1).decode("ascii")
            break
    try:
        name = name or "utf-8"
        source.decode(name)
        return name
    except (LookupError, UnicodeDecodeError, ValueError):
        return "latin-1"


def text_of(source):
    """Source (bytes) as text, its lines ended by a line feed."""
    text = source.decode(encoding_of(source))
    if text.startswith("\ufeff"):
        text = text[1:]
    return text.replace("\r\n", "\n").replace("\r", "\n")


def said(source):
    """True for Python 2 and False for Python 3, if the first lines say so (1)."""
    head = source.split(b"\n", _OVERRIDE_LINES)[:_OVERRIDE_LINES]
    for line in head:
        found = _OVERRIDE.search(line)
        if found:
            return found.group(1) == b"2"
    found = _SHEBANG.match(head[0])
    return found.group(1) == b"2" if found else None


def clues_of(source):
    """What tells the two apart in source (bytes); None if Python 3 does not compile it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text_of(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    from .clues import Clues

    return Clues(tree)


def detect(source, unsure=False):
    """True if source (bytes) is Python 2; `unsure` is the answer if nothing says (5)."""
    told = said(source)
    if told is not None:
        return told
    clues = clues_of(source)
    if clues is None:
        return not _only_in_3(text_of(source))
    return not clues.three and (clues.two or unsure)


_THREE = re.compile(
    r"""
      (?<![\w.]) (?: [rR]?[fF] | [fF][rR] ) ['"]
    | ^[ \t]* async [ \t]+ (?: def | for | with ) \b
    | ^[ \t]* nonlocal [ \t]+ \w
    | ^[ \t]* def [ \t]+ \w+ [ \t]* \( [^()]* \) [ \t]* ->
    | ^[ \t]* def [ \t]+ \w+ [ \t]* \( (?: [^(){}]* , )? \s* \*{0,2} \w+ [ \t]* : [ \t]* \w
    | := | \b yield [ \t]+ from \b | \b await [ \t]+ \w
    | \b print [ \t]* \( [^()\n]* , [ \t]* (?: end | sep | file | flush ) [ \t]* =
    | ^[ \t]* (?: from | import ) [ \t]+ (?: urllib\.(?:request|parse|error) | http\.(?:client|server) | configparser
          | queue | asyncio | pathlib | typing | dataclasses | builtins ) \b
    | \b super \( \)
    """,
    re.VERBOSE | re.MULTILINE,
)
_STRINGS = re.compile(
    r"#[^\n]*|(\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')", re.DOTALL
)


def _only_in_3(text):
    """Whether text that does not compile has what only Python 3 has, outside of strings and comments."""
    bare = _STRINGS.sub(lambda found: "''" if found.group(1) else "", text)
    found = _THREE.search(bare)
    if not found:
        return False
    # `print(x, file=f)` is Python 2 too with its `from __future__ import print_function`.
    return not ("print" in found.group() and "print_function" in text)
