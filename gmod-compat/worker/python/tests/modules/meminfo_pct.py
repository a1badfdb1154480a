#!/usr/bin/python
# /proc/meminfo as percentages, from a copy that does not change
import re, os, time

NAME_PREFIX = "mem_"
TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data', 'meminfo.txt')
LAST = {'time': 0, 'data': {}}
CACHE = 5

def get_metrics():
    global LAST
    if (time.time() - LAST['time']) > CACHE:
        new = {}
        for line in open(TEXT):
            m = re.match('^(\S+):\s+(\d+)(?: kB)?$', line)
            if m <> None:
                new[m.group(1)] = long(m.group(2)) * 1024L
        LAST = {'time': time.time(), 'data': new}
    return LAST['data']

def get_value(name):
    metrics = get_metrics()
    key = name[len(NAME_PREFIX):]
    try:
        return metrics[key]
    except KeyError, e:
        return 0

def get_percent(name):
    m = get_metrics()
    used = m['MemTotal'] - m['MemFree'] - m['Buffers'] - m['Cached']
    return used * 100 / m['MemTotal']

def get_ratio(name):
    m = get_metrics()
    return round(float(m['MemFree']) / m['MemTotal'], 2)

def create_desc(skel, prop):
    d = skel.copy()
    for k, v in prop.iteritems():
        d[k] = v
    return d

def metric_init(lparams):
    Desc_Skel = dict(name='XXX', call_back=get_value, time_max=60, value_type='float', format='%.0f', units='bytes',
                     slope='both', description='XXX', groups='memory')
    descriptors = []
    for n in get_metrics().keys():
        descriptors.append(create_desc(Desc_Skel, {"name": NAME_PREFIX + n, "description": "Memory %s" % n}))
    descriptors.append(create_desc(Desc_Skel, {"name": "mem_used_percent", "call_back": get_percent, "value_type": "uint", "format": "%u"}))
    descriptors.append(create_desc(Desc_Skel, {"name": "mem_free_ratio", "call_back": get_ratio, "format": "%.2f"}))
    descriptors.sort(lambda a, b: cmp(a['name'], b['name']))
    return descriptors

def metric_cleanup():
    '''Clean up the metric module.'''
    pass
