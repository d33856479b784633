//! THE precedence chain: which token is used, and where it came from. Every command asks here.
//!
//! `--token` > `HF_TOKEN` > `HUGGING_FACE_HUB_TOKEN` > `HUGGINGFACE_TOKEN` > the token file
//! (REFERENCE 3). A blank value counts as unset and the next source is asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::AuthError;
use crate::env::{self, Env};
use crate::fs::FsError;
use crate::settings::Settings;
use crate::token::Token;

/// The environment variables that may hold a token, first asked first.
pub const TOKEN_VARIABLES: [&str; 3] = [
    env::HF_TOKEN,
    env::HUGGING_FACE_HUB_TOKEN,
    env::HUGGINGFACE_TOKEN,
];

/// Where a token came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The `--token` option.
    Option,
    /// An environment variable, by name.
    Variable(&'static str),
    /// The token file.
    File(PathBuf),
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::Option => f.write_str("the --token option"),
            TokenSource::Variable(name) => write!(f, "the environment variable {name}"),
            TokenSource::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

/// A token with its origin.
#[derive(Debug, Clone)]
pub struct ResolvedToken {
    /// The token.
    pub token: Token,
    /// Where it came from.
    pub source: TokenSource,
}

/// Answers the token in force, or `None` when no source has one.
///
/// # Errors
/// [`AuthError::Unusable`] when the first source that is set holds something that is no token: the
/// next one is then not asked, since the user meant this one. [`AuthError::Fs`] when the token file
/// is there but cannot be read.
pub fn resolve(
    option: Option<&str>,
    env: &Env,
    settings: &Settings,
) -> Result<Option<ResolvedToken>, AuthError> {
    if let Some(value) = option
        && let Some(resolved) = checked(value, TokenSource::Option)?
    {
        return Ok(Some(resolved));
    }
    if let Some(resolved) = from_environment(env)? {
        return Ok(Some(resolved));
    }
    from_file(&settings.token_path)
}

/// The token for download and verify requests: the same chain, unless
/// `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves only the option.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_for_download(
    option: Option<&str>,
    env: &Env,
    settings: &Settings,
) -> Result<Option<ResolvedToken>, AuthError> {
    match (option, settings.disable_implicit_token) {
        (Some(value), true) => checked(value, TokenSource::Option),
        (None, true) => Ok(None),
        (_, false) => resolve(option, env, settings),
    }
}

/// The token of the first environment variable that has one.
///
/// # Errors
/// [`AuthError::Unusable`] as in [`resolve`].
pub fn from_environment(env: &Env) -> Result<Option<ResolvedToken>, AuthError> {
    for name in TOKEN_VARIABLES {
        if let Some(value) = env.get(name).map(Zeroizing::new)
            && let Some(resolved) = checked(&value, TokenSource::Variable(name))?
        {
            return Ok(Some(resolved));
        }
    }
    Ok(None)
}

/// The token in the token file.
///
/// # Errors
/// As [`resolve`].
pub fn from_file(path: &Path) -> Result<Option<ResolvedToken>, AuthError> {
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => checked(&text, TokenSource::File(path.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FsError::of("read", path)(error).into()),
    }
}

fn checked(value: &str, source: TokenSource) -> Result<Option<ResolvedToken>, AuthError> {
    match Token::clean(value) {
        Ok(token) => Ok(token.map(|token| ResolvedToken { token, source })),
        Err(reason) => Err(AuthError::Unusable {
            source_name: source.to_string(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves with these variables and this token file; answers `token@source`.
    fn resolved(option: Option<&str>, vars: &[(&str, &str)], file: Option<&str>) -> String {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let path = path.to_str().unwrap().to_owned();
        let vars = vars
            .iter()
            .copied()
            .chain([("HF_TOKEN_PATH", path.as_str())]);
        let env = Env::from_pairs(home.path(), vars);
        let settings = Settings::resolve(&env).unwrap();
        match resolve(option, &env, &settings) {
            Ok(Some(found)) => {
                let source = match found.source {
                    TokenSource::File(_) => "file".to_owned(),
                    other => other.to_string(),
                };
                format!("{}@{source}", found.token.expose())
            }
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_order_of_the_chain() {
        const A: (&str, &str) = ("HF_TOKEN", "hf_a");
        const B: (&str, &str) = ("HUGGING_FACE_HUB_TOKEN", "hf_b");
        const C: (&str, &str) = ("HUGGINGFACE_TOKEN", "hf_c");
        for (option, vars, file, expected) in [
            (
                Some("hf_o"),
                &[A, B, C][..],
                Some("hf_f"),
                "hf_o@the --token option",
            ),
            (
                None,
                &[A, B, C],
                Some("hf_f"),
                "hf_a@the environment variable HF_TOKEN",
            ),
            (
                None,
                &[B, C],
                Some("hf_f"),
                "hf_b@the environment variable HUGGING_FACE_HUB_TOKEN",
            ),
            (
                None,
                &[C],
                Some("hf_f"),
                "hf_c@the environment variable HUGGINGFACE_TOKEN",
            ),
            (None, &[], Some(" hf_f \n"), "hf_f@file"),
            (None, &[], Some("\n"), "none"),
            (None, &[], None, "none"),
            (
                Some(""),
                &[("HF_TOKEN", " "), B],
                None,
                "hf_b@the environment variable HUGGING_FACE_HUB_TOKEN",
            ),
            (
                None,
                &[("HF_TOKEN", "Bearer hf_a"), B],
                None,
                "the token from the environment variable HF_TOKEN cannot be used: it contains blanks in the middle",
            ),
        ] {
            assert_eq!(
                resolved(option, vars, file),
                expected,
                "{option:?} {vars:?} {file:?}"
            );
        }
    }

    #[test]
    fn downloads_may_be_told_to_use_no_saved_token() {
        let env = Env::from_pairs(
            "/nowhere",
            [("HF_TOKEN", "hf_a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
        );
        let settings = Settings::resolve(&env).unwrap();
        assert!(
            resolve_for_download(None, &env, &settings)
                .unwrap()
                .is_none()
        );
        assert!(
            resolve_for_download(Some("hf_o"), &env, &settings)
                .unwrap()
                .is_some()
        );
        assert!(resolve(None, &env, &settings).unwrap().is_some());
    }
}
