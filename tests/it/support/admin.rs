//! What a running server says of itself on its admin port, looked at until it is as expected.

use std::time::Duration;

use serde_json::Value;

use super::client::get;
use super::process::Server;
use super::within;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// One line of `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Name, with the suffix that its type gives it.
    pub(crate) name: String,
    /// Labels, in order.
    pub(crate) labels: Vec<(String, String)>,
    /// Value.
    pub(crate) value: f64,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let mut labels = Vec::new();
        let mut rest = rest.strip_prefix('{').unwrap_or(rest);
        while let Some((key, after)) = rest
            .split_once("=\"")
            .filter(|_| !rest.starts_with([' ', '}']))
        {
            let end = (0..after.len()).find(|at| {
                after[..*at]
                    .chars()
                    .rev()
                    .take_while(|c| *c == '\\')
                    .count()
                    % 2
                    == 0
                    && after[*at..].starts_with('"')
            })?;
            labels.push((key.to_owned(), after[..end].to_owned()));
            rest = after[end + 1..].trim_start_matches(',');
        }
        let value = rest.trim_start_matches('}').split_whitespace().next()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value: value.parse().ok()?,
        })
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(name, _)| name == key)?;
        Some(&found.1)
    }
}

impl Server {
    /// `/metrics` as it is.
    pub(crate) async fn exposition(&self) -> String {
        get(self.admin, "/metrics").await.text().to_owned()
    }

    /// Every sample of `/metrics`.
    pub(crate) async fn samples(&self) -> Vec<Sample> {
        let text = self.exposition().await;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| Sample::parse(line).unwrap_or_else(|| panic!("{line:?} is no sample")))
            .collect()
    }

    /// The sum over every series of a metric with these labels; `None` where there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.samples().await;
        let matching: Vec<f64> = samples
            .iter()
            .filter(|sample| {
                let has = |(key, value): &(&str, &str)| sample.label(key) == Some(value);
                sample.name == name && labels.iter().all(has)
            })
            .map(|sample| sample.value)
            .collect();
        (!matching.is_empty()).then(|| matching.iter().sum())
    }

    /// Waits until a metric fulfils a condition, and returns its value.
    pub(crate) async fn metric_where(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        condition: impl Fn(f64) -> bool,
    ) -> f64 {
        let what = format!("a fitting {name} {labels:?}");
        let look = async || {
            self.metric(name, labels)
                .await
                .filter(|value| condition(*value))
        };
        until(&what, look).await
    }

    /// What the API answers below `/api`.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let answer = get(self.admin, &format!("/api/{path}")).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        serde_json::from_str(answer.text()).unwrap()
    }

    /// Exchanges that have ended, as many as a page has.
    pub(crate) async fn exchanges(&self) -> Value {
        self.api("exchanges?limit=1000").await
    }

    /// Waits until so many exchanges have finished, and returns their rows, the first to finish first.
    pub(crate) async fn finished(&self, count: u64) -> Vec<Value> {
        let look = async || {
            let facts = self.exchanges().await;
            (facts["total"].as_u64() >= Some(count)).then_some(facts)
        };
        let facts = until(&format!("{count} finished exchanges"), look).await;
        let rows = facts["exchanges"].as_array().unwrap();
        rows.iter().rev().cloned().collect()
    }

    /// Waits until so many exchanges are in flight.
    pub(crate) async fn in_flight(&self, count: u64) {
        let look = async || {
            let facts = self.api("in-flight").await;
            (facts["count"] == count).then_some(())
        };
        until(&format!("{count} exchanges in flight"), look).await;
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    })
    .await
}

#[test]
fn a_sample_is_read_with_and_without_labels() {
    let read = |line| {
        let sample = Sample::parse(line).unwrap();
        let model = sample.label("model").map(str::to_owned);
        (sample.name, model, sample.value)
    };
    assert_eq!(read("up 1"), ("up".into(), None, 1.0));
    assert_eq!(
        read(r#"calls_total{a="x,y}",model="\"m\\"} 2.5 # {trace_id="1"} 0.1"#),
        ("calls_total".into(), Some(r#"\"m\\"#.into()), 2.5)
    );
}
