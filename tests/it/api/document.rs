//! The committed description of the API is the one that the program serves, and names everything that it has.

use std::path::Path;

use serde_json::Value;
use streamgauge::admin::openapi;

use crate::client;
use crate::support::listener::admin;

/// The committed document. `UPDATE_OPENAPI=1 cargo test --test it api::document` writes it.
fn committed() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        let text = serde_json::to_string_pretty(&openapi::document()).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_committed_document_is_what_is_served() {
    let admin = admin().await;
    let served = client::get(admin.address, "/api/openapi.json").await;
    assert_eq!(served.header("content-type"), "application/json");
    // A difference of thousands of lines is nothing to be shown.
    assert!(
        served.json() == committed(),
        "docs/openapi.json is not what the code says: UPDATE_OPENAPI=1 writes it"
    );
}

#[tokio::test]
async fn every_path_of_the_document_answers_and_every_reference_leads_somewhere() {
    let admin = admin().await;
    let document = openapi::document();
    for path in document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|path| *path != "/api/stream")
    {
        let asked = path.replace("{id}", "1");
        let answer = client::get(admin.address, &asked).await;
        let documented = &document["paths"][path]["get"]["responses"];
        assert!(
            documented[answer.status.as_str()].is_object(),
            "{path}: {}",
            answer.status
        );
    }
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some_and(Value::is_object),
            "{reference}"
        );
    }
}

fn collect<'d>(value: &'d Value, references: &mut Vec<&'d str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref") {
                    Some(reference) => references.push(reference),
                    None => collect(member, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
