"""Regular expressions, `string`, configuration files, mail and HTML."""

import re as _re

from .attrs import call
from .facades import facade, same
from .files import open_
from .text import of_bytes, to_bytes

_ESCAPES = frozenset("ABbDdSsWwZafnrtvx0123456789")
_BAD_ESCAPE = _re.compile(r"\\(.)", _re.DOTALL)
_INLINE = _re.compile(r"\(\?([aiLmsux]+)\)")
_REPEATED = _re.compile(r"\\(.)", _re.DOTALL)


def _pattern(pattern, flags):
    """A pattern and flags with which Python 3 finds what Python 2 found: ASCII, unless Unicode was asked for."""
    if not isinstance(pattern, str):
        return pattern, flags
    unicode = flags & _re.UNICODE
    # A letter behind a backslash that means nothing was the letter.
    pattern = _BAD_ESCAPE.sub(
        lambda found: found.group() if not found.group(1).isalpha() or found.group(1) in _ESCAPES else found.group(1), pattern
    )
    inline = _INLINE.search(pattern)
    while inline:
        letters = inline.group(1)
        unicode = unicode or "u" in letters
        for letter in letters:
            flags |= {"i": _re.I, "m": _re.M, "s": _re.S, "x": _re.X}.get(letter, 0)
        pattern = pattern[: inline.start()] + pattern[inline.end() :]
        inline = _INLINE.search(pattern)
    flags = int(flags) & ~int(_re.LOCALE) & ~int(_re.UNICODE)
    return pattern, flags | (0 if unicode else int(_re.ASCII))


def _replacement(text):
    """A replacement whose unknown escapes are themselves."""
    if not isinstance(text, str) or "\\" not in text:
        return text
    return _REPEATED.sub(
        lambda found: "\\" + found.group() if found.group(1).isalpha() and found.group(1) not in "gabfnrtv" else found.group(),
        text,
    )


@facade("re")
def _re_facade(real):
    def compile(pattern, flags=0):
        return real.compile(*_pattern(pattern, flags))

    def finds(name):
        return lambda pattern, string, flags=0: getattr(compile(pattern, flags), name)(string)

    def sub(pattern, repl, string, count=0, flags=0):
        return compile(pattern, flags).sub(_replacement(repl), string, count)

    def subn(pattern, repl, string, count=0, flags=0):
        return compile(pattern, flags).subn(_replacement(repl), string, count)

    def split(pattern, string, maxsplit=0, flags=0):
        compiled = compile(pattern, flags)
        if compiled.match("") is None:
            return compiled.split(string, maxsplit)
        return _split(compiled, string, maxsplit)

    def _split(compiled, string, maxsplit):
        """Python 2 did not split at what is empty."""
        out, place = [], 0
        for found in compiled.finditer(string):
            if found.end() == found.start():
                continue
            if maxsplit and len(out) >= maxsplit:
                break
            out.append(string[place : found.start()])
            out.extend(found.groups())
            place = found.end()
        return out + [string[place:]]

    def escape(text):
        return "".join(
            char if char.isalnum() and char.isascii() else "\\000" if char == "\0" else "\\" + char for char in text
        )

    own = {name: finds(name) for name in ("match", "search", "findall", "finditer")}
    own.update(
        compile=compile, sub=sub, subn=subn, split=split, escape=escape, template=compile, _pattern_type=real.Pattern,
        Scanner=getattr(real, "Scanner", None),
    )
    return own


@facade("string")
def _string_facade(real):
    lower, upper = real.ascii_lowercase, real.ascii_uppercase

    def method(name):
        return lambda text, *args: call(text, name, *args)

    own = {
        name: method(name)
        for name in "split rsplit strip lstrip rstrip find rfind index rindex count lower upper capitalize swapcase replace "
        "expandtabs translate".split()
    }

    def maketrans(before, after):
        if len(before) != len(after):
            raise ValueError("maketrans arguments must have same length")
        return of_bytes(bytes.maketrans(to_bytes(before), to_bytes(after)))

    own.update(
        letters=lower + upper, lowercase=lower, uppercase=upper, maketrans=maketrans,
        join=lambda words, sep=" ": call(sep, "join", words), joinfields=lambda words, sep=" ": call(sep, "join", words),
        splitfields=own["split"], atoi=lambda text, base=10: int(text, base), atol=lambda text, base=10: int(text, base),
        atof=float, capwords=lambda text, sep=None: (sep or " ").join(word.capitalize() for word in text.split(sep)),
        ljust=lambda text, width, fill=" ": text.ljust(width, fill), rjust=lambda text, width, fill=" ": text.rjust(width, fill),
        center=lambda text, width, fill=" ": text.center(width, fill),
        zfill=lambda text, width: (text if isinstance(text, str) else repr(text)).zfill(width),
        atoi_error=ValueError, atof_error=ValueError, index_error=ValueError,
    )
    return own


@facade("ConfigParser", "configparser")
def _configparser_facade(real):
    defaults_of = dict(
        strict=False, inline_comment_prefixes=(";",), comment_prefixes=("#", ";"), empty_lines_in_values=True,
    )

    class RawConfigParser(real.RawConfigParser):
        """A parser of Python 2's files."""

        _py2_interpolation = None

        def __init__(self, defaults=None, dict_type=dict, allow_no_value=False, **others):
            super().__init__(
                {key: value if isinstance(value, str) else str(value) for key, value in (defaults or {}).items()},
                dict_type, allow_no_value, interpolation=self._interpolate(), **{**defaults_of, **others}
            )

        def _interpolate(self):
            return None

        def read(self, names, encoding="latin-1"):
            """Reads files, those that there are."""
            return super().read(names, "latin-1")

        def get(self, section, option, raw=False, vars=None, **others):
            """A value."""
            return super().get(section, option, raw=raw, vars=vars, **others)

        def items(self, section=real._UNSET, raw=False, vars=None):
            """The options of a section."""
            return list(super().items(section, raw, vars))

        def _unify_values(self, section, vars):
            # A section of Python 2 had its own name among its options.
            found = super()._unify_values(section, vars)
            found.maps.append({"__name__": section})
            return found

        def set(self, section, option, value=None):
            """Sets a value, of any kind."""
            return real.RawConfigParser.set(self, section, option, value)

        def readfp(self, source, filename=None):
            """Reads a file."""
            self.read_file(iter(source.readline, ""), filename or getattr(source, "name", "<???>"))

        def write(self, target, space_around_delimiters=True):
            """Writes it all."""
            super().write(target, space_around_delimiters)

    class _Lenient(real.BasicInterpolation):
        """`%(name)s` where there is one; any other % is itself."""

        def before_set(self, parser, section, option, value):
            return value

        def before_get(self, parser, section, option, value, defaults):
            if not isinstance(value, str) or "%(" not in value:
                return value
            depth = real.MAX_INTERPOLATION_DEPTH
            while depth and "%(" in value:
                depth -= 1
                try:
                    value = value % _Lowered(parser, defaults)
                except KeyError as why:
                    raise real.InterpolationMissingOptionError(option, section, value, why.args[0]) from None
                except ValueError:
                    break
            if "%(" in value and not depth:
                raise real.InterpolationDepthError(option, section, value)
            return value

    class _Lowered:
        def __init__(self, parser, values):
            self._parser, self._values = parser, values

        def __getitem__(self, key):
            return self._values[self._parser.optionxform(key)]

    class ConfigParser(RawConfigParser):
        """The same with `%(name)s`."""

        def _interpolate(self):
            return _Lenient()

    class SafeConfigParser(RawConfigParser):
        """The same with `%(name)s` and `%%`."""

        def _interpolate(self):
            return real.BasicInterpolation()

        def set(self, section, option, value=None):
            """Sets a string."""
            if value is not None and not isinstance(value, str):
                raise TypeError("option values must be strings")
            super().set(section, option, value)

    return dict(RawConfigParser=RawConfigParser, ConfigParser=ConfigParser, SafeConfigParser=SafeConfigParser)


@facade("HTMLParser", "html.parser")
def _htmlparser_facade(real):
    import html

    class HTMLParseError(Exception):
        """Never raised any more."""

    class HTMLParser(real.HTMLParser):
        """A parser that reports references as they are."""

        def __init__(self):
            super().__init__(convert_charrefs=False)

        def unescape(self, text):
            """Text without references."""
            return html.unescape(text)

        def error(self, message):
            """Refuses the text."""
            raise HTMLParseError(message)

    return dict(HTMLParser=HTMLParser, HTMLParseError=HTMLParseError)


facade("htmlentitydefs", "html.entities")(same)


@facade("cgi", "")
def _cgi_facade(_):
    import html
    import urllib.parse

    own = {}
    try:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import cgi
        own["_py2_real"] = cgi
    except ImportError:
        pass
    own.update(
        escape=lambda text, quote=None: html.escape(text, bool(quote)).replace("&#x27;", "'"),
        parse_qs=urllib.parse.parse_qs, parse_qsl=urllib.parse.parse_qsl,
    )
    return own


@facade("locale")
def _locale_facade(real):
    def format(form, value, grouping=False, monetary=False, *_):
        return real.format_string(form, value, grouping, monetary)

    return dict(format=format)


@facade("fileinput")
def _fileinput_facade(real):
    def input(files=None, inplace=False, backup="", bufsize=0, mode="r", openhook=None):
        return real.input(files, inplace, backup, mode=mode, openhook=openhook or (None if inplace else open_))

    return dict(input=input)


@facade("email")
def _email_facade(real):
    return dict(
        message_from_string=lambda text, *args, **keywords: real.message_from_bytes(to_bytes(text), *args, **keywords),
        message_from_file=lambda source, *args, **keywords: real.message_from_bytes(to_bytes(source.read()), *args, **keywords),
    )


for _old, _new in (
    ("MIMEText", "email.mime.text"), ("MIMEMultipart", "email.mime.multipart"), ("MIMEBase", "email.mime.base"),
    ("Utils", "email.utils"), ("Header", "email.header"), ("Encoders", "email.encoders"), ("Message", "email.message"),
    ("Parser", "email.parser"),
):
    facade("email." + _old, _new)(same)


@facade("rfc822", "")
def _rfc822_facade(_):
    import email.message
    import email.parser
    import email.utils as utils

    def Message(source, seekable=1):
        lines = []
        for line in iter(source.readline, ""):
            lines.append(line)
            if not line.strip():
                break
        return email.parser.Parser().parsestr("".join(lines))

    own = {
        name: getattr(utils, name)
        for name in "parsedate parsedate_tz formatdate mktime_tz quote unquote parseaddr formataddr".split()
    }
    own.update(Message=Message, dump_address_pair=utils.formataddr)
    return own


@facade("mimetools", "")
def _mimetools_facade(_):
    import uuid

    own = dict(_rfc822_facade(None))
    return dict(Message=own["Message"], choose_boundary=lambda: uuid.uuid4().hex)
