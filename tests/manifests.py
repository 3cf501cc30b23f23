"""What the manifests of Kubernetes say, whether they are files of deploy/kubernetes or made by the chart of deploy/helm."""

import re

LAST_EXPORT = 5
"""Seconds that the last telemetry may take after the drain."""


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def names(document):
    return f"{document['kind']}: {document['metadata']['name']}"


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


def variables(container, secrets):
    """What a kubelet gives it for an environment; `secrets` has what secrets hold, by the variable."""
    found = {}
    for variable in container["env"]:
        name, source = variable["name"], variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[name] = secrets[name]
        elif source:
            found[name] = source["fieldRef"]["fieldPath"]
        else:
            found[name] = re.sub(r"\$\((\w+)\)", lambda match: found[match.group(1)], variable["value"])
    return found


def is_restricted(workload):
    """Asserts what Kubernetes's strictest level of Pod Security asks for, and a read-only root."""
    of_pod = pod(workload)["securityContext"]
    assert of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] > 0
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(workload).keys()
    assert all(volume.keys() <= {"name", "configMap", "secret", "emptyDir"} for volume in pod(workload).get("volumes", []))
    for container in containers(workload):
        own = container["securityContext"]
        assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert not any("hostPort" in port for port in container.get("ports", []))


def is_given_its_time(workload, drain):
    """Asserts that nobody kills the program before its streams have drained."""
    before = gauge(workload).get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})["sleep"]["seconds"]
    assert pod(workload)["terminationGracePeriodSeconds"] >= before + seconds(drain) + LAST_EXPORT
