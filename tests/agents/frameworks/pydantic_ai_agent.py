"""Pydantic AI, over chat completions."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from run import population, weather
from script import QUESTIONS


def run(base_url, streamed):
    return asyncio.run(_run(base_url, streamed))


async def _run(base_url, streamed):
    model = OpenAIChatModel("scripted", provider=OpenAIProvider(base_url=base_url, api_key="sk-test"))
    agent = Agent(model, system_prompt="Help.", tools=[weather, population])
    history, said = [], []
    for question in QUESTIONS:
        if streamed:
            async with agent.run_stream(question, message_history=history) as result:
                said.append(await result.get_output())
        else:
            result = await agent.run(question, message_history=history)
            said.append(result.output)
        history = result.all_messages()
    return said
