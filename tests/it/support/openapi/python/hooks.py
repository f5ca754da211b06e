"""What no schema can say of a request, and schemathesis therefore cannot know.

A cursor is made by the service for one question; a group of filters has a grammar; a field to sort by stands there once;
`fields[x]` goes with `include=x`; a write has a key of its own; how many digits of a number stand behind the point is said by
`x-scale` alone. Only requests that are to be right are touched.
"""

import uuid

import schemathesis

ACCEPTED = ("application/json", "application/x-ndjson", "text/csv")

asked = 0


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
