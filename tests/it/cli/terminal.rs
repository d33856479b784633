//! Nothing that a server, a name on disk, a variable or a word of the command line says reaches a terminal as more than
//! text: no control sequence, no carriage return, nothing invisible, nothing that turns the direction of writing.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use serde_json::json;

use crate::harness::TestEnv;
use crate::harness::hub::{Hub, Repo};

/// Sets the clipboard, clears the screen, goes back to the start of the line, hides and turns text around.
const TRICK: &str =
    "x\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{1b}[8m\r\u{9b}2J\u{202e}\u{200e}\u{200b}\u{2066}y";
/// The same for places that hold no control characters at all.
const BIDI: &str = "x\u{202e}\u{200e}\u{200b}\u{2066}y";

/// A server that gives every request this answer.
fn server(status: u16, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = body.clone();
            std::thread::spawn(move || answer(stream, status, &body));
        }
    });
    address
}

fn answer(stream: TcpStream, status: u16, body: &str) {
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length) = (String::new(), 0);
    while matches!(reader.read_line(&mut line), Ok(1..)) && line != "\r\n" {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut request = vec![0; length];
    // A client that disconnects early needs no answer.
    let _ = reader.read_exact(&mut request);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = (&stream).write_all(&[head.as_bytes(), body.as_bytes()].concat());
}

/// Fails when something shown is more than text: what is left after line ends and colours.
#[track_caller]
fn is_harmless(shown: &str, what: &dyn std::fmt::Debug) {
    let mut text = shown.replace("\r\n", "\n");
    for style in ["0", "1", "4", "7", "31", "32", "33", "36", "90"] {
        text = text.replace(&format!("\u{1b}[{style}m"), "");
    }
    let is_bad = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(at) = text.find(is_bad) {
        panic!("{what:?}: {:?} in {text:?}", text[at..].chars().next());
    }
}

/// Runs a command on a terminal, where it has to stay harmless; answers what the terminal got.
#[track_caller]
fn shown(env: &TestEnv, arguments: &[&str]) -> String {
    // Bars move the cursor by themselves; what they say is numbers.
    let run = env.hf(arguments).var("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    let mut terminal = run.terminal(40, 300);
    terminal.exit_code();
    let shown = terminal.transcript();
    is_harmless(&shown, &arguments);
    assert!(!shown.contains("panicked"), "{arguments:?}: {shown}");
    shown
}

/// What makes the trick visible.
#[track_caller]
fn names_it(shown: &str, what: &str) {
    assert!(shown.contains("\\u202e"), "{what}: {shown}");
}

#[test]
fn what_a_server_says() {
    let account = json!({"name": TRICK, "orgs": [{"name": TRICK}],
        "auth": {"accessToken": {"displayName": TRICK, "role": TRICK}}});
    let error = json!({"error": TRICK, "error_description": TRICK, "message": TRICK});
    let row = json!([{"type": "file", "path": TRICK, "size": 1, "oid": "no hash"}]);
    for (status, body, arguments) in [
        (200, &account, &["auth", "whoami"][..]),
        (200, &account, &["auth", "status"]),
        (
            200,
            &account,
            &["auth", "login", "--token", "hf_other_token_00", "--force"],
        ),
        (401, &error, &["auth", "whoami"]),
        (403, &error, &["auth", "whoami"]),
        (400, &error, &["auth", "status"]),
        (400, &error, &["download", "org/name"]),
        (403, &error, &["download", "org/name"]),
        (403, &error, &["download", "org/name", "f"]),
        (400, &error, &["cache", "verify", "org/name"]),
        (
            200,
            &row,
            &["download", "org/name", "--revision", &"c".repeat(40)],
        ),
    ] {
        let mut env = TestEnv::new();
        env.set("HF_ENDPOINT", server(status, body.to_string()))
            .set("HF_TOKEN", "hf_some_token_0000");
        shown(&env, arguments);
    }
    // The exchange of a job's identity.
    let mut env = TestEnv::new();
    env.set("HF_ENDPOINT", server(400, error.to_string()))
        .set("HF_OIDC_RESOURCE", "models/org/name")
        .set("HF_OIDC_ID_TOKEN", "identity");
    names_it(&shown(&env, &["auth", "whoami"]), "identity");
    // And its words where the legacy name shows them.
    let mut env = TestEnv::new();
    env.set("HF_ENDPOINT", server(200, account.to_string()))
        .set("HF_TOKEN", "hf_some_token_0000");
    names_it(&shown(&env, &["auth", "whoami"]), "account");
}

/// Runs a login in the browser on a terminal, to its failure or until it waits.
#[track_caller]
fn shown_by_login(env: &TestEnv, waits: bool) -> String {
    let run = env.hf(["auth", "login"]);
    let mut terminal = run
        .var("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .terminal(40, 300);
    terminal.expect("Number [1]:");
    terminal.send_line("1");
    if waits {
        terminal.expect("Waiting for your confirmation");
        terminal.send("\u{3}");
    }
    assert_eq!(terminal.exit_code(), if waits { 130 } else { 1 });
    // The line that waits is drawn again and again.
    let text = terminal.transcript().replace("\r\n", "\n");
    text.split("\n\r").next().unwrap_or_default().to_owned()
}

#[test]
fn what_the_routes_of_a_login_say() {
    // An error's code has no blanks; a sentence in its place is shown in another way.
    let code = TRICK.replace('\r', "");
    let refusal = json!({"error": code, "error_description": TRICK});
    let device = json!({"device_code": "d", "user_code": TRICK, "interval": 60, "expires_in": 600,
        "verification_uri": "https://hub.test/\u{202e}\u{1b}[2J"});
    for (status, body) in [
        (400, refusal.clone()),
        (400, json!({"error": TRICK, "error_description": TRICK})),
        (500, refusal.clone()),
        (200, device),
    ] {
        let mut env = TestEnv::new();
        env.set("HF_ENDPOINT", server(status, body.to_string()));
        let shown = shown_by_login(&env, status == 200);
        is_harmless(&shown, &body);
        names_it(&shown, "login");
    }
    // A renewal that the Hub refuses.
    let mut env = TestEnv::new();
    let endpoint = server(400, refusal.to_string());
    env.set("HF_ENDPOINT", &endpoint);
    let stored = format!(
        "[{BIDI}]\nhf_token = hf_some_token_0000\nrefresh_token = r\nexpires_at = 1\nendpoint = {endpoint}\n"
    );
    std::fs::write(env.hf_home().join("token"), "hf_some_token_0000").expect("token");
    std::fs::write(env.hf_home().join("stored_tokens"), stored).expect("stored tokens");
    names_it(&shown(&env, &["auth", "token"]), "renewal");
}

#[test]
fn what_lies_on_the_disk() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("f", "f"));
    let mut env = TestEnv::for_hub(&hub);
    let folder = env.path(TRICK);
    std::fs::create_dir(&folder).expect("folder");
    let token = folder.join("token");
    std::fs::write(&token, "hf_unknown_token_0").expect("token");
    let name = TRICK.replace('\r', "");
    let stored = format!("[{name}]\nhf_token = hf_unknown_token_0\n\n[{BIDI}]\nhf_token = hf_b\n");
    std::fs::write(folder.join("stored_tokens"), stored).expect("stored tokens");
    env.set("HF_TOKEN_PATH", &token);
    for arguments in [
        &["auth", "status"][..],
        &["auth", "list"],
        &["auth", "whoami"],
    ] {
        names_it(&shown(&env, arguments), &format!("{arguments:?}"));
    }
    for arguments in [
        &["auth", "switch", "--token-name", &name][..],
        &["auth", "switch", "--token-name", "none"],
        &["auth", "logout", "--token-name", BIDI],
        &["auth", "logout"],
        &["env"],
    ] {
        shown(&env, arguments);
    }
    // A cache, its repositories and files.
    let mut env = TestEnv::for_hub(&hub);
    let cache = env.path(TRICK);
    env.set("HF_HUB_CACHE", &cache);
    names_it(&shown(&env, &["download", "org/name"]), "the path");
    names_it(&shown(&env, &["download", "org/name", "f"]), "a path");
    names_it(
        &shown(&env, &["download", "org/name", "--format", "agent"]),
        "agent",
    );
    names_it(&shown(&env, &["download", "org/name", "-q"]), "quiet");
    for place in [
        "",
        "models--org--name",
        "models--org--name/blobs",
        "models--org--name/refs",
    ] {
        std::fs::write(cache.join(place).join(TRICK), "x").expect("file");
    }
    std::fs::create_dir(cache.join(format!("models--org--{BIDI}"))).expect("folder");
    for arguments in [
        &["cache", "ls", "--show-warnings"][..],
        &["cache", "ls", "--revisions"],
        &["cache", "scan", "-vvv"],
        &["cache", "doctor"],
        &["cache", "verify", "org/name", "--offline"],
        &["cache", "prune", "--dry-run"],
        &["cache", "rm", "model/org/name", "--dry-run"],
    ] {
        shown(&env, arguments);
    }
    // Somewhere no file can be.
    std::fs::write(env.path("file"), "").expect("file");
    env.set("HF_HUB_CACHE", env.path("file").join(TRICK));
    names_it(&shown(&env, &["download", "org/name"]), "no folder");
}

#[test]
fn what_the_command_line_and_the_variables_say() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("f", "f"));
    let env = TestEnv::for_hub(&hub);
    for arguments in [
        &[TRICK][..],
        &["auth", TRICK],
        &["--format", TRICK, "version"],
        &["download", "org/name", "--repo-type", TRICK],
        &["download", "org/name", "--max-workers", TRICK],
        &["download", TRICK],
        &["download", "org/name", TRICK],
        &["download", "org/name", "f", TRICK],
        &["download", "org/name", "--revision", TRICK],
        &["download", "org/name", "--include", TRICK],
        &[
            "download",
            "org/name",
            "--local-dir",
            "/proc/none/\u{202e}\u{1b}",
        ],
        &["cache", "ls", "--cache-dir", TRICK],
        &["cache", "ls", "--filter", TRICK],
        &["cache", "ls", "--sort", TRICK],
        &["cache", "scan", "--dir", TRICK],
        &["cache", "rm", TRICK],
        &["cache", "verify", TRICK],
        &["auth", "logout", "--token-name", TRICK],
        &["--env-file", TRICK, "version"],
        &["completions", TRICK],
    ] {
        shown(&env, arguments);
    }
    let long = format!("--{TRICK}");
    shown(&env, &["download", &long]);
    shown(&env, &["download", "org/name", &format!("--token={TRICK}")]);
    for variable in [
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_XET_CACHE",
        "HF_TOKEN_STORAGE",
        "HF_OIDC_RESOURCE",
        "HF_HUB_USER_AGENT_ORIGIN",
        "SSL_CERT_FILE",
    ] {
        let mut env = TestEnv::for_hub(&hub);
        env.set(variable, TRICK).set("HF_DEBUG", "1");
        for arguments in [&["env"][..], &["auth", "status"], &["download", "org/name"]] {
            shown(&env, arguments);
        }
    }
}

#[test]
fn in_a_pipe_a_path_is_its_bytes() {
    let hub = Hub::start();
    hub.add(Repo::model("org/name").file("f", "f"));
    let mut env = TestEnv::for_hub(&hub);
    let name = OsString::from_vec(b"old \xfc\xdf \xe2\x80\xae\x1b[2J".to_vec());
    let cache = env.path("").join(&name);
    env.set("HF_HUB_CACHE", &cache);
    let script = "P=$(\"$HF\" download org/name $A) && test -e \"$P\" && test -e \"${P%/f}/f\"";
    for arguments in ["", "f", "-q", "f -q"] {
        let run = env.program("sh", ["-c", script]).var("A", arguments);
        let output = run.var("HF", env!("CARGO_BIN_EXE_hf")).run();
        assert_eq!(output.code, Some(0), "{arguments}: {output}");
    }
    // JSON as Python writes it: its `os.fsencode` gives the bytes back.
    let output = env.run(["download", "org/name", "--json"]).ok();
    let escaped = "/old \\udcfc\\udcdf \\u202e\\u001b[2J/models--org--name/snapshots/";
    assert!(output.stdout().contains(escaped), "{output}");
    assert!(Path::new(&cache).as_os_str().as_bytes().ends_with(b"[2J"));
}
