//! `docs/privacy.md` against the reference: what it warns of is exported by that name.

use super::{Page, names, names_of};

const PRIVACY: Page = Page {
    name: "docs/privacy.md",
    text: include_str!("../../../docs/privacy.md"),
};

#[test]
fn every_attribute_that_it_warns_of_is_in_the_reference() {
    let spans = ["### SERVER span", "### Inference span", "### Attempt span"];
    let known: Vec<_> = spans.into_iter().flat_map(names).collect();
    let warned = names_of(PRIVACY, "## Spans");
    assert!(warned.len() > 20, "{warned:?}");
    for name in warned {
        assert!(known.contains(&name), "{name}");
    }
}
