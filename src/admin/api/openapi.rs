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
    let mut paths = Paths {
        schemas,
        all: Map::new(),
    };
    paths.of_exchanges();
    paths.of_conversations();
    paths.of_sums();
    paths.of_what_goes_on();
    paths.of_costs();
    paths.of_this_document();
    Value::Object(paths.all)
}

/// The table of paths, a resource after another.
struct Paths<'s> {
    schemas: &'s mut Schemas,
    all: Map<String, Value>,
}

/// What is asked for below a path.
struct Asked {
    /// What it is called, for programs.
    name: &'static str,
    says: &'static str,
    parameters: Value,
    answer: Value,
}

impl Paths<'_> {
    fn of_exchanges(&mut self) {
        let asked = Asked {
            name: "exchanges",
            says: "Exchanges that have ended, newest first.",
            parameters: json!([
                query(),
                limit(exchanges::LIMIT, exchanges::LIMIT_MAX),
                before(number())
            ]),
            answer: answer::<ExchangeList<'_>>(self.schemas),
        };
        self.add("/api/exchanges", asked);
        let asked = Asked {
            name: "exchange",
            says: "Everything about one exchange.",
            parameters: json!([id("The exchange's id.", number())]),
            answer: answer::<Detail<'_>>(self.schemas),
        };
        self.add("/api/exchanges/{id}", asked);
    }

    fn of_conversations(&mut self) {
        let cursor = json!({ "type": "string", "pattern": "^[0-9]{1,15}-[0-9a-f]{32}$" });
        let asked = Asked {
            name: "conversations",
            says: "Conversations, the one with the latest exchange first.",
            parameters: json!([
                limit(conversations::LIMIT, conversations::LIMIT_MAX),
                before(cursor)
            ]),
            answer: answer::<Conversations>(self.schemas),
        };
        self.add("/api/conversations", asked);
        let hex = json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" });
        let asked = Asked {
            name: "conversation",
            says: "One conversation, turn by turn.",
            parameters: json!([id("The conversation's id.", hex)]),
            answer: answer::<ConversationDetail<'_>>(self.schemas),
        };
        self.add("/api/conversations/{id}", asked);
    }

    fn of_sums(&mut self) {
        let step =
            "Length of a step: a number with `s` or `m` (or `h`) behind it; at most 240 steps.";
        let since = "How far back: a number with `s`, `m` or `h` behind it, at most 24h; 15m where nothing is said.";
        let asked = Asked {
            name: "summary",
            says: "Sums over time, and the state of things.",
            parameters: json!([query(), time("since", since), time("step", step)]),
            answer: answer::<Summary>(self.schemas),
        };
        self.add("/api/summary", asked);
    }

    fn of_what_goes_on(&mut self) {
        let asked = Asked {
            name: "in_flight",
            says: "Exchanges in flight.",
            parameters: json!([]),
            answer: answer::<InFlightList>(self.schemas),
        };
        self.add("/api/in-flight", asked);
        let asked = Asked {
            name: "gauge",
            says: "The gauge itself.",
            parameters: json!([]),
            answer: answer::<GaugeFacts>(self.schemas),
        };
        self.add("/api/gauge", asked);
        let events = json!({
            "description": "Server-sent events: `exchange` with a Row, `in_flight` with an InFlightList each 500 ms, and `missed` with a `count` of exchanges \
                            that were let go before the client read them.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
        });
        let resume = json!({ "name": "Last-Event-ID", "in": "header", "description": "The id of the last event that was read.", "schema": number() });
        let asked = Asked {
            name: "stream",
            says: "What ends and what is in flight, as it happens.",
            parameters: json!([query(), resume]),
            answer: events,
        };
        self.add("/api/stream", asked);
    }

    fn of_costs(&mut self) {
        let asked = Asked {
            name: "costs",
            says: "Sums of costs and tokens by hour, as JSON or CSV.",
            parameters: costs(),
            answer: costs_answer(),
        };
        self.add("/api/costs", asked);
    }

    fn of_this_document(&mut self) {
        let any = json!({ "description": "This document.", "content": { "application/json": { "schema": { "type": "object" } } } });
        let asked = Asked {
            name: "openapi",
            says: "This document.",
            parameters: json!([]),
            answer: any,
        };
        self.add("/api/openapi.json", asked);
    }

    /// Adds a path, with what may go wrong there. Where one thing of many is asked for, there may be none of that id.
    fn add(&mut self, path: &str, asked: Asked) {
        let mut responses = Map::new();
        responses.insert("200".into(), asked.answer);
        let always = [
            ("400", "Wrong"),
            ("401", "Unauthorized"),
            ("403", "Forbidden"),
            ("503", "Unavailable"),
        ];
        let missing = path.contains("{id}").then_some(("404", "NotFound"));
        for (status, response) in always.into_iter().chain(missing) {
            let response = json!({ "$ref": format!("#/components/responses/{response}") });
            responses.insert(status.into(), response);
        }
        let get = json!({
            "operationId": asked.name,
            "summary": asked.says,
            "parameters": asked.parameters,
            "responses": responses,
        });
        self.all.insert(path.into(), json!({ "get": get }));
    }
}

fn query() -> Value {
    text(
        "q",
        "Which exchanges: terms of the query language, which docs/api.md describes.",
        json!({ "type": "string", "maxLength": 2_000 }),
    )
}

fn limit(default: usize, most: usize) -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    text("limit", "How many at most.", schema)
}

fn before(schema: Value) -> Value {
    text("before", "The `next` of the page before.", schema)
}

fn id(says: &str, schema: Value) -> Value {
    json!({ "name": "id", "in": "path", "required": true, "description": says, "schema": schema })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX })
}

fn time(name: &str, says: &str) -> Value {
    let schema = json!({ "type": "string", "pattern": "^[1-9][0-9]{0,2}[sm]$" });
    text(name, says, schema)
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
