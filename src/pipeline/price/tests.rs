use super::*;
use crate::exchange::{End, Endpoint, Estimate, Operation, Upstream};
use std::time::{Duration, SystemTime};

/// A stage that knows OpenAI, Anthropic, and a server of the user's own with a price by time.
fn stage() -> PriceStage {
    PriceStage::new(config())
}

fn config() -> PriceConfig {
    let own = "[[price]]\nmodel = \"mine-*\"\nusd = { gpu_second = 0.5 }\n";
    let upstream = |url: &str, provider: Option<&str>| PricedUpstream {
        url: url.to_owned(),
        endpoint: Endpoint {
            address: url.split(['/', ':']).nth(3).unwrap().into(),
            port: 443,
        },
        provider: provider.map(Arc::from),
    };
    PriceConfig {
        file: None,
        own: Catalogue::bundled().read_own(own).unwrap().into(),
        upstreams: HashMap::from([
            ("openai".into(), upstream("https://api.openai.com/v1", None)),
            (
                "gateway".into(),
                upstream("http://gateway/v1", Some("openai")),
            ),
            ("vllm".into(), upstream("http://vllm:8000/v1", None)),
            (
                "claude".into(),
                upstream("https://api.anthropic.com/v1", None),
            ),
        ]),
    }
}

/// A call of two seconds with a million tokens each way.
fn call(upstream: &str, model: &str) -> Exchange {
    let million = Some(1_000_000);
    let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_132_800);
    let mut exchange = Exchange::begin(begun);
    exchange.operation = Some(Operation::ChatCompletions);
    exchange.upstream = Some(Upstream {
        name: upstream.into(),
        provider: None,
    });
    let hosts = [
        ("openai", "api.openai.com"),
        ("gateway", "gateway"),
        ("vllm", "vllm"),
        ("claude", "api.anthropic.com"),
    ];
    let host = hosts.iter().find(|(name, _)| *name == upstream).unwrap().1;
    exchange.endpoint = Some(Endpoint {
        address: host.into(),
        port: 443,
    });
    exchange.request.model = Some("asked".to_owned());
    exchange.response.model = Some(model.to_owned());
    exchange.usage = Usage {
        input_tokens: million,
        output_tokens: million,
        ..Usage::default()
    };
    exchange.times.end = Duration::from_secs(2);
    exchange
}

fn usd(exchange: &Exchange) -> Result<String, Unpriced> {
    match stage().price(exchange).unwrap() {
        Price::Known(cost) => Ok(cost.total.normalize().to_string()),
        Price::Unknown(why) => Err(why),
    }
}

#[test]
fn the_price_is_that_of_the_upstream_and_of_the_model_that_answered() {
    assert_eq!(usd(&call("openai", "gpt-4o")).as_deref(), Ok("12.5"));
    assert_eq!(usd(&call("gateway", "gpt-4o")).as_deref(), Ok("12.5"));
    assert_eq!(usd(&call("vllm", "gpt-4o")), Err(Unpriced::Provider));
    for upstream in ["openai", "gateway"] {
        let unknown = call(upstream, "nobody-knows");
        assert_eq!(usd(&unknown), Err(Unpriced::Model), "{upstream}");
    }
    let asked = Exchange {
        request: crate::exchange::Request {
            model: Some("gpt-4o".to_owned()),
            ..Default::default()
        },
        ..call("openai", "a-name-of-its-own")
    };
    assert_eq!(usd(&asked).as_deref(), Ok("12.5"));
}

#[test]
fn a_captured_call_that_went_elsewhere_has_the_price_of_there() {
    let mut elsewhere = call("openai", "gpt-4o");
    elsewhere.endpoint.as_mut().unwrap().address = "127.0.0.1".into();
    assert_eq!(usd(&elsewhere), Err(Unpriced::Provider));
    // On another port there is another server.
    let mut beside = call("gateway", "gpt-4o");
    beside.endpoint.as_mut().unwrap().port = 8000;
    assert_eq!(usd(&beside), Err(Unpriced::Provider));
    // By the name that its host gave it, as an upstream of that URL has.
    beside.upstream.as_mut().unwrap().provider = Some("openai".into());
    assert_eq!(usd(&beside).as_deref(), Ok("12.5"));
    elsewhere.endpoint.as_mut().unwrap().address = "api.groq.com".into();
    elsewhere.response.model = Some("llama-3.1-8b-instant".to_owned());
    assert!(usd(&elsewhere).is_ok());
}

#[test]
fn the_tier_of_the_response_decides() {
    let mut flex = call("openai", "o3");
    assert_eq!(usd(&flex).as_deref(), Ok("10"));
    flex.response.service_tier = Some("flex".to_owned());
    assert_eq!(usd(&flex).as_deref(), Ok("5"));
}

#[test]
fn what_is_written_to_a_cache_costs_by_how_long_it_is_to_be_kept() {
    let mut written = call("claude", "claude-sonnet-5");
    // 2 in, 10 out, 2.50 to write for five minutes and 4 for an hour, by the million.
    assert_eq!(usd(&written).as_deref(), Ok("12"));
    written.usage.cache_write_input_tokens = Some(1_000_000);
    assert_eq!(usd(&written).as_deref(), Ok("12.5"));
    written.usage.cache_write_5m_input_tokens = Some(400_000);
    written.usage.cache_write_1h_input_tokens = Some(600_000);
    assert_eq!(usd(&written).as_deref(), Ok("13.4"));
    // A relay that reports a part alone.
    written.usage.cache_write_input_tokens = None;
    assert_eq!(usd(&written).as_deref(), Ok("12"));
}

#[test]
fn searches_cost_a_fee_beside_the_tokens_and_none_alone() {
    let mut searched = call("claude", "claude-sonnet-5");
    searched.usage.web_searches = Some(3);
    assert_eq!(usd(&searched).as_deref(), Ok("12.03"));
    searched.usage = Usage {
        web_searches: Some(3),
        ..Usage::default()
    };
    assert_eq!(stage().price(&searched), None, "its tokens are not known");
}

#[test]
fn an_answer_that_is_fetched_has_been_paid_for() {
    let mut fetched = call("openai", "gpt-4o");
    fetched.operation = Some(Operation::FetchResponse);
    assert_eq!(stage().price(&fetched), None);
}

#[test]
fn prices_that_are_read_again_hold_for_what_ends_then() {
    let file = std::env::temp_dir().join(format!("streamgauge-prices-{}", std::process::id()));
    let write = |price: &str| {
        let text = format!("[[price]]\nmodel = \"mine-*\"\nusd = {{ gpu_second = {price} }}\n");
        std::fs::write(&file, text).unwrap();
    };
    let config = PriceConfig {
        file: Some(file.clone()),
        ..config()
    };
    let mut stage = PriceStage::new(config.clone());
    let mut cost = || {
        let mut finished = Finished {
            id: crate::sink::ExchangeId(1),
            exchange: Box::new(call("vllm", "mine-7b")),
            uncounted: None,
            held: None,
        };
        stage.run(&mut finished);
        let price = finished.exchange.price.unwrap();
        price.known().unwrap().total.normalize().to_string()
    };
    assert_eq!(cost(), "1");
    write("2");
    assert_eq!(cost(), "1", "nobody has said that it changed");
    config.renew().unwrap();
    assert_eq!(cost(), "4");
    write("-1");
    let wrong = config.renew().unwrap_err();
    assert!(matches!(wrong, PriceFileError::Wrong(_)), "{wrong}");
    assert_eq!(cost(), "4");
    std::fs::write(&file, "# nothing\n").unwrap();
    let empty = config.renew().unwrap_err();
    assert!(matches!(empty, PriceFileError::Empty), "{empty}");
    assert_eq!(cost(), "4");
    std::fs::remove_file(&file).unwrap();
    let gone = config.renew().unwrap_err();
    assert!(matches!(gone, PriceFileError::Unreadable(_)), "{gone}");
    assert_eq!(cost(), "4");
}

#[test]
fn a_machine_of_ones_own_is_paid_by_time() {
    assert_eq!(usd(&call("vllm", "mine-7b")).as_deref(), Ok("1"));
    // Half a usage, or a counted one, is nothing that such a cost stands on.
    let mut left = call("vllm", "mine-7b");
    left.end = End::ClientLeft;
    let mut counted = call("vllm", "mine-7b");
    counted.usage = Usage {
        estimate: Estimate {
            input_tokens: Some(7),
            output_tokens: None,
        },
        ..Usage::default()
    };
    for exchange in [left, counted] {
        let price = stage().price(&exchange).unwrap();
        let cost = price.known().unwrap();
        assert_eq!((cost.partial, cost.estimated), (false, false));
        assert!(exchange.is_usage_partial());
    }
}

#[test]
fn tokens_that_were_counted_here_cost_something_apart() {
    let mut counted = call("openai", "gpt-4o");
    counted.usage = Usage {
        estimate: Estimate {
            input_tokens: Some(1_000_000),
            output_tokens: None,
        },
        ..Usage::default()
    };
    let price = stage().price(&counted).unwrap();
    assert_eq!(price.known().unwrap().total, Decimal::new(25, 1));
    assert!(price.known().unwrap().estimated);
    assert_eq!(price.reported(), None);
}

#[test]
fn a_cost_of_half_a_usage_is_marked_as_this_or_more() {
    let known = Some(1_000_000);
    let partial = |change: fn(&mut Exchange)| {
        let mut exchange = call("openai", "gpt-4o");
        exchange.end = End::Done;
        change(&mut exchange);
        let price = stage().price(&exchange).unwrap();
        let cost = price.known().unwrap();
        (cost.total.normalize().to_string(), cost.partial)
    };
    assert_eq!(partial(|_| {}), ("12.5".to_owned(), false));
    let left = partial(|exchange| exchange.end = End::ClientLeft);
    assert_eq!(left, ("12.5".to_owned(), true), "a running count");
    let half = partial(|exchange| exchange.usage.output_tokens = None);
    assert_eq!(half, ("2.5".to_owned(), true));
    for (output_tokens, expected) in [(known, false), (None, true)] {
        let mut counted = call("openai", "gpt-4o");
        counted.usage = Usage {
            estimate: Estimate {
                input_tokens: known,
                output_tokens,
            },
            ..Usage::default()
        };
        let price = stage().price(&counted).unwrap();
        assert_eq!(price.known().unwrap().partial, expected);
    }
}

#[test]
fn a_usage_that_contradicts_itself_has_no_price_and_one_that_is_not_there_none_to_have() {
    let mut odd = call("openai", "gpt-4o");
    odd.usage.cache_read_input_tokens = Some(2_000_000);
    assert_eq!(usd(&odd), Err(Unpriced::Usage));
    odd.usage = Usage::default();
    assert_eq!(stage().price(&odd), None);
}

#[test]
fn names_that_clients_invent_are_remembered_up_to_a_bound() {
    let mut stage = stage();
    for number in 0..=NAMES_MAX {
        stage.price(&call("openai", &format!("invented-{number}")));
    }
    let remembered: usize = stage.found.values().map(HashMap::len).sum();
    assert!(remembered <= NAMES_MAX, "{remembered}");
}
