"""The manifests are valid by the published schemas, and agree with what graph does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from graph.server.serve import _DRAIN_SECONDS
from graph.settings import SECRETS, Settings

FOLDER = Path(__file__).parent.parent / "deploy" / "kubernetes"
BASE = FOLDER / "base"
VERSION = "1.31"
# Of the Prometheus operator; Kubernetes has no schema for it.
OTHERS = {"ServiceMonitor"}


def manifests() -> dict[str, Any]:
    """The resources of the base, by kind."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    found = [yaml.safe_load((BASE / name).read_text()) for name in listed]
    return {each["kind"]: each for each in found}


MANIFESTS = manifests()


def test_every_file_is_listed() -> None:
    assert len(MANIFESTS) == len(list(BASE.glob("*.yaml"))) - 1


@pytest.mark.parametrize("kind", sorted(MANIFESTS.keys() - OTHERS))
def test_a_manifest_is_valid(kind: str) -> None:
    resource = MANIFESTS[kind]
    if kind in {"Deployment", "Job"}:  # kustomize adds the label that both have
        resource["spec"]["template"].setdefault("metadata", {})

    kubernetes_validate.validate(resource, VERSION, strict=True)


def test_the_overlay_renders_valid_manifests() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on PATH")
    rendered = subprocess.run(
        [kubectl, "kustomize", FOLDER / "overlays" / "example"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    resources = list(yaml.safe_load_all(rendered))

    assert len(resources) == len(MANIFESTS) + 1  # and the settings
    for each in resources:
        assert each["metadata"]["namespace"] == "shop"
        if each["kind"] not in OTHERS:
            kubernetes_validate.validate(each, VERSION, strict=True)


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_have_no_more_rights_than_they_need(kind: str) -> None:
    pod = MANIFESTS[kind]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # it would set GRAPH_PORT=tcp://...
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == container["resources"].keys()


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_every_variable_is_a_setting_and_secrets_are_files(kind: str) -> None:
    (container,) = MANIFESTS[kind]["spec"]["template"]["spec"]["containers"]
    names = {each["name"] for each in container["env"]}
    known = {f"GRAPH_{name.upper()}" for name in Settings.model_fields}

    assert "GRAPH_DATABASE_URL_FILE" in names
    assert names <= known | {f"GRAPH_{name.upper()}_FILE" for name in SECRETS}


def test_a_pod_has_time_to_drain() -> None:
    spec = MANIFESTS["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    values = {each["name"]: each["value"] for each in container["env"]}
    drains = int(values["GRAPH_DRAIN_SECONDS"])
    readiness = container["readinessProbe"]

    assert pod["terminationGracePeriodSeconds"] > 2 * drains + _DRAIN_SECONDS
    assert drains > 2 * readiness["periodSeconds"] * readiness["failureThreshold"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_probes_ask_what_they_are_for() -> None:
    (container,) = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }

    assert paths == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
