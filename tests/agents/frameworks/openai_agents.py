"""OpenAI Agents SDK, over chat completions."""

import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from run import population, weather
from script import QUESTIONS

set_tracing_disabled(True)


def run(base_url, streamed):
    return asyncio.run(_run(base_url, streamed))


async def _run(base_url, streamed):
    model = OpenAIChatCompletionsModel("scripted", AsyncOpenAI(base_url=base_url, api_key="sk-test", max_retries=0))
    tools = [_in_thread(weather), _in_thread(population)]
    agent = Agent("guide", instructions="Help.", model=model, model_settings=ModelSettings(), tools=tools)
    history, said = [], []
    for question in QUESTIONS:
        history = [*history, {"role": "user", "content": question}]
        if streamed:
            result = Runner.run_streamed(agent, history)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, history)
        history = result.to_input_list()
        said.append(result.final_output)
    return said


def _in_thread(tool):
    return function_tool(tool)
