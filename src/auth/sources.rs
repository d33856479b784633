//! The whole chain of [`super::resolve`] for `hf auth status`: every source, set or not, and warnings
//! about common mistakes. Reads the environment and the files; asks neither the Hub nor the keyring.

use std::path::Path;

use super::AuthError;
use super::issuer::Issuer;
use super::keyring::Keyring;
use super::oidc::Exchange;
use super::resolve::{ResolvedToken, TOKEN_VARIABLES, TokenSource, from_file, from_variable};
use super::store::TokenStore;
use super::stored::StoredToken;
use crate::config::env::{self, Env};
use crate::config::settings::Settings;
use crate::sys::open_to_others;
use crate::types::Endpoint;
use crate::types::token::Token;

/// What a source has.
#[derive(Debug)]
pub enum State {
    /// Nothing.
    Unset,
    /// This token.
    Token(Token),
    /// A token that the Hub or the keyring gives on request.
    Promise,
    /// An invalid token, or a setting that cannot work. The chain ends here.
    Unusable(AuthError),
}

/// One source of the chain.
#[derive(Debug)]
pub struct Row {
    /// A word for programs: `oidc`, `variable`, `file`, `keyring`.
    pub kind: &'static str,
    /// Which one: a variable, a path, a name.
    pub label: String,
    /// What it has.
    pub state: State,
    /// Name under which the token is saved, when it is.
    pub saved_as: Option<String>,
    /// The file given with `--env-file`, when the value is from there.
    pub from_file: Option<String>,
    /// The Hub that gave the token, when it is a saved login.
    pub issuer: Option<Issuer>,
}

impl Row {
    fn new(kind: &'static str, label: impl Into<String>, state: State) -> Self {
        Row {
            kind,
            label: label.into(),
            state,
            saved_as: None,
            from_file: None,
            issuer: None,
        }
    }

    /// Whether the chain ends here, with a token or an error.
    pub fn decides(&self) -> bool {
        !matches!(self.state, State::Unset)
    }
}

/// All sources in order, and what is saved.
#[derive(Debug)]
pub struct Sources {
    /// The sources, in order. `--token` is not among them: it belongs to one command.
    pub rows: Vec<Row>,
    /// What `stored_tokens` holds, or why it cannot be read.
    pub stored: Result<Vec<StoredToken>, AuthError>,
}

/// Reads all sources.
pub fn sources(env: &Env, settings: &Settings) -> Sources {
    let stored = TokenStore::new(settings).list();
    let oidc = match Exchange::from_env(env) {
        Ok(None) => State::Unset,
        Ok(Some(_)) => State::Promise,
        Err(error) => State::Unusable(error.into()),
    };
    let mut rows = vec![Row::new("oidc", env::HF_OIDC_RESOURCE, oidc)];
    for name in TOKEN_VARIABLES {
        let mut row = Row::new("variable", name, state(from_variable(env, name)));
        row.from_file = env.file_of(name).map(|path| path.display().to_string());
        rows.push(row);
    }
    let path = &settings.token_path;
    rows.push(Row::new(
        "file",
        path.display().to_string(),
        state(from_file(path)),
    ));
    let (keyring, name) = match Keyring::new(settings).index() {
        Ok(index) => match index.active {
            Some(name) => (State::Promise, Some(name)),
            None => (State::Unset, None),
        },
        Err(error) => (State::Unusable(error), None),
    };
    let mut row = Row::new("keyring", "keyring", keyring);
    row.saved_as = name;
    rows.push(row);
    for row in &mut rows {
        if let (State::Token(token), Ok(stored)) = (&row.state, &stored) {
            let entry = stored.iter().find(|e| e.token.as_ref() == Some(token));
            row.saved_as = entry.map(|entry| entry.name.clone());
            row.issuer = entry
                .filter(|_| row.kind == "file")
                .map(|entry| entry.issuer.clone());
        }
    }
    Sources { rows, stored }
}

fn state(found: Result<Option<ResolvedToken>, AuthError>) -> State {
    match found {
        Ok(None) => State::Unset,
        Ok(Some(resolved)) => State::Token(resolved.token),
        Err(error) => State::Unusable(error),
    }
}

impl Sources {
    /// Index of the source that decides; `None` when none does.
    pub fn winner(&self) -> Option<usize> {
        self.rows.iter().position(Row::decides)
    }

    /// Why things may not be as they seem, in whole sentences.
    pub fn warnings(&self, settings: &Settings, now: i64) -> Vec<String> {
        let mut warnings = self.hidden();
        for path in [&settings.token_path, &settings.stored_tokens_path] {
            warnings.extend(warning_of_mode(path));
        }
        if let Err(error) = &self.stored {
            warnings.push(format!(
                "The saved tokens cannot be listed: {}. They are kept, and nothing more is saved until that is fixed.",
                error.in_words()
            ));
        }
        warnings.extend(self.expired(now, &settings.endpoint));
        if settings.disable_implicit_token {
            warnings.push("HF_HUB_DISABLE_IMPLICIT_TOKEN is set: downloads carry no token unless --token gives one.".to_owned());
        }
        warnings.extend(settings.endpoint.eavesdropping());
        warnings
    }

    /// A source above that hides a different token below.
    fn hidden(&self) -> Vec<String> {
        let Some(winner) = self.winner() else {
            return Vec::new();
        };
        let token = |row: &Row| match &row.state {
            State::Token(token) => Some(token.clone()),
            _ => None,
        };
        let above = &self.rows[winner];
        let hidden = self.rows[winner + 1..]
            .iter()
            .filter(|row| row.decides() && !(token(above).is_some() && token(row) == token(above)));
        hidden
            .map(|row| {
                let what = match (row.kind, &row.saved_as) {
                    ("variable", _) => row.label.clone(),
                    (_, Some(name)) => format!("the saved token {name}"),
                    (_, None) => format!("the token in {}", row.label),
                };
                format!(
                    "{} hides {what}; unset {} to use it.",
                    above.label, above.label
                )
            })
            .filter(|_| above.kind != "file")
            .collect()
    }

    fn expired(&self, now: i64, endpoint: &Endpoint) -> Option<String> {
        let row = &self.rows[self.winner()?];
        let name = row.saved_as.as_ref()?;
        let stored = self.stored.as_ref().ok()?;
        let entry = stored.iter().find(|entry| entry.name == *name)?;
        let at = entry.expires_at?;
        let how = match entry.refresh_token {
            Some(_) if entry.issuer.is(endpoint) => "it is renewed with the next command",
            Some(_) => "only the Hub that gave it renews it",
            None => "log in again with `hf auth login --force`",
        };
        (at < now).then(|| format!("The login {name} has expired; {how}."))
    }
}

/// Where a token came from, as a kind of source.
pub fn kind_of(source: &TokenSource) -> &'static str {
    match source {
        TokenSource::Option => "option",
        TokenSource::Oidc(_) => "oidc",
        TokenSource::Variable { .. } => "variable",
        TokenSource::File(_) => "file",
        TokenSource::Keyring(_) => "keyring",
    }
}

fn warning_of_mode(path: &Path) -> Option<String> {
    let mode = open_to_others(path)?;
    let path = path.display();
    Some(format!(
        "{path} can be read by others (mode {mode:04o}); close it with `chmod 600 {path}`."
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// `winner` and warnings for these variables and files.
    fn seen(vars: &[(&str, &str)], files: &[(&str, &str)]) -> (Option<String>, String) {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let hf_home = home.path().to_str().unwrap().to_owned();
        let vars = vars.iter().copied().chain([("HF_HOME", hf_home.as_str())]);
        let env = Env::from_pairs("/nowhere", vars);
        let settings = Settings::resolve(&env).unwrap();
        let found = sources(&env, &settings);
        let winner = found.winner().map(|index| found.rows[index].label.clone());
        let warnings = found.warnings(&settings, 1000).join("\n");
        assert!(!warnings.contains("hf_secret"), "{warnings}");
        (winner, warnings)
    }

    const FILE: (&str, &str) = ("token", "hf_secret");
    const STORED: (&str, &str) = (
        "stored_tokens",
        "[laptop]\nhf_token = hf_secret\nexpires_at = 10\n",
    );

    const RENEWABLE: (&str, &str) = (
        "stored_tokens",
        "[laptop]\nhf_token = hf_secret\nexpires_at = 10\nrefresh_token = r\n",
    );

    #[test]
    fn winners() {
        let oidc = [("HF_OIDC_RESOURCE", "a/b"), ("HF_TOKEN", "hf_x")];
        for (vars, files, expected) in [
            (&[][..], &[][..], None),
            (&[], &[FILE], Some("token")),
            (
                &[("HUGGINGFACE_TOKEN", "hf_x")],
                &[FILE],
                Some("HUGGINGFACE_TOKEN"),
            ),
            (&[("HF_TOKEN", "hf x")], &[FILE], Some("HF_TOKEN")),
            (&oidc, &[], Some("HF_OIDC_RESOURCE")),
            (
                &[],
                &[("keyring_tokens", "{\"active\": \"k\"}")],
                Some("keyring"),
            ),
        ] {
            let (winner, _) = seen(vars, files);
            let winner = winner
                .as_deref()
                .map(|label| label.rsplit('/').next().unwrap());
            assert_eq!(winner, expected, "{vars:?} {files:?}");
        }
    }

    #[test]
    fn warnings_about_common_mistakes() {
        for (vars, files, expected) in [
            (&[][..], &[FILE][..], ""),
            (
                &[("HF_TOKEN", "hf_x")],
                &[FILE, STORED],
                "hides the saved token laptop",
            ),
            (&[("HF_TOKEN", "hf_secret")], &[FILE], ""),
            (
                &[],
                &[FILE, STORED],
                "The login laptop has expired; log in again",
            ),
            (
                &[("HF_ENDPOINT", "https://hub.test")],
                &[FILE, RENEWABLE],
                "The login laptop has expired; only the Hub that gave it renews it",
            ),
            (&[], &[FILE, ("stored_tokens", "x")], "cannot be listed"),
            (
                &[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
                &[],
                "downloads carry no token",
            ),
            (
                &[("HF_ENDPOINT", "http://hub.test")],
                &[],
                "over plain http",
            ),
            (&[("HF_ENDPOINT", "http://127.0.0.1:1")], &[], ""),
        ] {
            let (_, warnings) = seen(vars, files);
            assert!(
                warnings.contains(expected),
                "{vars:?} {files:?}: {warnings}"
            );
            assert!(!expected.is_empty() || warnings.is_empty(), "{warnings}");
        }
    }

    #[test]
    fn files_open_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "x").unwrap();
        for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true), (0o400, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(warning_of_mode(&path).is_some(), warns, "{mode:o}");
        }
    }
}
