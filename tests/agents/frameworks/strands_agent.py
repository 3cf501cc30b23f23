"""Strands Agents."""

from run import population, weather
from script import QUESTIONS
from strands import Agent, tool
from strands.models.openai import OpenAIModel


def run(base_url, streamed):
    options = {} if streamed else {"stream": False}
    model = OpenAIModel(
        client_args={"base_url": base_url, "api_key": "sk-test", "max_retries": 0}, model_id="scripted", params=options
    )
    agent = Agent(model, system_prompt="Help.", tools=[tool(weather), tool(population)], callback_handler=None)
    return [str(agent(question)) for question in QUESTIONS]
