//! What is asked of a session's responses: by the query, by the session's settings, and for one response alone.

use percent_encoding::percent_decode_str;

use crate::dialect::kit::member::{self, keep, typed};
use crate::exchange::{OutputType, Problems, Request};
use crate::parse::json::Value;

/// What stands for a whole session.
#[derive(Debug, Default)]
pub(super) struct SessionSettings {
    request: Request,
    /// The model that the server says it has taken.
    pub(super) model_told: Option<String>,
}

impl SessionSettings {
    /// What the query asks for: `model`, or Azure's `deployment`.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let parameter = |name: &str| {
            let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(key, value)| *key == name && !value.is_empty())?;
            let value = value.replace('+', " ");
            Some(member::keep_str(
                &percent_decode_str(&value).decode_utf8_lossy(),
            ))
        };
        let mut settings = Self::default();
        settings.request.stream = Some(true);
        settings.request.model = parameter("model").or_else(|| parameter("deployment"));
        settings
    }

    /// The client asks for a change. Only its model counts, which servers without a query parameter take from here (vLLM,
    /// beside the session); anything else counts once the server says that it stands.
    pub(super) fn asked(&mut self, event: Value<'_>, problems: &mut Problems) {
        let session = typed(event.get("session"), problems, member::object);
        let model = session.and_then(|session| session.get("model"));
        let model = typed(
            model.or_else(|| event.get("model")),
            problems,
            Value::as_text,
        );
        if let Some(model) = model {
            self.request.model = Some(keep(model));
        }
    }

    /// The server says how the session stands.
    pub(super) fn told(&mut self, event: Value<'_>, problems: &mut Problems) {
        let Some(session) = typed(event.get("session"), problems, member::object) else {
            return;
        };
        if let Some(model) = typed(session.get("model"), problems, Value::as_text) {
            self.model_told = Some(keep(model));
            // A session may be opened by a key that was made for it, and then only the server names the model.
            if self.request.model.is_none() {
                self.request.model.clone_from(&self.model_told);
            }
        }
        read(session, &mut self.request, problems);
    }

    /// What is asked of a response that the server begins of its own accord.
    pub(super) fn standing(&self) -> Request {
        self.request.clone()
    }

    /// What a `response.create` asks: the session's settings, and above them its own, which the Realtime API has in
    /// `response` and the Responses API beside the type.
    pub(super) fn request(&self, event: Value<'_>, problems: &mut Problems) -> Request {
        let mut request = self.request.clone();
        let own = typed(event.get("response"), problems, member::object).unwrap_or(event);
        if let Some(model) = typed(own.get("model"), problems, Value::as_text) {
            request.model = Some(keep(model));
        }
        read(own, &mut request, problems);
        request
    }
}

/// Takes over what an object of settings says; what it does not say stays.
fn read(settings: Value<'_>, request: &mut Request, problems: &mut Problems) {
    let [
        limit,
        old_limit,
        temperature,
        top_p,
        modalities,
        old_modalities,
        tier,
        reasoning,
    ] = settings.select([
        "max_output_tokens",
        "max_response_output_tokens",
        "temperature",
        "top_p",
        "output_modalities",
        "modalities",
        "service_tier",
        "reasoning",
    ]);
    // `"inf"` is the word for no limit.
    let limit = [limit, old_limit]
        .into_iter()
        .flatten()
        .find_map(Value::as_i64);
    request.max_tokens = limit.or(request.max_tokens);
    let temperature = typed(temperature, problems, Value::as_f64);
    request.temperature = temperature.or(request.temperature);
    request.top_p = typed(top_p, problems, Value::as_f64).or(request.top_p);
    let modalities = typed(modalities.or(old_modalities), problems, member::array);
    request.output_type = modalities.map(output_type).or(request.output_type);
    if let Some(tier) = typed(tier, problems, Value::as_text) {
        request.service_tier = Some(keep(tier));
    }
    let effort = typed(reasoning, problems, member::object).and_then(|given| given.get("effort"));
    if let Some(effort) = typed(effort, problems, Value::as_text) {
        request.reasoning_level = Some(keep(effort));
    }
}

fn output_type(modalities: Value<'_>) -> OutputType {
    let speaks = |name: Value<'_>| name.as_text().is_some_and(|name| name.is("audio"));
    if modalities.elements().any(speaks) {
        OutputType::Speech
    } else {
        OutputType::Text
    }
}
