"""smolagents, whose agents end a turn by a call of `final_answer`."""

from run import population, weather
from script import QUESTIONS
from smolagents import OpenAIServerModel, ToolCallingAgent, tool


def run(base_url, streamed):
    model = OpenAIServerModel("scripted", api_base=base_url, api_key="sk-test")
    agent = ToolCallingAgent([tool(weather), tool(population)], model, verbosity_level=0, stream_outputs=streamed)
    return [agent.run(question, reset=False) for question in QUESTIONS]
