# Python 2: a print statement, an integer division, an old except, a helper of its own kind.
import helper_of_python_2
print "loaded"


def half(name):
    return 7 / 2


def failing(name):
    try:
        raise ValueError, "first"
    except ValueError, e:
        print e
    raise KeyError, "missing"


def metric_init(params):
    made = []
    for name, function in (("half", half), ("failing", failing), ("helped", helper_of_python_2.helped)):
        made.append({"name": name, "call_back": function, "value_type": "uint"})
    return made


def metric_cleanup():
    print "the end"
