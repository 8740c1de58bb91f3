//! `/openapi.json`: what the API is, made from the types that it answers with.

use axum::response::Response;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::answer::{ProblemEntry, json_answer};
use super::{ROOT, call, calls, diagnosis, findings, nat, registrations, summary};
use crate::http::events::Event;
use crate::report::model::{AssistLine, CallEntry, FindingEntry, NatEntry, RegistrationEntry, Verdict};
use crate::report::page::Page;

/// The media type of JSON.
const JSON: &str = "application/json";

pub(super) async fn openapi() -> Response {
    json_answer(&document())
}

/// The API as an OpenAPI 3.1 document.
pub fn document() -> Value {
    let mut pages = Pages::new();
    pages.add::<summary::Nothing, summary::Summary>("/summary", "How things are, in numbers", &[JSON]);
    pages.add::<registrations::Wanted, Page<RegistrationEntry>>("/registrations", "Addresses-of-record and their devices", &[JSON]);
    pages.add::<calls::Wanted, Page<CallEntry>>("/calls", "Calls in progress, and those that ended lately", &[JSON]);
    pages.add::<call::Wanted, call::WholeCall>("/calls/{call_id}", "One call with its legs, findings and messages", &[JSON, "text/plain"]);
    pages.add::<findings::Wanted, Page<FindingEntry>>("/findings", "What is wrong, and what was", &[JSON]);
    pages.add::<nat::Wanted, Page<NatEntry>>("/nat", "The NATs in front of the sites", &[JSON]);
    pages.add::<diagnosis::Asked, Verdict>("/diagnosis", "What is the matter with one user", &[JSON, "text/plain"]);
    let streams = ["text/event-stream", "application/x-ndjson"];
    pages.add::<super::events::Wanted, Event>("/events", "What happens, as it happens", &streams);
    pages.add::<super::assist::Asked, AssistLine>("/assist", "A session of live assistance", &["application/x-ndjson", "text/plain"]);
    pages.add_command("/assist/{session}/{command}", "Tells a session to skip, repeat or finish");
    pages.finish()
}

/// The document as it grows.
struct Pages {
    answers: SchemaGenerator,
    parameters: SchemaGenerator,
    problem: Schema,
    paths: Map<String, Value>,
}

impl Pages {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        let mut answers = settings().for_serialize().into_generator();
        let parameters = settings().with(|settings| settings.inline_subschemas = true).into_generator();
        let problem = answers.subschema_for::<ProblemEntry>();
        Self { answers, parameters, problem, paths: Map::new() }
    }

    /// A page below [`ROOT`] whose query is a `Q`, and whose answer is an `A`, or text, in these media types.
    fn add<Q: JsonSchema, A: JsonSchema>(&mut self, path: &str, summary: &str, media: &[&str]) {
        let answer = self.answers.subschema_for::<A>();
        let text = json!({ "type": "string" });
        let content: Map<_, _> = media
            .iter()
            .map(|&kind| (kind.to_owned(), json!({ "schema": if kind == "text/plain" { text.clone() } else { json!(answer) } })))
            .collect();
        let parameters: Vec<_> = in_path(path).chain(self.query::<Q>()).collect();
        let responses = self.responses("200", json!({ "description": summary, "content": content }));
        let page = json!({ "get": { "summary": summary, "parameters": parameters, "responses": responses } });
        self.paths.insert(path.to_owned(), page);
    }

    /// A command below [`ROOT`], which answers nothing.
    fn add_command(&mut self, path: &str, summary: &str) {
        let responses = self.responses("204", json!({ "description": summary }));
        let parameters: Vec<_> = in_path(path).collect();
        let page = json!({ "post": { "summary": summary, "parameters": parameters, "responses": responses } });
        self.paths.insert(path.to_owned(), page);
    }

    /// The answer that was asked for, and those in its place.
    fn responses(&self, status: &str, answer: Value) -> Map<String, Value> {
        let refusals = [
            ("400", "The request makes no sense"),
            ("401", "The token is missing or wrong"),
            ("403", "The API is not served to where the request comes from"),
            ("404", "There is no such thing"),
            ("503", "The engine does not answer"),
        ];
        let content = json!({ "application/problem+json": { "schema": self.problem } });
        let refused = refusals.map(|(status, description)| (status.to_owned(), json!({ "description": description, "content": content })));
        [(status.to_owned(), answer)].into_iter().chain(refused).collect()
    }

    /// The parameters of the query.
    fn query<Q: JsonSchema>(&mut self) -> Vec<Value> {
        let mut schema = Q::json_schema(&mut self.parameters);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let properties = schema.remove("properties");
        let properties = properties.as_ref().and_then(Value::as_object).into_iter().flatten();
        let parameter = |(name, schema): (&String, &Value)| {
            let mut schema = schema.clone();
            let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            not_null(&mut schema);
            json!({ "name": name, "in": "query", "description": about, "required": required.contains(&json!(name)), "schema": schema })
        };
        properties.map(parameter).collect()
    }

    fn finish(mut self) -> Value {
        let bearer = json!({ "type": "http", "scheme": "bearer", "description": "Where the daemon has api.token_file." });
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "siphound",
                "version": "1",
                "description": "What the daemon knows right now. Keys keep their names and meaning within version 1; new ones may be added.",
                "license": { "name": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": ROOT }],
            "security": [{}, { "token": [] }],
            "paths": self.paths,
            "components": { "schemas": self.answers.take_definitions(true), "securitySchemes": { "token": bearer } },
        })
    }
}

/// The parameters in a path.
fn in_path(path: &str) -> impl Iterator<Item = Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    named.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

/// A parameter that is left out is not there; it is never null.
fn not_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(types) = schema.get_mut("type").filter(|types| types.is_array()) {
        let first = types.as_array().and_then(|types| types.iter().find(|kind| *kind != "null")).cloned();
        *types = first.unwrap_or_default();
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
    let alternatives = schema.remove("anyOf").and_then(|any| any.as_array()?.iter().find(|one| one["type"] != "null").cloned());
    if let Some(Value::Object(one)) = alternatives {
        schema.extend(one);
    }
}
