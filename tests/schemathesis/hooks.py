"""What a test of `/openapi.json` must know that no description says."""

import functools
import gzip
import json
import os
import re
import urllib.error
import urllib.request

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

# Why a request is refused that is as it is described.
NOT_TO_BE_DESCRIBED = (
    "do not spell UTF-8",
    "Content-Encoding is gzip, but the body is not",
    "from must be before to",
    "ask for a longer step",
    "must be raw, all, or a duration from 1s to 400d",
    "this daemon reads no history there",
    "the multipart body is broken",
    "send Content-Length",
    "which only a query can have",
    "must be pixels such as",
    "must be columns and lines such as",
    "are for pictures over time",
    "two views are called",
    # What is made up is no tag of theirs.
    "the views were changed meanwhile",
    # A key that is empty.
    "is a sketch, which cannot be pushed",
)

SIZE = re.compile(r"[1-9][0-9]{1,3}x[1-9][0-9]{0,3}")
DURATION = re.compile(r"[0-9.]+(ms|s|m|h|d)")

# Of paths that answer in more than one way, by turns.
ACCEPT = ("application/json", "text/html", "*/*")

asked = {}


@functools.cache
def assets():
    """What a page says that it is made of; nothing where the pages are not built."""
    headers = {"Authorization": f"Bearer {os.environ['GRAFTD_TOKEN']}"}
    page = urllib.request.Request(os.environ["GRAFTD_URL"] + "/realtime/", headers=headers)
    try:
        with urllib.request.urlopen(page, timeout=20) as answer:
            return sorted(set(re.findall(r'"/assets/([^"]+)"', answer.read().decode())))
    except urllib.error.HTTPError:
        return []


def there(case):
    """What there is of that which a path names, for some of the requests: of names that are made up there is never one."""
    if case.operation.path == "/modules/{name}/{to}":
        return "name", ["status", "visitors", "load", "request-time", "broken"]
    if case.operation.path == "/api/q/{path}":
        return "path", ["deploys.json", "deploys,", "graftd,testhost,http", "deploys,,", "graftd,,module,status"]
    if case.operation.path in ("/api/ls/{path}", "/graph/{path}.{form}"):
        return "path", ["deploys", "graftd", "graftd,testhost,http", "deploys,shop", "graftd,testhost,module"]
    if case.operation.path == "/setting/view/{name}":
        return "name", ["web", "shop", "a/b"]
    if case.operation.path == "/assets/{name}":
        return "name", assets()
    return None, []


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    turn = asked[path] = asked.get(path, 0) + 1
    if path in ("/modules", "/modules/{name}/{to}", "/setting/view"):
        case.headers["Accept"] = ACCEPT[turn % len(ACCEPT)]
    parameter, names = there(case)
    if names and turn % 2:
        case.path_parameters[parameter] = names[turn // 2 % len(names)]
    # What is made up fits no view: by turns it is what fits any.
    if path.startswith("/setting/view") and "If-Match" in case.headers and turn % 3:
        case.headers["If-Match"] = "*"
    # A picture of eight million points takes its time, and once in a while will do.
    if path == "/graph/{path}.{form}" and isinstance(case.query, dict) and turn % 16 and SIZE.fullmatch(str(case.query.get("size"))):
        case.query["size"] = "64x48"
    # What is said to be packed is, by turns.
    if path == "/push" and "gzip" in str(case.headers.get("Content-Encoding")) and turn % 2:
        if case.media_type == "application/json" and isinstance(case.body, (dict, list)):
            kwargs["data"] = gzip.compress(json.dumps(case.body).encode(), mtime=0)
    # Nobody waits half a minute some thousand times.
    if path == "/pull/" and isinstance(case.query, dict):
        wait = case.query.get("wait", "30s")
        if isinstance(wait, str) and DURATION.fullmatch(wait):
            case.query["wait"] = "1ms"


@schemathesis.hook
def filter_failure(context, failure, case, response):
    is_text = case.operation.path == "/push" and case.media_type != "application/json"
    if isinstance(failure, AcceptedNegativeData):
        # What is to be a text is one as it is sent, whatever it was made of; and what is empty then is not there.
        return not (is_text or case.headers.get("Last-Event-ID") == "")
    if not isinstance(failure, RejectedPositiveData):
        return True
    # A text that is to be lines, or documents, can be none.
    if is_text and '"merged":0' in response.text:
        return False
    # What is a path in a URL's path is decoded before it is sent: what was %25 is a % then, and is followed by anything.
    if "{path}" in case.operation.path and "a % must be followed by two hexadecimal digits" in response.text:
        return False
    return not any(why in response.text for why in NOT_TO_BE_DESCRIBED)


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
