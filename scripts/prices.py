"""Writes the price catalogue from the package genai-prices. Run by scripts/prices, in an environment that has it.

One JSON object a line: what the catalogue is, then a provider each.
"""

import json
import re
import sys
from importlib import metadata
from pathlib import Path
from urllib.request import Request, urlopen

from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_units import unit_data

CLAUSES = {
    types.ClauseStartsWith: "starts_with",
    types.ClauseEndsWith: "ends_with",
    types.ClauseContains: "contains",
    types.ClauseEquals: "equals",
    types.ClauseRegex: "regex",
}


def clause(match):
    if match is None:
        return None
    if isinstance(match, types.ClauseOr):
        return {"or": [clause(each) for each in match.or_]}
    if isinstance(match, types.ClauseAnd):
        return {"and": [clause(each) for each in match.and_]}
    name = CLAUSES[type(match)]
    return {name: getattr(match, name)}


def price(value):
    if isinstance(value, types.TieredPrices):
        tiers = [[tier.start, str(tier.price)] for tier in value.tiers]
        return {"base": str(value.base), "tiers": tiers}
    return str(value)


def prices(each):
    return {key: price(value) for key, value in each.__dict__.items() if value is not None}


def when(constraint):
    if constraint is None:
        return {}
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    hours = [constraint.start_time, constraint.end_time]
    # The program counts from midnight, UTC, and knows no zones.
    assert all(hour.utcoffset() is None or not hour.utcoffset() for hour in hours)
    return {"between": [hour.hour * 3600 + hour.minute * 60 + hour.second for hour in hours]}


def model(each):
    conditional = each.prices
    if not isinstance(conditional, list):
        conditional = [types.ConditionalPrice(prices=conditional)]
    found = {
        "id": each.id,
        "match": clause(each.match),
        "prices": [when(one.constraint) | {"of": prices(one.prices)} for one in conditional],
    }
    if each.price_variants:
        found["variants"] = [
            {"for": one.when} | when(one.constraint) | {"of": prices(one.prices)}
            for one in each.price_variants
        ]
    return found


def provider(each):
    re.compile(each.api_pattern)
    found = {
        "id": each.id,
        "name": each.name,
        "url": each.api_pattern,
        "provider": clause(each.provider_match),
        "model": clause(each.model_match),
        "fallback": each.fallback_model_providers,
    }
    found = {key: value for key, value in found.items() if value is not None}
    return found | {"models": [model(one) for one in each.models]}


def unit(name, raw):
    return {"name": name, "price": raw["price_key"], "per": raw["per"], "of": raw["dimensions"]}


def published(version):
    """The day on which the package was published, by the index (PEP 700)."""
    index = Request(
        "https://pypi.org/simple/genai-prices/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urlopen(index) as answer:
        files = json.load(answer)["files"]
    wheel = f"genai_prices-{version}-py3-none-any.whl"
    return next(file["upload-time"][:10] for file in files if file["filename"] == wheel)


def main(catalogue, licence):
    package = metadata.distribution("genai-prices")
    source = {
        "source": "genai-prices",
        "version": package.version,
        "date": published(package.version),
        "licence": "MIT",
        "units": [unit(*each) for each in unit_data.items()],
    }
    lines = [source, *map(provider, providers)]
    text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    Path(catalogue).write_text(text)
    texts = [file for file in package.files if file.name == "LICENSE"]
    Path(licence).write_text(texts[0].read_text())


main(*sys.argv[1:])
