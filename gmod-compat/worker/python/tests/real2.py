"""Finds a real Python 2.7, runs snippets and modules with it or through the layer, and records what 2.7 says.

Run as a script it writes expected.json, which stands in for 2.7 where there is none.
"""

import glob
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "expected.json")
SECONDS_MAX = 120  # for one run of either Python
MODULES = (
    "proc_loadavg meminfo_pct http_json http_xml sock_text popen_pipes latin1_meta conf_csv helper_user single "
    "log_tail unix_csv".split()
)


def python2():
    """The interpreter's path, or None."""
    found = os.environ.get("PYTHON2") or shutil.which("python2.7")
    homes = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/2.7*/bin/python2.7")))
    for candidate in [found] + homes:
        if candidate:
            run = subprocess.run([candidate, "-c", "import sys; sys.exit(sys.version_info[0] != 2)"], capture_output=True)
            if run.returncode == 0:
                return candidate
    return None


def _json(python, script, *args):
    # Nobody's own settings: what is compared shall differ by the Python alone.
    env = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "LC_ALL": "C", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [python, "-W", "ignore", os.path.join(HERE, script), *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=SECONDS_MAX,
    )
    try:
        return json.loads(run.stdout.decode("latin-1"))
    except ValueError:
        raise AssertionError("%s %s %s: %s" % (python, script, args, run.stderr.decode("utf-8", "replace")[-3000:])) from None


def snippets(python):
    """What the snippets show: {name: [shown]}."""
    return _json(python, "run_snippets.py", *sorted(glob.glob(os.path.join(HERE, "snippets", "*.txt"))))


def module(python, name, names):
    """What a module gives: sorted [[descriptor, value, value, value]]."""
    path = os.path.join(HERE, "modules", name + ".py")
    return sorted(_json(python, "run_module.py", path, *("%s=%s" % pair for pair in sorted(names.items()))))


def all_of(python):
    """Everything that is compared."""
    from peers import Peers

    peers = Peers()
    try:
        return {"snippets": snippets(python), "modules": {name: module(python, name, peers.names) for name in MODULES}}
    finally:
        peers.close()


if __name__ == "__main__":
    with open(EXPECTED, "w", encoding="utf-8") as file:
        json.dump(all_of(python2() or sys.exit("no Python 2.7 here: set PYTHON2")), file, indent=0, sort_keys=True)
        file.write("\n")
