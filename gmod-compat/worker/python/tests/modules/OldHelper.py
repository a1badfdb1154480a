CONSTANT = 0755
try:
    from collections import defaultdict as Defaults
except ImportError:
    Defaults = dict
def humanize(n):
    units = ['', 'k', 'M']
    i = 0
    while n > 1000:
        n /= 1000; i += 1
    return '%d%s' % (n, units[i])
def starred(): return `[1]`
if __name__ == '__main__': print humanize(5)
