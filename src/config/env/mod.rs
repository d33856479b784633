//! The process environment, read once.
//!
//! This is the only module that reads the environment. Everything else is given an [`Env`], so a
//! command behaves the same in a test as in a shell, and no two modules can disagree on a value.

mod dotenv;
mod variables;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use self::dotenv::EnvFile;
pub use self::dotenv::EnvFileError;
pub use self::variables::*;

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

impl Env {
    /// Takes the snapshot of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reader of the environment"
    )]
    pub fn from_process() -> Self {
        let vars: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        // The Python client takes the variable on Windows; a service may have changed it.
        let profile = vars
            .get(OsStr::new("USERPROFILE"))
            .filter(|_| cfg!(windows));
        Env {
            home: profile.map(PathBuf::from).or_else(dirs::home_dir),
            vars,
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
        self.file = Some(EnvFile::read(self.expand_home(path), self.longest_value())?);
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

    /// An environment of these variables and nothing else, with the home and current folder of this
    /// process.
    pub fn isolated(vars: impl IntoIterator<Item = (&'static str, OsString)>) -> Self {
        let process = Env::from_process();
        Env {
            vars: vars
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            ..process
        }
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
