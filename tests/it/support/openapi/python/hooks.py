"""What no schema can say of a request, and schemathesis therefore cannot know.

A cursor is made by the service for one question; a group of filters has a grammar; a field to sort by stands there once;
`fields[x]` goes with `include=x`; and a write has a key of its own. Only requests that are to be right are touched.
"""

import json
import uuid

import schemathesis

OPAQUE = ("cursor", "since")
ACCEPTED = ("application/json", "application/x-ndjson", "text/csv")

asked = 0


def is_right(case):
    return case.meta is None or case.meta.generation.mode.is_positive


def example(case, name):
    found = case.operation.query.get(name)
    return found.definition.get("example") if found is not None else None


@schemathesis.hook
def map_case(context, case):
    if not is_right(case):
        return case
    query = case.query if isinstance(case.query, dict) else {}
    for name in OPAQUE:
        if name in query:
            query.pop(name)
    for name in ("or", "and"):
        if name in query:
            shown = example(case, name)
            if shown is None:
                query.pop(name)
            else:
                query[name] = shown
    if isinstance(query.get("sort"), str):
        seen = {}
        for field in query["sort"].split(","):
            seen.setdefault(field.lstrip("-"), field)
        query["sort"] = ",".join(seen.values())
    included = [path.split(".")[0] for path in str(query.get("include", "")).split(",")]
    for name in [name for name in query if name.startswith("fields[")]:
        if name[len("fields[") : -1] not in included:
            query.pop(name)
    if case.headers is not None and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f'"{uuid.uuid4()}"'
    accept(case, query)
    return case


def accept(case, query):
    """Asks for one of the media types that are described, each in its turn."""
    global asked
    answers = case.operation.definition.raw.get("responses", {}) if case.method == "GET" else {}
    types = [name for name in answers.get("200", {}).get("content", {}) if name in ACCEPTED]
    if len(types) < 2:
        return
    asked += 1
    chosen = types[asked % len(types)]
    if chosen != "application/json":
        # Streams are not counted.
        query.pop("count", None)
    case.headers = {**(case.headers or {}), "Accept": chosen}


@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    """A bulk: whatever was made up as one line."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace")


@schemathesis.deserializer("application/x-ndjson", "text/csv")
def lines(context, response):
    """Lines are described as a text."""
    return response.content.decode("utf-8")
