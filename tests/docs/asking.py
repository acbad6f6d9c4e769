"""Sends an example of the documentation to the application, as the page shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from graph.server.demo import AUDIENCE, OWN_CLAIM, demo_token
from graph.settings import DEVELOPMENT_ISSUER
from tests.server.test_parts import multipart

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.docs.pages import Example

ADDRESS = "http://127.0.0.1:8000"
NOBODY = "nobody"
SECRET = "a secret of 32 bytes at the least"  # noqa: S105  of nothing

# Settings under which tokens of this secret are valid.
TRUST = {
    "jwt_issuer": DEVELOPMENT_ISSUER,
    "jwt_audience": AUDIENCE,
    "jwt_secret": SECRET,
    "jwt_own_claim": OWN_CLAIM,
}


async def asked(client: Client, example: Example) -> Any:
    """The answer; a list where it comes in parts."""
    if example.block.language == "graphql":
        body = {"query": example.block.text, "variables": example.variables}
        response = await client.http.post("/graphql", json=body, headers=signed_in(example))
        return json.loads(response.content)
    (command,) = example.commands
    return await sent_by_curl(client, command.words)


def signed_in(example: Example) -> dict[str, str]:
    """The header of an example that is `as` somebody, with a token of graph's own issuer."""
    if not example.role or example.role == NOBODY:
        return {}
    role, _, own = example.role.partition(" ")
    token = demo_token(SECRET, role, int(own) if own else None, seconds=600)
    return {"authorization": f"Bearer {token}"}


def sign_in_settings(example: Example) -> dict[str, Any]:
    """Settings under which `signed_in` is understood."""
    return TRUST | ({"anonymous_role": "anonymous"} if example.role == NOBODY else {})


async def sent_by_curl(client: Client, words: list[str]) -> Any:
    """What `curl` would get. An option that is not known here is an error."""
    headers, body, parameters, url = {}, None, {}, ""
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-G" | "-N":
                pass
            case "-H":
                name, value = next(rest).split(": ")
                headers[name] = value
            case "-d":
                body = next(rest)
            case "--data-urlencode":
                name, value = next(rest).split("=", 1)
                parameters[name] = value
            case _:
                assert word.startswith(f"{ADDRESS}/"), word
                url = urlsplit(word).path
    method = "GET" if body is None else "POST"
    response = await client.http.request(
        method, url, params=parameters, headers=headers, content=body
    )
    if "multipart" in response.headers["content-type"]:
        return multipart(response)
    return json.loads(response.content)
