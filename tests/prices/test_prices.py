"""The price catalogue against the package that it is made from: every model, every variant, random usages."""

import json
import random
import subprocess
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price, types
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot
from genai_prices.decompose import is_descendant_or_self
from genai_prices.units import _get_registry

DRAWS = 5000
SEED = 20261129
UNITS = _get_registry().units
# The package rounds to 28 digits of a number, the program to 28 digits behind the point: where a price is divided by an hour the
# last of them may differ.
SAME = Decimal("1e-24")


def names(match):
    """Names that a clause means, as far as it says them."""
    if isinstance(match, (types.ClauseOr, types.ClauseAnd)):
        each = match.or_ if isinstance(match, types.ClauseOr) else match.and_
        return [name for clause in each for name in names(clause)]
    texts = [getattr(match, kind, None) for kind in ("equals", "starts_with", "ends_with", "contains")]
    return [text for text in texts if text]


def lists(model):
    """All lists of prices of a model."""
    lists = model.prices if isinstance(model.prices, list) else [model]
    return [each.prices for each in lists] + [each.prices for each in model.price_variants or []]


def drawn_usage(draw, model):
    """Amounts of what the model has prices for, each at least the sum of its parts; and now and then of something else."""
    keys = {key for prices in lists(model) for key, price in prices.__dict__.items() if price is not None}
    priced = [unit for unit in UNITS.values() if unit.price_key in keys and unit.usage_key != "requests"]
    own = {unit.usage_key: draw.choice([0, 1, draw.randrange(300_000), draw.randrange(10**7)]) for unit in priced}
    usage = {}
    for unit in priced:
        parts = [part for part in priced if is_descendant_or_self(unit, part)]
        usage[unit.usage_key] = sum(own[part.usage_key] for part in parts)
    if draw.random() < 0.2 and usage:
        del usage[draw.choice(sorted(usage))]
    if draw.random() < 0.1:
        usage["output_reasoning_tokens"] = draw.randrange(1000)
    if draw.random() < 0.05 and usage:
        usage[draw.choice(sorted(usage))] = draw.randrange(100)
    return usage


def drawn_calls():
    draw = random.Random(SEED)
    models = [(provider, model) for provider in providers for model in provider.models if names(model.match)]
    calls = []
    # Each model once, then any.
    while len(calls) < DRAWS:
        provider, model = models[len(calls)] if len(calls) < len(models) else draw.choice(models)
        contexts = [each.when for each in model.price_variants or []]
        at = datetime(2025, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=draw.randrange(2 * 366 * 86400))
        calls.append(
            {
                "provider": provider.id,
                "model": draw.choice(names(model.match)),
                "usage": drawn_usage(draw, model),
                "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "context": draw.choice([{}, *contexts, *contexts]),
            }
        )
    return calls


def expected(call):
    """What the package says: the price, or None where it has none. Without any count it says 0, and the program that nothing is known."""
    if not call["usage"]:
        return None
    try:
        price = calc_price(
            Usage(**call["usage"]),
            model_ref=call["model"],
            provider_id=call["provider"],
            genai_request_timestamp=datetime.fromisoformat(call["at"]),
            price_context=call["context"],
        )
    except (LookupError, ValueError):
        return None
    return price


@pytest.fixture(scope="module")
def priced(binary, tmp_path_factory):
    """Each drawn call, with what the program says of it."""
    calls = drawn_calls()
    file = tmp_path_factory.mktemp("prices") / "calls.jsonl"
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))
    run = subprocess.run([binary, "cost", "--each", file], stdout=subprocess.PIPE, text=True)
    assert run.returncode == 1  # some have no price
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(calls)
    return list(zip(calls, answers))


def test_every_amount_is_that_of_the_package(priced):
    wrong, amounts = [], 0
    for call, answer in priced:
        price = expected(call)
        if price is None or "error" in answer:
            if (price is None) != ("error" in answer):
                wrong.append((call, price, answer))
            continue
        amounts += price.total_price > 0
        for ours, theirs in [
            ("usd", price.total_price),
            ("input_usd", price.input_price),
            ("output_usd", price.output_price),
        ]:
            if abs(Decimal(answer[ours]) - theirs) > SAME:
                wrong.append((call, ours, theirs, answer))
        assert answer["model"] == price.model.id
    assert not wrong, f"{len(wrong)} of {len(priced)}: {wrong[:3]}"
    assert amounts > len(priced) // 2


def test_usages_that_contradict_themselves_have_no_price(priced):
    refused = [answer["error"] for _, answer in priced if "error" in answer]
    assert any("are more than" in error for error in refused)
    assert any("is missing" in error for error in refused)


def test_the_catalogue_is_what_the_package_says(binary):
    assert get_snapshot().providers is providers
    run = subprocess.run(
        [binary, "cost", "--provider", "openai", "--model", "gpt-4o", "--usage", '{"input_tokens": 1}', "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    from importlib import metadata

    assert json.loads(run.stdout)["catalogue"]["version"] == metadata.version("genai-prices")
