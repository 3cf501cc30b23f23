//! The description of the API: OpenAPI 3.1, from the structs that it answers with and the table of its paths.

use serde_json::{Map, Value, json};

use super::exchanges::ExchangeList;
use super::gauge::GaugeFacts;
use super::in_flight::InFlightList;
use super::summary::Summary;
use super::{conversations, exchanges};
use crate::view::{ConversationDetail, Conversations, Detail, Schemas, Shown, shown};

shown! {
    /// Why a request is not answered.
    pub(super) struct Error {
        /// What is wrong.
        pub(super) error: ErrorFacts,
    }
}

shown! {
    /// What is wrong with a request.
    pub(super) struct ErrorFacts {
        /// What would be right.
        pub(super) message: String,
        /// The parameter in which it is wrong.
        pub(super) parameter: Option<String>,
        /// Where in its value, in characters from 0.
        pub(super) position: Option<u64>,
    }
}

/// The whole document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let paths = paths(&mut schemas);
    Error::schema(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "streamgauge admin API",
            "version": "1",
            "description": "What streamgauge has measured, read only. Times are in ms, those that end in `_at_ms` since 1970; `null` is what was not \
                            observed; money is an exact decimal, as text. Every answer has the header `streamgauge-api-version: 1`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_map(),
            "responses": {
                "Wrong": error("A parameter is not as it should be."),
                "NotFound": error("It is not kept, or never was there."),
                "Unauthorized": error("A token is wanted: `admin.token`."),
                "Forbidden": error("The port is not on a loopback address, and has neither a token nor `admin.open`."),
                "Unavailable": error("Too much is asked for at once, or the process stops."),
            },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn error(says: &str) -> Value {
    json!({
        "description": says,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    })
}

fn paths(schemas: &mut Schemas) -> Value {
    let q = text(
        "q",
        "Which exchanges: terms of the query language, which docs/api.md describes.",
        json!({ "type": "string", "maxLength": 2_000 }),
    );
    let limit = |default: usize, most: usize| {
        let schema =
            json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
        text("limit", "How many at most.", schema)
    };
    let before = |schema| text("before", "The `next` of the page before.", schema);
    let id = |says: &str, schema: Value| json!({ "name": "id", "in": "path", "required": true, "description": says, "schema": schema });
    let number = || json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    let hex = || json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" });
    let time = |name, says| {
        text(
            name,
            says,
            json!({ "type": "string", "pattern": "^[1-9][0-9]{0,2}[sm]$" }),
        )
    };
    let mut paths = Map::new();
    let mut add = |path: &str,
                   name: &str,
                   says: &str,
                   parameters: Value,
                   answer: Value,
                   errors: &[(&str, &str)]| {
        let mut responses = Map::new();
        responses.insert("200".into(), answer);
        let always = [
            ("400", "Wrong"),
            ("401", "Unauthorized"),
            ("403", "Forbidden"),
            ("503", "Unavailable"),
        ];
        for (status, response) in always.iter().chain(errors) {
            let response = json!({ "$ref": format!("#/components/responses/{response}") });
            responses.insert((*status).into(), response);
        }
        let get = json!({ "operationId": name, "summary": says, "parameters": parameters, "responses": responses });
        paths.insert(path.into(), json!({ "get": get }));
    };
    let missing = [("404", "NotFound")];
    let list = answer::<ExchangeList<'_>>(schemas);
    add(
        "/api/exchanges",
        "exchanges",
        "Exchanges that have ended, newest first.",
        json!([
            q,
            limit(exchanges::LIMIT, exchanges::LIMIT_MAX),
            before(number())
        ]),
        list,
        &[],
    );
    let one = answer::<Detail<'_>>(schemas);
    add(
        "/api/exchanges/{id}",
        "exchange",
        "Everything about one exchange.",
        json!([id("The exchange's id.", number())]),
        one,
        &missing,
    );
    let list = answer::<Conversations>(schemas);
    let cursor = json!({ "type": "string", "pattern": "^[0-9]{1,15}-[0-9a-f]{32}$" });
    add(
        "/api/conversations",
        "conversations",
        "Conversations, the one with the latest exchange first.",
        json!([
            limit(conversations::LIMIT, conversations::LIMIT_MAX),
            before(cursor)
        ]),
        list,
        &[],
    );
    let one = answer::<ConversationDetail<'_>>(schemas);
    add(
        "/api/conversations/{id}",
        "conversation",
        "One conversation, turn by turn.",
        json!([id("The conversation's id.", hex())]),
        one,
        &missing,
    );
    let sums = answer::<Summary>(schemas);
    let step = "Length of a step: a number with `s` or `m` (or `h`) behind it; at most 240 steps.";
    let since = "How far back: a number with `s`, `m` or `h` behind it, at most 24h; 15m where nothing is said.";
    add(
        "/api/summary",
        "summary",
        "Sums over time, and the state of things.",
        json!([q, time("since", since), time("step", step)]),
        sums,
        &[],
    );
    let flying = answer::<InFlightList>(schemas);
    add(
        "/api/in-flight",
        "in_flight",
        "Exchanges in flight.",
        json!([]),
        flying,
        &[],
    );
    let gauge = answer::<GaugeFacts>(schemas);
    add(
        "/api/gauge",
        "gauge",
        "The gauge itself.",
        json!([]),
        gauge,
        &[],
    );
    let events = json!({
        "description": "Server-sent events: `exchange` with a Row, `in_flight` with an InFlightList each 500 ms, and `missed` with a `count` of exchanges \
                        that were let go before the client read them.",
        "content": { "text/event-stream": { "schema": { "type": "string" } } },
    });
    let resume = json!({ "name": "Last-Event-ID", "in": "header", "description": "The id of the last event that was read.", "schema": number() });
    add(
        "/api/stream",
        "stream",
        "What ends and what is in flight, as it happens.",
        json!([q, resume]),
        events,
        &[],
    );
    add(
        "/api/costs",
        "costs",
        "Sums of costs and tokens by hour, as JSON or CSV.",
        costs(),
        costs_answer(),
        &[],
    );
    let any = json!({ "description": "This document.", "content": { "application/json": { "schema": { "type": "object" } } } });
    add(
        "/api/openapi.json",
        "openapi",
        "This document.",
        json!([]),
        any,
        &[],
    );
    Value::Object(paths)
}

fn text(name: &str, says: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": says, "schema": schema })
}

fn answer<T: Shown>(schemas: &mut Schemas) -> Value {
    let schema = T::schema(schemas);
    json!({ "description": "What is asked for.", "content": { "application/json": { "schema": schema } } })
}

fn costs() -> Value {
    json!([
        text(
            "by",
            "What the sums are told apart by, with commas between: `hour`, `upstream`, `model`, and what `telemetry.labels` has.",
            json!({ "type": "string" })
        ),
        text(
            "since",
            "How far back: a number with `m`, `h` or `d` behind it; 24h where nothing is said.",
            json!({ "type": "string", "pattern": "^[0-9]{1,6}[mhd]$" })
        ),
        text(
            "format",
            "The format; else `Accept` says it, and JSON where it does not.",
            json!({ "type": "string", "enum": ["json", "csv"] })
        ),
    ])
}

fn costs_answer() -> Value {
    json!({
        "description": "A row for each combination, and the total. docs/cost.md describes it.",
        "content": {
            "application/json": { "schema": {
                "type": "object",
                "properties": {
                    "by": { "type": "array", "items": { "type": "string" } },
                    "rows": { "type": "array", "items": super::costs::schema(true) },
                    "total": super::costs::schema(false),
                },
                "required": ["by", "rows", "total"],
                "additionalProperties": false,
            } },
            "text/csv": { "schema": { "type": "string" } },
        },
    })
}
