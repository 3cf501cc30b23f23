"""LlamaIndex. Each turn is run by itself, as its documentation does: the second begins anew."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from run import population, weather
from script import QUESTIONS


class Scripted(OpenAI):
    """The library asks for the window of a model that it does not know."""

    @property
    def metadata(self):
        from llama_index.core.llms import LLMMetadata

        return LLMMetadata(context_window=100_000, is_chat_model=True, is_function_calling_model=True, model_name=self.model)


def run(base_url, streamed):
    return asyncio.run(_run(base_url, streamed))


async def _run(base_url, streamed):
    model = Scripted(model="scripted", api_base=base_url, api_key="sk-test", max_retries=0)
    agent = FunctionAgent(tools=[weather, population], llm=model, system_prompt="Help.", streaming=streamed)
    return [str(await agent.run(question)) for question in QUESTIONS]
