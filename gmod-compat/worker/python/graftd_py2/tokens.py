"""Cuts Python 2 source into tokens, by Python 2's own rules: tabs to columns of 8, `0777`, `10L`, backticks, `<>`.

The standard library's `tokenize` refuses these since 3.12, and lib2to3, which knew them, is gone since 3.13.
"""

import re

KEYWORDS = frozenset(
    "and as assert break class continue def del elif else except exec finally for from global if import in is lambda "
    "not or pass print raise return try while with yield".split()
)

NAME, NUMBER, STRING, NEWLINE, INDENT, DEDENT, END = "NAME", "NUMBER", "STRING", "NEWLINE", "INDENT", "DEDENT", "END"

_BLANK = re.compile(r"[ \f\t]*")
_TOKEN = re.compile(
    r"""
      (?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<NUMBER>
          (?: (?: [0-9]+\.[0-9]* | \.[0-9]+ ) (?:[eE][-+]?[0-9]+)? | [0-9]+[eE][-+]?[0-9]+ ) [jJ]?
        | [0-9]+[jJ]
        | 0[xX][0-9a-fA-F]+[lL]? | 0[oO][0-7]+[lL]? | 0[bB][01]+[lL]? | [0-9]+[lL]?
      )
    | (?P<OP> \*\*= | //= | >>= | <<= | \.\.\. (?=\s*[\],]) | <> | != | == | <= | >= | \*\* | // | >> | << | [-+*/%&|^]=
        | [-+*/%&|^~<>()\[\]{},:.`=;@] )
    """,
    re.VERBOSE,
)
_STRING = re.compile(r"[uUbB]?[rR]?('''|\"\"\"|'|\")")
_ENDS = {
    "'": re.compile(r"[^'\\\n]*(?:\\(?s:.)[^'\\\n]*)*'"),
    '"': re.compile(r'[^"\\\n]*(?:\\(?s:.)[^"\\\n]*)*"'),
    "'''": re.compile(r"[^'\\]*(?:(?:\\(?s:.)|'(?!''))[^'\\]*)*'''"),
    '"""': re.compile(r'[^"\\]*(?:(?:\\(?s:.)|"(?!""))[^"\\]*)*"""'),
}


class Token:
    """`kind` is one of the capital words above, or the operator or keyword itself; `line` from 1, `col` from 0."""

    __slots__ = ("kind", "text", "line", "col")

    def __init__(self, kind, text, line, col):
        self.kind, self.text, self.line, self.col = kind, text, line, col


def error(why, filename, text, line, col):
    """A SyntaxError that shows the line of `text` it is about."""
    lines = text.split("\n")
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return SyntaxError(why, (filename, line, col + 1, shown))


def tokenize(text, filename="<source>", keywords=KEYWORDS):
    """The tokens of `text`, whose lines end in `\\n`. Ends with NEWLINE, the DEDENTs that are due, and END."""
    out = []
    emit = out.append
    pos, line, start, size = 0, 1, 0, len(text)
    opened = []  # brackets: what they are and where
    indents = [0]
    fresh = True  # at the beginning of a logical line
    while True:
        if fresh:
            column = 0
            while pos < size:
                char = text[pos]
                if char == " ":
                    column += 1
                elif char == "\t":
                    column = (column // 8 + 1) * 8
                elif char == "\f":
                    column = 0
                else:
                    break
                pos += 1
            if pos < size and text[pos] == "#":
                end = text.find("\n", pos)
                pos = size if end < 0 else end
            if pos >= size:
                break
            if text[pos] == "\n":
                pos += 1
                line += 1
                start = pos
                continue
            if text[pos] == "\\" and text[pos + 1 : pos + 2] == "\n":
                pos += 2
                line += 1
                start = pos
                continue
            fresh = False
            if column > indents[-1]:
                indents.append(column)
                emit(Token(INDENT, "", line, pos - start))
            while column < indents[-1]:
                indents.pop()
                if column > indents[-1]:
                    why = "unindent does not match any outer indentation level"
                    raise error(why, filename, text, line, pos - start)
                emit(Token(DEDENT, "", line, pos - start))
        pos = _BLANK.match(text, pos).end()
        if pos >= size:
            break
        char = text[pos]
        if char == "\n":
            if not opened:
                emit(Token(NEWLINE, "", line, pos - start))
                fresh = True
            pos += 1
            line += 1
            start = pos
            continue
        if char == "#":
            end = text.find("\n", pos)
            pos = size if end < 0 else end
            continue
        if char == "\\" and text[pos + 1 : pos + 2] == "\n":
            pos += 2
            line += 1
            start = pos
            continue
        string = _STRING.match(text, pos)
        if string:
            end = _ENDS[string.group(1)].match(text, string.end())
            if not end:
                raise error("a string that does not end", filename, text, line, pos - start)
            value = text[pos : end.end()]
            emit(Token(STRING, value, line, pos - start))
            breaks = value.count("\n")
            pos = end.end()
            if breaks:
                line += breaks
                start = text.rfind("\n", 0, pos) + 1
            continue
        found = _TOKEN.match(text, pos)
        if not found:
            raise error("invalid syntax", filename, text, line, pos - start)
        kind, value = found.lastgroup, found.group()
        if kind == "OP":
            if value in "([{":
                opened.append((value, line, pos - start))
            elif value in ")]}" and opened:
                opened.pop()
            kind = value
        elif kind == NAME and value in keywords:
            kind = value
        emit(Token(kind, value, line, pos - start))
        pos = found.end()
    if opened:
        value, line, col = opened[-1]
        raise error("'%s' was never closed" % value, filename, text, line, col)
    if out and out[-1].kind != NEWLINE:
        emit(Token(NEWLINE, "", line, pos - start))
    for _ in indents[1:]:
        emit(Token(DEDENT, "", line, 0))
    emit(Token(END, "", line, 0))
    return out
