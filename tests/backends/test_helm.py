"""The chart of deploy/helm: Helm makes valid, restricted manifests of every set of values, and the image runs as they start it."""

import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from chart import CHART, NAMESPACE, OLDEST, RECIPES, RELEASE, SETS, helm, refusal, rendered, template
from container import Pod
from manifests import chosen, gauge, is_given_its_time, is_restricted, of_kind, pod, port, seconds, variables
from prometheus_server import documented_series, series_of
from schemas import NEWEST, conform

SECRETS = {
    "AZURE_OPENAI_KEY": "a-key",
    "STREAMGAUGE_STATE_REDIS": "redis://127.0.0.1:6379",
    "STREAMGAUGE_TELEMETRY_KEY_SECRET": "a long random text",
    "STREAMGAUGE_ADMIN_TOKEN": "a-token-of-the-admin-port",
}
"""What secrets hold, by the variable that has it."""

PRESETS = ["nginx", "haproxy", "alb"]


@pytest.fixture(params=SETS, ids=lambda file: file.stem)
def values(request):
    return f"--values={request.param}"


@pytest.fixture
def documents(values):
    return rendered(values)


@pytest.fixture
def workload(documents):
    (workload,) = of_kind(documents, "Deployment")
    return workload


@pytest.fixture
def running(image, documents, workload, certificate, tmp_path):
    """The pod as its container is specified, with its volumes where it looks for them."""
    mounts = {}
    for mount in gauge(workload).get("volumeMounts", []):
        (volume,) = [volume for volume in pod(workload)["volumes"] if volume["name"] == mount["name"]]
        folder = tmp_path / volume["name"]
        folder.mkdir()
        for name, text in held(volume, documents, certificate).items():
            (folder / name).write_text(text)
        mounts[mount["mountPath"]] = folder
    given = variables(gauge(workload), SECRETS)
    started = Pod(image, tmp_path, arguments=gauge(workload)["args"], variables=given, mounts=mounts)
    with started.running() as server:
        started.server = server
        yield started


def held(volume, documents, certificate):
    """The files of a volume, by their names."""
    if name := volume.get("configMap", {}).get("name"):
        (data,) = [document["data"] for document in of_kind(documents, "ConfigMap") if document["metadata"]["name"] == name]
        return data
    if volume["name"] == "tls":
        return {name: (certificate / name).read_text() for name in ["tls.crt", "tls.key"]}
    return {"key": "a-key"}


def effective(running):
    """What the program says of its settings, in the pod."""
    done = running.ask(running.image.config["Entrypoint"][0], "check")
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout), done.stderr


def test_helm_has_nothing_to_say_against_it(values):
    done = helm("lint", "--strict", "--kube-version", OLDEST, CHART, values)
    assert done.returncode == 0 and "0 chart(s) failed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_what_it_makes_is_valid_and_has_no_unknown_field(documents, version, schemas):
    results = conform(documents, version, schemas)
    assert [(result["name"], result["msg"]) for result in results if result["status"] != "statusValid"] == []
    assert len(results) == len(documents)


def test_a_wrong_manifest_is_told(schemas):
    (route,) = of_kind(rendered("--set=httpRoute.enabled=true"), "HTTPRoute")
    route = {**route, "spec": {**route["spec"], "timeout": "1s"}}
    (result,) = conform([route], NEWEST, schemas)
    assert result["status"] == "statusInvalid" and "timeout" in result["msg"]


@pytest.mark.parametrize("title", RECIPES)
def test_the_values_of_a_recipe_make_valid_manifests(title, schemas, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(RECIPES[title])
    documents = rendered(f"--values={values}")
    assert {result["status"] for result in conform(documents, NEWEST, schemas)} == {"statusValid"}
    (workload,) = of_kind(documents, "Deployment")
    is_restricted(workload)
    # They say something that the defaults do not.
    assert documents != rendered()


def test_the_page_has_a_recipe_for_each_mesh_and_each_stack():
    assert {"InferencePool and llm-d", "vLLM production-stack", "KServe", "Istio", "Linkerd"} <= RECIPES.keys()


def test_a_mesh_lets_streams_finish_and_prometheus_in():
    (workload,) = of_kind(rendered(), "Deployment")
    annotations = {mesh: yaml.safe_load(RECIPES[mesh])["podAnnotations"] for mesh in ["Istio", "Linkerd"]}
    waits = yaml.safe_load(annotations["Istio"]["proxy.istio.io/config"])["terminationDrainDuration"]
    assert seconds(waits) >= pod(workload)["terminationGracePeriodSeconds"]
    assert annotations["Linkerd"]["config.beta.linkerd.io/proxy-enable-native-sidecar"] == "true"
    for mesh in annotations.values():
        (without,) = [text for name, text in mesh.items() if "nboundPorts" in name or "inbound-ports" in name]
        assert without == str(port(workload, "admin"))


def test_the_sets_of_values_make_every_kind():
    kinds = {document["kind"] for file in SETS for document in rendered(f"--values={file}")}
    made = {kind for file in (CHART / "templates").glob("*.yaml") for kind in re.findall(r"(?m)^kind: (\w+)$", file.read_text())}
    assert kinds == made


def test_the_pods_are_restricted(workload):
    is_restricted(workload)


def test_what_goes_with_the_deployment_chooses_its_pods(documents, workload):
    assert chosen(workload["spec"]["selector"], workload)
    for service in of_kind(documents, "Service"):
        assert chosen({"matchLabels": service["spec"]["selector"]}, workload)
        assert all(port(workload, given["targetPort"]) for given in service["spec"]["ports"])
    for budget in of_kind(documents, "PodDisruptionBudget"):
        assert chosen(budget["spec"]["selector"], workload)
    for policy in of_kind(documents, "NetworkPolicy"):
        assert chosen(policy["spec"]["podSelector"], workload)
        assert [given["port"] for rule in policy["spec"]["ingress"] for given in rule["ports"]] == ["http", "admin"]
    for monitor in of_kind(documents, "PodMonitor"):
        assert chosen(monitor["spec"]["selector"], workload)
        assert all(port(workload, endpoint["port"]) for endpoint in monitor["spec"]["podMetricsEndpoints"])
    for spread in pod(workload)["topologySpreadConstraints"]:
        assert chosen(spread["labelSelector"], workload)


def test_a_service_monitor_chooses_the_service_of_the_admin_port_alone(documents):
    for monitor in of_kind(documents, "ServiceMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"].items()
        found = [service for service in of_kind(documents, "Service") if labels <= service["metadata"]["labels"].items()]
        (ports,) = [service["spec"]["ports"] for service in found]
        assert [given["name"] for given in ports] == [endpoint["port"] for endpoint in monitor["spec"]["endpoints"]] == ["admin"]
        # The alerts look for it in `job`.
        (service,) = found
        assert "streamgauge" in service["metadata"]["labels"][monitor["spec"]["jobLabel"]]


def test_routes_lead_to_the_service_for_clients(documents):
    (service,) = [service for service in of_kind(documents, "Service") if "component" not in str(service["metadata"]["labels"])]
    ports = service["spec"]["ports"]
    for ingress in of_kind(documents, "Ingress"):
        (rule,) = ingress["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": ports[0]["name"]}}
    for route in of_kind(documents, "HTTPRoute"):
        (rule,) = route["spec"]["rules"]
        assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": ports[0]["port"]}]
        assert set(rule["timeouts"].values()) == {"0s"}


def test_only_one_thing_says_how_many_replicas_there_are(documents, workload):
    scalers = of_kind(documents, "HorizontalPodAutoscaler") + of_kind(documents, "ScaledObject")
    assert ("replicas" in workload["spec"]) == (not scalers)
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == workload["metadata"]["name"]
    for scaler in of_kind(documents, "HorizontalPodAutoscaler"):
        assert {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]} <= documented_series()
    for scaler in of_kind(documents, "ScaledObject"):
        (trigger,) = scaler["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        assert series_of(query) <= documented_series()
        assert f'namespace="{NAMESPACE}"' in query and f'pod=~"{workload["metadata"]["name"]}-.+"' in query


def test_the_program_listens_where_the_pod_says_and_has_its_time_to_drain(running, workload):
    settings, told = effective(running)
    assert settings["listen"] == running.server.proxy == f"0.0.0.0:{port(workload, 'http')}"
    assert running.server.admin == f"0.0.0.0:{port(workload, 'admin')}"
    is_given_its_time(workload, settings["shutdown"]["drain"])
    # It warns of a variable that it does not know, and that its page is closed where it has no token and is not open.
    warned = [line for line in told.splitlines() if line.startswith("warning:")]
    closed = [line for line in warned if "the live page and the API are closed" in line]
    assert all("STREAMGAUGE_ADMIN_" in line for line in warned if line not in closed), warned
    has_token = any(given["name"] == "STREAMGAUGE_ADMIN_TOKEN" for given in gauge(workload).get("env", []))
    is_open = settings["admin"]["open"]
    assert len(closed) == (not has_token and not is_open)


def test_the_pod_is_ready_and_ends_as_it_is_asked_to(running, workload):
    program = running.image.config["Entrypoint"][0]
    for probe, flags in [("readinessProbe", ["--ready"]), ("livenessProbe", [])]:
        asked = gauge(workload)[probe]["httpGet"]
        done = running.ask(program, "healthcheck", *flags)
        assert (done.returncode, done.stdout) == (0, f"http://127.0.0.1:{port(workload, asked['port'])}{asked['path']}: 200\n")
    assert running.server.terminate() == 0


def test_a_change_of_the_configuration_replaces_the_pods_and_nothing_else_does():
    def template_of(*arguments):
        (workload,) = of_kind(rendered("--set=config=[log]", *arguments), "Deployment")
        return workload["spec"]["template"]

    assert template_of() == template_of("--set=replicas=3")
    assert template_of() != template_of("--set-string=config=[usage]")
    assert template_of() != template_of("--set-string=prices=[[price]]")


def test_the_token_of_the_admin_port_comes_from_a_secret_if_there_is_one():
    def token(*arguments):
        (workload,) = of_kind(rendered(*arguments), "Deployment")
        return [given["valueFrom"] for given in gauge(workload)["env"] if given["name"] == "STREAMGAUGE_ADMIN_TOKEN"]

    assert token() == []
    assert token("--set=admin.tokenSecret.name=gauge") == [{"secretKeyRef": {"name": "gauge", "key": "token"}}]


@pytest.mark.parametrize("controller", PRESETS)
def test_an_ingress_cuts_no_stream_that_streamgauge_lets_live(binary, controller):
    (ingress,) = of_kind(rendered("--set=ingress.enabled=true", f"--set=ingress.streaming={controller}"), "Ingress")
    annotations = ingress["metadata"]["annotations"]
    check = [binary, "check", "--upstream", "http://vllm:8000/v1"]
    settings = tomllib.loads(subprocess.run(check, check=True, stdout=subprocess.PIPE, text=True).stdout)
    (upstream,) = settings["upstream"]
    silence = max(seconds(upstream["timeouts"][limit]) for limit in ["first_byte", "idle"])
    timeouts = [text for name, text in annotations.items() if "timeout" in name + text and "deregistration" not in text]
    limits = [int(re.search(r"(\d+)s?$", text).group(1)) for text in timeouts]
    assert limits and all(limit > silence for limit in limits)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--set=upstrem.url=http://vllm:8000/v1"], "upstrem"),
        (["--set=ports.http=80"], "ports/http"),
        (["--set=limits.memory=512Mi"], "limits/memory"),
        (["--set=autoscaling.hpa=true", "--set=autoscaling.keda.enabled=true"], "one of the two"),
        (["--set=monitoring.serviceMonitor=true"], "needs admin.service"),
        (["--set=upstream.url="], "names no upstream"),
    ],
)
def test_values_that_make_no_sense_are_refused(arguments, why):
    assert why in refusal(*arguments)


def test_an_older_kubernetes_is_refused():
    done = template(version="1.29.0")
    assert done.returncode != 0 and "kubeVersion" in done.stderr


def test_the_schema_knows_every_value():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())["properties"]
    assert schema.keys() - {"global"} == yaml.safe_load((CHART / "values.yaml").read_text()).keys()


def test_the_chart_is_for_the_version_of_the_program():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = tomllib.loads((CHART.parents[2] / "Cargo.toml").read_text())["package"]
    assert chart["version"] == chart["appVersion"] == package["version"]


def test_the_notes_say_where_clients_and_people_find_it(tmp_path):
    # Only an installation prints notes, and that needs a cluster; as a template of a copy they are rendered like any other.
    copy = shutil.copytree(CHART, tmp_path / "streamgauge")
    notes = copy / "templates" / "NOTES.txt"
    text = '{{ define "notes" }}' + notes.read_text() + '{{ end }}\nnotes: {{ include "notes" . | quote }}\n'
    (copy / "templates" / "notes.yaml").write_text(text)
    notes.unlink()
    arguments = [RELEASE, copy, "--namespace", NAMESPACE, "--kube-version", OLDEST, "--show-only", "templates/notes.yaml"]
    told = yaml.safe_load(helm("template", *arguments).stdout)["notes"]
    with_token = yaml.safe_load(helm("template", *arguments, "--set=admin.tokenSecret.name=gauge").stdout)["notes"]
    assert "shows nothing without a token" in told and "shows nothing" not in with_token
    assert f"kubectl get secret -n {NAMESPACE} gauge -o go-template='{{{{ index .data \"token\" | base64decode }}}}'" in with_token
    assert f"OPENAI_BASE_URL=http://{RELEASE}-streamgauge.{NAMESPACE}:8080/v1" in told
    assert f"kubectl port-forward -n {NAMESPACE} deploy/{RELEASE}-streamgauge 9464" in told
    assert "Nothing scrapes the metrics" in told


def test_a_package_of_it_makes_the_same(tmp_path):
    packed = helm("package", CHART, "--destination", tmp_path)
    assert packed.returncode == 0, packed.stderr
    (package,) = tmp_path.glob("*.tgz")
    made = helm("template", RELEASE, package, "--namespace", NAMESPACE, "--kube-version", OLDEST)
    assert made.stdout == template().stdout
