//! Modes, damage, links, names, many writers.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::auth::issuer::Issuer;
use crate::auth::stored::{fingerprint, section_name};
use crate::config::env::Env;

struct Home {
    folder: tempfile::TempDir,
    store: TokenStore,
}

fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hf");
    let env = Env::from_pairs(folder.path(), [("HF_HOME", path.to_str().unwrap())]);
    let store = TokenStore::new(&Settings::resolve(&env).unwrap());
    Home { folder, store }
}

fn token(text: &str) -> Token {
    Token::clean(text).unwrap().unwrap()
}

fn entry(name: &str, text: &str) -> StoredToken {
    StoredToken {
        name: name.to_owned(),
        token: Some(token(text)),
        refresh_token: None,
        expires_at: None,
        issuer: Issuer::default(),
        replaced: None,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

impl Home {
    fn login(&self, name: &str, text: &str) {
        let lock = self.store.lock().unwrap();
        self.store.save(&entry(name, text), &lock).unwrap();
        self.store.activate(&token(text), &lock).unwrap();
    }

    fn put(&self, stored: &str) {
        fs::create_dir_all(self.store.stored_path.parent().unwrap()).unwrap();
        fs::write(&self.store.stored_path, stored).unwrap();
    }

    fn stored(&self) -> String {
        fs::read_to_string(&self.store.stored_path).unwrap()
    }
}

#[test]
fn files_are_closed_to_others_even_when_found_open() {
    let home = home();
    home.put("[old]\nhf_token = hf_old\n\n");
    fs::write(&home.store.token_path, "hf_old").unwrap();
    for path in [&home.store.token_path, &home.store.stored_path] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    home.login("new", "hf_new");
    assert_eq!(mode(&home.store.token_path), 0o600);
    assert_eq!(mode(&home.store.stored_path), 0o600);
    assert_eq!(
        home.stored(),
        "[new]\nhf_token = hf_new\n\n[old]\nhf_token = hf_old\n\n"
    );
    assert_eq!(
        fs::read_to_string(&home.store.token_path).unwrap(),
        "hf_new"
    );
}

#[test]
fn a_folder_that_is_there_keeps_its_mode_and_one_that_we_make_is_closed() {
    for there in [Some(0o2775), Some(0o1777), Some(0o755), Some(0o700), None] {
        let home = home();
        let folder = home.store.stored_path.parent().unwrap();
        if let Some(bits) = there {
            fs::create_dir_all(folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(bits)).unwrap();
        }
        home.login("a", "hf_a");
        home.login("b", "hf_b");
        assert_eq!(mode(folder), there.unwrap_or(0o700), "{there:?}");
        assert_eq!(mode(&home.store.token_path), 0o600);
        assert_eq!(mode(&home.store.stored_path), 0o600);
    }
}

#[test]
fn the_hub_of_a_login_is_kept() {
    let home = home();
    home.put(
        "[public]\nhf_token = hf_p\n\n[mirror]\nhf_token = hf_m\nendpoint = https://mirror.test/\n",
    );
    let issuer = |name: &str| home.store.get(name).unwrap().unwrap().issuer;
    assert_eq!(issuer("public"), Issuer::default());
    assert_eq!(issuer("mirror").to_string(), "https://mirror.test");
    let mut new = entry("new", "hf_n");
    new.issuer = Issuer::stored(Some("http://hub.test:8080"));
    new.replaced = Some(fingerprint(&token("hf_old")));
    let lock = home.store.lock().unwrap();
    home.store.save(&new, &lock).unwrap();
    assert_eq!(home.store.get("new").unwrap(), Some(new.clone()));
    assert!(new.replaces(&token("hf_old")) && !new.replaces(&token("hf_n")));
    assert!(home.stored().contains("endpoint = http://hub.test:8080\n"));
    assert!(home.stored().contains("endpoint = https://mirror.test/\n"));
}

#[test]
fn any_number_is_a_time() {
    for (text, expected) in [
        ("1790000000", Some(1_790_000_000)),
        (" 1790000000.75 ", Some(1_790_000_000)),
        ("-5", Some(-5)),
        ("-0.5", Some(0)),
        ("1e30", Some(i64::MAX)),
        ("-1e30", Some(i64::MIN)),
        ("99999999999999999999999", Some(i64::MAX)),
        ("inf", Some(i64::MAX)),
        ("nan", None),
        ("soon", None),
        ("", None),
    ] {
        let home = home();
        home.put(&format!("[a]\nhf_token = hf_a\nexpires_at = {text}\n"));
        let entry = home.store.get("a").unwrap().unwrap();
        assert_eq!(entry.expires_at, expected, "{text:?}");
    }
}

#[test]
fn a_damaged_file_is_reported_and_kept() {
    for (damaged, line) in [
        ("[a]\nhf_token = x\n[a]\n", "line 3"),
        ("half a li", "line 1"),
        ("[a]\nhf_token\n", "line 2"),
    ] {
        let home = home();
        home.put(damaged);
        let lock = home.store.lock().unwrap();
        for error in [
            home.store.list().unwrap_err(),
            home.store.save(&entry("n", "hf_n"), &lock).unwrap_err(),
            home.store.logout("a", &lock).unwrap_err(),
        ] {
            assert!(matches!(error, AuthError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(line), "{error}");
        }
        assert_eq!(home.stored(), damaged);
    }
    let home = home();
    home.put("");
    fs::write(&home.store.stored_path, b"[a]\nhf_token = \xff\n").unwrap();
    assert!(matches!(home.store.list(), Err(AuthError::Damaged { .. })));
}

#[test]
fn a_linked_token_file_is_written_through() {
    let home = home();
    let elsewhere = home.folder.path().join("secrets/hf");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::create_dir_all(home.store.token_path.parent().unwrap()).unwrap();
    // The link may lead nowhere yet, and be relative.
    symlink("../secrets/hf", &home.store.token_path).unwrap();
    home.login("a", "hf_a");
    home.login("b", "hf_b");
    assert!(home.store.token_path.is_symlink());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "hf_b");
    assert_eq!(mode(&elsewhere), 0o600);
    let lock = home.store.lock().unwrap();
    let done = home.store.logout_all(&lock).unwrap();
    assert!(!home.store.token_path.is_symlink());
    assert_eq!(
        done.left_behind,
        Some(fs::canonicalize(&elsewhere).unwrap())
    );
    assert!(
        elsewhere.exists(),
        "what the link led to is not ours to delete"
    );
}

#[test]
fn logging_out_by_name() {
    let home = home();
    home.login("a", "hf_a");
    home.login("b", "hf_b");
    let lock = home.store.lock().unwrap();
    assert_eq!(
        home.store.logout("zzz", &lock).unwrap(),
        LoggedOut::default()
    );
    let done = home.store.logout("a", &lock).unwrap();
    assert!(done.found && !done.active_removed);
    assert_eq!(home.stored(), "[b]\nhf_token = hf_b\n\n");
    let done = home.store.logout("b", &lock).unwrap();
    assert!(done.found && done.active_removed);
    assert!(!home.store.token_path.exists());
    assert_eq!(home.stored(), "");
    assert!(home.store.logout_all(&lock).unwrap().found);
    assert!(!home.store.logout_all(&lock).unwrap().found);
}

#[test]
fn saving_replaces_the_section_whole_and_keeps_the_others() {
    let home = home();
    home.put("# mine\n[b]\nHF_TOKEN : hf_b\nexpires_at = 12\nrefresh_token = r\nown = 1\n[a]\nhf_token = hf_a\nexpires_at = 1\n");
    home.login("a", "hf_a2");
    assert_eq!(
        home.stored(),
        "[a]\nhf_token = hf_a2\n\n[b]\nhf_token = hf_b\nexpires_at = 12\nrefresh_token = r\nown = 1\n\n"
    );
    let b = home.store.get("b").unwrap().unwrap();
    assert_eq!(b.expires_at, Some(12));
    assert_eq!(b.refresh_token, Some(token("r")));
}

#[test]
fn names_that_configparser_cannot_store() {
    for (wanted, stored) in [
        ("my laptop", "my laptop"),
        ("a]b [c", "a]b [c"),
        ("DEFAULT", "DEFAULT-token"),
        (" \n ", "token"),
        ("a\nb\t", "a b"),
        ("é:%=", "é:%="),
    ] {
        assert_eq!(section_name(wanted), stored, "{wanted:?}");
    }
}

#[test]
fn many_writers_lose_nothing() {
    let home = home();
    std::thread::scope(|scope| {
        for index in 0..8 {
            let home = &home;
            scope.spawn(move || home.login(&format!("n{index}"), &format!("hf_{index}")));
        }
    });
    assert_eq!(home.store.list().unwrap().len(), 8);
}
