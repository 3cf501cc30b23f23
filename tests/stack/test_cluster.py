"""An API server of Kubernetes takes what deploy/kubernetes and deploy/helm say: it decodes, completes, validates and admits each object
as it does in a cluster, in a namespace that has the level `restricted` of Pod Security. Nothing runs of it.

The kinds of other projects are there by their own definitions.
"""

import copy

import pytest
import yaml

from chart import NAMESPACE, RECIPES, SETS, definitions, rendered
from cluster import api_server
from manifests import containers, names, of_kind, pod
from processes import eventually
from prometheus_server import DEPLOY

TAKEN = {200, 201}

MANIFESTS = [document for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())]

GATEWAY = next(workload for workload in of_kind(MANIFESTS, "Deployment") if workload["metadata"]["name"] == "streamgauge")

ACCOUNT, PRIORITY = "streamgauge", "llm-gateway"
"""What one of the sets of values names, and an administrator makes."""

POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def defined():
    """The versions and kinds of other projects."""
    found = [definition["spec"] for definition in definitions()]
    return [(f"{one['group']}/{version['name']}", one["names"]["kind"]) for one in found for version in one["versions"] if version["served"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with api_server(tmp_path_factory.mktemp("cluster")) as server:
        # What controllers and an administrator make in a cluster.
        made = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": POD_SECURITY}},
            *[{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in ("default", ACCOUNT)],
            {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": PRIORITY}, "value": 1},
            *definitions(),
        ]
        for document in made:
            status, said, _ = server.apply(document, NAMESPACE, dry_run=False)
            assert status in TAKEN, said
        eventually("the kinds of other projects", lambda: all(server.resource(*kind) for kind in defined()))
        yield server


@pytest.fixture(params=[*SETS, *RECIPES], ids=lambda given: getattr(given, "stem", given))
def values(request, tmp_path):
    """A file of values for the chart: one that its folder has, or that the page has."""
    if request.param in SETS:
        return request.param
    file = tmp_path / "values.yaml"
    file.write_text(RECIPES[request.param])
    return file


def pod_of(workload):
    """A pod as the controllers of a cluster make it of a workload."""
    template = workload["spec"]["template"]
    metadata = template["metadata"] | {"name": f"{workload['metadata']['name']}-1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def refused(server, documents):
    """What of these the server does not take as they are, with its words."""
    answers = {names(document): server.apply(document, NAMESPACE) for document in documents}
    return {name: answer for name, answer in answers.items() if answer[0] not in TAKEN or answer[2]}


def with_pods(documents):
    return [*documents, *map(pod_of, of_kind(documents, "Deployment"))]


@pytest.mark.parametrize("document", with_pods(MANIFESTS), ids=names)
def test_a_manifest_is_taken_without_a_warning(server, document):
    assert refused(server, [document]) == {}


def test_what_the_chart_makes_is_taken_without_a_warning(server, values):
    documents = rendered(f"--values={values}")
    assert of_kind(documents, "Deployment")
    assert refused(server, with_pods(documents)) == {}


def test_a_release_can_be_changed_to_other_values(server, values):
    """No field that must stay as it is follows the values."""
    for document in rendered():
        status, said, _ = server.apply(document, NAMESPACE, dry_run=False)
        assert status in TAKEN, said
    assert refused(server, rendered(f"--values={values}")) == {}


def test_a_pod_that_is_not_restricted_is_refused(server):
    unlike = copy.deepcopy(GATEWAY)
    containers(unlike)[0]["securityContext"]["allowPrivilegeEscalation"] = True
    status, said, _ = server.apply(pod_of(unlike), NAMESPACE)
    assert status == 403 and 'violates PodSecurity "restricted:latest"' in said
    # Of a Deployment the server warns.
    status, _, warnings = server.apply(unlike, NAMESPACE)
    assert status in TAKEN and any("allowPrivilegeEscalation" in warning for warning in warnings)


def test_a_field_that_nobody_knows_is_refused(server):
    unlike = copy.deepcopy(GATEWAY)
    pod(unlike)["terminationGracePeriod"] = 30
    status, said, _ = server.apply(unlike, NAMESPACE)
    assert status in {400, 500} and "terminationGracePeriod" in said
