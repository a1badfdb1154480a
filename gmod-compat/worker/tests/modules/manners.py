"""Bad manners: prints, threads that never end, signals, a closed standard output, another folder."""
import atexit
import os
import signal
import sys
import threading
import time

TICKS = [0]


def tick():
    while True:
        TICKS[0] += 1
        print("tick")
        time.sleep(0.001)


def ticks(name):
    before = TICKS[0]
    until = time.time() + 5
    while TICKS[0] == before and time.time() < until:
        time.sleep(0.001)
    return int(TICKS[0] > before)


def between(name):
    """How often the thread ran since the last call: it runs between two orders too."""
    seen, TICKS[0] = TICKS[0], 0
    return seen


def out(name):
    sys.stdout.write("no end of line")
    sys.stdout.buffer.write(b"bytes\xff\n")
    sys.stdout.flush()
    os.write(1, b"to descriptor 1\n")
    os.close(1)
    os.chdir("/tmp")
    print("caf\xe9 \udce9 after all that")
    return sys.stdout.fileno()


def signals(name):
    got = []
    signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    return len(got)


def child(name):
    import subprocess
    return int(subprocess.check_output(["sh", "-c", "cat; echo 7"]))


def fork(name):
    """Its child comes back out of the callback, in each of three ways."""
    for way in range(3):
        pid = os.fork()
        if pid == 0:
            if way == 0:
                sys.exit(0)
            if way == 1:
                raise ValueError("in the child")
            return 99
        os.waitpid(pid, 0)
    return 3


class Opens:
    opener = open
    os_opener = os.open


def opens(name):
    """A function of Python's own that is kept in a class is no method of it."""
    with Opens().opener(os.devnull) as file:
        os.close(Opens().os_opener(os.devnull, os.O_RDONLY))
        return len(file.read())


def flood(name):
    for _ in range(2000):
        print("x" * 200)
    return 1


def metric_init(params):
    print("init")
    thread = threading.Thread(target=tick)
    thread.daemon = False
    thread.start()
    atexit.register(print, "at exit")
    return [{"name": f.__name__, "call_back": f, "value_type": "uint"} for f in (ticks, between, out, signals, child, fork, opens, flood)]


def metric_cleanup():
    print("cleanup")
