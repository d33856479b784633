//! `hf env`: what this installation is and where everything came from, for a bug report. Secrets are
//! masked. It sends one request, as the Python client does: whose token it is.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::cache::shown;
use crate::auth::git;
use crate::auth::resolve::{self, Step, TokenSource};
use crate::auth::session::now;
use crate::cache::layout::CacheLayout;
use crate::commands::context::{Context, another_hub};
use crate::commands::error::CliError;
use crate::commands::others::{Seen, What};
use crate::config::agent;
use crate::config::env;
use crate::config::program::LEGACY_NAME;
use crate::config::settings::Settings;
use crate::console::{Console, Mode, text};
use crate::sys;
use crate::types::without_userinfo;

/// Facts in order; names are those of the Python client's report where it has them.
type Facts = Vec<(String, Value)>;

/// The version of the Python client that this program follows
/// (docs/reference.md#strings-that-programs-read).
const FOLLOWED: &str = "2.4.0";

/// Words in the name of a variable that make its value a secret.
const SECRET_WORDS: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];

/// Prints the report.
///
/// # Errors
/// None: a fact that cannot be determined says so in its line.
pub fn run(context: &Context) -> Result<(), CliError> {
    let settings = &context.settings;
    let console = &context.console;
    let mut facts = machine_facts();
    facts.extend(token_facts(context));
    facts.extend(git_facts(settings));
    facts.extend(name_facts(context));
    facts.extend(caller_facts(context));
    facts.extend(path_facts(context));
    facts.extend(switch_facts(settings, &context.env));
    facts.extend(network_facts(settings, &context.env));
    facts.extend(xet_facts(settings, &context.env));
    facts.extend(disk_facts(&settings.hub_cache));
    if console.mode() == Mode::Json {
        console.json(&Value::Object(facts.into_iter().collect::<Map<_, _>>()));
        return Ok(());
    }
    console.say("This installation, for a bug report (secrets are masked):\n");
    for (name, value) in facts {
        console.line(&format!(
            "- {}: {}",
            text::escape(&name),
            text::plain(&value)
        ));
    }
    Ok(())
}

fn fact(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

fn machine_facts() -> Facts {
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let libc = if cfg!(target_env = "musl") {
        "musl"
    } else if cfg!(all(target_os = "linux", target_env = "gnu")) {
        "glibc"
    } else {
        std::env::consts::OS
    };
    vec![
        // The version whose behavior this program follows: programs look for the label.
        fact("huggingface_hub version", FOLLOWED),
        fact("hf version", env!("CARGO_PKG_VERSION")),
        fact("Platform", sys::platform()),
        fact("System", system()),
        fact(
            "Build",
            format!("{build}, {}, {libc}", std::env::consts::ARCH),
        ),
        fact("Executable", executable()),
    ]
}

/// The distribution (os-release(5)).
fn system() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches(['"', '\'']).to_owned())
}

fn executable() -> Option<String> {
    std::env::current_exe().ok().map(|path| shown(&path))
}

fn git_facts(settings: &Settings) -> Facts {
    let in_words = |error: git::GitError| error.to_string();
    let helpers = match git::helpers(&settings.endpoint) {
        Ok(helpers) => helpers.iter().map(|one| helper(one)).collect::<Vec<_>>(),
        Err(error) => vec![in_words(error)],
    };
    vec![
        fact("git version", git::version().unwrap_or_else(in_words)),
        fact("Configured git credential helpers", helpers.join(", ")),
    ]
}

/// A helper without its arguments, and without the text of a script: both may hold a secret.
fn helper(configured: &str) -> String {
    if configured.starts_with('!') {
        return "a shell command".to_owned();
    }
    let word = configured.split_whitespace().next().unwrap_or_default();
    word.to_owned()
}

/// What reads the output: an agent, a terminal.
fn caller_facts(context: &Context) -> Facts {
    let agent = match agent::detect(&context.env, &context.settings.hf_home) {
        Ok(Some(name)) => format!("Yes ({name})"),
        Ok(None) => "No".to_owned(),
        Err(error) => format!("No: {error}"),
    };
    vec![
        fact("Run by AI agent ?", agent),
        fact("Terminal", terminal(&context.console)),
        fact(
            "TERM",
            context.env.get(env::TERM).map_or(Value::Null, Value::from),
        ),
        fact("NO_COLOR", context.env.get(env::NO_COLOR).is_some()),
    ]
}

/// `stdin, stderr; 80 columns`.
fn terminal(console: &Console) -> String {
    let streams = console.terminals();
    let names: Vec<&str> = streams
        .iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| *name)
        .collect();
    let names = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    format!("{names}; {} columns", console.columns())
}

fn token_facts(context: &Context) -> Facts {
    let settings = &context.settings;
    let (token, source) = match resolve::plan(None, &context.env, settings, now()) {
        Ok(Step::Use(found) | Step::Renew(found, _) | Step::Finish(found, _)) => {
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
    let mut facts = vec![
        fact("Token path ?", path(&settings.token_path)),
        fact("Has saved token ?", settings.token_path.is_file()),
    ];
    // The Python client has this line only for a token that the Hub accepts, and programs look for it.
    facts.extend(user(context).map(|name| fact("Who am I ?", name)));
    facts.extend([fact("Token", token), fact("Token source", source)]);
    facts
}

/// Longest wait for the answer to whose token it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whose token it is. `None` without a token, without an answer, and where asking would need more than a
/// request or give the token to another Hub.
fn user(context: &Context) -> Option<String> {
    let settings = &context.settings;
    let found = match resolve::plan(None, &context.env, settings, now()) {
        Ok(Step::Use(found)) if !settings.offline => found,
        _ => return None,
    };
    if another_hub(&found, settings).is_some() {
        return None;
    }
    let hub = context.hub().ok()?.with_token(Some(found.token));
    let asked = async { Ok::<_, CliError>(tokio::time::timeout(PATIENCE, hub.whoami()).await) };
    let account = context.block_on(asked).ok()?.ok()?.ok()?;
    Some(account.name)
}

/// The files of the two names in `PATH`, the first of which a shell starts, and the program that runs the
/// commands that this one does not have.
fn name_facts(context: &Context) -> Facts {
    let (env, program) = (&context.env, context.console.program());
    let seen = Seen::look(env, program);
    let holders = |name: &str| {
        let files = seen.entries.iter().filter(|one| {
            let stem = one.path.file_stem();
            stem.is_some_and(|stem| stem == name) && one.what != What::NotRunnable
        });
        let files: Vec<String> = files
            .map(|one| {
                let what = match one.what {
                    What::Ours => "this tool",
                    What::Python => "Python client",
                    What::Other | What::NotRunnable => "other program",
                };
                format!("{} ({what})", shown(&one.path))
            })
            .collect();
        match files.is_empty() {
            true => Value::Null,
            false => json!(files.join(", before ")),
        }
    };
    let asked = seen.asked(env, program);
    vec![
        fact("hf in PATH", holders("hf")),
        fact("huggingface-cli in PATH", holders(LEGACY_NAME)),
        fact("Other commands go to", asked.map(|path| shown(&path))),
    ]
}

fn path_facts(context: &Context) -> Facts {
    let settings = &context.settings;
    let token_source = match context.env.get_os(env::HF_TOKEN_PATH) {
        Some(_) => env::HF_TOKEN_PATH,
        None => settings.hf_home_source,
    };
    vec![
        fact("HF_HOME", path(&settings.hf_home)),
        fact("HF_HOME source", settings.hf_home_source),
        fact("HF_HUB_CACHE", path(&settings.hub_cache)),
        fact("HF_HUB_CACHE source", settings.hub_cache_source),
        fact("HF_TOKEN_PATH", path(&settings.token_path)),
        fact("HF_TOKEN_PATH source", token_source),
        fact("HF_STORED_TOKENS_PATH", path(&settings.stored_tokens_path)),
        fact("Current folder", path(context.env.current_dir())),
    ]
}

fn switch_facts(settings: &Settings, env: &env::Env) -> Facts {
    let switch = |name: &str| fact(name, env.is_true(name));
    vec![
        fact("HF_HUB_OFFLINE", settings.offline),
        switch(env::HF_HUB_DISABLE_TELEMETRY),
        fact(
            env::HF_HUB_DISABLE_PROGRESS_BARS,
            json!(settings.progress_bars.map(|shown| !shown)),
        ),
        fact(env::HF_HUB_DISABLE_SYMLINKS, settings.disable_symlinks),
        switch(env::HF_HUB_DISABLE_SYMLINKS_WARNING),
        fact(
            env::HF_HUB_DISABLE_IMPLICIT_TOKEN,
            settings.disable_implicit_token,
        ),
        fact(env::HF_HUB_DISABLE_XET, settings.disable_xet),
        fact(
            env::HF_HUB_DISABLE_SHARED_BLOBS,
            settings.disable_shared_blobs,
        ),
        fact(
            env::HF_HUB_ENABLE_SHARED_BLOBS,
            settings.enable_shared_blobs,
        ),
        fact(env::HF_HUB_ETAG_TIMEOUT, settings.etag_timeout.as_secs()),
        fact(
            env::HF_HUB_DOWNLOAD_TIMEOUT,
            settings.download_timeout.as_secs(),
        ),
        fact(env::HF_DEBUG, settings.debug),
    ]
}

fn network_facts(settings: &Settings, env: &env::Env) -> Facts {
    let mut facts = vec![fact(
        "ENDPOINT",
        without_userinfo(settings.endpoint.as_str()),
    )];
    for name in env::PROXY_VARIABLES {
        if let Some(value) = env.get(name) {
            facts.push(fact(name, without_userinfo(&value)));
        }
    }
    for name in [
        env::SSL_CERT_FILE,
        env::REQUESTS_CA_BUNDLE,
        env::CURL_CA_BUNDLE,
    ] {
        if let Some(value) = env.get(name) {
            let exists = env.expand_home(Path::new(&value)).exists();
            let note = if exists {
                ""
            } else {
                " (there is no such file)"
            };
            facts.push(fact(name, format!("{value}{note}")));
        }
    }
    facts
}

/// The Xet variables, also those that only the Python client's Xet library reads.
fn xet_facts(settings: &Settings, env: &env::Env) -> Facts {
    let mut facts = vec![
        fact(env::HF_XET_CACHE, path(&settings.xet_cache)),
        fact(env::HF_XET_HIGH_PERFORMANCE, settings.xet_high_performance),
    ];
    for name in env.names("HF_XET_") {
        if facts.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let is_secret = SECRET_WORDS.iter().any(|word| name.contains(word));
        let value = env.get(&name).unwrap_or_default();
        let value = if is_secret { "(hidden)" } else { &value };
        facts.push(fact(&name, without_userinfo(value)));
    }
    facts
}

/// What the file system of the cache can do, tried out in the nearest folder that exists.
fn disk_facts(cache: &Path) -> Facts {
    let free = sys::free_space(cache).map(text::size);
    let abilities = sys::abilities(cache);
    let is_writable = abilities.symlinks.is_some();
    let state = match (cache.is_dir(), is_writable) {
        (true, true) => "exists, writable",
        (true, false) => "exists, cannot be written to",
        (false, true) => "does not exist yet",
        (false, false) => "does not exist, and cannot be made",
    };
    let word = |able: Option<bool>| match able {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown: nothing can be written there to try it",
    };
    let marker = CacheLayout::new(cache).shared_marker();
    vec![
        fact("Cache folder", state),
        fact("Free space of the cache", free),
        fact("Symlinks in the cache", word(abilities.symlinks)),
        fact("File locks in the cache", word(abilities.locks)),
        fact("Shared blobs in the cache", marker.is_file()),
    ]
}

fn path(path: &Path) -> Value {
    crate::console::paths::path_value(path)
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
        run(&Context::new(env, settings, Arc::new(console), || {
            clap::Command::new("hf")
        }))
        .unwrap();
        capture.stdout()
    }

    #[test]
    fn secrets_are_masked_and_sources_named() {
        let pairs = [
            ("HF_TOKEN", "hf_verysecretvalue"),
            ("https_proxy", "http://user:secret@proxy.test:3128"),
            ("http_proxy", "user:secret@proxy.test:3128"),
            ("HF_XET_SOME_TOKEN", "verysecret"),
            ("HF_XET_WORKERS", "3"),
            ("SSL_CERT_FILE", "/nowhere/ca.pem"),
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
            "- http_proxy: …@proxy.test:3128\n",
            "- SSL_CERT_FILE: /nowhere/ca.pem (there is no such file)\n",
            "- HF_XET_WORKERS: 3\n",
            "- Run by AI agent ?: No\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn helpers_are_shown_without_their_secrets() {
        for (configured, expected) in [
            ("store --file /secret", "store"),
            ("!f() { echo password=x; }; f", "a shell command"),
            ("/usr/bin/helper", "/usr/bin/helper"),
        ] {
            assert_eq!(helper(configured), expected);
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
