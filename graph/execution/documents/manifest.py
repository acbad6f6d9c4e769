"""Manifests: the documents of clients, as their build wrote them.

A manifest is a JSON object of texts by id; a file of Apollo's tools, with a list of `operations`;
or a folder of both and of `.graphql` files, whose names are the ids.

Whose it is: the members `client` and `release` beside `operations`, or else the name of the file,
such as `shop@1.4.0.json`. The `.graphql` files of a folder are those of one client, named as it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from graph.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

ALGORITHM = "sha256:"
_SETTING = "GRAPH_DOCUMENTS_MANIFEST"


class _InvalidManifest(Exception):
    """Begins in lower case and has no full stop, as in `InvalidSetting`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The texts of one release of a client, by id; `release` is empty where it is not known."""

    client: str
    release: str
    texts: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.client} {self.release}".rstrip()


def read_manifest(*paths: Path) -> dict[str, str]:
    """The texts of all these manifests, by id and by hash.

    Raises:
        InvalidSetting: as of `read_manifests`; or an id has another text already.
    """
    texts: dict[str, str] = {}
    for manifest in read_manifests(*paths):
        for id_, text in manifest.texts.items():
            if texts.setdefault(id_, text) != text:
                raise InvalidSetting(_SETTING, f"two different texts have the id {id_}")
            texts[hash_of(text)] = text
    return texts


def read_manifests(*paths: Path, source: str = _SETTING) -> list[Manifest]:
    """The manifests at these paths; a folder may hold several.

    Raises:
        InvalidSetting: a path leads to no manifest, to an empty one, or to a hash of another text.
            It names `source`, which has given the paths.
    """
    try:
        return _read(paths)
    except _InvalidManifest as error:
        raise InvalidSetting(source, str(error)) from None


def _read(paths: Iterable[Path]) -> list[Manifest]:
    found: list[Manifest] = []
    for path in paths:
        manifests = _at(path)
        if not any(manifest.texts for manifest in manifests):
            raise _InvalidManifest(f"{path} contains no document")
        found += manifests
    for manifest in found:
        for id_, text in manifest.texts.items():
            if id_.startswith(ALGORITHM) and id_ != ALGORITHM + hash_of(text):
                raise _InvalidManifest(
                    f"{id_} is not the hash of its text, which is {hash_of(text)}"
                )
    return found


def hash_of(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _at(path: Path) -> list[Manifest]:
    try:
        if not path.is_dir():
            return [_in_json(path)]
        files = sorted(path.glob("*.graphql"))
        # Some file systems forbid colons in names.
        ids = (file.stem.replace("sha256-", ALGORITHM, 1) for file in files)
        texts = dict(zip(ids, (file.read_text("utf-8") for file in files), strict=True))
        of_folder = [Manifest(*_named(path.resolve().name), texts)] if texts else []
        return of_folder + [_in_json(file) for file in sorted(path.glob("*.json"))]
    except OSError as error:
        raise _InvalidManifest(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _InvalidManifest(f"{path} is not a manifest: {error}") from None


def _in_json(file: Path) -> Manifest:
    content: Any = json.loads(file.read_text("utf-8"))
    if not isinstance(content, dict):
        raise TypeError(f"{file.name} must be a JSON object")
    client, release = _named(file.name.removesuffix(".json"))
    if isinstance(content.get("operations"), list):
        client = str(content.get("client") or client)
        release = str(content.get("release") or release)
        content = {entry["id"]: entry["body"] for entry in content["operations"]}
    return Manifest(client, release, dict(_texts(content)))


def _texts(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for id_, text in content.items():
        if not isinstance(text, str):
            raise TypeError(f"the text of {id_} must be a string")
        yield id_, text


def _named(name: str) -> tuple[str, str]:
    """The client and the release that the name of a file or folder holds."""
    client, _, release = name.partition("@")
    return client, release
