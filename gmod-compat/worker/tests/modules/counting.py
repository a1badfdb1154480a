"""A pipe that does what it is told to for each record."""
import graft

path = "hits"
PARAMS = {}


def init(params):
    PARAMS.update(params)


def process(arr):
    (addr, user, time, method, url, protocol, status, bytes, referer, agent, request_time, upstream_time) = arr
    how = PARAMS.get("how")
    if how == "arr":
        graft.set("arr", repr(arr))
    elif how == "all":
        graft.add(method, status)
        graft.add("n", n=2.5)
        graft.add()
        graft.set("gauge", 7)
        graft.set("text", value="v")
        graft.set("flag", True)
        graft.observe("time", request_time)
        graft.distinct("who", addr)
        graft.top("urls", url, n=2, k=5)
        graft.mark("release", "1.2")
        graft.action("gauge", "average")
        graft.add(*"abcdefghij", n=1)
        graft.add(1, 2.5, None, b"bytes", "")
    elif how == "dict":
        return {"br": {"ie": {"6": 3, "7": [8, {"venders": {"sogou": 2}}]}}, "ok": True, "t": "x", "g": {"defaultaction": "max", "a": 5}}
    elif how == "raise" and status == 404:
        raise ValueError("no such page")
    elif how == "bad":
        return {"a": {"b": float("nan")}}
    elif how == "types":
        graft.set("a")
        graft.add("x", n="much")
    else:
        graft.add(method or "-")


def cleanup():
    print("cleaned up")
