"""What the scripted model says, and what the tools do: one task of two turns, with two tools.

The model answers each turn with calls and then with a text. Its calls are what frameworks rewrite: arguments with odd spaces,
escapes and keys out of order, reasoning beside them, white space around the text.
"""

import hashlib
import json

QUESTIONS = ["How warm is it in Z\u00fcrich, and how many live there?", "And how warm is it in Bern?"]

TOOLS = {"weather": 0.06, "population": 0.15}
"""How long each tool takes, in seconds."""

REASONING = "I look that up. "
TEXTS = ["\n It is 17 \u00b0C in Z\u00fcrich, where 448664 people live. ", " In Bern it is 15 \u00b0C.\n"]


def weather(city, unit):
    """The temperature in a city."""
    return json.dumps({"city": city, "unit": unit, "degrees": 17 if city == "Z\u00fcrich" else 15})


def population(city):
    """How many people live in a city."""
    return "448664" if city == "Z\u00fcrich" else "134506"


def tools_as_data():
    """How long each tool takes and what it says of each city, for those that cannot call it."""
    of_city = {
        "weather": lambda city: weather(city, "C"),
        "population": population,
    }
    cities = ["Z\u00fcrich", "Bern"]
    return {name: {"seconds": TOOLS[name], "says": {city: say(city) for city in cities}} for name, say in of_city.items()}


def call_id(run, number):
    """The id of a call. A run has the same direct and through the proxy; no two runs share one."""
    return f"call_{hashlib.sha256(run.encode()).hexdigest()[:18]}{number:02}"


def calls(run):
    """The calls of each turn: id, name, arguments as they are sent."""
    return [
        [
            (call_id(run, 1), "weather", '{"unit" : "C",  "city":"Z\\u00fcrich" }'),
            (call_id(run, 2), "population", '{ "city" :"Z\\u00fcrich"}'),
        ],
        [(call_id(run, 3), "weather", '{"unit":"C" ,"city": "Bern"}')],
    ]


def answers(run, ends_by_tool):
    """What the model says to each request, in order: calls or a text. Some agents end a turn by a call of a tool."""
    said = []
    for turn, (wanted, text) in enumerate(zip(calls(run), TEXTS)):
        said.append({"calls": wanted})
        if ends_by_tool:
            arguments = json.dumps({"answer": text.strip()}, ensure_ascii=False)
            said.append({"calls": [(call_id(run, 10 + turn), "final_answer", arguments)]})
        else:
            said.append({"text": text})
    return said
