import os, sys
import string

descriptors = list()
_glob_info = {}
PATH = '/proc/loadavg'

def update():
    f = open(PATH, 'r')
    parts = string.split(f.readline())
    f.close()
    running, total = string.split(parts[3], '/')
    _glob_info['load_one'] = string.atof(parts[0]) >= 0
    _glob_info['procs_total'] = string.atoi(total) > 0
    _glob_info['fields'] = len(parts)
    _glob_info['half'] = len(parts) / 2

def handler(name):
    update()
    return _glob_info[name]

def metric_init(params):
    global descriptors
    if params.has_key('path'):
        PATH = params['path']
    for name in ('load_one', 'procs_total', 'fields', 'half'):
        d = {'name': name, 'call_back': handler, 'time_max': 60, 'value_type': 'uint',
             'units': 'N', 'slope': 'both', 'format': '%u', 'description': name.replace('_', ' '), 'groups': 'proc'}
        descriptors.append(d)
    print >>sys.stderr, 'proc_loadavg:', len(descriptors), 'metrics'
    return descriptors

def metric_cleanup():
    pass

if __name__ == '__main__':
    params = {}
    metric_init(params)
    for d in descriptors:
        print 'value for %s is %s' % (d['name'], d['call_back'](d['name']))
