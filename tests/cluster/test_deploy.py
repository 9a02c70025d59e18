"""The files of docs/deploy are what their schemas say, and name what there is. No container is built or run here."""

from __future__ import annotations

import json
import re
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from judger.cli import main
from judger.cluster.config import ClusterConfig
from judger.cluster.run import ENVIRONMENT
from tests.cluster.crd import faults
from tests.cluster.local import ROOT

DEPLOY = ROOT / "docs/deploy"
EXTRAS = re.compile(r"^([a-z]+) = \[", re.MULTILINE)


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def test_compose_is_what_its_schema_says_and_its_files_are_there() -> None:
    compose = read("compose.yaml")
    schema = json.loads((resources.files("compose") / "config" / "compose_spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(compose)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(compose | {"servces": {}})
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file(), source
        if "build" in service:
            assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
    for config in read("prometheus.yaml")["scrape_configs"]:
        (target,) = config["static_configs"][0]["targets"]
        assert target.partition(":")[0] in compose["services"]


@pytest.mark.parametrize("service", ["judge", "judge-ray"])
def test_the_commands_of_compose_are_flags_that_there_are(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is parsed and checked, up to the moment where it would serve."""
    asked: list[Any] = []

    async def served(config: Any, **_: Any) -> None:
        asked.append(config)

    monkeypatch.setattr("judger.server.process.serve", served)
    monkeypatch.setattr("judger.cluster.run.serve_on_ray", served)
    command = [str(word) for word in read("compose.yaml")["services"][service]["command"]]
    assert main(command) == 0
    assert asked[0].port == 50051
    assert asked[0].metrics_port == 9464


def test_the_image_has_what_its_command_needs_and_asks_for_no_network() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    wanted = re.search(r"ARG EXTRAS=(\S+)", text)
    assert wanted is not None
    assert set(wanted[1].split(",")) <= set(EXTRAS.findall((ROOT / "pyproject.toml").read_text()))
    environment = dict(word.split("=", 1) for word in shlex.split(re.findall(r"^ENV (.*)$", text, re.MULTILINE)[0]))
    assert environment["HF_HUB_OFFLINE"] == environment["TRANSFORMERS_OFFLINE"] == "1"
    assert {name: environment[name] for name in ENVIRONMENT} == ENVIRONMENT
    known = {"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert {line.split()[0] for line in lines} <= known
    for last in ("ENTRYPOINT", "CMD"):
        assert json.loads(re.findall(rf"^{last} (.*)$", text, re.MULTILINE)[0])


def test_the_ray_service_is_what_ray_and_kubernetes_say() -> None:
    import kubernetes_validate
    from ray.serve.schema import ServeDeploySchema

    service = read("rayservice.yaml")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(config)
    settings = ClusterConfig(**config["applications"][0]["args"])
    assert settings.gpus_per_replica == 1
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.31", strict=True)
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert ports["serve-grpc"] == config["grpc_options"]["port"]
        mounts = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
        for path in (settings.fence_key_file, settings.tokens, Path(settings.model or "")):
            assert any(str(path).startswith(f"{mount}/") for mount in mounts)


def test_the_config_of_serve_is_a_cluster_config() -> None:
    ClusterConfig(**read("serve.yaml")["applications"][0]["args"])


def test_a_manifest_is_held_against_its_definition() -> None:
    spec = {"type": "object", "properties": {"size": {"type": "integer"}}}
    root = {
        "type": "object",
        "properties": {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}, "spec": spec},
    }
    crd = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": root}}]}}
    manifest: dict[str, Any] = {"apiVersion": "a.b/v1", "kind": "K", "metadata": {"name": "n"}, "spec": {"size": 1}}
    assert not faults(crd, manifest)
    assert "siez" in faults(crd, manifest | {"spec": {"siez": 1}})[0]
    assert "integer" in faults(crd, manifest | {"spec": {"size": "1"}})[0]
