"""The manifests of deploy/kubernetes: valid, restricted, at one with each other, and the program runs as they start it.

There is no cluster here. What they say is compared with the schemas that Kubernetes publishes, of the oldest version that they are
for and of the newest, and with what the program says of its settings; and it is asked by their probes.
"""

import os
import subprocess
import tomllib
import urllib.request

import kubernetes_validate
import pytest
import yaml

from chart import OLDEST
from manifests import LAST_EXPORT, chosen, gauge, is_given_its_time, is_restricted, names, of_kind, pod, port, seconds, variables
from processes import DEADLINE, Server
from prometheus_server import DEPLOY, documented_series
from schemas import NEWEST, conform

FILES = {file.name: list(yaml.safe_load_all(file.read_text())) for file in (DEPLOY / "kubernetes").glob("*.yaml")}

DOCUMENTS = [document for documents in FILES.values() for document in documents]

VERSIONS = ["1.30", kubernetes_validate.latest_version()]

OTHERS = ["PodMonitor", "InferencePool", "HTTPRoute"]
"""Kinds that are not Kubernetes's own."""

WORKLOADS = of_kind(DOCUMENTS, "Deployment")


@pytest.fixture(params=WORKLOADS, ids=names)
def workload(request):
    return request.param


@pytest.fixture
def started(workload, tmp_path):
    """The arguments and the variables that its streamgauge is started with, the configuration in a folder of ours."""
    container = gauge(workload)
    arguments = " ".join(container["args"])
    configurations = {document["metadata"]["name"]: document["data"] for document in of_kind(DOCUMENTS, "ConfigMap")}
    for mount in container.get("volumeMounts", []):
        (volume,) = [volume for volume in pod(workload)["volumes"] if volume["name"] == mount["name"]]
        for name, text in configurations[volume["configMap"]["name"]].items():
            (tmp_path / name).write_text(text)
        arguments = arguments.replace(mount["mountPath"], str(tmp_path))
    return arguments.split(), variables(container, {})


@pytest.fixture
def settings(binary, started):
    """What the program says of its settings when it is started so."""
    arguments, given = started
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STREAMGAUGE_"))}
    command = [binary, *("check" if argument == "serve" else argument for argument in arguments)]
    return tomllib.loads(subprocess.run(command, env=inherited | given, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document["kind"] not in OTHERS], ids=names)
def test_a_manifest_is_valid_and_has_no_unknown_field(document, version):
    kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_a_manifest_of_another_project_is_valid_too(version, schemas):
    documents = [document for document in DOCUMENTS if document["kind"] in OTHERS]
    results = conform(documents, version, schemas)
    assert [(result["name"], result["msg"]) for result in results if result["status"] != "statusValid"] == []
    assert {document["kind"] for document in documents} == set(OTHERS) and len(results) == len(documents)


def test_a_pool_sends_requests_to_streamgauge_before_the_server_in_the_pod():
    (pool,) = of_kind(DOCUMENTS, "InferencePool")
    (workload,) = [workload for workload in WORKLOADS if workload["metadata"]["name"] == pool["metadata"]["name"]]
    assert chosen(pool["spec"]["selector"], workload)
    assert [given["number"] for given in pool["spec"]["targetPorts"]] == [port(workload, "http")]
    (server,) = pod(workload)["containers"]
    (own,) = server["ports"]
    assert variables(gauge(workload), {})["STREAMGAUGE_UPSTREAM"] == f"http://127.0.0.1:{own['containerPort']}/v1"
    # The server goes on for its preStop, and streamgauge drains after it.
    before = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = seconds(variables(gauge(workload), {})["STREAMGAUGE_SHUTDOWN_DRAIN"])
    assert pod(workload)["terminationGracePeriodSeconds"] > before + drain + LAST_EXPORT
    (route,) = of_kind(DOCUMENTS, "HTTPRoute")
    (rule,) = route["spec"]["rules"]
    assert [(backend["kind"], backend["name"]) for backend in rule["backendRefs"]] == [(pool["kind"], pool["metadata"]["name"])]
    assert set(rule["timeouts"].values()) == {"0s"}


def test_the_pods_are_restricted(workload):
    is_restricted(workload)


def test_the_program_listens_where_the_pod_says(workload, settings):
    assert settings["admin"]["address"] == f"0.0.0.0:{port(workload, 'admin')}"
    if any(port["name"] == "http" for port in gauge(workload)["ports"]):
        assert settings["listen"] == f"0.0.0.0:{port(workload, 'http')}"
    else:
        (application,) = pod(workload)["containers"]
        given = {variable["name"]: variable.get("value") for variable in application["env"]}
        assert given["OPENAI_BASE_URL"] == f"http://{settings['listen']}/v1"


def test_nobody_kills_the_program_before_its_streams_have_drained(workload, settings):
    is_given_its_time(workload, settings["shutdown"]["drain"])


def test_the_program_starts_so_and_answers_its_probes(binary, workload, started):
    arguments, given = started
    free = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    probes = [probe["httpGet"] for name, probe in gauge(workload).items() if name.endswith("Probe")]
    assert len(probes) == 2
    with Server([binary, *arguments, *free], given) as server:
        for probe in probes:
            assert probe["port"] == "admin"
            with urllib.request.urlopen(f"http://{server.admin}{probe['path']}", timeout=DEADLINE) as response:
                assert response.status == 200


def test_what_goes_with_a_deployment_chooses_its_pods():
    (gateway,) = [workload for workload in WORKLOADS if workload["metadata"]["name"] == "streamgauge"]
    for workload in WORKLOADS:
        assert chosen(workload["spec"]["selector"], workload)
    (service,) = of_kind(DOCUMENTS, "Service")
    assert chosen({"matchLabels": service["spec"]["selector"]}, gateway)
    assert [given["targetPort"] for given in service["spec"]["ports"]] == ["http"]
    (budget,) = of_kind(DOCUMENTS, "PodDisruptionBudget")
    assert chosen(budget["spec"]["selector"], gateway)
    (policy,) = of_kind(DOCUMENTS, "NetworkPolicy")
    assert chosen(policy["spec"]["podSelector"], gateway)
    ingress = {given["port"] for rule in policy["spec"]["ingress"] for given in rule["ports"]}
    assert ingress == {given["name"] for given in gauge(gateway)["ports"]}
    (spread,) = pod(gateway)["topologySpreadConstraints"]
    assert chosen(spread["labelSelector"], gateway)
    (scaler,) = of_kind(DOCUMENTS, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == gateway["metadata"]["name"]
    assert {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]} <= documented_series()


def test_every_streamgauge_is_scraped(workload):
    (monitor,) = of_kind(DOCUMENTS, "PodMonitor")
    assert chosen(monitor["spec"]["selector"], workload)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert port(workload, endpoint["port"])
