//! `hf env`: what this installation is and where everything came from, for a bug report. It asks
//! nobody: no request leaves the machine, and secrets are masked.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::cache::shown;
use crate::auth::resolve::{self, Step, TokenSource};
use crate::console::{Mode, text};
use crate::context::{Context, now};
use crate::env;
use crate::error::CliError;
use crate::fs;
use crate::settings::{Settings, without_userinfo};

/// Facts in order; names are those of the Python client's report where it has them.
type Facts = Vec<(&'static str, Value)>;

/// Prints the report.
///
/// # Errors
/// None: what cannot be found out is said in its place.
pub fn run(context: &Context) -> Result<(), CliError> {
    let mut facts: Facts = vec![
        ("hf version", json!(env!("CARGO_PKG_VERSION"))),
        ("Platform", json!(platform())),
        ("Executable", json!(executable())),
    ];
    facts.extend(token_facts(context));
    facts.extend(path_facts(context));
    facts.extend(switch_facts(&context.settings, &context.env));
    facts.extend(network_facts(&context.settings, &context.env));
    facts.extend(disk_facts(&context.settings.hub_cache));
    let console = &context.console;
    if console.mode() == Mode::Json {
        let object: Map<String, Value> = facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        console.json(&Value::Object(object));
        return Ok(());
    }
    console.say("This installation, for a bug report (secrets are masked):\n");
    for (name, value) in facts {
        console.line(&format!("- {name}: {}", text::plain(&value)));
    }
    Ok(())
}

/// `Linux-6.1.0-x86_64`, as far as the system tells.
fn platform() -> String {
    #[cfg(unix)]
    {
        let name = rustix::system::uname();
        let parts = [name.sysname(), name.release(), name.machine()];
        parts.map(|part| part.to_string_lossy()).join("-")
    }
    #[cfg(not(unix))]
    {
        format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
    }
}

fn executable() -> Option<String> {
    std::env::current_exe().ok().map(|path| shown(&path))
}

fn token_facts(context: &Context) -> Facts {
    let settings = &context.settings;
    let (token, source) = match resolve::plan(None, &context.env, settings, now()) {
        Ok(Step::Use(found) | Step::Renew(found, _)) => {
            (json!(found.token.masked()), json!(found.source.to_string()))
        }
        Ok(Step::Exchange(_)) => (json!("exchanged when needed"), json!(env::HF_OIDC_RESOURCE)),
        Ok(Step::AskKeyring(name)) => (
            json!("kept in the keyring"),
            json!(TokenSource::Keyring(name).to_string()),
        ),
        Ok(Step::Nothing) => (Value::Null, Value::Null),
        Err(error) => (json!(format!("unusable: {error}")), Value::Null),
    };
    vec![
        ("Token path ?", path(&settings.token_path)),
        ("Has saved token ?", json!(settings.token_path.is_file())),
        ("Token", token),
        ("Token source", source),
    ]
}

fn path_facts(context: &Context) -> Facts {
    let settings = &context.settings;
    let from_variable = |name: &'static str, otherwise: &'static str| {
        json!(if context.env.get_os(name).is_some() {
            name
        } else {
            otherwise
        })
    };
    vec![
        ("HF_HOME", path(&settings.hf_home)),
        ("HF_HOME source", json!(settings.hf_home_source)),
        ("HF_HUB_CACHE", path(&settings.hub_cache)),
        ("HF_HUB_CACHE source", json!(settings.hub_cache_source)),
        ("HF_TOKEN_PATH", path(&settings.token_path)),
        (
            "HF_TOKEN_PATH source",
            from_variable(env::HF_TOKEN_PATH, settings.hf_home_source),
        ),
        ("HF_STORED_TOKENS_PATH", path(&settings.stored_tokens_path)),
        ("Current folder", path(context.env.current_dir())),
    ]
}

fn switch_facts(settings: &Settings, env: &env::Env) -> Facts {
    let seconds = |duration: std::time::Duration| json!(duration.as_secs());
    vec![
        ("HF_HUB_OFFLINE", json!(settings.offline)),
        (
            "HF_HUB_DISABLE_PROGRESS_BARS",
            json!(settings.progress_bars.map(|shown| !shown)),
        ),
        ("HF_HUB_DISABLE_SYMLINKS", json!(settings.disable_symlinks)),
        (
            "HF_HUB_DISABLE_SYMLINKS_WARNING",
            json!(env.is_true(env::HF_HUB_DISABLE_SYMLINKS_WARNING)),
        ),
        (
            "HF_HUB_DISABLE_IMPLICIT_TOKEN",
            json!(settings.disable_implicit_token),
        ),
        ("HF_HUB_ETAG_TIMEOUT", seconds(settings.etag_timeout)),
        (
            "HF_HUB_DOWNLOAD_TIMEOUT",
            seconds(settings.download_timeout),
        ),
        ("HF_DEBUG", json!(settings.debug)),
    ]
}

fn network_facts(settings: &Settings, env: &env::Env) -> Facts {
    let mut facts: Facts = vec![(
        "ENDPOINT",
        json!(without_userinfo(settings.endpoint.as_str())),
    )];
    for name in env::PROXY_VARIABLES {
        if let Some(value) = env.get(name) {
            facts.push((name, json!(without_userinfo(&value))));
        }
    }
    for name in [
        env::SSL_CERT_FILE,
        env::SSL_CERT_DIR,
        env::REQUESTS_CA_BUNDLE,
        env::CURL_CA_BUNDLE,
    ] {
        if let Some(value) = env.get(name) {
            facts.push((name, json!(value)));
        }
    }
    facts
}

/// What the file system of the cache can do, tried out in the nearest folder that exists.
fn disk_facts(cache: &Path) -> Facts {
    let free = fs::free_space(cache).map(text::size);
    let abilities = fs::abilities(cache);
    let word = |able: Option<bool>| match able {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown: the folder is not writable",
    };
    vec![
        ("Free space of the cache", json!(free)),
        ("Symlinks in the cache", json!(word(abilities.symlinks))),
        ("File locks in the cache", json!(word(abilities.locks))),
    ]
}

fn path(path: &Path) -> Value {
    json!(path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::console::{Console, OutputFormat};

    fn report(pairs: &[(&str, &str)], format: OutputFormat) -> String {
        let home = tempfile::tempdir().unwrap();
        let env = env::Env::from_pairs(home.path(), pairs.iter().copied());
        let settings = Settings::resolve(&env).unwrap();
        let (mut console, capture) = Console::captured();
        console.configure(Some(format), false, None);
        run(&Context::new(env, settings, Arc::new(console))).unwrap();
        capture.stdout()
    }

    #[test]
    fn secrets_are_masked_and_sources_named() {
        let pairs = [
            ("HF_TOKEN", "hf_verysecretvalue"),
            ("https_proxy", "http://user:secret@proxy.test:3128"),
            ("HF_HUB_CACHE", "/nowhere/hub"),
            ("HF_HUB_OFFLINE", "1"),
        ];
        let text = report(&pairs, OutputFormat::Human);
        assert!(!text.contains("verysecret"), "{text}");
        assert!(!text.contains("user:secret"), "{text}");
        for line in [
            "- Token: hf_****alue\n",
            "- Token source: the environment variable HF_TOKEN\n",
            "- HF_HUB_CACHE: /nowhere/hub\n",
            "- HF_HUB_CACHE source: HF_HUB_CACHE\n",
            "- HF_HOME source: default\n",
            "- HF_HUB_OFFLINE: True\n",
            "- https_proxy: http://…@proxy.test:3128\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn json_is_one_object() {
        let value: Value = serde_json::from_str(&report(&[], OutputFormat::Json)).unwrap();
        assert_eq!(value["Token"], Value::Null);
        assert_eq!(value["HF_HUB_OFFLINE"], false);
        assert_eq!(value["ENDPOINT"], "https://huggingface.co");
    }
}
