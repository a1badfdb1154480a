"""Every conversion: a metric for each type and each kind of value."""
import decimal

VALUES = {
    "int": 42, "neg": -1, "big": 2 ** 32 + 5, "huge": 2 ** 70, "giant": 2 ** 200, "bool": True, "float": 3.5, "nan": float("nan"),
    "str": "17", "strfloat": "12.5", "strnl": "17\n", "strbad": "5 MB", "strempty": "", "bytes": b"8", "latin": b"caf\xe9",
    "surrogate": "caf\udce9", "none": None, "list": [1], "dict": {}, "decimal": decimal.Decimal("2.5"), "nul": "1\0x",
}


class Index:
    def __index__(self):
        return 7


class Text(str):
    pass


VALUES["index"] = Index()
VALUES["subtext"] = Text("9")


def value(name):
    return VALUES[name.split("_", 1)[1]]


def metric_init(params):
    return [
        {"name": "%s_%s" % (kind, key), "call_back": value, "value_type": kind, "slope": "both", "format": "%s"}
        for kind in ("string", "uint", "int", "double", "other")
        for key in VALUES
    ]
