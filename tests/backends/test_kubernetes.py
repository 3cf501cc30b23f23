"""The manifests of deploy/kubernetes: valid, restricted, at one with each other, and the program runs as they start it.

There is no cluster here. What they say is compared with the schemas that Kubernetes publishes, of the oldest version that they are
for and of the newest, and with what the program says of its settings; and it is asked by their probes.
"""

import os
import re
import subprocess
import tomllib
import urllib.request

import kubernetes_validate
import pytest
import yaml

from processes import DEADLINE, Server
from prometheus_server import DEPLOY, documented_series

FILES = {file.name: list(yaml.safe_load_all(file.read_text())) for file in (DEPLOY / "kubernetes").glob("*.yaml")}

DOCUMENTS = [document for documents in FILES.values() for document in documents]

VERSIONS = ["1.30", kubernetes_validate.latest_version()]

LAST_EXPORT = 5
"""Seconds that the last telemetry may take after the drain."""


def of_kind(kind):
    return [document for document in DOCUMENTS if document["kind"] == kind]


def names(document):
    return f"{document['kind']}: {document['metadata']['name']}"


WORKLOADS = of_kind("Deployment")


def pod(workload):
    return workload["spec"]["template"]["spec"]


def containers(workload):
    """Its sidecars and then the others."""
    return pod(workload).get("initContainers", []) + pod(workload)["containers"]


def gauge(workload):
    (container,) = [container for container in containers(workload) if container["name"] == "streamgauge"]
    return container


def chosen(selector, workload):
    """Whether a selector is for the pods of a workload."""
    labels = workload["spec"]["template"]["metadata"]["labels"]
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def port(workload, name):
    (found,) = [port["containerPort"] for port in gauge(workload)["ports"] if port["name"] == name]
    return found


def seconds(text):
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


@pytest.fixture(params=WORKLOADS, ids=names)
def workload(request):
    return request.param


@pytest.fixture
def started(workload, tmp_path):
    """The arguments and the variables that its streamgauge is started with, the configuration in a folder of ours."""
    container, variables = gauge(workload), {}
    for variable in container["env"]:
        value = variable.get("value") or variable["valueFrom"]["fieldRef"]["fieldPath"]
        variables[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda match: variables[match.group(1)], value)
    arguments = " ".join(container["args"])
    configurations = {document["metadata"]["name"]: document["data"] for document in of_kind("ConfigMap")}
    for mount in container.get("volumeMounts", []):
        (volume,) = [volume for volume in pod(workload)["volumes"] if volume["name"] == mount["name"]]
        for name, text in configurations[volume["configMap"]["name"]].items():
            (tmp_path / name).write_text(text)
        arguments = arguments.replace(mount["mountPath"], str(tmp_path))
    return arguments.split(), variables


@pytest.fixture
def settings(binary, started):
    """What the program says of its settings when it is started so."""
    arguments, variables = started
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STREAMGAUGE_"))}
    command = [binary, *("check" if argument == "serve" else argument for argument in arguments)]
    return tomllib.loads(subprocess.run(command, env=inherited | variables, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document["kind"] != "PodMonitor"], ids=names)
def test_a_manifest_is_valid_and_has_no_unknown_field(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_the_pods_are_restricted(workload):
    of_pod = pod(workload)["securityContext"]
    assert of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] > 0
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(workload).keys()
    assert all(volume.keys() <= {"name", "configMap", "secret", "emptyDir"} for volume in pod(workload).get("volumes", []))
    for container in containers(workload):
        own = container["securityContext"]
        assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert not any("hostPort" in port for port in container.get("ports", []))


def test_the_program_listens_where_the_pod_says(workload, settings):
    assert settings["admin"] == f"0.0.0.0:{port(workload, 'admin')}"
    if any(port["name"] == "http" for port in gauge(workload)["ports"]):
        assert settings["listen"] == f"0.0.0.0:{port(workload, 'http')}"
    else:
        (application,) = pod(workload)["containers"]
        variables = {variable["name"]: variable.get("value") for variable in application["env"]}
        assert variables["OPENAI_BASE_URL"] == f"http://{settings['listen']}/v1"


def test_nobody_kills_the_program_before_its_streams_have_drained(workload, settings):
    before = gauge(workload).get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})["sleep"]["seconds"]
    least = before + seconds(settings["shutdown"]["drain"]) + LAST_EXPORT
    assert pod(workload)["terminationGracePeriodSeconds"] >= least


def test_the_program_starts_so_and_answers_its_probes(binary, workload, started):
    arguments, variables = started
    free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    probes = [probe["httpGet"] for name, probe in gauge(workload).items() if name.endswith("Probe")]
    assert len(probes) == 2
    with Server([binary, *arguments, *free], variables) as server:
        for probe in probes:
            assert probe["port"] == "admin"
            with urllib.request.urlopen(f"http://{server.admin}{probe['path']}", timeout=DEADLINE) as response:
                assert response.status == 200


def test_what_goes_with_a_deployment_chooses_its_pods():
    (gateway,) = [workload for workload in WORKLOADS if workload["metadata"]["name"] == "streamgauge"]
    for workload in WORKLOADS:
        assert chosen(workload["spec"]["selector"], workload)
    (service,) = of_kind("Service")
    assert chosen({"matchLabels": service["spec"]["selector"]}, gateway)
    assert [given["targetPort"] for given in service["spec"]["ports"]] == ["http"]
    (budget,) = of_kind("PodDisruptionBudget")
    assert chosen(budget["spec"]["selector"], gateway)
    (policy,) = of_kind("NetworkPolicy")
    assert chosen(policy["spec"]["podSelector"], gateway)
    ingress = {given["port"] for rule in policy["spec"]["ingress"] for given in rule["ports"]}
    assert ingress == {given["name"] for given in gauge(gateway)["ports"]}
    (spread,) = pod(gateway)["topologySpreadConstraints"]
    assert chosen(spread["labelSelector"], gateway)
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == gateway["metadata"]["name"]
    assert {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]} <= documented_series()


def test_every_streamgauge_is_scraped(workload):
    (monitor,) = of_kind("PodMonitor")
    assert chosen(monitor["spec"]["selector"], workload)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert port(workload, endpoint["port"])
