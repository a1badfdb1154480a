import other
def value(x): return x / 2 + other.ONE
print "sub",
