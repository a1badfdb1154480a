# The end, as far as a module can tell: what it asked for, and what it printed.
import sys

try:
    import atexit

    atexit._run_exitfuncs()
except BaseException as error:
    print("at exit: %s: %s" % (type(error).__name__, error), file=sys.stderr)
for stream in sys.stdout, sys.stderr:
    try:
        stream.flush()
    except BaseException:
        pass
