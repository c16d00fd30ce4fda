"""Schemathesis hooks: authentication and MessagePack.

An operation that ends sessions or accounts gets a new account for each call; all others are called by one administrator.
"""

import itertools
import json
import os
import re
import urllib.request

import msgpack
import schemathesis

BASE = os.environ["FUZZ_BASE"]
PASSWORD = "Correct-Horse-9-Battery"
# Ids of operations that may end the session or the account of the caller.
ENDING = ("logOut", "endOtherUserSessions", "endUserSession", "deleteMe", "changePassword", "resetPassword", "verifyEmail")
COUNT = itertools.count(1)


def token_of(name):
    body = {"email": f"{name}@example.org", "password": PASSWORD, "display_name": "Fuzz"}
    request = urllib.request.Request(
        f"{BASE}/r1/auth/signup", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["data"]["access_token"]


def key_of(token):
    body = {"name": "Fuzz", "scopes": ["gateway"]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{BASE}/r1/api_keys", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["data"]["key"]


# The first account is the administrator's.
ADMINISTRATOR = token_of("admin")
# /v1 accepts API keys only.
PROGRAM = key_of(ADMINISTRATOR)


@schemathesis.auth(refresh_interval=None)
class Person:
    def get(self, case, context):
        if case.operation.definition.raw.get("operationId") in ENDING:
            return token_of(f"throwaway-{next(COUNT)}")
        return PROGRAM if case.operation.path.startswith("/v1/") else ADMINISTRATOR

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.serializer("application/offset+octet-stream")
def to_bytes(ctx, value):
    value = getattr(value, "data", value)
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.serializer("application/msgpack")
def to_message_pack(ctx, value):
    return msgpack.packb(packable(value))


def packable(value):
    """MessagePack's integers have at most 64 bits."""
    if isinstance(value, dict):
        return {name: packable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [packable(part) for part in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1000 else 1e300
    return value


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Replaces the `default` response, which would match any status, by the statuses that its description names for the operation.

    Adds MessagePack to every JSON body, which the document states only once.
    """
    refused = raw_schema["components"]["responses"]["refused"]["description"]
    general, named = (re.findall(r"\b(\d{3}) `(\w+)`", part) for part in refused.split("`x-codes`"))
    of_all, of_code = [status for status, _ in general], {code: status for status, code in named}
    for item in raw_schema["paths"].values():
        for operation in item.values():
            default = operation["responses"].pop("default", None)
            if not default:
                continue
            for status in of_all + [of_code[code] for code in operation.get("x-codes", ())]:
                operation["responses"].setdefault(status, default)
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                add_message_pack(part.get("content", {}))
    for response in raw_schema["components"]["responses"].values():
        add_message_pack(response.get("content", {}))


def add_message_pack(content):
    """Adds MessagePack to named schemas and envelopes. Bodies that an operation reads or writes itself are neither."""
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema or "allOf" in schema:
        content["application/msgpack"] = {"schema": schema}


@schemathesis.hook
def filter_case(context, case):
    """Skips empty parameters: `?workspace_id=` is the same as no `workspace_id`, whatever the schema says."""
    return "" not in (case.query or {}).values()


@schemathesis.deserializer("application/msgpack")
def from_message_pack(ctx, response):
    return msgpack.unpackb(response.content)
