//! What stands behind a model's name, and that it is something else than before.

use super::{MODEL, counter, push_call};
use crate::exchange::{Drift, Exchange, Novelty, Served};
use crate::semconv::facets::{RESPONSE_MODEL, RESPONSE_SYSTEM_FINGERPRINT};
use crate::semconv::metric::{Kind, Metric, Record};
use crate::semconv::{Attribute, Facets};

pub(super) static CHANGES: Metric = counter(
    "streamgauge.model.changes",
    "{change}",
    "Times that a model or a fingerprint answered that had not answered lately, by requested model.",
);
pub(super) static INFO: Metric = Metric {
    name: "streamgauge.model.info",
    unit: "{model}",
    description: "1 for the model and the fingerprint that answered last, 0 for others before, by requested model.",
    kind: Kind::Gauge,
    exemplars: false,
};

/// Span event where something answered that had not lately.
const CHANGE_EVENT: &str = "model_change";

/// Shows the event that the inference span gets, with its attributes.
pub fn event(exchange: &Exchange, show: &mut dyn FnMut(&'static str, &[Attribute<'_>])) {
    let Some(drift) = exchange.drift.as_deref() else {
        return;
    };
    let (Some(new), Some(before)) = (drift.new, &drift.before) else {
        return;
    };
    let (before, after) = match new {
        Novelty::Model => (Some(&before.model), Some(&drift.now.model)),
        Novelty::Fingerprint => (before.fingerprint.as_ref(), drift.now.fingerprint.as_ref()),
    };
    let what = ("streamgauge.model_change.what", new.as_str().into());
    let after = after.map(|after| ("streamgauge.model_change.after", after.into()));
    let before = before.map(|before| ("streamgauge.model_change.before", before.into()));
    let details: Vec<_> = [what].into_iter().chain(before).chain(after).collect();
    show(CHANGE_EVENT, &details);
}

pub(super) fn record(exchange: &Exchange, record: &mut dyn Record) {
    let Some(drift) = exchange.drift.as_deref() else {
        return;
    };
    let Drift { now, before, new } = drift;
    // From the first answer on, so that the first change is seen as an increase.
    let changes = u64::from(new.is_some());
    record.record(&MODEL, None, &[Some(CHANGES.sample(changes))]);
    let facets = Facets::of(exchange);
    for (served, is_current) in [(before.as_ref(), 0_u64), (Some(now), 1)] {
        let Some(served) = served else { continue };
        let mut labels = Vec::new();
        push_call(&facets, &mut labels);
        push_served(served, &mut labels);
        record.record_under(&labels, &[Some(INFO.sample(is_current))]);
    }
}

fn push_served<'s>(served: &'s Served, labels: &mut Vec<Attribute<'s>>) {
    labels.push((RESPONSE_MODEL, (&served.model).into()));
    let fingerprint = served.fingerprint.as_ref();
    labels.extend(fingerprint.map(|it| (RESPONSE_SYSTEM_FINGERPRINT, it.into())));
}
