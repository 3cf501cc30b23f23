"""Agno."""

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.openai.like import OpenAILike
from run import population, weather
from script import QUESTIONS


def run(base_url, streamed):
    model = OpenAILike(id="scripted", base_url=base_url, api_key="sk-test", max_retries=0)
    agent = Agent(
        model=model,
        instructions="Help.",
        tools=[weather, population],
        db=InMemoryDb(),
        session_id="one",
        add_history_to_context=True,
        telemetry=False,
    )
    said = []
    for question in QUESTIONS:
        if streamed:
            said.append("".join(event.content or "" for event in agent.run(question, stream=True) if event.event == "RunContent"))
        else:
            said.append(agent.run(question).content)
    return said
