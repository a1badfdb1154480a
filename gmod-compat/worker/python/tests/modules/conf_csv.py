import ConfigParser, csv, StringIO, os, tempfile, cPickle as pickle, gzip, time, datetime, md5, zlib, shelve, glob
from itertools import izip, imap, ifilter, count

HERE = os.path.dirname(os.path.abspath(__file__))
out = {}

def conf():
    cp = ConfigParser.SafeConfigParser({'port': '80'})
    cp.readfp(StringIO.StringIO("[web]\nhost = www ; the host\nurl = http://%(host)s:%(port)s/\nlist = a, b,c\n[db]\nport: 3306\non = Yes\n"))
    for s in cp.sections():
        for k, v in cp.items(s):
            out['cp_%s_%s' % (s, k)] = v
    out['cp_list'] = str(map(str.strip, cp.get('web', 'list').split(',')))
    out['cp_int'] = cp.getint('db', 'port') / 100
    try: cp.get('web', 'none')
    except ConfigParser.NoOptionError, e: out['cp_err'] = e.message

def table():
    fd, path = tempfile.mkstemp('.csv')
    f = os.fdopen(fd, 'wb')
    w = csv.writer(f, delimiter=';', quoting=csv.QUOTE_ALL)
    for row in izip(count(1), ['a', 'b\xe9', 'c"d'], [1.5, None, True]):
        w.writerow(row)
    f.close()
    rows = list(csv.reader(open(path, 'rb'), delimiter=';'))
    out['rows'] = repr(rows)
    rd = csv.DictReader(open(path, 'rb'), ['n', 't', 'v'], delimiter=';')
    out['dict'] = repr([r['t'] for r in rd])
    out['sum'] = sum(imap(int, [r[0] for r in rows])) / 4
    z = gzip.GzipFile(path + '.gz', 'w')
    z.write(open(path).read()); z.close()
    out['gz'] = len(gzip.open(path + '.gz').readlines())
    os.unlink(path); os.unlink(path + '.gz')

def state():
    path = tempfile.mktemp()
    old = {'when': datetime.datetime(2011, 2, 3), 'v': [1, 2L, 'x\xff', u'\u20ac'], 't': (None, True)}
    pickle.dump(old, open(path, 'wb'), -1)
    new = pickle.load(open(path, 'rb'))
    out['pickle'] = new == old and new['when'].strftime('%d.%m.%y')
    pickle.dump(old['v'], file(path, 'w'))
    out['pickle0'] = repr(pickle.load(file(path))[2:3])
    os.remove(path)
    out['md5'] = md5.new(open(HERE + '/data/meminfo.txt').read()).hexdigest()
    out['crc'] = zlib.crc32('counter\xff')
    out['tail'] = tail(HERE + '/data/meminfo.txt', 2)
    out['glob'] = len(glob.glob(HERE + '/data/mem*'))

def tail(path, n):
    f = open(path)
    f.seek(0, 2)
    size = f.tell()
    f.seek(max(size - 40, 0))
    f.readline()
    lines = f.readlines()
    return '|'.join([l.rstrip() for l in lines[-n:]])

def mixed():
    vals = [3, '10', None, 2.5, 'abc', (1, 2)]
    vals.sort()
    out['mixed'] = str(vals)
    out['best'] = str(max(None, -1)) + str(min('a', 5))
    table = dict(a=3, b=None, c='x', d=1.5)
    out['by_value'] = ' '.join([k for k, v in sorted(table.items(), key=lambda (k, v): v)])
    out['over'] = len([v for v in table.values() if v > 2])
    out['cmp'] = cmp(table['b'], 0) + cmp('a', 1)
    out['div'] = '%d %s %.2f %s' % (7 / 2, -7 / 2, 7 / 2.0, 7.0 // 2)
    out['round'] = '%s %s %s' % (round(2.5), round(-0.5), round(1234.567, 1))
    out['float'] = '%s %s %s' % (0.1 + 0.2, 1e15 / 3, 100.0)
    out['pct'] = '%s%%' % (100.0 / 3)
    out['chr'] = ''.join(map(chr, range(97, 100))) + '%c' % 100 + `1.1`
    total = 10; total /= 4; out['idiv'] = total
    out['join'] = ', '.join(map(str, [1.0, 2, None, 1.23456789012345]))

def metric_init(params):
    for f in (conf, table, state, mixed): apply(f)
    names = out.keys(); names.sort()
    res = []
    for i in xrange(len(names)):
        res.append({'name': names[i], 'call_back': lambda n, out=out: out[n], 'value_type': 'string', 'time_max': i / 2})
    return res
