"""Which Python a source is told its mistake by that neither reads."""

import sys
import warnings

from .detection import said


def farther(source, filename, old):
    """The SyntaxError to show for source (bytes) that our parser refuses with `old`: that of the parser that read more of it.

    Where both stop in one line, it is Python 3's, which has better words; but not for a `print`, which tells nothing but that
    the source is of Python 2.
    """
    if isinstance(source, str) or said(source):
        return old
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, filename, "exec", dont_inherit=True)
        return old
    except SyntaxError as new:
        if sys.version_info < (3, 10) and "never closed" in old.msg:
            # It has no words for that, and stops somewhere behind.
            return old
        words = new.msg or ""
        lines = (new.lineno or 0, old.lineno or 0)
        is_print = words.startswith("Missing parentheses in call to")
        return new if lines[0] > lines[1] or (lines[0] == lines[1] and not is_print) else old
    except (ValueError, MemoryError, RecursionError):
        return old
