"""XML from strings of bytes, which say in themselves how they are encoded."""

from .attrs import result
from .facades import facade
from .files import bytes_of
from .text import to_bytes


def _source(text):
    """What a parser is given: bytes, unless it is Unicode that is no UTF-8 and does not say what else it is."""
    if not isinstance(text, str) or text.isascii():
        return to_bytes(text) if isinstance(text, str) else text
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return text
    if b"encoding=" in data[:120]:
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return text
    return data


def _readable(source):
    return bytes_of(source) if hasattr(source, "read") and not _gives_bytes(source) else source


def _gives_bytes(source):
    return isinstance(getattr(source, "mode", None), int) or type(source).__module__ in ("http.client", "_io", "urllib.response")


def _etree(real):
    def fromstring(text, parser=None):
        return real.fromstring(_source(text), *([parser] if parser is not None else []))

    def parse(source, parser=None):
        return real.parse(_readable(source), *([parser] if parser is not None else []))

    def tostring(element, encoding=None, method=None):
        return result(real.tostring(element, encoding or "us-ascii", method))

    def iterparse(source, events=None, parser=None):
        return real.iterparse(_readable(source), events)

    class ElementTree(real.ElementTree):
        """A tree that is read from files of Python 2."""

        def parse(self, source, parser=None):
            """Reads it."""
            return super().parse(_readable(source), parser)

        def write(self, target, encoding="us-ascii", *args, **keywords):
            """Writes it."""
            return super().write(bytes_of(target) if hasattr(target, "write") else target, encoding, *args, **keywords)

        def getiterator(self, tag=None):
            """All elements."""
            return list(self.iter(tag))

    class XMLParser(real.XMLParser):
        """A parser that is fed with strings."""

        def feed(self, data):
            """Takes a piece."""
            return super().feed(_source(data))

    return dict(
        fromstring=fromstring, XML=fromstring, parse=parse, tostring=tostring, iterparse=iterparse, ElementTree=ElementTree,
        XMLParser=XMLParser, XMLTreeBuilder=XMLParser,
    )


for _name in ("xml.etree.ElementTree", "xml.etree.cElementTree", "elementtree.ElementTree", "cElementTree"):
    facade(_name, "xml.etree.ElementTree")(_etree)


@facade("xml.dom.minidom")
def _minidom_facade(real):
    return dict(
        parseString=lambda text, parser=None: real.parseString(_source(text), parser),
        parse=lambda source, parser=None, bufsize=None: real.parse(_readable(source), parser, bufsize),
    )


@facade("xml.sax")
def _sax_facade(real):
    return dict(
        parseString=lambda text, handler, *args: real.parseString(_source(text), handler, *args),
        parse=lambda source, handler, *args: real.parse(_readable(source), handler, *args),
    )


@facade("xml.parsers.expat")
def _expat_facade(real):
    return {}
