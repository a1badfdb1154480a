# XML and text over httplib, urllib and cookies
import httplib, urllib, urlparse, socket
from xml.dom import minidom
import xml.etree.ElementTree as ElementTree
from HTMLParser import HTMLParser
import cookielib, urllib2
from StringIO import StringIO

class Table(HTMLParser):
    def __init__(self):
        HTMLParser.__init__(self)
        self.cell = False
        self.cells = []
    def handle_starttag(self, tag, attrs):
        self.cell = tag == 'td'
    def handle_endtag(self, tag):
        self.cell = False
    def handle_data(self, data):
        if self.cell: self.cells.append(data)

def fetch(params):
    url = urlparse.urlparse(params['url'])
    out = {}
    conn = httplib.HTTPConnection(url[1])
    conn.request('GET', '/stats.xml', headers={'Accept': 'text/xml'})
    resp = conn.getresponse()
    body = resp.read()
    out['status'] = '%d %s %s' % (resp.status, resp.reason, resp.getheader('content-type'))
    dom = minidom.parseString(body)
    for node in dom.getElementsByTagName('stat'):
        out['dom_' + str(node.getAttribute('name'))] = node.firstChild.data
    tree = ElementTree.parse(StringIO(body))
    out['tree_n'] = len(tree.getiterator('stat'))
    out['tree_total'] = sum([int(e.text) for e in tree.getroot().findall('stat') if e.text.isdigit()])
    dom2 = minidom.parse(urllib2.urlopen(params['url'] + '/stats.xml'))
    out['dom2'] = dom2.documentElement.tagName
    out['tree2'] = ElementTree.parse(urllib.urlopen(params['url'] + '/stats.xml')).getroot().tag
    conn.close()
    # a form is posted
    data = urllib.urlencode({'q': 'a b', 'z': 'caf\xc3\xa9'})
    answer = urllib2.urlopen(params['url'] + '/echo', data).read()
    out['echo'] = '&'.join(sorted(answer.split('&')))
    conn = httplib.HTTPConnection(url.hostname, url.port, timeout=3)
    conn.putrequest('POST', '/echo')
    conn.putheader('Content-Length', str(5))
    conn.endheaders()
    conn.send('h\xe4llo'[:5])
    out['echo2'] = repr(conn.getresponse().read())
    # lines
    total = 0
    for line in urllib.urlopen(params['url'] + '/server-status?auto'):
        k, v = line.rstrip('\n').split(': ')
        out['auto_' + k.replace(' ', '_')] = v
        total += 1
    out['lines'] = total
    f = urllib2.urlopen(params['url'] + '/server-status?auto')
    out['readlines'] = f.readlines()[0].strip()
    out['readline'] = urllib.urlopen(params['url'] + '/server-status?auto').readline()
    p = Table()
    p.feed(urllib.urlopen(params['url'] + '/table.html').read())
    out['cells'] = ','.join(p.cells)
    jar = cookielib.CookieJar()
    opener = urllib2.build_opener(urllib2.HTTPCookieProcessor(jar))
    opener.addheaders = [('User-agent', 'old/1.0')]
    opener.open(params['url'] + '/cookie').read()
    out['cookie'] = opener.open(params['url'] + '/cookie').read()
    mgr = urllib2.HTTPPasswordMgrWithDefaultRealm()
    mgr.add_password(None, params['url'], params['user'], params['pass'])
    op = urllib2.build_opener(urllib2.HTTPBasicAuthHandler(mgr))
    out['auth'] = len(op.open(params['url'] + '/stats.json').read()) > 10
    out['gone'] = urllib.urlopen(params['url'] + '/missing').getcode()
    try:
        urllib2.urlopen('http://127.0.0.1:%s/' % params['dead'], timeout=1)
    except urllib2.URLError, e:
        out['dead'] = str(e.reason)
    except socket.error, (errno, msg):
        out['dead'] = msg
    try:
        c = httplib.HTTPConnection('127.0.0.1:' + params['dead'])
        c.request('HEAD', '/')
    except (httplib.HTTPException, socket.error), ex:
        out['dead2'] = "%s/%s" % (ex[0], ex.args[1])
    return out

RESULT = {}

def metric_init(params):
    RESULT.update(fetch(params))
    names = RESULT.keys()
    names.sort()
    return [dict(name=n, call_back=lambda n: RESULT[n], value_type='string', slope='zero', format='%s', time_max=90, units='', description='', groups='xml') for n in names]

def metric_cleanup(): pass
