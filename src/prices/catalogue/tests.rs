use super::*;

#[test]
fn every_provider_and_model_of_the_bundled_catalogue_can_be_read_and_has_units_for_its_prices() {
    let catalogue = Catalogue::bundled();
    let keys = BUNDLED.lines().skip(1).flat_map(price_keys);
    for key in keys {
        assert!(catalogue.units.priced(&key).is_ok(), "{key}");
    }
    let mut models = 0;
    for provider in &catalogue.providers {
        assert!(provider.model_named("\0", &catalogue.units).is_none());
        assert!(!provider.url.made().is_match("\0"));
        models += provider.models.get().unwrap().len();
    }
    assert!(models > 2000, "{models}");
}

fn price_keys(line: &str) -> Vec<String> {
    let provider: serde_json::Value = serde_json::from_str(line).unwrap();
    let lists = provider["models"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|model| {
            let variants = model["variants"].as_array();
            let all = model["prices"].as_array().into_iter().chain(variants);
            all.flatten()
        });
    let keys = lists.flat_map(|list| list["of"].as_object().unwrap().keys().cloned());
    keys.collect()
}

fn none() -> &'static OwnPrices {
    static NONE: LazyLock<OwnPrices> = LazyLock::new(OwnPrices::default);
    &NONE
}

fn find(
    provider: Option<&str>,
    url: Option<&str>,
    model: &str,
) -> Result<(String, String), String> {
    let wanted = Wanted {
        upstream: None,
        provider,
        url,
        model,
    };
    let entry = Catalogue::bundled().find(none(), &wanted);
    entry
        .map(|entry| (entry.provider().to_owned(), entry.model().to_owned()))
        .map_err(|error| error.to_string())
}

#[test]
fn a_model_is_found_by_provider_by_url_and_by_its_name() {
    let is = |provider: &str, model: &str| Ok((provider.to_owned(), model.to_owned()));
    let openai = is("openai", "gpt-4o");
    assert_eq!(find(Some("openai"), None, "gpt-4o"), openai);
    assert_eq!(find(Some(" OpenAI "), None, "GPT-4o"), openai);
    assert_eq!(
        find(None, Some("https://api.openai.com/v1"), "gpt-4o"),
        openai
    );
    assert_eq!(find(None, None, "gpt-4o"), openai);
    assert_eq!(find(Some("litellm"), None, "openai/gpt-4o"), openai);
    let azure = "https://here.openai.azure.com/openai/deployments/x";
    assert_eq!(find(None, Some(azure), "gpt-4o"), is("azure", "gpt-4o"));
    // Azure offers it at the price of its maker.
    assert_eq!(
        find(Some("azure"), None, "claude-3-haiku").unwrap().0,
        "azure"
    );
}

#[test]
fn what_has_no_price_says_what_is_not_there() {
    let unknown = find(Some("openai"), None, "my-model").unwrap_err();
    assert_eq!(
        unknown,
        "the price catalogue has no model my-model of openai"
    );
    let url = find(None, Some("http://vllm:8000/v1"), "gpt-4o").unwrap_err();
    assert_eq!(
        url,
        "the price catalogue has no provider at http://vllm:8000/v1"
    );
    let provider = find(Some("nobody"), None, "gpt-4o").unwrap_err();
    assert_eq!(provider, "the price catalogue has no provider nobody");
    let mistyped = find(Some("opnai"), None, "gpt-4o").unwrap_err();
    assert_eq!(
        mistyped,
        "the price catalogue has no provider opnai, did you mean openai?"
    );
}

#[test]
fn compact_dates_are_read_as_the_catalogue_writes_them() {
    for (name, dashed) in [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("a-20251211:free", "a-2025-12-11:free"),
        ("a-20250230", "a-20250230"),
        ("a-202512110", "a-202512110"),
    ] {
        assert_eq!(with_dashed_date(name), dashed);
    }
}

fn counts(amounts: &[(&str, u64)]) -> Counts {
    let mut counts = Counts::default();
    for (unit, amount) in amounts {
        Catalogue::bundled()
            .count(&mut counts, unit, Decimal::from(*amount))
            .unwrap();
    }
    counts
}

fn work(model: &str, amounts: &[(&str, u64)], context: &Context<'_>) -> Result<Working, Unpriced> {
    let wanted = Wanted {
        upstream: None,
        provider: Some("openai"),
        url: None,
        model,
    };
    // The 20th of November 2026.
    let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_132_800);
    let entry = Catalogue::bundled().find(none(), &wanted).unwrap();
    entry.work(&counts(amounts), at, context)
}

#[test]
fn cached_tokens_are_taken_out_of_the_input() {
    let amounts = [
        ("input_tokens", 1_000_000),
        ("cache_read_tokens", 400_000),
        ("output_tokens", 100_000),
    ];
    let working = work("gpt-4o", &amounts, &[]).unwrap();
    // 0.6 × 2.50 + 0.4 × 1.25, and 0.1 × 10.
    assert_eq!(working.amounts.input.to_string(), "2.00");
    assert_eq!(working.amounts.total, Decimal::from(3));
}

#[test]
fn a_tier_of_service_has_its_own_prices() {
    let amounts = [("input_tokens", 1_000_000), ("output_tokens", 1_000_000)];
    let flex = work("o3", &amounts, &[("service_tier", "flex")]).unwrap();
    assert_eq!(flex.amounts.total, Decimal::from(5));
    let unknown = work("o3", &amounts, &[("service_tier", "other")]).unwrap();
    assert_eq!(unknown.amounts.total, Decimal::from(10));
}

#[test]
fn parts_that_are_more_than_the_whole_have_no_price() {
    let amounts = [("input_tokens", 1), ("cache_read_tokens", 2)];
    assert_eq!(
        work("gpt-4o", &amounts, &[]).unwrap_err().to_string(),
        "the parts of input_tokens are more than input_tokens itself"
    );
    assert_eq!(
        work("gpt-4o", &[("cache_read_tokens", 2)], &[])
            .unwrap_err()
            .to_string(),
        "input_tokens is missing: the usage has cache_read_tokens"
    );
}

#[test]
fn an_unknown_unit_is_refused_with_the_nearest() {
    let mut counts = Counts::default();
    let refused = Catalogue::bundled().count(&mut counts, "input_token", Decimal::ONE);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "unknown unit input_token, did you mean input_tokens?"
    );
}
