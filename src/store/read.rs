//! The way back: from a hash to a prompt, an answer or a message, with all that it names.

use std::fmt;

use serde_json::{Map, Value as Json, json};

use super::object::{ANSWER, PROMPT, RUN_KIND, hash_of};
use super::outcome::StoreError;
use super::place::Place;
use super::prefix::HashPrefix;
use super::{Location, StoreConfig};
use crate::exchange::ContentHash;

/// Reads a store.
pub struct StoreReader {
    place: Place,
    location: String,
}

/// What was found under a hash.
#[derive(Debug)]
pub struct Found {
    hash: ContentHash,
    said: Said,
    /// Objects that it names and that are not there.
    pub lost: Vec<ContentHash>,
}

#[derive(Debug)]
enum Said {
    Prompt(Prompt),
    Answer {
        prompt: Option<Prompt>,
        list: Json,
        messages: Vec<Json>,
    },
    /// A message, or definitions of tools.
    Object(Json),
}

#[derive(Debug)]
struct Prompt {
    hash: ContentHash,
    list: Json,
    system: Option<Json>,
    tools: Option<Json>,
    messages: Vec<Json>,
}

impl StoreReader {
    /// Opens a store. Connects to nothing, makes no folder.
    ///
    /// # Errors
    /// When a bucket's settings are wrong.
    pub fn open(location: &Location, config: &StoreConfig) -> Result<Self, StoreError> {
        Ok(Self {
            place: Place::open(location, config)?,
            location: location.to_string(),
        })
    }

    /// What is stored under a hash, with all that it names; `None` where it is not there.
    ///
    /// # Errors
    /// When the store cannot be read, or an object in it is damaged.
    pub fn find(&mut self, hash: ContentHash) -> Result<Option<Found>, StoreError> {
        let Some(object) = self.object(hash)? else {
            return Ok(None);
        };
        let mut lost = Vec::new();
        let said = match object["kind"].as_str() {
            Some(PROMPT) => Said::Prompt(self.prompt(hash, object, &mut lost)?),
            Some(ANSWER) => self.answer(object, &mut lost)?,
            _ => Said::Object(object),
        };
        Ok(Some(Found { hash, said, lost }))
    }

    /// The hashes of all objects that begin with these digits, in order. In a bucket all names are read of one of the 256 folders.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn beginning_with(&mut self, prefix: &HashPrefix) -> Result<Vec<ContentHash>, StoreError> {
        let mut found = self.place.beginning_with(prefix)?;
        found.sort_unstable_by_key(|hash| hash.0);
        Ok(found)
    }

    /// An object, if it is there and says what its name is of.
    fn object(&mut self, hash: ContentHash) -> Result<Option<Json>, StoreError> {
        let Some(bytes) = self.place.get(hash)? else {
            return Ok(None);
        };
        let found = hash_of(&bytes);
        let json = serde_json::from_slice(&bytes).ok();
        match json.filter(|_| found == hash) {
            Some(json) => Ok(Some(json)),
            None => Err(StoreError::Damaged {
                location: self.location.clone(),
                hash,
                found,
            }),
        }
    }

    /// An object that a list names. One that is not there is noted, and stands as its hash.
    fn named(&mut self, name: &Json, lost: &mut Vec<ContentHash>) -> Result<Json, StoreError> {
        let Some(hash) = name.as_str().and_then(ContentHash::parse) else {
            return Ok(json!({ "not_a_hash": name }));
        };
        Ok(self.object(hash)?.unwrap_or_else(|| {
            lost.push(hash);
            json!({ "not_in_the_store": hash.to_string() })
        }))
    }

    fn prompt(
        &mut self,
        hash: ContentHash,
        list: Json,
        lost: &mut Vec<ContentHash>,
    ) -> Result<Prompt, StoreError> {
        let mut optional = |key: &str, lost: &mut Vec<ContentHash>| {
            let name = list.get(key);
            name.map(|name| self.named(name, lost)).transpose()
        };
        let system = optional("system", lost)?;
        let tools = optional("tools", lost)?;
        let mut messages = Vec::new();
        for name in each(&list["runs"]) {
            let run = self.named(name, lost)?;
            if run["kind"] != RUN_KIND {
                messages.push(run);
                continue;
            }
            for name in each(&run["messages"]) {
                messages.push(self.named(name, lost)?);
            }
        }
        for name in each(&list["messages"]) {
            messages.push(self.named(name, lost)?);
        }
        Ok(Prompt {
            hash,
            list,
            system,
            tools,
            messages,
        })
    }

    fn answer(&mut self, list: Json, lost: &mut Vec<ContentHash>) -> Result<Said, StoreError> {
        let prompt = list["prompt"].as_str().and_then(ContentHash::parse);
        let prompt = match prompt {
            None => None,
            Some(hash) => match self.object(hash)? {
                Some(prompt) => Some(self.prompt(hash, prompt, lost)?),
                None => {
                    lost.push(hash);
                    None
                }
            },
        };
        let mut messages = Vec::new();
        for choice in each(&list["messages"]) {
            let mut message = self.named(&choice["message"], lost)?;
            if let (Some(members), Some(reason)) =
                (message.as_object_mut(), choice.get("finish_reason"))
            {
                members.insert("finish_reason".to_owned(), reason.clone());
            }
            messages.push(message);
        }
        Ok(Said::Answer {
            prompt,
            list,
            messages,
        })
    }
}

fn each(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

impl Found {
    /// All of it as JSON: messages in the shape of the GenAI conventions.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = match &self.said {
            Said::Prompt(prompt) => prompt.to_json(),
            Said::Answer {
                prompt,
                list,
                messages,
            } => {
                let mut json = Map::new();
                json.insert("kind".to_owned(), ANSWER.into());
                json.extend(
                    prompt
                        .as_ref()
                        .map(|it| ("prompt".to_owned(), it.to_json())),
                );
                json.insert("messages".to_owned(), messages.clone().into());
                json.extend(missing(list));
                json.into()
            }
            Said::Object(Json::Array(tools)) => json!({ "kind": "tools", "tools": tools }),
            Said::Object(object) => match object["kind"].as_str() {
                Some(_) => object.clone(),
                None => json!({ "kind": "message", "message": object }),
            },
        };
        json["hash"] = self.hash.to_string().into();
        json
    }
}

impl Prompt {
    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("kind".to_owned(), PROMPT.into());
        json.insert("hash".to_owned(), self.hash.to_string().into());
        let parts = [("system", &self.system), ("tools", &self.tools)];
        for (key, value) in parts {
            json.extend(value.clone().map(|value| (key.to_owned(), value)));
        }
        json.insert("messages".to_owned(), self.messages.clone().into());
        json.extend(missing(&self.list));
        json.into()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tools) = &self.tools {
            write_tools(f, tools)?;
        }
        let system = self.system.iter();
        for message in system.chain(&self.messages) {
            write_message(f, message)?;
        }
        write_missing(f, &self.list)
    }
}

fn missing(list: &Json) -> Option<(String, Json)> {
    let missing = list.get("missing")?;
    Some(("missing".to_owned(), missing.clone()))
}

impl fmt::Display for Found {
    /// For people: each message under who says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Said::Prompt(prompt) => prompt.write(f),
            Said::Answer {
                prompt,
                list,
                messages,
            } => {
                if let Some(prompt) = prompt {
                    prompt.write(f)?;
                }
                for message in messages {
                    write_message(f, message)?;
                }
                write_missing(f, list)
            }
            Said::Object(Json::Array(tools)) => write_tools(f, &tools.clone().into()),
            Said::Object(object) if object["kind"].is_string() => writeln!(f, "{object}"),
            Said::Object(object) => write_message(f, object),
        }
    }
}

fn write_missing(f: &mut fmt::Formatter<'_>, list: &Json) -> fmt::Result {
    for what in each(&list["missing"]).filter_map(Json::as_str) {
        writeln!(f, "[not all of it is here: {what}]")?;
    }
    Ok(())
}

fn write_tools(f: &mut fmt::Formatter<'_>, tools: &Json) -> fmt::Result {
    writeln!(f, "tools")?;
    for tool in each(tools) {
        let text = |key: &str| tool[key].as_str().unwrap_or_default();
        let (name, parameters) = (text("name"), text("parameters"));
        let line = format!("{name} {parameters} {}", text("description"));
        write_indented(f, line.trim())?;
    }
    writeln!(f)
}

fn write_message(f: &mut fmt::Formatter<'_>, message: &Json) -> fmt::Result {
    let text = |key: &str| message[key].as_str();
    let Some(role) = text("role") else {
        return writeln!(f, "{message}\n");
    };
    write!(f, "{role}")?;
    if let Some(name) = text("name") {
        write!(f, " {name}")?;
    }
    if let Some(reason) = text("finish_reason") {
        write!(f, " (finish_reason {reason})")?;
    }
    writeln!(f)?;
    for part in each(&message["parts"]) {
        write_indented(f, &shown(part))?;
    }
    writeln!(f)
}

/// A part for people.
fn shown(part: &Json) -> String {
    let text = |key: &str| part[key].as_str().unwrap_or_default();
    match text("type") {
        "text" => text("content").to_owned(),
        kind @ ("reasoning" | "refusal") => format!("[{kind}] {}", text("content")),
        "tool_call" => format!(
            "[call {}] {} {}",
            text("id"),
            text("name"),
            text("arguments")
        ),
        "tool_call_response" => format!("[result {}] {}", text("id"), text("response")),
        _ => part.to_string(),
    }
}

fn write_indented(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| match line {
        "" => writeln!(f),
        line => writeln!(f, "  {line}"),
    })
}
