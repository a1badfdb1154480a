"""Raises whatever it is told to, wherever it is told to. Where: import, init, callback, cleanup."""
import os
import sys
import threading


def boom(how):
    if how == "key":
        return {}["missing"]
    if how == "chain":
        try:
            {}["inner"]
        except KeyError:
            raise ValueError("outer\nwith two lines")
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt()
    if how == "generator":
        raise GeneratorExit
    if how == "deep":
        return boom("deep")
    if how == "unprintable":
        class Bad(Exception):
            def __str__(self):
                raise RuntimeError("no text")
        raise Bad()
    if how == "_exit":
        os._exit(5)
    if how == "abort":
        os.abort()
    if how == "segfault":
        import ctypes
        ctypes.string_at(0)
    if how == "thread":
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    return 1


HOW = {}


def raising(name):
    return boom(HOW["callback"])


def working(name):
    return 2


def metric_init(params):
    HOW.update(params)
    boom(params.get("init"))
    made = [{"name": "bad", "call_back": raising, "value_type": "uint"}]
    if "alone" not in params:
        made.append({"name": "good", "call_back": working, "value_type": "uint"})
    return made


def metric_cleanup():
    print("cleanup", HOW.get("cleanup"))
    boom(HOW.get("cleanup"))
