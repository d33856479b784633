//! Which AI agent runs this command, if one does.
//!
//! The Hub keeps a registry of agents and the environment variables by which they are known. Python
//! clients keep a copy in `$HF_HOME/.agent_harnesses.json`:
//!
//! ```json
//! {"standardEnvVars": ["AI_AGENT"], "harnesses": {"some-agent": {"envVars": {"SOME_AGENT": "*"}}}}
//! ```
//!
//! That copy is used, whatever its age, and never fetched: without one there is no agent. The first
//! agent counts one of whose variables has the value (`*`: any), or whose name a standard variable
//! holds. A standard variable that holds another name means an agent that is not known.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::env::Env;

/// Name of an agent that the registry does not have.
pub const UNKNOWN: &str = "unknown";

/// Upper limit of a registry, in bytes: a real one has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// The copy of the registry cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} is no registry of agents: {reason}", path.display())]
pub struct BadRegistry {
    path: PathBuf,
    reason: String,
}

/// The agent that runs this command, by the registry in this folder.
///
/// # Errors
/// [`BadRegistry`]: best taken for "no agent", for a bad copy is no reason to fail.
pub fn detect(env: &Env, hf_home: &Path) -> Result<Option<String>, BadRegistry> {
    let path = hf_home.join(".agent_harnesses.json");
    let bad = |reason: &dyn ToString| BadRegistry {
        path: path.clone(),
        reason: reason.to_string(),
    };
    // Checked first: opening a pipe would wait for its other end.
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LARGEST => {}
        Ok(_) => return Err(bad(&"it is no file of a sensible size")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(&error)),
    }
    let mut text = String::new();
    crate::sys::open_regular(&path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| bad(&error))?;
    let registry: Value = serde_json::from_str(&text).map_err(|error| bad(&error))?;
    find(&registry, env).ok_or_else(|| bad(&"it has another form"))
}

/// `None` when the registry has another form.
#[expect(clippy::option_option, reason = "no registry, and no agent")]
fn find(registry: &Value, env: &Env) -> Option<Option<String>> {
    let no_harnesses = Map::new();
    let registry = registry.as_object()?;
    let harnesses = match registry.get("harnesses") {
        None | Some(Value::Null) => &no_harnesses,
        Some(value) => value.as_object()?,
    };
    let standard: Vec<&str> = match registry.get("standardEnvVars") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => {
            let names = value.as_array()?.iter();
            names.map(Value::as_str).collect::<Option<_>>()?
        }
    };
    let values: Vec<String> = standard
        .iter()
        .filter_map(|name| env.get(name))
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect();
    for (name, info) in harnesses {
        let variables = match info {
            Value::Null => None,
            info => info.as_object()?.get("envVars"),
        };
        let variables = match variables {
            None | Some(Value::Null) => &no_harnesses,
            Some(value) => value.as_object()?,
        };
        for (variable, pattern) in variables {
            let pattern = pattern.as_str()?;
            if env
                .get(variable)
                .is_some_and(|value| pattern == "*" || value == pattern)
            {
                return Some(Some(name.clone()));
            }
        }
        if values.contains(name) {
            return Some(Some(name.clone()));
        }
    }
    Some(values.first().map(|value| {
        let value = value.to_lowercase();
        let is_known = harnesses.keys().any(|name| name.to_lowercase() == value);
        if is_known { value } else { UNKNOWN.to_owned() }
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(registry: &Value, pairs: &[(&str, &str)]) -> Option<Option<String>> {
        find(registry, &Env::from_pairs("/", pairs.iter().copied()))
    }

    #[test]
    fn the_first_match_counts() {
        let registry = json!({
            "standardEnvVars": ["AI_AGENT", "AGENT"],
            "harnesses": {
                "first": {"envVars": {"FIRST": "*", "MODE": "first"}},
                "Second": {"envVars": {"SECOND": "1"}},
                "bare": {},
                "none": null
            }
        });
        for (pairs, expected) in [
            (&[][..], None),
            (&[("FIRST", "x")], Some("first")),
            (&[("FIRST", "")], None),
            (&[("MODE", "first")], Some("first")),
            (&[("MODE", "other")], None),
            (&[("SECOND", "1"), ("FIRST", "x")], Some("first")),
            (&[("SECOND", "2")], None),
            (&[("AGENT", " bare ")], Some("bare")),
            (&[("AGENT", "second")], Some("second")),
            (&[("AI_AGENT", "else")], Some(UNKNOWN)),
            (&[("AI_AGENT", " ")], None),
            (&[("AI_AGENT", "else"), ("SECOND", "1")], Some("Second")),
        ] {
            let expected = Some(expected.map(str::to_owned));
            assert_eq!(found(&registry, pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for registry in [
            json!([]),
            json!({"harnesses": []}),
            json!({"harnesses": {"a": 1}}),
            json!({"harnesses": {"a": {"envVars": ["A"]}}}),
            json!({"harnesses": {"a": {"envVars": {"A": 1}}}}),
            json!({"standardEnvVars": [1]}),
        ] {
            assert_eq!(found(&registry, &[("A", "1")]), None, "{registry}");
        }
        assert_eq!(found(&json!({}), &[("AGENT", "x")]), Some(None));
    }
}
