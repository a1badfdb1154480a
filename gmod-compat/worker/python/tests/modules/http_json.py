# -*- coding: utf-8 -*-
"""Polls JSON in a thread, as many did."""
import sys, time, copy, threading, urllib2, base64
from string import Template
try:
    import json
except ImportError:
    import simplejson as json

descriptors = []
Desc_Skel = {}
_Worker_Thread = None
_Lock = threading.Lock()
Debug = False

def dprint(f, *v):
    if Debug:
        print >> sys.stderr, "DEBUG: " + f % v

class UpdateMetricThread(threading.Thread):

    def __init__(self, params):
        threading.Thread.__init__(self)
        self.running = False
        self.shuttingdown = False
        self.refresh_rate = 1
        if params.has_key("refresh_rate"):
            self.refresh_rate = int(params["refresh_rate"])
        self.metric = {}
        self.url = params["url"]
        self.auth = base64.encodestring('%s:%s' % (params['user'], params['pass']))[:-1]
        self._stop = threading.Event()
        self.done = threading.Event()

    def shutdown(self):
        self.shuttingdown = True
        self._stop.set()
        if not self.running:
            return
        self.join()

    def run(self):
        self.running = True
        while not self.shuttingdown:
            _Lock.acquire()
            try:
                self.update_metric()
            finally:
                _Lock.release()
                self.done.set()
            self._stop.wait(self.refresh_rate)
        self.running = False

    def update_metric(self):
        try:
            req = urllib2.Request(self.url + '/stats.json')
            req.add_header("Authorization", "Basic %s" % self.auth)
            res = urllib2.urlopen(req, None, 2)
            stats = res.read()
            dprint("%s", stats)
            self.metric['length'] = len(stats)
            self.metric['type'] = res.info().getheader('Content-Type') + '/' + res.headers.gettype()
            j = json.loads(stats)
            for k, v in j.items():
                if type(v) in (int, long, float):
                    self.metric[k] = v
                elif isinstance(v, unicode):
                    self.metric[k] = v.encode('utf-8')
                elif isinstance(v, list):
                    self.metric[k] = len(v)
                elif isinstance(v, dict):
                    for kk in v: self.metric['%s_%s' % (k, kk)] = v[kk]
            self.metric['ratio'] = j['hits'] / j['calls']
            self.metric['pct'] = 100 * j['hits'] / j['calls']
            self.metric['code'] = res.code
        except urllib2.URLError, e:
            self.metric['error'] = str(e)
        try:
            urllib2.urlopen(self.url + '/missing')
        except urllib2.HTTPError, e:
            self.metric['missing'] = e.code
            self.metric['missing_text'] = e.read().strip() + ' ' + e.msg
        try:
            urllib2.urlopen(self.url + '/stats.json')
        except urllib2.HTTPError, e:
            self.metric['unauthorized'] = "%d %s" % (e.code, e.headers['www-authenticate'])

    def metric_of(self, name):
        val = 0
        if name in self.metric:
            _Lock.acquire()
            val = self.metric[name]
            _Lock.release()
        return val

def metric_init(params):
    global descriptors, Desc_Skel, _Worker_Thread, Debug
    Desc_Skel = {
        'name'        : 'XXX',
        'call_back'   : metric_of,
        'time_max'    : 60,
        'value_type'  : 'float',
        'format'      : '%.3f',
        'units'       : 'XXX',
        'slope'       : 'XXX', # zero|positive|negative|both
        'description' : 'Größe',
        'groups'      : 'http',
        }
    _Worker_Thread = UpdateMetricThread(params)
    _Worker_Thread.setDaemon(True)
    _Worker_Thread.start()
    _Worker_Thread.done.wait(10)
    for name in sorted(_Worker_Thread.metric.iterkeys()):
        d = copy.deepcopy(Desc_Skel)
        d['name'] = name
        d['value_type'] = isinstance(_Worker_Thread.metric[name], basestring) and 'string' or 'float'
        descriptors.append(d)
    return descriptors

def metric_of(name):
    return _Worker_Thread.metric_of(name)

def metric_cleanup():
    _Worker_Thread.shutdown()
