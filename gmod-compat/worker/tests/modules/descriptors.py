"""What a module may give for a descriptor, and what it gets."""
import sys
import types

import ganglia

import helper_of_values

GOT = []
ARGV = getattr(sys, "argv", None)


def one(name):
    GOT.append(name)
    return 1


class Metrics(list):
    pass


def metric_init(params):
    params["mine"] = "to change"
    return Metrics([
        {"name": "plain", "call_back": one, "time_max": 90, "value_type": "uint", "units": "things", "slope": "zero",
         "format": "%u", "description": "A thing", "groups": "a, b", "color": "red", "depth": 5},
        {"NAME": "CAPS", "call_back": one, "Value_Type": "UINT", "TIME_MAX": "33"},
        {"name": "counter", "call_back": one, "value_type": "uint", "slope": "positive"},
        {"name": "spoofed", "call_back": one, "value_type": "uint", "spoof_host": "10.0.0.9:web9", "spoof_name": "shown"},
        {"name": "twice", "call_back": lambda name: 1, "value_type": "uint"},
        {"name": "twice", "call_back": lambda name: 2, "value_type": "uint"},
        {"name": "n" * 300, "call_back": lambda name: len(name), "value_type": "uint"},
        {"name": "silent", "value_type": "uint"},
        {"name": "not callable", "call_back": "one", "value_type": "uint"},
        types.MappingProxyType({"name": "proxy", "call_back": one, "value_type": "uint", 7: "seven"}),
        {"name": "helped", "call_back": helper_of_values.helped, "value_type": "string"},
        {"name": "level", "call_back": lambda name: ganglia.get_debug_msg_level(), "value_type": "uint"},
        {"name": "params", "call_back": lambda name: repr(sorted(params.items())), "value_type": "string"},
        {"name": "file", "call_back": lambda name: "%s %s %s" % (__file__.rsplit("/", 1)[1], __name__, ARGV), "value_type": "string"},
        {"name": "self", "call_back": lambda name: str(sys.modules[__name__].GOT is GOT), "value_type": "string"},
        "text",
        7,
    ])
