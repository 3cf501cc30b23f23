"""The schemas that Kubernetes and other projects publish, and kubeconform, which compares manifests with them."""

import json
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

from chart import OLDEST, definitions, program

NEWEST = kubernetes_validate.latest_version()
"""Of Kubernetes, the newest version whose schemas are here."""


def write_schemas(folder):
    """Writes the schemas of the oldest and the newest version into folders of a folder, as kubeconform looks for them, those of other
    projects' kinds among them. A member that none of them knows is an error, as for a server with strict validation."""
    published = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in (OLDEST, NEWEST):
        own = folder / f"v{version}"
        own.mkdir()
        for file in (published / f"v{version}-local-strict").glob("*.json"):
            # They refer to each other by paths of a server, and name themselves after it. Nothing is to be asked there.
            schema = json.loads(file.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
            (own / file.name).write_text(json.dumps({key: value for key, value in schema.items() if key != "$id"}))
    for definition in definitions():
        group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"].lower()
        for version in definition["spec"]["versions"]:
            schema = _closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            for served in (OLDEST, NEWEST):
                (folder / f"v{served}" / f"{kind}-{group.split('.')[0]}-{version['name']}.json").write_text(json.dumps(schema))
    return folder


def _closed(schema):
    if isinstance(schema, list):
        return [_closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(member) for key, member in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        if not closed.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    if closed.pop("x-kubernetes-int-or-string", False):
        closed.pop("type", None)
    return closed


def conform(documents, version, schemas):
    """What kubeconform says of documents, one result for each, by the schemas of a version of Kubernetes."""
    command = [
        program("kubeconform"),
        "-strict",
        "-verbose",
        "-output=json",
        f"-kubernetes-version={version}",
        f"-schema-location={schemas}/{{{{.NormalizedKubernetesVersion}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
    ]
    done = subprocess.run(command, input=yaml.safe_dump_all(documents), capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)["resources"]
