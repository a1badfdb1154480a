# a module that has helpers beside it, one old, one for both, and a package
import OldHelper
from OldHelper import humanize, Defaults, CONSTANT
import bothhelper as both
import oldpkg.sub
from oldpkg import other
import queue_stats   # no installed module of this name
from OldHelper import *
import statistics    # Python 3 has one of this name; Python 2 has not

def cb(name): return VALUES[name]

def metric_init(params):
    global VALUES
    VALUES = {
        'humanize': humanize(123456), 'const': CONSTANT, 'name': OldHelper.__name__ + both.__name__ + oldpkg.sub.__name__,
        'both': both.half(7), 'sub': oldpkg.sub.value(9), 'other': other.where(), 'defaults': str(Defaults(int)['x']),
        'star': starred(), 'stat': statistics.mean([1, 2]), 'q': queue_stats.depth(), 'mod': __name__,
        'err': failing(),
    }
    return [{'name': n, 'call_back': cb, 'value_type': 'string'} for n in sorted(VALUES)]

def failing():
    try:
        import no_such_helper
    except ImportError, e:
        return str(e)
