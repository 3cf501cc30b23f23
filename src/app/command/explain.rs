//! `explain`: a capture in, and what would be exported for it out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::cli::ExplainArgs;
use crate::config::{self, Environment, Flags};
use crate::explain;
use crate::semconv;

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let config = config::load(&Flags::from(args), &Environment::of_process())?.config;
    let (spans, metrics) = match args.vocabulary.as_slice() {
        [] => (&*config.telemetry.vocabularies, &*config.telemetry.metrics),
        named => (named, named),
    };
    let options = explain::Options {
        vocabularies: semconv::all_named(spans),
        metrics: semconv::all_named(metrics),
        spans: config.telemetry.spans,
        path: args.path.clone(),
        destination_given: args.upstream.is_some(),
        upstreams: config.proxy.upstreams,
        inject_usage: config.proxy.inject_usage,
        observe: config.observe,
        pipeline: config.pipeline,
    };
    let file = args.capture.display();
    let capture = read_capture(&args.capture).with_context(|| file.to_string())?;
    let explanations = explain::explain(&capture, &options)
        .map_err(|unreadable| anyhow::anyhow!("{file}:{unreadable}"))?;
    let text = if args.json {
        format!("{:#}\n", explain::to_json(&explanations))
    } else {
        let texts: Vec<String> = explanations.iter().map(ToString::to_string).collect();
        texts.join("\n")
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// One byte more than may be read shows that there is too much.
fn read_capture(path: &Path) -> io::Result<Vec<u8>> {
    let most = explain::CAPTURE_BYTES_MAX as u64 + 1;
    let mut capture = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut capture)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut capture)?;
    }
    Ok(capture)
}
