"""Semantic Kernel."""

import asyncio

from openai import AsyncOpenAI
from run import population, weather
from script import QUESTIONS
from semantic_kernel.agents import ChatCompletionAgent, ChatHistoryAgentThread
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
from semantic_kernel.functions import kernel_function


class Guide:
    @kernel_function(name="weather", description="The temperature in a city.")
    def weather(self, city: str, unit: str) -> str:
        return weather(city, unit)

    @kernel_function(name="population", description="How many people live in a city.")
    def population(self, city: str) -> str:
        return population(city)


def run(base_url, streamed):
    return asyncio.run(_run(base_url, streamed))


async def _run(base_url, streamed):
    service = OpenAIChatCompletion("scripted", async_client=AsyncOpenAI(base_url=base_url, api_key="sk-test", max_retries=0))
    agent = ChatCompletionAgent(service=service, name="guide", instructions="Help.", plugins=[Guide()])
    thread, said = ChatHistoryAgentThread(), []
    for question in QUESTIONS:
        if streamed:
            text = ""
            async for piece in agent.invoke_stream(messages=question, thread=thread):
                text += str(piece)
            said.append(text)
        else:
            said.append(str(await agent.get_response(messages=question, thread=thread)))
    return said
