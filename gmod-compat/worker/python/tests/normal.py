# -*- coding: utf-8 -*-
"""What a value looks like, the same for the same value under Python 2 and 3. Runs on both."""


def normal(value, depth=12):
    kind = type(value).__name__
    if value is None or value is True or value is False:
        return repr(value)
    if kind in ("int", "long"):
        return "int " + repr(value).rstrip("L")
    if kind == "float":
        return "float " + repr(value)
    if kind in ("str", "unicode"):
        return "text " + " ".join("%x" % ord(c) if not (" " <= c <= "~") or c == "%" else c for c in value).replace("  ", " ")
    if not depth:
        return "..."
    if kind in ("list", "tuple"):
        return kind + "(" + ", ".join(normal(item, depth - 1) for item in value) + ")"
    if kind in ("set", "frozenset", "Set"):
        return "set(" + ", ".join(sorted(normal(item, depth - 1) for item in value)) + ")"
    if isinstance(value, dict):
        return "dict(" + ", ".join(sorted(normal(k, depth - 1) + ": " + normal(value[k], depth - 1) for k in value)) + ")"
    if isinstance(value, tuple):
        return "tuple(" + ", ".join(normal(item, depth - 1) for item in value) + ")"
    if isinstance(value, BaseException):
        return "error " + kind
    return "object " + kind


def sections(text):
    """[(name, source)] of a file of snippets; the source keeps the lines it stands on."""
    found, name, start = [], None, 0
    lines = text.split("\n")
    for number, line in enumerate(lines + ["### "]):
        if line.startswith("### "):
            if name:
                found.append((name, "\n".join(lines[start:number]) + "\n"))
            name, start = line[4:].strip(), number + 1
    return found
