//! `/metrics` read back: the classic Prometheus text format 0.0.4 and OpenMetrics 1.0, as far as we write them.

use std::collections::BTreeMap;

/// Labels in the order of their names.
pub(crate) type Labels = BTreeMap<String, String>;

/// A page of metrics.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Type by family.
    pub(crate) types: BTreeMap<String, String>,
    /// Unit by family; OpenMetrics only.
    pub(crate) units: BTreeMap<String, String>,
    /// Families with a help text.
    pub(crate) helps: Vec<String>,
    /// Value by name and labels.
    pub(crate) samples: BTreeMap<(String, Labels), f64>,
    /// Exemplar by the name and labels of its sample.
    pub(crate) exemplars: BTreeMap<(String, Labels), Exemplar>,
    /// Whether the page ends with `# EOF`.
    pub(crate) is_closed: bool,
}

/// A sample's own origin.
#[derive(Debug)]
pub(crate) struct Exemplar {
    /// Trace and span.
    pub(crate) labels: Labels,
    /// The value of the one observation.
    pub(crate) value: f64,
    /// When it was made, in seconds.
    pub(crate) at: f64,
}

impl Exposition {
    /// Reads a page; fails on anything that has no business there.
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            assert!(!page.is_closed, "{line:?} comes after the end");
            match line.strip_prefix("# ") {
                Some(comment) => page.comment(comment),
                None => page.sample(line),
            }
        }
        page
    }

    fn comment(&mut self, line: &str) {
        if line == "EOF" {
            self.is_closed = true;
            return;
        }
        let mut words = line.splitn(3, ' ');
        let (kind, name, rest) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap_or_default(),
        );
        let twice = match kind {
            "TYPE" => self.types.insert(name.into(), rest.into()).is_some(),
            "UNIT" => self.units.insert(name.into(), rest.into()).is_some(),
            "HELP" => {
                self.helps.push(name.into());
                rest.is_empty()
            }
            _ => true,
        };
        assert!(!twice, "{line:?} is unknown, empty, or there twice");
    }

    fn sample(&mut self, line: &str) {
        let (sample, exemplar) = match line.split_once(" # ") {
            Some((sample, exemplar)) => (sample, Some(exemplar)),
            None => (line, None),
        };
        let (key, rest) = series(sample);
        let value = rest
            .parse()
            .unwrap_or_else(|_| panic!("no value in {line:?}"));
        if let Some(exemplar) = exemplar {
            let ((_, labels), rest) = series(exemplar);
            let mut numbers = rest.split(' ').map(|number| number.parse().unwrap());
            let (value, at) = (numbers.next().unwrap(), numbers.next().unwrap());
            self.exemplars
                .insert(key.clone(), Exemplar { labels, value, at });
        }
        assert!(
            self.samples.insert(key, value).is_none(),
            "{line:?} is there twice"
        );
    }
}

/// `name{labels}`, and what follows it.
fn series(text: &str) -> ((String, Labels), &str) {
    let end = text.find(['{', ' ']).unwrap();
    let (name, mut rest) = text.split_at(end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, quoted) = rest.split_once("=\"").unwrap();
            let (value, after) = unquoted(quoted);
            labels.insert(key.to_owned(), value);
            rest = after.trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    ((name.to_owned(), labels), rest.trim_start())
}

/// A text up to its closing quote, its escapes undone, and what follows it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (value, &text[at + 1..]),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    panic!("{text:?} has no closing quote")
}

#[test]
fn a_page_is_read_with_labels_escapes_and_exemplars() {
    let page = Exposition::parse(
        "# HELP a text\n# TYPE a histogram\n# UNIT a seconds\na_bucket{x=\"1,\\\"}\\n\",le=\"+Inf\"} 2 # {trace_id=\"ab\"} 0.5 17.25\na_sum 3.5\n# EOF\n",
    );
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let bucket = (
        "a_bucket".to_owned(),
        labels(&[("x", "1,\"}\n"), ("le", "+Inf")]),
    );
    assert_eq!(page.samples[&bucket], 2.0);
    assert_eq!(page.samples[&("a_sum".to_owned(), Labels::new())], 3.5);
    let exemplar = &page.exemplars[&bucket];
    assert_eq!((exemplar.value, exemplar.at), (0.5, 17.25));
    assert_eq!(exemplar.labels, labels(&[("trace_id", "ab")]));
    assert_eq!(
        (page.types["a"].as_str(), page.units["a"].as_str()),
        ("histogram", "seconds")
    );
    assert!(page.is_closed);
}
