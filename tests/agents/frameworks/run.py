"""Runs the task with one framework, once for each base URL it is told on standard input, and prints what came of it.

What a framework says of each turn, and when each tool began and ended on the clock that all processes of a machine share.
"""

import importlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import script

RAN = []
"""What the tools did in the current run."""


def timed(name, **arguments):
    """Does what a tool does, takes as long, and keeps when it did."""
    begun = time.monotonic_ns()
    time.sleep(script.TOOLS[name])
    result = getattr(script, name)(**arguments)
    RAN.append({"name": name, "arguments": arguments, "begun": begun, "ended": time.monotonic_ns()})
    return result


def weather(city: str, unit: str) -> str:
    """The temperature in a city.

    Args:
        city: The city.
        unit: C or F.
    """
    return timed("weather", city=city, unit=unit)


def population(city: str) -> str:
    """How many people live in a city.

    Args:
        city: The city.
    """
    return timed("population", city=city)


def main():
    sys.modules["run"] = sys.modules["__main__"]
    framework = importlib.import_module(sys.argv[1])
    outcome = {}
    for name, order in json.load(sys.stdin).items():
        RAN.clear()
        said = framework.run(order["base_url"], order["streamed"])
        outcome[name] = {"answers": said, "tools": list(RAN)}
    # Frameworks print to standard output too.
    print("\n" + json.dumps(outcome))


if __name__ == "__main__":
    main()
