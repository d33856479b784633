//! The process environment: one snapshot, and every variable name with its meaning.
//!
//! This is the only module that reads the environment. Everything else is given an [`Env`], so a
//! command behaves the same in a test as in a shell, and no two modules can disagree on a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sys::read_once;

/// Longest file of `--env-file`, in bytes.
const LONGEST_FILE: u64 = 1 << 20;
/// How long the file of `--env-file` may take to come, when it is a pipe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Folder of everything that is not a repository: token, stored tokens, `hub/`, `xet/`.
pub const HF_HOME: &str = "HF_HOME";
/// Base folder of caches, used for the default of [`HF_HOME`] (XDG base directory specification).
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// Folder of the repository cache; default `$HF_HOME/hub`.
pub const HF_HUB_CACHE: &str = "HF_HUB_CACHE";
/// Older name of [`HF_HUB_CACHE`], read when the newer one is unset.
pub const HUGGINGFACE_HUB_CACHE: &str = "HUGGINGFACE_HUB_CACHE";
/// File of the active token; default `$HF_HOME/token`. `stored_tokens` lies beside it.
pub const HF_TOKEN_PATH: &str = "HF_TOKEN_PATH";
/// Base URL of the Hub; default `https://huggingface.co`.
pub const HF_ENDPOINT: &str = "HF_ENDPOINT";

/// Endpoints to which a token from another Hub may be sent without a word: origins such as
/// `https://mirror.example`, separated by commas.
pub const HF_TRUSTED_ENDPOINTS: &str = "HF_TRUSTED_ENDPOINTS";

/// First environment variable asked for a token.
pub const HF_TOKEN: &str = "HF_TOKEN";
/// Second environment variable asked for a token.
pub const HUGGING_FACE_HUB_TOKEN: &str = "HUGGING_FACE_HUB_TOKEN";
/// Third environment variable asked for a token.
pub const HUGGINGFACE_TOKEN: &str = "HUGGINGFACE_TOKEN";
/// Client id of the browser login; default is the one of the Python client.
pub const HF_DEVICE_CODE_OAUTH_CLIENT_ID: &str = "HF_DEVICE_CODE_OAUTH_CLIENT_ID";
/// Where `hf auth login` keeps tokens: `file` (default) or `keyring`.
pub const HF_TOKEN_STORAGE: &str = "HF_TOKEN_STORAGE";
/// What a CI job's token is for (`namespace/name`, `datasets/…`, or a user name): turns the exchange
/// of the job's identity for a token on.
pub const HF_OIDC_RESOURCE: &str = "HF_OIDC_RESOURCE";
/// The job's identity token, for CI systems other than GitHub Actions.
pub const HF_OIDC_ID_TOKEN: &str = "HF_OIDC_ID_TOKEN";
/// `true` in a GitHub Actions job.
pub const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// Where a GitHub Actions job asks for its identity token.
pub const ACTIONS_ID_TOKEN_REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// With which credential it asks.
pub const ACTIONS_ID_TOKEN_REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// Keeps saved and environment tokens out of download requests: only `--token` counts there.
pub const HF_HUB_DISABLE_IMPLICIT_TOKEN: &str = "HF_HUB_DISABLE_IMPLICIT_TOKEN";

/// No network: only what is cached.
pub const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";
/// Same as [`HF_HUB_OFFLINE`], which hides it when set to anything.
pub const TRANSFORMERS_OFFLINE: &str = "TRANSFORMERS_OFFLINE";
/// True: never show progress bars. False: always show them. Unset: on a terminal.
pub const HF_HUB_DISABLE_PROGRESS_BARS: &str = "HF_HUB_DISABLE_PROGRESS_BARS";
/// Copy files into snapshots instead of linking them.
pub const HF_HUB_DISABLE_SYMLINKS: &str = "HF_HUB_DISABLE_SYMLINKS";
/// Keep quiet about a file system without symbolic links.
pub const HF_HUB_DISABLE_SYMLINKS_WARNING: &str = "HF_HUB_DISABLE_SYMLINKS_WARNING";
/// Fetch files over HTTP even when they are in Xet storage.
pub const HF_HUB_DISABLE_XET: &str = "HF_HUB_DISABLE_XET";
/// Keep every content in its repository alone: the shared blob store is neither used nor filled.
pub const HF_HUB_DISABLE_SHARED_BLOBS: &str = "HF_HUB_DISABLE_SHARED_BLOBS";
/// Make the shared blob store in a cache that has none, and fill it.
pub const HF_HUB_ENABLE_SHARED_BLOBS: &str = "HF_HUB_ENABLE_SHARED_BLOBS";
/// Let Xet transfers use more memory and connections.
pub const HF_XET_HIGH_PERFORMANCE: &str = "HF_XET_HIGH_PERFORMANCE";
/// Folder of the Xet library; default `$HF_HOME/xet`. The library reads further `HF_XET_*` variables
/// by itself: they tune a transfer and change nothing about its result.
pub const HF_XET_CACHE: &str = "HF_XET_CACHE";
/// Seconds to wait for a connection, and for the answer to a HEAD request; default 10.
pub const HF_HUB_ETAG_TIMEOUT: &str = "HF_HUB_ETAG_TIMEOUT";
/// Seconds to wait for the Hub while downloading; default 10.
pub const HF_HUB_DOWNLOAD_TIMEOUT: &str = "HF_HUB_DOWNLOAD_TIMEOUT";
/// Text appended to the `user-agent` header, naming whoever embeds this tool.
pub const HF_HUB_USER_AGENT_ORIGIN: &str = "HF_HUB_USER_AGENT_ORIGIN";
/// Say on stderr what goes over the wire (never a token).
pub const HF_DEBUG: &str = "HF_DEBUG";

/// Not empty: no colour anywhere (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";
/// X display: somebody sits in front of this machine.
pub const DISPLAY: &str = "DISPLAY";
/// Wayland display: somebody sits in front of this machine.
pub const WAYLAND_DISPLAY: &str = "WAYLAND_DISPLAY";
/// The user's browser command; counts as a display.
pub const BROWSER: &str = "BROWSER";
/// Set in a login from another machine: a browser would open on the wrong screen.
pub const SSH_CONNECTION: &str = "SSH_CONNECTION";
/// Folders in which a shell looks for programs.
pub const PATH: &str = "PATH";
/// Do not count downloads by tool; honoured by sending nothing of the kind at all.
pub const HF_HUB_DISABLE_TELEMETRY: &str = "HF_HUB_DISABLE_TELEMETRY";
/// Width of tables, in columns; asked before the terminal.
pub const COLUMNS: &str = "COLUMNS";
/// Kind of terminal; `dumb` means no colour and no bars.
pub const TERM: &str = "TERM";
/// The user's login shell: which one completion is for when nothing is said.
pub const SHELL: &str = "SHELL";
/// Folder of zsh's own files, instead of the home folder.
pub const ZDOTDIR: &str = "ZDOTDIR";
/// Base folder of configuration files (XDG base directory specification); default `~/.config`.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// Set by a shell that asks for a completion: which shell, and how it wants the answer.
pub const HF_COMPLETE: &str = "_HF_COMPLETE";
/// The words of the command line to complete, in the form of the Python client's shell functions.
pub const COMP_WORDS: &str = "COMP_WORDS";
/// Which of them, counted from 0; in fish the word itself.
pub const COMP_CWORD: &str = "COMP_CWORD";
/// The command line to complete, in the form of older Python clients.
pub const TYPER_COMPLETE_ARGS: &str = "_TYPER_COMPLETE_ARGS";
/// What fish asks of an older Python client: `get-args` or `is-args`.
pub const TYPER_COMPLETE_FISH_ACTION: &str = "_TYPER_COMPLETE_FISH_ACTION";

/// PEM file of the certificate authorities to trust instead of the system's.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
/// Folders of such files, in the form that OpenSSL gives them.
pub const SSL_CERT_DIR: &str = "SSL_CERT_DIR";
/// PEM file of additional certificate authorities (name used by Python's requests).
pub const REQUESTS_CA_BUNDLE: &str = "REQUESTS_CA_BUNDLE";
/// PEM file of additional certificate authorities (name used by curl).
pub const CURL_CA_BUNDLE: &str = "CURL_CA_BUNDLE";

/// The proxy variables, in the spellings that are honoured.
pub const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// A snapshot of the environment, taken once at start.
///
/// It holds secrets, so it has no `Debug` that would show values.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
    current_dir: PathBuf,
    file: Option<EnvFile>,
}

/// Variables from the file of `--env-file`, below those of the environment.
#[derive(Clone)]
struct EnvFile {
    path: PathBuf,
    vars: BTreeMap<String, String>,
}

/// The file of `--env-file` cannot be used. Nothing of its content is repeated: it holds secrets.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// It cannot be read.
    #[error("cannot read the file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what a dotenv file should be.
    #[error("the file {} is no list of NAME=value lines", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Whether a value of a dotenv file may come to have more than `limit` bytes, when each line may hold
/// earlier values, or those of the environment (`longest` bytes), several times: some forty short
/// lines would otherwise fill any memory. Pure.
fn may_grow_beyond(text: &[u8], limit: u64, longest: u64) -> bool {
    let mut longest = longest;
    for line in text.split(|&byte| byte == b'\n') {
        let dollars = line.iter().filter(|&&byte| byte == b'$').count() as u64;
        let bound = dollars.saturating_mul(longest) + line.len() as u64;
        if dollars > 0 && bound > limit {
            return true;
        }
        longest = longest.max(bound);
    }
    false
}

impl Env {
    /// Takes the snapshot of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reader of the environment"
    )]
    pub fn from_process() -> Self {
        Env {
            vars: std::env::vars_os().collect(),
            home: dirs::home_dir(),
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            file: None,
        }
    }

    /// Adds the variables of a dotenv file below those of the environment: a variable that is set
    /// there stays as it is.
    ///
    /// # Errors
    /// [`EnvFileError`].
    pub fn with_file(mut self, path: &Path) -> Result<Self, EnvFileError> {
        let path = self.expand_home(path);
        let text =
            read_once(&path, LONGEST_FILE, PATIENCE).map_err(|source| EnvFileError::Read {
                path: path.clone(),
                source,
            })?;
        if may_grow_beyond(&text, LONGEST_FILE, self.longest_value()) {
            let source = io::Error::new(
                io::ErrorKind::InvalidData,
                "its values would be longer than 1 MiB",
            );
            return Err(EnvFileError::Read { path, source });
        }
        let mut vars = BTreeMap::new();
        for pair in dotenvy::from_read_iter(text.as_slice()) {
            let (name, value) = pair.map_err(|_| EnvFileError::Malformed { path: path.clone() })?;
            // The last line of a name counts, as in a shell.
            vars.insert(name, value);
        }
        self.file = Some(EnvFile { path, vars });
        Ok(self)
    }

    /// Bytes of the longest variable of the process.
    fn longest_value(&self) -> u64 {
        let lengths = self.vars.values().map(|value| value.len() as u64);
        lengths.max().unwrap_or(0)
    }

    /// The file of `--env-file`, when the value of this variable is from there.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        let file = self.file.as_ref()?;
        (self.real(name).is_none() && file.vars.contains_key(name)).then_some(file.path.as_path())
    }

    /// Variables of the file that have no effect, because the library that uses them reads the
    /// environment itself: the file of certificate authorities.
    pub fn ineffective_in_file(&self) -> Vec<&str> {
        const DIRECT: [&str; 2] = [SSL_CERT_FILE, SSL_CERT_DIR];
        let names = self.file.iter().flat_map(|file| file.vars.keys());
        names
            .filter(|name| {
                DIRECT
                    .iter()
                    .any(|direct| direct.eq_ignore_ascii_case(name))
            })
            .map(String::as_str)
            .collect()
    }

    fn real(&self, name: &str) -> Option<&OsStr> {
        self.vars
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// An environment for tests: these variables, this home folder, nothing else.
    pub fn from_pairs<'a>(
        home: impl Into<PathBuf>,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Env {
            vars: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            home: Some(home.into()),
            current_dir: PathBuf::from("/"),
            file: None,
        }
    }

    /// The value of a variable. An empty variable is an unset one (our decision,
    /// docs/reference.md#environment).
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        let in_file = || Some(OsStr::new(self.file.as_ref()?.vars.get(name)?));
        self.real(name)
            .or_else(in_file)
            .filter(|value| !value.is_empty())
    }

    /// Names of the variables that are set and begin like this, sorted.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let real = self.vars.keys().filter_map(|name| name.to_str());
        let in_file = self.file.iter().flat_map(|file| file.vars.keys());
        let mut names: Vec<String> = real
            .chain(in_file.map(String::as_str))
            .filter(|name| name.starts_with(prefix) && self.get_os(name).is_some())
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Like [`Env::get_os`], for variables that hold text. A value that is not UTF-8 is lossy.
    pub fn get(&self, name: &str) -> Option<String> {
        self.get_os(name)
            .map(|value| value.to_string_lossy().into_owned())
    }

    /// Whether a variable holds one of `1`, `ON`, `YES`, `TRUE` in any case.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| is_true(&value))
    }

    /// `Some(true)` or `Some(false)` when the variable is set, `None` when it is not.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| is_true(&value))
    }

    /// The user's home folder, when there is one.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The folder the process was started in.
    pub fn current_dir(&self) -> &Path {
        &self.current_dir
    }

    /// A path with a leading `~` replaced by the home folder, made absolute.
    pub fn expand_home(&self, path: &Path) -> PathBuf {
        let expanded = match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.clone(),
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_path_buf(),
        };
        self.current_dir.join(expanded)
    }

    /// A path with `~`, `$NAME` and `${NAME}` replaced as Python's `expanduser` and `expandvars`
    /// do (unknown names stay as they are), made absolute.
    pub fn expand_path(&self, path: &OsStr) -> PathBuf {
        let with_home = match Path::new(path).strip_prefix("~") {
            Ok(_) => self.expand_home(Path::new(path)).into_os_string(),
            Err(_) => path.to_os_string(),
        };
        match with_home.to_str() {
            Some(text) => self.current_dir.join(self.expand_vars(text)),
            None => self.current_dir.join(with_home),
        }
    }

    fn expand_vars(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, used) = match after.strip_prefix('{').and_then(|s| s.split_once('}')) {
                Some((name, _)) => (name, name.len() + 2),
                None => {
                    let len = after
                        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .unwrap_or(after.len());
                    (&after[..len], len)
                }
            };
            match self.vars.get(OsStr::new(name)) {
                Some(value) if !name.is_empty() => out.push_str(&value.to_string_lossy()),
                _ => out.push_str(&rest[at..at + 1 + used]),
            }
            rest = &after[used..];
        }
        out.push_str(rest);
        out
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Env({} variables)", self.vars.len())
    }
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::Strategy as _;

    use super::*;

    #[test]
    fn values_that_multiply_are_refused() {
        let chain = |times: usize, lines: usize| {
            let mut text = "V0=0123456789\n".to_owned();
            for line in 1..=lines {
                let value = format!("${{V{}}}", line - 1).repeat(times);
                text.push_str(&format!("V{line}={value}\n"));
            }
            text
        };
        for (text, expected) in [
            (chain(1, 1000), false),
            (chain(2, 5), false),
            (chain(2, 40), true),
            (chain(9, 9), true),
            (String::new(), false),
        ] {
            assert_eq!(
                may_grow_beyond(text.as_bytes(), 1 << 20, 100),
                expected,
                "{text}"
            );
        }
    }

    fn env() -> Env {
        Env::from_pairs(
            "/home/u",
            [("A", "x"), ("EMPTY", ""), ("YES", "yes"), ("NO", "0")],
        )
    }

    #[test]
    fn empty_is_unset() {
        assert_eq!(env().get("EMPTY"), None);
        assert_eq!(env().switch("EMPTY"), None);
        assert_eq!(env().switch("NO"), Some(false));
        assert!(env().is_true("YES"));
    }

    #[test]
    fn paths_expand_like_python() {
        for (input, expected) in [
            ("~/a", "/home/u/a"),
            ("~", "/home/u"),
            ("$A/b", "/x/b"),
            ("/p/${A}y/$B/$", "/p/xy/$B/$"),
            ("rel", "/rel"),
            ("/é/$A", "/é/x"),
            ("~other/a", "/~other/a"),
            ("/${A", "/${A"),
        ] {
            assert_eq!(
                env().expand_path(OsStr::new(input)),
                Path::new(expected),
                "{input}"
            );
        }
    }

    #[test]
    fn a_file_lies_below_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.env");
        std::fs::write(
            &path,
            "# c\nA=file\nEMPTY='from file'\nexport NEW=\"a b\" # c\nNEW2=1\nNEW2=2\nSSL_CERT_FILE=x\n",
        )
        .unwrap();
        let env = env().with_file(&path).unwrap();
        for (name, value, from_file) in [
            ("A", Some("x"), false),
            ("EMPTY", Some("from file"), true),
            ("NEW", Some("a b"), true),
            ("NEW2", Some("2"), true),
            ("NONE", None, false),
        ] {
            assert_eq!(env.get(name).as_deref(), value, "{name}");
            assert_eq!(env.file_of(name).is_some(), from_file, "{name}");
        }
        assert_eq!(env.ineffective_in_file(), ["SSL_CERT_FILE"]);
        std::fs::write(&path, "HF_TOKEN hf_secret\n").unwrap();
        let error = env.clone().with_file(&path).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
        assert!(env.with_file(&folder.path().join("none")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_file_of_variables_is_read_or_refused(
            bytes in proptest::prop_oneof![
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
                "((export )?[A-Z_]{0,4}[ =:]?[\"'$\\\\{}#a-z \n]{0,12}\n?){0,8}".prop_map(String::into_bytes),
            ],
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            if let Ok(env) = env().with_file(file.path()) {
                let names = env.names("");
                proptest::prop_assert!(names.iter().all(|name| env.get(name).is_some()));
            }
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let env = Env::from_pairs("/", [("HF_TOKEN", "hf_secret")]);
        assert!(!format!("{env:?}").contains("secret"));
    }
}
