use super::*;
use crate::auth::stored::fingerprint;

/// Resolves with these variables and this token file; returns `token@source`.
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
    match plan(option, &env, &settings, 0) {
        Ok(Step::Use(found)) => {
            let source = match found.source {
                TokenSource::File(_) => "file".to_owned(),
                other => other.to_string(),
            };
            format!("{}@{source}", found.token.expose())
        }
        Ok(Step::Nothing) => "none".to_owned(),
        Ok(other) => format!("{other:?}"),
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
    let download = |option| plan_for_download(option, &env, &settings, 0).unwrap();
    assert!(matches!(download(None), Step::Nothing));
    assert!(matches!(download(Some("hf_o")), Step::Use(_)));
    assert!(matches!(
        plan(None, &env, &settings, 0).unwrap(),
        Step::Use(_)
    ));
}

#[test]
fn a_token_file_that_cannot_be_read_is_no_absent_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("token");
    assert!(matches!(from_file(&path), Ok(None)), "it is not there");
    std::fs::create_dir(&path).unwrap();
    let error = from_file(&path).unwrap_err();
    assert!(error.to_string().contains("token"), "{error}");
    let hf_home = home.path().to_str().unwrap();
    let env = Env::from_pairs("/nowhere", [("HF_HOME", hf_home)]);
    let settings = Settings::resolve(&env).unwrap();
    assert!(matches!(
        plan(None, &env, &settings, 0),
        Err(AuthError::Fs(_))
    ));
}

#[test]
fn what_needs_the_hub_or_the_keyring() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let planned = |vars: &[(&str, &str)], now| {
        let hf_home = home.path().to_str().unwrap().to_owned();
        let vars = vars.iter().copied().chain([("HF_HOME", hf_home.as_str())]);
        let env = Env::from_pairs("/nowhere", vars);
        plan(None, &env, &Settings::resolve(&env).unwrap(), now)
    };
    let oidc = [("HF_OIDC_RESOURCE", "a/b"), ("HF_OIDC_ID_TOKEN", "e.y")];
    assert!(matches!(planned(&oidc, 0), Ok(Step::Exchange(_))));
    assert!(matches!(
        planned(&[oidc[0], ("HF_TOKEN", "hf_a")], 0),
        Err(AuthError::Oidc(_))
    ));
    std::fs::write(path("keyring_tokens"), r#"{"active": "k", "names": ["k"]}"#).unwrap();
    assert!(matches!(planned(&[], 0), Ok(Step::AskKeyring(name)) if name == "k"));
    std::fs::write(path("token"), "hf_f").unwrap();
    assert!(
        matches!(planned(&[], 0), Ok(Step::Use(_))),
        "the file wins over the keyring"
    );
    let stored = "[x]\nhf_token = hf_f\nrefresh_token = r\nexpires_at = 100000\n\n";
    std::fs::write(path("stored_tokens"), stored).unwrap();
    let early = 100_000 - 24 * 3600 - 1;
    assert!(matches!(planned(&[], early), Ok(Step::Use(_))));
    assert!(matches!(planned(&[], early + 1), Ok(Step::Renew(_, name)) if name == "x"));
    assert!(matches!(
        planned(&[("HF_TOKEN", "hf_f")], early + 1),
        Ok(Step::Use(_))
    ));
    let mirror = [("HF_ENDPOINT", "https://mirror.test")];
    assert!(
        matches!(planned(&mirror, early + 1), Ok(Step::Use(found)) if found.waits_for_issuer),
        "it is renewed where it is from and nowhere else"
    );
    assert!(
        matches!(planned(&mirror, early), Ok(Step::Use(found)) if !found.waits_for_issuer && found.issuer == Some(Issuer::default()))
    );
    let replaced = fingerprint(&Token::clean("hf_f").unwrap().unwrap());
    let stored = format!("[x]\nhf_token = hf_new\nreplaced_token = {replaced}\n");
    std::fs::write(path("stored_tokens"), stored).unwrap();
    assert!(
        matches!(planned(&[], 0), Ok(Step::Finish(found, name)) if name == "x" && found.token.expose() == "hf_new")
    );
    std::fs::write(path("stored_tokens"), "[y]\nhf_token = hf_y\n").unwrap();
    assert!(matches!(planned(&[], 0), Ok(Step::Use(found)) if found.issuer.is_none()));
    std::fs::write(path("stored_tokens"), "damaged").unwrap();
    assert!(matches!(planned(&[], 0), Ok(Step::Use(_))));
}
