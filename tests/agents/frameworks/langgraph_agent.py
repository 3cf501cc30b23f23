"""LangGraph's agent, with langchain-openai."""

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from run import population, weather
from script import QUESTIONS


def run(base_url, streamed):
    model = ChatOpenAI(model="scripted", base_url=base_url, api_key="sk-test", max_retries=0, streaming=streamed)
    agent = create_react_agent(model, [weather, population], prompt="Help.")
    history, said = [], []
    for question in QUESTIONS:
        history = [*history, HumanMessage(question)]
        history = agent.invoke({"messages": history})["messages"]
        said.append(history[-1].text if isinstance(history[-1].text, str) else history[-1].text())
    return said
