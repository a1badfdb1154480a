"""The parts of `distutils` that programs use which install nothing; Python has it no more since 3.12."""

import re

from .facades import facade


@facade("distutils", "")
def _distutils_facade(_):
    return dict(__path__=[], __version__="2.7.18")


@facade("distutils.spawn", "")
def _spawn_facade(_):
    import shutil

    return dict(find_executable=lambda executable, path=None: shutil.which(executable, path=path))


class LooseVersion:
    """A version as numbers and words."""

    def __init__(self, text=None):
        self.vstring, self.version = "", []
        if text is not None:
            self.parse(text)

    def parse(self, text):
        """Reads one."""
        self.vstring = text
        parts = [part for part in re.split(r"(\d+|[a-z]+|\.)", text) if part and part != "."]
        self.version = [int(part) if part.isdigit() else part for part in parts]

    def __str__(self):
        return self.vstring

    def __repr__(self):
        return "%s ('%s')" % (type(self).__name__, self)

    def _compare(self, other):
        from .ops import cmp

        if isinstance(other, str):
            other = type(self)(other)
        return cmp(self.version, other.version)

    __cmp__ = _compare

    def __eq__(self, other):
        return self._compare(other) == 0

    def __lt__(self, other):
        return self._compare(other) < 0

    def __le__(self, other):
        return self._compare(other) <= 0

    def __gt__(self, other):
        return self._compare(other) > 0

    def __ge__(self, other):
        return self._compare(other) >= 0

    __hash__ = object.__hash__


class StrictVersion(LooseVersion):
    """A version as three numbers and perhaps a letter."""

    def parse(self, text):
        """Reads one. Raises ValueError."""
        found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?$", text)
        if not found:
            raise ValueError("invalid version number '%s'" % text)
        major, minor, patch, letter, number = found.groups()
        self.vstring = text
        # No letter stands behind any letter.
        self.version = [int(major), int(minor), int(patch or 0), letter or "z", int(number or 0)]


@facade("distutils.version", "")
def _version_facade(_):
    return dict(LooseVersion=LooseVersion, StrictVersion=StrictVersion, Version=LooseVersion)


@facade("distutils.util", "")
def _util_facade(_):
    def strtobool(text):
        text = text.lower()
        if text in ("y", "yes", "t", "true", "on", "1"):
            return 1
        if text in ("n", "no", "f", "false", "off", "0"):
            return 0
        raise ValueError("invalid truth value %r" % (text,))

    import sysconfig

    return dict(strtobool=strtobool, get_platform=sysconfig.get_platform)


@facade("distutils.sysconfig", "")
def _sysconfig_facade(_):
    import sysconfig

    def get_python_lib(plat_specific=0, standard_lib=0, prefix=None):
        return sysconfig.get_path("stdlib" if standard_lib else "platlib" if plat_specific else "purelib")

    return dict(get_python_lib=get_python_lib, get_config_var=sysconfig.get_config_var, get_config_vars=sysconfig.get_config_vars)
