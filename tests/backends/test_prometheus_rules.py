"""The rules of deploy/prometheus: their own tests pass, name every alert, and ask only for series that there are.

`promtool` feeds them made-up series, so that each fires and each is silent. That the real ones have these names and labels is
seen in test_prometheus_alerts.py and test_dashboards_and_rules.py, and that Alertmanager tells of one in test_alertmanager.py.
"""

import subprocess

import pytest
import yaml

from prometheus_server import ALERTS, DEPLOY, RULES, RULE_FILES, documented_series, series_of

TESTS = [DEPLOY / "prometheus" / name for name in ("tests.yml", "tests-days.yml")]

BY_PROMETHEUS = {"up"}


def promtool(*arguments):
    ran = subprocess.run(
        ["promtool", *map(str, arguments)], cwd=DEPLOY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_the_rules_are_valid():
    promtool("check", "rules", *RULE_FILES)


@pytest.mark.parametrize("tests", TESTS, ids=lambda tests: tests.name)
def test_the_rules_pass_their_own_tests(tests):
    promtool("test", "rules", tests)


def test_alertmanagers_configuration_is_valid():
    subprocess.run(["amtool", "check-config", DEPLOY / "prometheus" / "alertmanager.yml"], check=True, capture_output=True)


def test_every_alert_and_every_window_has_a_test_in_which_it_fires_and_one_in_which_it_is_silent():
    cases = [
        case
        for tests in TESTS
        for group in yaml.safe_load(tests.read_text())["tests"]
        for case in group["alert_rule_test"]
    ]
    fires = {
        (case["alertname"], alert["exp_labels"]["severity"], alert["exp_labels"].get("window"))
        for case in cases
        for alert in case["exp_alerts"]
    }
    assert fires == {(rule["alert"], rule["labels"]["severity"], rule["labels"].get("window")) for rule in ALERTS}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert silent == {rule["alert"] for rule in ALERTS}


def test_every_series_that_a_rule_asks_for_is_documented_or_recorded():
    asked = set().union(*(series_of(rule["expr"]) for rule in RULES))
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert asked - documented_series() - recorded == BY_PROMETHEUS


def test_every_recorded_series_is_read_by_an_alert():
    asked = set().union(*(series_of(rule["expr"]) for rule in ALERTS))
    assert {rule["record"] for rule in RULES if "record" in rule} - asked == set()
