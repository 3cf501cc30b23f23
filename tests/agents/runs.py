"""The frameworks, and their runs: direct, and through the proxy."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from script import QUESTIONS, tools_as_data

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TIMEOUT = 600
"""Longest time that one framework may take for all of its runs, in seconds; some load for a minute on a busy machine."""

MODES = {"unary": False, "streamed": True}


@dataclass(frozen=True)
class Framework:
    """A framework by the name of its module."""

    name: str
    environment: str
    """Which virtual environment has it; `node` for none."""
    modes: tuple = tuple(MODES)
    second_turn: bool = True
    """Whether the second turn has anything of the first in it."""
    tells_results: bool = True
    """Whether results of tools are sent as such. In a text nobody can tell a result, nor whose it is."""


FRAMEWORKS = [
    Framework("openai_agents", "newest"),
    Framework("pydantic_ai_agent", "newest"),
    Framework("langgraph_agent", "newest"),
    Framework("agno_agent", "newest"),
    Framework("smolagents_agent", "newest", tells_results=False),
    Framework("strands_agent", "older"),
    Framework("semantic_kernel_agent", "older"),
    Framework("llama_index_agent", "older", second_turn=False),
    Framework("ai_agent", "node"),
    Framework("openai_agents_js", "node"),
]

RUNS = [(framework, mode) for framework in FRAMEWORKS for mode in framework.modes]


def run_name(framework, mode):
    """The name of a run: the same direct and through the proxy."""
    return f"{framework.name}-{mode}"


def run_all(framework, origins):
    """Runs a framework in each of its modes by way of each of these origins; what it said and did, by way and mode."""
    order = {}
    for way, origin in origins.items():
        for mode in framework.modes:
            base_url = f"{origin}/{way}/{run_name(framework, mode)}/v1"
            task = {"questions": QUESTIONS, "tools": tools_as_data()}
            order[f"{way} {mode}"] = {"base_url": base_url, "streamed": MODES[mode], **task}
    child = subprocess.run(
        _command(framework), input=json.dumps(order), cwd=HERE / "frameworks", capture_output=True, text=True, timeout=TIMEOUT
    )
    assert child.returncode == 0, f"{framework.name} failed:\n{child.stderr[-4000:]}"
    return json.loads(child.stdout.strip().splitlines()[-1])


def _command(framework):
    if framework.environment == "node":
        return ["node", "run.mjs", framework.name]
    python = ROOT / ".venv" / f"agents-{framework.environment}" / "bin" / "python"
    return [str(python), "run.py", framework.name]
