use std::fs;

use rust_decimal::Decimal;

use super::*;
use crate::exchange::{Cost, Price};
use crate::semconv::sample;

const LIMIT: usize = 100;

fn config(labels: &[&'static str], folder: Option<&Path>) -> CostsConfig {
    CostsConfig {
        labels: labels.to_vec(),
        label_values: LIMIT,
        folder: folder.map(Path::to_owned),
    }
}

/// A call of a team that costs so many thousandths of a dollar.
fn call(model: &str, team: Option<&str>, mills: i64) -> Exchange {
    let mut exchange = sample::unary();
    exchange.request.model = Some(model.to_owned());
    exchange.annotations = team
        .map(|team| ("team".into(), team.to_owned()))
        .into_iter()
        .collect();
    exchange.price = Some(Price::Known(Cost {
        input: Decimal::ZERO,
        output: Decimal::ZERO,
        total: Decimal::new(mills, 3),
        entry: "a/b".into(),
        since: None,
        estimated: false,
        partial: false,
    }));
    exchange
}

fn give(costs: &Costs, exchanges: impl IntoIterator<Item = Exchange>) {
    exchanges
        .into_iter()
        .for_each(|it| costs.finished(ExchangeId(1), &Arc::new(it)));
}

fn dimension(costs: &Costs, name: &str) -> Dimension {
    let dimensions = costs.dimensions();
    dimensions
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

/// Rows of a table by these names, each in a line.
fn table(costs: &Costs, by: &[&str]) -> Vec<String> {
    let by: Vec<Dimension> = by.iter().map(|name| dimension(costs, name)).collect();
    let table = costs.table(&by, SystemTime::UNIX_EPOCH);
    let rows = table.rows.iter().map(|(key, sums)| {
        let key: Vec<&str> = key
            .iter()
            .map(|part| part.as_deref().unwrap_or("-"))
            .collect();
        format!("{}: {} calls, {} USD", key.join(" "), sums.calls, sums.usd)
    });
    rows.collect()
}

#[test]
fn sums_are_exact_and_by_whatever_is_asked_for() {
    let costs = Costs::new(&config(&["team"], None));
    give(
        &costs,
        [
            call("m", Some("a"), 1),
            call("m", Some("b"), 2),
            call("n", None, 10),
            call("m", Some("a"), 3),
        ],
    );
    assert_eq!(
        table(&costs, &["model"]),
        ["n: 1 calls, 0.010 USD", "m: 3 calls, 0.006 USD"]
    );
    assert_eq!(
        table(&costs, &["team", "model"]),
        [
            "- n: 1 calls, 0.010 USD",
            "a m: 2 calls, 0.004 USD",
            "b m: 1 calls, 0.002 USD"
        ]
    );
    assert_eq!(
        table(&costs, &["hour"]),
        ["2023-11-14T22:00:00Z: 4 calls, 0.016 USD"]
    );
    let total = costs.table(&[], SystemTime::UNIX_EPOCH).total;
    assert_eq!(
        (total.calls, total.input_tokens, total.output_tokens),
        (4, 48, 12)
    );
    assert_eq!(
        costs.table(&[], SystemTime::now()),
        Table::default(),
        "all is older"
    );
}

#[test]
fn what_was_counted_here_and_what_has_no_price_stand_apart() {
    let costs = Costs::new(&config(&[], None));
    let mut counted = call("m", None, 5);
    if let Some(Price::Known(cost)) = &mut counted.price {
        cost.estimated = true;
    }
    counted.usage.estimate.input_tokens = Some(7);
    let mut unpriced = call("m", None, 0);
    unpriced.price = Some(Price::Unknown(crate::exchange::Unpriced::Model));
    give(
        &costs,
        [counted, unpriced, sample::rate_limited(), sample::plain()],
    );
    let total = costs.table(&[], SystemTime::UNIX_EPOCH).total;
    let expected = Sums {
        calls: 2,
        input_tokens: 12,
        output_tokens: 3,
        estimated_input_tokens: 7,
        estimated_usd: Decimal::new(5, 3),
        unpriced_calls: 1,
        ..Sums::default()
    };
    assert_eq!(total, expected);
    assert_eq!(total.cost(), Some(Decimal::new(5, 3)));
}

#[test]
fn without_any_price_the_cost_is_unknown_and_not_zero() {
    let costs = Costs::new(&config(&[], None));
    let total = || costs.table(&[], SystemTime::UNIX_EPOCH).total;
    assert_eq!(total().cost(), None);
    let mut unpriced = call("m", None, 0);
    unpriced.price = Some(Price::Unknown(crate::exchange::Unpriced::Model));
    give(&costs, [unpriced]);
    assert_eq!((total().calls, total().cost()), (1, None));
    give(&costs, [call("m", None, 0)]);
    assert_eq!(total().cost(), Some(Decimal::ZERO), "a call that is free");
}

#[test]
fn what_clients_invent_folds_and_nothing_is_lost() {
    let costs = Costs::new(&config(&["team"], None));
    let teams = (0..5_000).map(|team| format!("t-{team}"));
    give(
        &costs,
        teams.map(|team| call(&format!("m-{}", team.len()), Some(&team), 1)),
    );
    let rows = table(&costs, &["team"]);
    assert_eq!(rows.len(), LIMIT + 1);
    assert_eq!(rows[0], "_other: 4900 calls, 4.900 USD");
    assert_eq!(costs.table(&[], SystemTime::UNIX_EPOCH).total.calls, 5_000);
}

#[test]
fn the_oldest_hours_go() {
    let costs = Costs::new(&config(&[], None));
    let hours = (0..1_000_u64).map(|hour| {
        let mut call = call("m", None, 1);
        call.started_at += Duration::from_secs(hour * 3_600);
        call
    });
    give(&costs, hours);
    assert_eq!(table(&costs, &["hour"]).len(), 31 * 24);
}

#[test]
fn sums_survive_a_restart_with_other_labels() {
    let folder = std::env::temp_dir().join(format!("streamgauge-costs-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let begin = |labels: &[&'static str]| Costs::new(&config(labels, Some(&folder)));
    let costs = begin(&["team"]);
    give(&costs, [call("m", Some("a"), 1), call("m", Some("b"), 2)]);
    costs.flush(Duration::from_secs(10).into());
    let costs = begin(&["feature", "team"]);
    give(&costs, [call("m", Some("a"), 4)]);
    let expected = ["- a: 2 calls, 0.005 USD", "- b: 1 calls, 0.002 USD"];
    assert_eq!(table(&costs, &["feature", "team"]), expected);
    costs.flush(Duration::from_secs(10).into());
    assert_eq!(table(&begin(&[]), &["model"]), ["m: 3 calls, 0.007 USD"]);

    // One that another program wrote is kept, and no reason not to start.
    fs::write(folder.join(FILE), r#"{"version":9,"labels":[],"rows":[]}"#).unwrap();
    assert_eq!(table(&begin(&[]), &["model"]), [""; 0]);
    assert!(
        fs::read_to_string(folder.join("costs.unread"))
            .unwrap()
            .contains("9")
    );
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_is_kept_beside_the_new_one_each_time() {
    let folder = std::env::temp_dir().join(format!("streamgauge-unread-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let year = r#"{"version":1,"labels":[],"rows":[{"hour":18446744073709551615,"key":["u","m"],"sums":SUMS}]}"#;
    let sums = serde_json::to_string(&Sums::default()).unwrap();
    let year = year.replace("SUMS", &sums);
    for (name, text) in [("costs.unread", "{"), ("costs.unread.2", &*year)] {
        fs::write(folder.join("costs.json"), text).unwrap();
        let costs = Costs::new(&config(&[], Some(&folder)));
        assert_eq!(table(&costs, &["hour"]).len(), 0);
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), text);
    }
    // What cannot be read as a file at all, either.
    fs::create_dir_all(folder.join("costs.json")).unwrap();
    drop(Costs::new(&config(&[], Some(&folder))));
    assert!(folder.join("costs.unread.3").is_dir());
    fs::remove_dir_all(folder).unwrap();
}
