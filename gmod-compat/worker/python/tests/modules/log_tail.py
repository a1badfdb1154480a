#!/usr/bin/env python
# Follows a web server's log: rates, percentiles, a deque, itertools, datetime
import os, re, sys, time, bisect, heapq, logging, traceback, tempfile
from datetime import datetime, timedelta
from collections import deque
from itertools import groupby, imap, izip, ifilter, islice, chain
from operator import itemgetter
from optparse import OptionParser

log = logging.getLogger('log_tail')
log.addHandler(logging.StreamHandler(open(os.devnull, 'w')))
RX = re.compile(r'(?P<host>\S+) - (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<verb>[A-Z]+) (?P<url>\S+)[^"]*" (?P<status>\d{3}) (?P<size>\d+|-) (?P<secs>[\d.]+)')
LINES = '''10.0.0.1 - bob [10/Oct/2011:13:55:36 +0000] "GET /a?x=1 HTTP/1.0" 200 2326 0.5
10.0.0.2 - - [10/Oct/2011:13:55:37 +0000] "POST /caf%C3%A9 HTTP/1.1" 404 - 0.25
not a line
10.0.0.1 - - [10/Oct/2011:13:56:38 +0000] "GET /b\xe9 HTTP/1.0" 500 12 1.75
10.0.0.3 - - [10/Oct/2011:13:56:39 +0000] "GET /a HTTP/1.0" 304 0 0.125
'''

class Tail(object):
    def __init__(self, path):
        self.path, self.pos, self.inode = path, 0, None
        self._buffer = ''

    def __iter__(self):
        return self

    def next(self):
        st = os.stat(self.path)
        if self.inode != st.st_ino or st[6] < self.pos:
            self.inode, self.pos = st.st_ino, 0
        f = open(self.path)
        try:
            f.seek(self.pos)
            line = f.readline()
            if not line.endswith('\n'): raise StopIteration
            self.pos = f.tell()
            return line
        finally:
            f.close()

def memoize(fn):
    cache = {}
    def wrapper(*args):
        try: return cache[args]
        except KeyError:
            value = cache[args] = fn(*args)
            return value
    wrapper.func_name = fn.func_name
    return wrapper

@memoize
def stamp(text):
    return datetime(*time.strptime(text.split()[0], '%d/%b/%Y:%H:%M:%S')[:6])

def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * p / 100)]

def collect():
    out = {}
    fd, path = tempfile.mkstemp()
    os.write(fd, LINES + 'partial')
    os.close(fd)
    hits = []
    bad = 0
    for line in Tail(path):
        m = RX.match(line)
        if m is None:
            bad += 1
            continue
        d = m.groupdict()
        d['when'] = stamp(d['time'])
        d['size'] = d['size'] != '-' and int(d['size']) or 0
        hits.append(d)
    os.unlink(path)
    out['bad'] = bad
    for k, g in groupby(sorted(hits, key=itemgetter('status')), lambda h: int(h['status']) / 100):
        out['%dxx' % k] = len(list(g))
    span = max(h['when'] for h in hits) - min(h['when'] for h in hits)
    out['span'] = span.seconds
    out['per_minute'] = len(hits) * 60 / span.seconds
    out['mean_size'] = sum(imap(itemgetter('size'), hits)) / len(hits)
    secs = map(float, [h['secs'] for h in hits])
    out['p50'], out['p95'] = percentile(secs, 50), percentile(secs, 95)
    out['mean'] = '%.3f' % (sum(secs) / len(secs))
    out['stamp'] = str(stamp.func_name) + str(hits[0]['when'] + timedelta(hours=1, minutes=30))
    window = deque(maxlen=2)
    for h in hits: window.append(h['url'])
    out['last'] = ' '.join(window)
    out['users'] = ','.join(sorted(set(h['user'] for h in hits)))
    out['top'] = str(heapq.nlargest(1, [(len(list(v)), k) for k, v in groupby(sorted(h['host'] for h in hits))]))
    edges = [0, 100, 1000]
    out['hist'] = str([bisect.bisect(edges, h['size']) for h in hits])
    out['zip'] = str(zip(*[(h['verb'], h['status']) for h in hits])[0])
    out['chain'] = str(list(islice(chain([1], ifilter(None, [0, 2, 3])), 2)))
    p = OptionParser()
    p.add_option('-l', '--level', dest='level', type='int', default=3)
    o, rest = p.parse_args(['--level', '5', 'x'])
    out['opt'] = o.level / 2 + len(rest)
    try:
        {}['nothing']
    except KeyError:
        out['trace'] = traceback.format_exc().strip().split('\n')[-1]
        log.exception('as expected')
    try:
        raise IOError, (5, 'broken')
    except (OSError, IOError), why:
        out['why'] = '%s|%d|%s' % (why, why.errno, why[1])
    else:
        out['why'] = 'no'
    finally:
        out['finally'] = 1
    return out

def metric_init(params):
    global VALUES
    VALUES = collect()
    return [dict(name='log_' + k, call_back=lambda name: VALUES[name[4:]], value_type=isinstance(v, int) and 'uint' or 'string', units=k.upper(), slope='both') for k, v in VALUES.items()]
