"""docker/compose*.yaml: `docker compose` takes them, what they name is there, and streamgauge runs as they start it.

No engine that could start them is here; tests/stack starts the same programs from the same files.
"""

import contextlib
import json
import re
import subprocess
import tomllib

import pytest
import yaml

from composition import FILES, FOLDER, ROOT, environment, gauges, load, mounts, services
from container import Pod
from manifests import LAST_EXPORT, seconds
from processes import Process, eventually
from recipes import RECIPES

MAIN, SIDECAR = FOLDER / "compose.yaml", FOLDER / "compose.sidecar.yaml"

LISTENING = {
    "streamgauge": {8080, 9464},
    "otel-agent": {4317, 4318, 13133},
    "otel-gateway": {4317, 4318, 8889, 13133},
    "tempo": {3200, 4317},
    "prometheus": {9090},
    "alertmanager": {9093},
    "grafana": {3000},
    "vllm": {8000},
}
"""Where the programs listen that the services run."""

IMAGE_OF = {"otel-agent": "opentelemetry-collector-contrib", "otel-gateway": "opentelemetry-collector-contrib"}


@pytest.fixture(params=FILES, ids=lambda file: file.name)
def found(request):
    return services(request.param)


def texts(service):
    """All that says where a service finds another one: its variables, its command, the files that it has."""
    yield from environment(service).values()
    yield from service.get("command") or []
    for source in mounts(service).values():
        for file in [source] if source.is_file() else source.rglob("*.yaml"):
            if file.suffix in (".yaml", ".yml"):
                yield re.sub(r"(?m)^\s*#.*$", "", file.read_text())


def test_both_compositions_are_there():
    assert FILES == sorted([MAIN, SIDECAR])


def test_a_mistake_is_told():
    done = load(MAIN.read_text().replace("read_only: true", "readonly: true"))
    assert done.returncode != 0 and "readonly" in done.stderr + done.stdout


def test_every_file_that_is_mounted_is_there_and_is_not_written_to(found):
    for service in found.values():
        for target, source in mounts(service).items():
            assert source.exists() and source.is_relative_to(ROOT), f"{source} is not there"
            (mount,) = [mount for mount in service["volumes"] if mount["target"] == target]
            assert mount["read_only"]


def test_every_program_is_told_of_files_that_it_has(found):
    for service in found.values():
        named = [match.group(1) for word in service.get("command") or [] if (match := re.match(r"-+config(?:\.file)?=(.*)", word))]
        assert set(named) <= mounts(service).keys()
    for name in services(MAIN).keys() - {"streamgauge", "grafana"}:
        assert any("config" in word for word in services(MAIN)[name]["command"])


def test_every_service_is_asked_where_it_listens(found):
    asked = {}
    for name, service in found.items():
        for text in texts(service):
            for host, port in re.findall(r"(?<![\w.-])([a-z][a-z-]+):(\d{2,5})\b", text):
                if host not in ("localhost", "loki"):
                    asked.setdefault(host, set()).add(int(port))
    assert asked and asked.keys() <= found.keys(), "a name that no service has"
    for host, ports in asked.items():
        assert ports <= LISTENING[host], host


def test_what_is_published_is_published_to_this_machine_alone(found):
    for name, service in found.items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1"
            assert port["target"] == int(port["published"]) and port["target"] in LISTENING[name]


def test_the_text_at_the_top_names_what_is_published():
    top = MAIN.read_text().partition("\nname:")[0]
    published = {port["published"] for service in services(MAIN).values() for port in service.get("ports", [])}
    assert set(re.findall(r"http://127\.0\.0\.1:(\d+)", top)) == published


def test_images_are_pinned(found):
    for service in found.values():
        assert re.search(r":v?\d+\.\d+", service["image"]), service["image"]


def test_the_collector_is_the_one_that_the_tests_run():
    builder = yaml.safe_load((ROOT / "deploy" / "collector" / "builder.yaml").read_text())
    version = re.search(r"v([\d.]+)", builder["exporters"][0]["gomod"].split()[-1]).group(1)
    for name, image in IMAGE_OF.items():
        assert services(MAIN)[name]["image"].endswith(f"{image}:{version}")


def test_grafana_finds_data_sources_and_dashboards():
    grafana = services(MAIN)["grafana"]
    has = mounts(grafana)
    provisioning = has["/etc/grafana/provisioning"]
    (file,) = (provisioning / "datasources").iterdir()
    sources = {source["uid"]: source for source in yaml.safe_load(file.read_text())["datasources"]}
    assert sources.keys() == {"prometheus", "tempo", "alertmanager"}
    (exemplars,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars["datasourceUid"] in sources and exemplars["name"] == "trace_id"
    assert sources["tempo"]["jsonData"]["tracesToMetrics"]["datasourceUid"] in sources
    (file,) = (provisioning / "dashboards").iterdir()
    (provider,) = yaml.safe_load(file.read_text())["providers"]
    dashboards = {target: json.loads(source.read_text()) for target, source in has.items() if source.suffix == ".json"}
    assert len({dashboard["uid"] for dashboard in dashboards.values()}) == 2
    assert all(target.startswith(provider["options"]["path"] + "/") for target in dashboards)
    assert environment(grafana)["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in dashboards


@contextlib.contextmanager
def started(image, service, folder):
    """A service of streamgauge in its image."""
    pod = Pod(image, folder, arguments=service.get("command") or (), variables=environment(service))
    try:
        with Process(pod.runc("run", "--bundle", str(pod.bundle), pod.name)):
            command = image.config["Healthcheck"]["Test"][1:]
            eventually("the service to be healthy", lambda: pod.ask(*command).returncode == 0)
            yield pod
    finally:
        subprocess.run(pod.runc("delete", "--force", pod.name), check=True)


CHOICES = {
    "sample traffic": (MAIN, {}),
    "a real upstream": (MAIN, {"STREAMGAUGE_COMMAND": "serve", "STREAMGAUGE_UPSTREAM": "http://127.0.0.1:8000/v1"}),
    "beside an application": (SIDECAR, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_streamgauge_becomes_healthy_and_knows_every_setting(choice, image, tmp_path):
    file, variables = CHOICES[choice]
    (service,) = gauges(services(file, **variables)).values()
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    with started(image, service, tmp_path) as pod:
        checked = pod.ask(image.config["Entrypoint"][0], "check")
    assert checked.returncode == 0, checked.stderr
    warned = [line for line in checked.stderr.splitlines() if line.startswith("warning:")]
    assert all("STREAMGAUGE_ADMIN_OPEN" in line for line in warned), warned
    endpoint = environment(service)["OTEL_EXPORTER_OTLP_ENDPOINT"]
    drain = tomllib.loads(checked.stdout)["shutdown"]["drain"]
    assert seconds(service["stop_grace_period"]) > seconds(drain) + LAST_EXPORT
    assert f"traces: {endpoint}/v1/traces" in checked.stderr and "metrics: not pushed" in checked.stderr


def test_an_application_finds_the_proxy_beside_it():
    for found in [services(SIDECAR), recipe()]:
        (name,) = gauges(found)
        assert found["app"]["network_mode"] == f"service:{name}"
        assert environment(found["app"])["OPENAI_BASE_URL"] == f"http://{environment(found[name])['STREAMGAUGE_LISTEN']}/v1"


def recipe():
    """The services of the recipe in the documentation."""
    done = load("name: recipe\n" + RECIPES["Docker sidecar"].block("yaml"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def test_the_sidecar_of_the_recipe_becomes_healthy(image, tmp_path):
    (service,) = gauges(recipe()).values()
    with started(image, service, tmp_path) as pod:
        checked = pod.ask(image.config["Entrypoint"][0], "check")
    assert "url = \"https://api.openai.com/v1\"" in checked.stdout and "warning" not in checked.stderr
