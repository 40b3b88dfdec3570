//! The OpenRPC document as the tests read it: methods, their params and examples, and what a schema
//! lets pass.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The document that is checked in.
pub(crate) const TEXT: &str = include_str!("../../openrpc/openrpc.json");

/// The document, parsed.
pub(crate) struct Document(Value);

/// An example call of a method.
pub(crate) struct ExampleCall {
    /// The params by name.
    pub(crate) params: Map<String, Value>,
    /// The answer that is shown.
    pub(crate) result: Value,
}

impl Document {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(TEXT).unwrap())
    }

    pub(crate) fn methods(&self) -> &[Value] {
        self.0["methods"].as_array().unwrap()
    }

    pub(crate) fn method(&self, name: &str) -> &Value {
        self.methods().iter().find(|method| method["name"] == name).unwrap()
    }

    /// What validates against a schema of the document.
    pub(crate) fn validator(&self, schema: &Value) -> Validator {
        // In draft 7 a `$ref` hides what stands beside it, so the schema goes into an `allOf`.
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        jsonschema::draft7::new(&whole).unwrap()
    }

    /// The schemas that a schema is made of, each without references and combinations.
    pub(crate) fn alternatives(&self, schema: &Value) -> Vec<Value> {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            return self.alternatives(self.0.pointer(pointer).unwrap());
        }
        for combined in ["anyOf", "oneOf", "allOf"] {
            if let Some(parts) = schema[combined].as_array() {
                return parts.iter().flat_map(|part| self.alternatives(part)).collect();
            }
        }
        vec![schema.clone()]
    }

    /// The examples of a method.
    pub(crate) fn examples(method: &Value) -> Vec<ExampleCall> {
        let examples = method["examples"].as_array().unwrap();
        let example = |example: &Value| ExampleCall {
            params: example["params"]
                .as_array()
                .unwrap()
                .iter()
                .map(|param| (param["name"].as_str().unwrap().to_owned(), param["value"].clone()))
                .collect(),
            result: example["result"]["value"].clone(),
        };
        examples.iter().map(example).collect()
    }

    /// Whether the method says that it may answer this error.
    pub(crate) fn declares(method: &Value, code: &str) -> bool {
        let wanted = format!("#/components/errors/{code}");
        method["errors"].as_array().unwrap().iter().any(|error| error["$ref"] == wanted)
    }

    /// Params by position: null for each that is left out.
    pub(crate) fn by_position(method: &Value, params: &Map<String, Value>) -> Value {
        let names = method["params"].as_array().unwrap().iter().map(|param| &param["name"]);
        let mut values: Vec<Value> = names
            .map(|name| params.get(name.as_str().unwrap()).cloned().unwrap_or(Value::Null))
            .collect();
        while values.last().is_some_and(Value::is_null) {
            values.pop();
        }
        Value::Array(values)
    }
}

/// The name of a method of the document.
pub(crate) fn name_of(method: &Value) -> &str {
    method["name"].as_str().unwrap()
}
