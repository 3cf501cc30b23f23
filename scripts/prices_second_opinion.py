"""Prices the same usages by the catalogue and by LiteLLM. Run by scripts/prices-second-opinion, in an environment that has it.

Prints a line for each model and kind of usage where the two differ by more than a thousandth, and what they have in common.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import litellm
from litellm.types.utils import PromptTokensDetailsWrapper, Usage

# The catalogue's provider, and LiteLLM's.
PROVIDERS = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "gemini",
    "mistral": "mistral",
    "groq": "groq",
    "deepseek": "deepseek",
    "x-ai": "xai",
    "cohere": "cohere",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "cerebras": "cerebras",
    "perplexity": "perplexity",
}

# Kinds of usage: as a response reports it in the catalogue's units. The input has what the cache served and took up in it.
KINDS = {
    "plain": {"input_tokens": 10_000, "output_tokens": 1_000},
    "cached": {"input_tokens": 10_000, "output_tokens": 1_000, "cache_read_tokens": 8_000},
    "written": {"input_tokens": 10_000, "output_tokens": 1_000, "cache_write_tokens": 8_000},
    "written 1h": {
        "input_tokens": 10_000,
        "output_tokens": 1_000,
        "cache_write_tokens": 8_000,
        "cache_write_1h_tokens": 8_000,
    },
    "long": {"input_tokens": 300_000, "output_tokens": 1_000},
}

# What LiteLLM has no price for it takes for free, or for plain input.
NEEDS = {
    "cached": ["cache_read_input_token_cost"],
    "written": ["cache_creation_input_token_cost"],
    "written 1h": ["cache_creation_input_token_cost_above_1hr"],
}


def names(match):
    """Names that a clause of the catalogue means, as far as it says them."""
    if match is None:
        return []
    found = [name for each in match.get("or", []) + match.get("and", []) for name in names(each)]
    return found + [match[kind] for kind in ("equals", "starts_with") if kind in match]


def pairs(catalogue):
    """Models that both know: the catalogue's provider, LiteLLM's, the name, and what LiteLLM knows of it."""
    for line in catalogue.read_text().splitlines()[1:]:
        provider = json.loads(line)
        theirs = PROVIDERS.get(provider["id"])
        for model in provider["models"] if theirs else []:
            for name in dict.fromkeys([model["id"], *names(model["match"])]):
                known = litellm.model_cost.get(f"{theirs}/{name}") or litellm.model_cost.get(name)
                if known and known.get("litellm_provider") == theirs and known.get("mode") in ("chat", "responses"):
                    yield provider["id"], theirs, name, known
                    break


def by_litellm(provider, name, usage):
    """What LiteLLM says that a usage costs; None where it does not."""
    read = usage.get("cache_read_tokens", 0)
    written = usage.get("cache_write_tokens", 0)
    hour = usage.get("cache_write_1h_tokens", 0)
    details = PromptTokensDetailsWrapper(
        cached_tokens=read,
        cache_creation_tokens=written,
        cache_creation_token_details={
            "ephemeral_5m_input_tokens": written - hour,
            "ephemeral_1h_input_tokens": hour,
        },
    )
    told = Usage(
        prompt_tokens=usage["input_tokens"],
        completion_tokens=usage["output_tokens"],
        total_tokens=usage["input_tokens"] + usage["output_tokens"],
        prompt_tokens_details=details,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
    )
    try:
        return sum(litellm.cost_per_token(model=name, custom_llm_provider=provider, usage_object=told))
    except Exception as error:
        print(f"LiteLLM fails on {provider}/{name}: {type(error).__name__}", file=sys.stderr)
        return None


def main(binary, catalogue):
    calls, known = [], []
    for ours, theirs, name, facts in pairs(Path(catalogue)):
        for kind, usage in KINDS.items():
            if all(facts.get(needed) for needed in NEEDS.get(kind, [])):
                calls.append({"provider": ours, "model": name, "usage": usage})
                known.append((theirs, kind))
    lines = "".join(json.dumps(call) + "\n" for call in calls)
    # Ends with 1, as some have no price.
    run = subprocess.run([binary, "cost", "--each", "-"], input=lines, stdout=subprocess.PIPE, text=True)
    same = Counter()
    for call, (theirs, kind), line in zip(calls, known, run.stdout.splitlines()):
        answer = json.loads(line)
        usd = by_litellm(theirs, call["model"], call["usage"])
        if usd is None or "error" in answer:
            continue
        here = float(answer["usd"])
        if abs(here - usd) > 0.001 * max(here, usd):
            print(f"{call['provider']}/{call['model']}  {kind}: {here:.6g} here, {usd:.6g} by LiteLLM")
        else:
            same[kind] += 1
    print(f"the same: {dict(same)} of {len(calls)}")


main(*sys.argv[1:])
