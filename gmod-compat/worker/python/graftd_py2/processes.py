"""`subprocess` for strings: pipes are files of Python 2, and what `communicate` takes and gives are strings."""

from .files import file
from .text import name_out, of_bytes, to_bytes


def _argument(value):
    if isinstance(value, (list, tuple)):
        return [name_out(item) for item in value]
    return name_out(value)


class _unbuffered(file):
    """A pipe to a process that was asked for without a buffer, which was the default."""

    def write(self, text):
        """Writes a string at once."""
        super().write(text)
        self.raw.flush()


def build(real):
    """What `subprocess` has that is different."""

    class Popen(real.Popen):
        """A process."""

        def __init__(
            self, args, bufsize=0, executable=None, stdin=None, stdout=None, stderr=None, preexec_fn=None, close_fds=False,
            shell=False, cwd=None, env=None, universal_newlines=False, startupinfo=None, creationflags=0, **others
        ):
            self._py2_universal = bool(universal_newlines or others.pop("text", False))
            others.pop("encoding", None)
            others.pop("errors", None)
            if env is not None:
                env = {name_out(key): name_out(value) for key, value in env.items()}
            super().__init__(
                _argument(args), -1 if bufsize in (0, 1) else bufsize, executable, stdin, stdout, stderr, preexec_fn,
                close_fds or True, shell, name_out(cwd), env, **others
            )
            if self.stdin is not None:
                kind = _unbuffered if bufsize == 0 else file
                self.stdin = kind.over(self.stdin, "<fdopen>", "w")
            mode = "rU" if self._py2_universal else "r"
            if self.stdout is not None:
                self.stdout = file.over(self.stdout, "<fdopen>", mode)
            if self.stderr is not None:
                self.stderr = file.over(self.stderr, "<fdopen>", mode)

        def communicate(self, input=None, **keywords):
            """Sends `input`, waits, and gives what came out: strings."""
            shown = self.stdin, self.stdout, self.stderr
            self.stdin, self.stdout, self.stderr = [getattr(pipe, "raw", pipe) for pipe in shown]
            if input is not None and self.stdin is None:
                input = None
            try:
                made = super().communicate(None if input is None else to_bytes(input), **keywords)
            finally:
                self.stdin, self.stdout, self.stderr = shown
            return tuple(self._text(data) for data in made)

        def _text(self, data):
            if not isinstance(data, bytes):
                return data
            if self._py2_universal:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            return of_bytes(data)

        def __exit__(self, *why):
            for pipe in (self.stdout, self.stderr, self.stdin):
                if pipe is not None:
                    pipe.close()
            self.wait()

    def call(*args, **keywords):
        """Runs a command and waits."""
        return Popen(*args, **keywords).wait()

    def check_call(*args, **keywords):
        """The same, and fails if the command does."""
        status = call(*args, **keywords)
        if status:
            raise real.CalledProcessError(status, keywords.get("args") or args[0])
        return 0

    def check_output(*args, **keywords):
        """What a command prints."""
        if "stdout" in keywords:
            raise ValueError("stdout argument not allowed, it will be overridden.")
        process = Popen(*args, stdout=real.PIPE, **keywords)
        text = process.communicate()[0]
        status = process.poll()
        if status:
            raise real.CalledProcessError(status, keywords.get("args") or args[0], text)
        return text

    def getstatusoutput(command):
        """As Python 3 has it, of code written for both."""
        process = Popen(command, shell=True, stdout=real.PIPE, stderr=real.STDOUT)
        text = process.communicate()[0]
        return process.returncode, text[:-1] if text[-1:] == "\n" else text

    return dict(
        Popen=Popen, call=call, check_call=check_call, check_output=check_output, getstatusoutput=getstatusoutput,
        getoutput=lambda command: getstatusoutput(command)[1],
    )
