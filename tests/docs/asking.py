"""Sends an example of the documentation to the application, as the page shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.server.test_parts import multipart

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.docs.pages import Example

ADDRESS = "http://127.0.0.1:8000"


async def asked(client: Client, example: Example) -> Any:
    """The answer; a list where it comes in parts."""
    if example.block.language == "graphql":
        return await client.answer(example.block.text, **example.variables)
    (command,) = example.commands
    return await sent_by_curl(client, command.words)


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
