ONE = 1L
def where(): return __name__
