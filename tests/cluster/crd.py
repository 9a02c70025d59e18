"""Checks a manifest against the schema of its CustomResourceDefinition.

    python -m tests.cluster.crd CRD.yaml MANIFEST.yaml

The CRD comes from a cluster (`kubectl get crd rayservices.ray.io -o yaml`) or from the operator's Helm chart.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml


def faults(crd: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """What is wrong with it, unknown keys among it, as the server would say with strict validation."""
    version = manifest["apiVersion"].partition("/")[2]
    (schema,) = [one["schema"]["openAPIV3Schema"] for one in crd["spec"]["versions"] if one["name"] == version]
    validator = jsonschema.Draft202012Validator(strict(schema))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


def strict(schema: Any) -> Any:
    """The schema with Kubernetes' own words in JSON Schema's, and no other keys than it names."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: strict(value) for key, value in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict) and not is_open:
        made["additionalProperties"] = False
    return made


if __name__ == "__main__":
    crd, manifest = (yaml.safe_load(Path(name).read_text()) for name in sys.argv[1:3])
    found = faults(crd, manifest)
    print("\n".join(found) or "as its schema says")
    raise SystemExit(bool(found))
