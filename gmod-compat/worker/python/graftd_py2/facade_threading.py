"""Threads. Python 3 keeps a thread's state under names that old classes use for their own: `self._stop = Event()`."""

import sys
import threading as _threading

from .facades import facade, same

_WORDS = (
    "_target _name _args _kwargs _daemonic _ident _native_id _tstate_lock _started _is_stopped _initialized _stderr "
    "_invoke_excepthook _reset_internal_locks _bootstrap _bootstrap_inner _stop _delete _set_ident _set_native_id "
    "_set_tstate_lock _wait_for_tstate_lock _handle _after_fork _context _os_thread_handle"
).split()
_MISSING = object()


def _by_threading():
    """Whether the module `threading` itself asks."""
    return sys._getframe(2).f_globals is _threading.__dict__


class _Apart:
    """An attribute that is one thing to `threading` and another to old code."""

    def __init__(self, name, inherited):
        self.name, self.inherited = name, inherited
        self.old = "_py2_thread" + name

    def __get__(self, thread, cls=None):
        if _by_threading():
            if thread is None:
                return self.inherited
            value = thread.__dict__.get(self.name, self.inherited)
            return value.__get__(thread, cls) if hasattr(value, "__get__") and value is self.inherited else value
        if thread is not None:
            value = thread.__dict__.get(self.old, _MISSING)
            if value is not _MISSING:
                return value
        value = getattr(cls, self.old, _MISSING)
        if value is not _MISSING:
            return value.__get__(thread, cls) if hasattr(value, "__get__") else value
        if thread is not None and self.name in thread.__dict__:
            return thread.__dict__[self.name]
        if self.inherited is _MISSING:
            raise AttributeError("'%s' object has no attribute '%s'" % (cls.__name__, self.name))
        return self.inherited.__get__(thread, cls) if hasattr(self.inherited, "__get__") else self.inherited

    def __set__(self, thread, value):
        thread.__dict__[self.name if _by_threading() else self.old] = value

    def __delete__(self, thread):
        name = self.name if _by_threading() else self.old
        if name not in thread.__dict__:
            raise AttributeError(self.name)
        del thread.__dict__[name]


def _guarded(base):
    own = {word: _Apart(word, getattr(base, word, _MISSING)) for word in _WORDS}
    made = type(base.__name__, (base,), own)
    made.__module__, made.__qualname__ = base.__module__, base.__qualname__
    return made


Thread = _guarded(_threading.Thread)


class Timer(Thread):
    """A thread that waits first."""

    def __init__(self, interval, function, args=None, kwargs=None):
        super().__init__()
        self.interval, self.function = interval, function
        self.args, self.kwargs = args or [], kwargs or {}
        self.finished = _threading.Event()

    def cancel(self):
        """Ends the wait without a call."""
        self.finished.set()

    def run(self):
        """Waits and calls."""
        self.finished.wait(self.interval)
        if not self.finished.is_set():
            self.function(*self.args, **self.kwargs)
        self.finished.set()


def adopt(cls):
    """Moves what a class of old code defines under names of `threading` out of its way."""
    if not issubclass(cls, Thread):
        return
    for word in _WORDS:
        if word in cls.__dict__:
            value = cls.__dict__[word]
            delattr(cls, word)
            setattr(cls, "_py2_thread" + word, value)


@facade("threading")
def _threading_facade(real):
    return dict(
        Thread=Thread, Timer=Timer, _Timer=Timer, _Event=real.Event, _Condition=real.Condition, _RLock=real.RLock,
        _Semaphore=real.Semaphore, _sleep=__import__("time").sleep, currentThread=real.current_thread,
        activeCount=real.active_count,
    )


@facade("thread", "_thread")
def _thread_facade(real):
    return dict(start_new=real.start_new_thread, allocate=real.allocate_lock, exit_thread=real.exit)


facade("dummy_thread", "_thread")(_thread_facade)
facade("dummy_threading", "threading")(_threading_facade)
facade("Queue", "queue")(same)
