//! Random JSON for tests of what reads the Hub's answers.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON. Objects have these names, so that many of them resemble a real answer.
pub fn any_json(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        any::<u64>().prop_map(|v| json!(v)),
        any::<f64>().prop_map(|v| json!(v)),
        "\\PC{0,20}".prop_map(|v| json!(v)),
        "-?[0-9]{0,30}(\\.[0-9]{0,9})?(e[0-9]{1,4})?".prop_map(|v| json!(v)),
        Just(json!("https://hub.test/x")),
    ];
    leaf.prop_recursive(3, 40, 8, move |inner| {
        let fields =
            proptest::collection::vec((proptest::sample::select(names), inner.clone()), 0..9);
        let object = |fields: Vec<(&str, Value)>| -> Value {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        };
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::Array),
            fields.prop_map(object),
        ]
    })
}
