#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes rules/*.tsv and tests/data/*.tsv from a folder that holds uap-core.

    tools/import_rules.py UAP_CORE_DIR

The folder needs `regexes.yaml`, `LICENSE`, `tests/test_ua.yaml` and `tests/test_os.yaml`. A checkout
of uap-core has them; so has the source of the crate `ua-parser`, in its folder `uap-core`.
Needs PyYAML. The output depends on the input alone, so a diff shows what an update changes.
"""

import pathlib
import re
import shutil
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent.parent
NOTICE = """\
# {what}
# From uap-core (the ua-parser project), Copyright 2009 Google Inc. and contributors, Apache License 2.0:
# see rules/LICENSE. Changed: converted from YAML by tools/import_rules.py; do not edit by hand.
# {columns}
"""


def pattern(rule):
    """The rule's regex. A bound such as `.{0,200}` or `[a-z]{1,50}` is there to spare engines that backtrack without
    memory. Ours is linear in the text and in the states of the regex, and a bound costs it a state for each count; so
    bounds of 50 and more become `*` or `+`, as the ua-parser project's own Rust code does with those of three digits."""
    def unbound(match):
        return ("*" if match[1] == "0" else "+") if int(match[2]) >= 50 else match[0]
    return ("(?i)" if rule.get("regex_flag") == "i" else "") + re.sub(r"\{([01]),(\d+)\}", unbound, rule["regex"])


def write(path, what, columns, rows):
    lines = []
    for row in rows:
        fields = ["" if field is None else str(field) for field in row]
        if any(c in field for field in fields for c in "\t\n\r"):
            sys.exit(f"{path}: a field holds a tab or a line end, which this format cannot hold: {fields}")
        if fields[0].startswith("#"):
            sys.exit(f"{path}: a row would read as a comment: {fields}")
        lines.append("\t".join(fields).rstrip("\t") if path.startswith("rules") else "\t".join(fields))
    text = NOTICE.format(what=what, columns=columns) + "\n".join(lines) + "\n"
    (HERE / path).write_text(text, encoding="utf-8")
    print(f"{path}: {len(lines)} rows, {len(text.encode())} bytes")


def is_spider(devices, agent):
    """uap-core's own word on robots: the first device rule that matches says `Spider`."""
    return next((device == "Spider" for regex, device in devices if regex.search(agent)), False)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    core = pathlib.Path(sys.argv[1])
    rules = yaml.safe_load((core / "regexes.yaml").read_text(encoding="utf-8"))
    columns = "regex, family, major, minor, patch; an empty field takes the regex's own group"
    write("rules/browser.tsv", "How to tell browsers; the first rule that matches holds.", columns, (
        (pattern(r), r.get("family_replacement"), r.get("v1_replacement"), r.get("v2_replacement"),
         r.get("v3_replacement"))
        for r in rules["user_agent_parsers"]))
    write("rules/os.tsv", "How to tell systems; the first rule that matches holds.", columns, (
        (pattern(r), r.get("os_replacement"), r.get("os_v1_replacement"), r.get("os_v2_replacement"),
         r.get("os_v3_replacement"))
        for r in rules["os_parsers"]))
    spiders = [(i, r) for i, r in enumerate(rules["device_parsers"]) if r.get("device_replacement") == "Spider"]
    # The rules at the head of uap-core's device list are sure; one after the phones is a wide net.
    write("rules/spider.tsv", "How to tell robots: the device rules whose device is `Spider`.",
          "regex, `sure` or `likely`", (
              (pattern(r), "sure" if i == n else "likely") for n, (i, r) in enumerate(spiders)))
    shutil.copyfile(core / "LICENSE", HERE / "rules/LICENSE")

    devices = [(re.compile(r["regex"], re.I if r.get("regex_flag") == "i" else 0), r.get("device_replacement"))
               for r in rules["device_parsers"]]
    for name, what in (("ua", "browser"), ("os", "os")):
        cases = yaml.safe_load((core / f"tests/test_{name}.yaml").read_text(encoding="utf-8"))["test_cases"]
        write(f"tests/data/{what}.tsv", f"uap-core's test cases for {what} rules.",
              "family, major, minor, patch, spider or empty, agent", (
                  (c["family"], c["major"], c["minor"], c["patch"],
                   "spider" if is_spider(devices, c["user_agent_string"]) else "", c["user_agent_string"])
                  for c in cases))


main()
