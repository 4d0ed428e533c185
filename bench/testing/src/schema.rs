//! The schemas of what scripts read, `docs/schema/`, held to the types.
//!
//! When a type changed: `BRIMFUL_WRITE_SCHEMA=1 cargo test --workspace schema`, then read the difference.

use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Value, json};

/// The schema of a document by its type.
pub fn of<T: JsonSchema>(name: &str, title: &str, version: u32) -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut of_types = generator.into_root_schema_for::<T>().to_value();
    of_types["properties"]["schema_version"]["const"] = json!(version);
    let mut schema = json!({
        "$schema": of_types["$schema"],
        "$id": format!("urn:brimful:{name}:{version}"),
        "title": title,
    });
    for (key, value) in of_types.as_object().unwrap() {
        schema.as_object_mut().unwrap().entry(key.as_str()).or_insert_with(|| value.clone());
    }
    // What is `None` to the types is `null` to a reader.
    serde_json::from_str(&schema.to_string().replace("`None`", "`null`")).unwrap()
}

/// Holds a schema to the committed one, or writes that anew.
pub fn is_committed(name: &str, version: u32, schema: &Value) {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schema/{name}-{version}.json"));
    let text = format!("{schema:#}\n");
    if std::env::var_os("BRIMFUL_WRITE_SCHEMA").is_some() {
        std::fs::write(&committed, &text).unwrap();
    }
    let saved = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(saved == text, "the types changed: BRIMFUL_WRITE_SCHEMA=1 cargo test --workspace schema");
}

/// With `BRIMFUL_WRITE_REPORTS=FOLDER` a document is written there, below the name of its schema, for a validator that is not ours
/// (`scripts/check hlog`).
pub fn hand_over(name: &str, which: &str, document: &impl Serialize) {
    if let Some(folder) = std::env::var_os("BRIMFUL_WRITE_REPORTS") {
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{which}.json")), serde_json::to_string(document).unwrap()).unwrap();
    }
}
