//! The OpenRPC document, made from the definitions of the methods.
//!
//! [`document`] builds it; `cargo run -p osnova-storage-api --example openrpc` writes it to `openrpc/`,
//! with `--check` compares. Schemas are JSON Schema draft 7, as OpenRPC 1.3.2 asks; shared types stand
//! under `components.schemas`, and every schema has a title, since the stock generators invent a
//! random name for one that has none.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::ErrorCode;
use crate::method::MethodSpec;
use crate::wire::WireObject;
use crate::{NAMESPACES, all_methods};

/// A parameter as the document shows it.
#[derive(Debug, Clone)]
pub struct ParamDoc {
    /// Its wire name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
}

/// How method names are written in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `components.put`, as the methods are called.
    Dotted,
    /// `components_put`, for generators that make identifiers of them.
    Flat,
}

/// The errors that every method may answer, beside its own.
const COMMON_ERRORS: &[ErrorCode] = &[
    ErrorCode::InvalidParams,
    ErrorCode::InternalError,
    ErrorCode::ValidationError,
    ErrorCode::Unavailable,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::IntegrityError,
    ErrorCode::TooLarge,
    ErrorCode::IoError,
];

/// The document, as the text that is checked in and served.
pub fn document_text(naming: Naming) -> String {
    // A `Value` always serializes; an empty text would fail the check against the file at once.
    serde_json::to_string_pretty(&document(naming)).unwrap_or_default()
}

/// The document.
pub fn document(naming: Naming) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let methods: Vec<Value> =
        all_methods().map(|spec| method(spec, naming, &mut generator)).collect();
    let mut schemas = generator.take_definitions(true);
    for (name, schema) in &mut schemas {
        set_title(schema, name);
        title_parts(schema);
    }
    let tags: Vec<Value> = NAMESPACES
        .iter()
        .filter_map(|(summary, methods)| {
            Some(json!({ "name": methods.first()?.namespace(), "description": summary }))
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "osnova-storage",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The storage daemon of Osnova: records in SQLite, content in encrypted files. \
                Params are taken by name and by position; unknown fields are refused; results may gain fields. \
                Requests without an id are not executed. Every error carries data.code.",
            "license": { "name": "MIT OR Apache-2.0" }
        },
        "servers": [
            { "name": "unix", "summary": "The owner's Unix socket, HTTP POST or WebSocket on path /",
              "url": "http://localhost/" },
            { "name": "tcp", "summary": "Loopback TCP, where it is turned on; the token as Authorization: Bearer, or in the path",
              "url": "http://127.0.0.1:${port}/",
              "variables": { "port": { "default": "7117", "description": "The port the daemon listens on" } } }
        ],
        "x-tags": tags,
        "methods": methods,
        "components": {
            "schemas": schemas,
            "errors": ErrorCode::ALL.iter().map(|code| (code.name().to_owned(), error(*code))).collect::<Map<_, _>>(),
        }
    })
}

fn method(spec: &MethodSpec, naming: Naming, generator: &mut SchemaGenerator) -> Value {
    let params: Vec<ParamDoc> = (spec.param_docs)(generator);
    let mut result: Value = (spec.result_schema)(generator).to_value();
    title_parts(&mut result);
    let mut errors: Vec<ErrorCode> = COMMON_ERRORS.iter().chain(spec.errors).copied().collect();
    errors.sort_by_key(|code| ErrorCode::ALL.iter().position(|known| known == code));
    errors.dedup();
    let result_name = spec.name.replace('.', "_") + "_result";
    let mut entry = json!({
        "name": match naming {
            Naming::Dotted => spec.name.to_owned(),
            Naming::Flat => spec.name.replace('.', "_"),
        },
        "summary": spec.summary(),
        "description": spec.description(),
        "tags": [{ "name": spec.namespace() }],
        "paramStructure": "either",
        "params": params.iter().map(|param| json!({
            "name": param.name,
            "description": param.description,
            "required": param.required,
            "schema": param.schema,
        })).collect::<Vec<_>>(),
        "result": { "name": result_name, "required": true, "schema": result },
        "errors": errors.iter()
            .map(|code| json!({ "$ref": format!("#/components/errors/{}", code.name()) }))
            .collect::<Vec<_>>(),
        "examples": spec.examples.iter()
            .map(|example| example_pairing(example, spec, &result_name))
            .collect::<Vec<_>>(),
        "x-visibility": spec.visibility.as_str(),
        "x-idempotent": spec.idempotent,
    });
    entry["x-scope"] = spec.scope().map_or(Value::Null, Value::String);
    entry["x-repeatable"] = json!(spec.idempotent || spec.takes_request_id());
    entry
}

fn example_pairing(
    example: &crate::method::Example,
    spec: &MethodSpec,
    result_name: &str,
) -> Value {
    // Examples are constants; a test parses every one, so a default is never seen here.
    let params: Map<String, Value> = serde_json::from_str(example.params).unwrap_or_default();
    let result: Value = serde_json::from_str(example.result).unwrap_or_default();
    let params: Vec<Value> = spec
        .param_names
        .iter()
        .filter_map(|name| Some(json!({ "name": name, "value": params.get(*name)? })))
        .collect();
    json!({
        "name": example.name,
        "params": params,
        "result": { "name": result_name, "value": result },
    })
}

fn error(code: ErrorCode) -> Value {
    json!({
        "code": code.code(),
        "message": code.when(),
        "data": { "code": code.name() },
    })
}

/// The schema of a type, by reference where it has a name.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The params of a params type, from its schema.
pub fn param_docs<P: WireObject + JsonSchema>(generator: &mut SchemaGenerator) -> Vec<ParamDoc> {
    let schema = P::json_schema(generator).to_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    P::FIELDS
        .iter()
        .map(|name| {
            let mut schema = schema["properties"][*name].clone();
            title_parts(&mut schema);
            let description = match schema.as_object_mut().and_then(|it| it.remove("description")) {
                Some(Value::String(text)) => text,
                _ => String::new(),
            };
            ParamDoc {
                name: (*name).to_owned(),
                description,
                required: required.iter().any(|it| it == name),
                schema: without_wrapper(schema),
            }
        })
        .collect()
}

/// A reference that stood in `allOf` only to carry a description, as itself.
fn without_wrapper(schema: Value) -> Value {
    match schema.get("allOf").and_then(Value::as_array) {
        Some(parts) if parts.len() == 1 => parts[0].clone(),
        _ => schema,
    }
}

fn set_title(schema: &mut Value, title: &str) {
    if let Value::Object(members) = schema
        && !members.contains_key("$ref")
    {
        members.entry("title").or_insert_with(|| title.into());
    }
}

/// Brings a schema and every schema inside it to the form that the stock generators take: no
/// `format` (their validator throws on those it does not know), `anyOf` with null in place of a list
/// of types, and a title for each, made of what it is, so that equal schemas get equal titles.
fn title_parts(schema: &mut Value) {
    let owner = schema["title"].as_str().unwrap_or_default().to_owned();
    let Value::Object(members) = schema else { return };
    members.remove("format");
    split_nullable(members);
    for (key, part) in members.iter_mut() {
        match (key.as_str(), part) {
            ("properties", Value::Object(parts)) => {
                for (name, part) in parts {
                    // A property carries a description of its own, so its title must be its own too.
                    if part.get("description").is_some() {
                        set_title(part, &format!("{owner}{}Field", capitalized(name)));
                    }
                    title_parts(part);
                }
            }
            ("items" | "additionalProperties", part @ Value::Object(_)) => title_parts(part),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => {
                for part in parts {
                    // So does a word of an enumeration; and others may have the same word.
                    if let Some(word) = part["const"].as_str().map(capitalized)
                        && part.get("description").is_some()
                    {
                        set_title(part, &format!("{owner}{word}"));
                    }
                    title_parts(part);
                }
            }
            _ => {}
        }
    }
    let title = title_of(schema);
    set_title(schema, &title);
}

/// `{"type": ["object", "null"], ...}` as `{"anyOf": [{"type": "object", ...}, {"type": "null"}]}`.
fn split_nullable(members: &mut Map<String, Value>) {
    let kinds = members.get("type").and_then(Value::as_array).cloned().unwrap_or_default();
    let [kind, Value::String(null)] = kinds.as_slice() else { return };
    if null != "null" {
        return;
    }
    let kept = ["title", "description"].map(|key| Some((key, members.remove(key)?)));
    let mut inner = std::mem::take(members);
    inner.insert("type".to_owned(), kind.clone());
    members.insert("anyOf".to_owned(), json!([inner, { "type": "null" }]));
    for (key, value) in kept.into_iter().flatten() {
        members.insert(key.to_owned(), value);
    }
}

fn title_of(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or(reference).to_owned();
    }
    for combined in ["anyOf", "oneOf", "allOf"] {
        if let Some(parts) = schema[combined].as_array() {
            return parts.iter().map(title_of).collect::<Vec<_>>().join("Or");
        }
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("The{}", capitalized(word));
    }
    match schema["type"].as_str() {
        Some("array") => format!("ListOf{}", title_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("MapOf{}", title_of(&schema["additionalProperties"]))
        }
        Some("null") => "Null".to_owned(),
        // The bare words are types of the languages that code is generated for.
        Some(kind) => format!("{}Value", capitalized(kind)),
        None => "AnyValue".to_owned(),
    }
}

fn capitalized(word: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    word.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_json_and_names_only_its_params() {
        for spec in all_methods() {
            for example in spec.examples {
                let params: Map<String, Value> = serde_json::from_str(example.params).unwrap();
                for name in params.keys() {
                    assert!(spec.param_names.contains(&name.as_str()), "{}: {name}", spec.name);
                }
                serde_json::from_str::<Value>(example.result).unwrap();
            }
        }
    }

    #[test]
    fn required_params_come_before_optional_ones() {
        let mut generator = SchemaSettings::draft07().into_generator();
        for spec in all_methods() {
            let required: Vec<bool> =
                (spec.param_docs)(&mut generator).iter().map(|param| param.required).collect();
            assert!(required.is_sorted_by(|a, b| a >= b), "{}: {required:?}", spec.name);
        }
    }

    #[test]
    fn names_are_namespace_dot_verb_and_unique() {
        let mut names: Vec<&str> = all_methods().map(|spec| spec.name).collect();
        let count = names.len();
        assert!(names.iter().all(|name| name.split('.').count() == 2 && !name.contains('_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
