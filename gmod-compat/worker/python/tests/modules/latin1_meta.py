# -*- coding: iso-8859-1 -*-
# Latin-1 source, a metaclass registry, properties, old classes, tabs with blanks
import new, types, UserDict
from types import *

class Registry(type):
	plugins = []
	def __init__(cls, name, bases, attrs):
	    if not hasattr(cls, 'abstract_'):
	        pass
	    if bases and bases[0] is not object:
		Registry.plugins.append(cls)
	    type.__init__(cls, name, bases, attrs)

class Metric(object):
    __metaclass__ = Registry
    units = u'\xb0C'
    def __init__(self, name): self.name = name
    def __cmp__(self, other): return cmp(self.name, other.name)
    def __nonzero__(self): return self.name != 'nothing'
    def __str__(self): return 'Metric<%s>' % self.name
    def __unicode__(self): return u'Metric \xe9'

class Temperature(Metric):
    "Temperatur in \xb0C"
    def value(self): return 'Größe'
    def __div__(self, n): return len(self.name) / n

class Bytes(Metric):
    def value(self): return 'gr\xc3\xb6\xc3\x9fe'

class Nothing(Metric):
    def value(self): return u'gr\xf6\xdfe'

class Stack:
    """old style"""
    def __init__(self, *items): self.items = list(items)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __getslice__(self, a, b): return self.items[a:b]
    def __getattr__(self, name):
        if name.startswith('__'): raise AttributeError, name
        return 'attr:' + name
    def __coerce__(self, other): return None

class Countdown:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def next(self):
        if self.n <= 0: raise StopIteration
        self.n -= 1
        return self.n

class Settings(UserDict.UserDict):
    def __init__(self, **kw):
        UserDict.UserDict.__init__(self, kw)

out = {}
def metric_init(params):
    objs = [cls(cls.__name__.lower()) for cls in Registry.plugins]
    objs.sort()
    objs.reverse()
    out['order'] = ','.join([o.name for o in objs])
    out['truth'] = len(filter(None, objs))
    out['max'] = str(max(objs))
    out['div'] = Temperature('abcde') / 2
    out['latin'] = Temperature('x').value()
    out['utf8'] = Bytes('x').value()
    out['uni'] = Nothing('x').value().encode('utf-8')
    out['doc'] = len(Temperature.__doc__)
    s = Stack(1, 2, 3, 4)
    out['slice'] = str(s[1:3]) + str(s[-1]) + s.foo + str(len(s[:]))
    out['count'] = str(list(Countdown(3))) + str(Countdown(5).next())
    out['types'] = '%s' % (type('a') is StringType and isinstance(1L, (IntType, LongType)) and type(s.items) == ListType)
    st = Settings(a=1)
    out['user'] = str(st.has_key('a')) + str(st.keys())
    f = new.instancemethod(lambda self: self.n * 2, Countdown(4), Countdown)
    out['new'] = f()
    out['unicode'] = len(unicode(Temperature('q')))
    out['x'] = x
    return map(lambda k: {'name': k, 'call_back': out.__getitem__, 'value_type': 'string', 'units': Metric.units.encode('latin-1')}, sorted(out))
squares = [x * x for x in range(4)]
