//! Logging in on a terminal: the menu, the hidden prompt, the browser, Ctrl-C.

use std::fs;

use crate::auth::git::with_git;
use crate::auth::login::{LAPTOP, SERVER, hub, login, read};
use crate::harness::hub::{Fault, Hub};
use crate::harness::oracle::installed;
use crate::harness::{Terminal, TestEnv};

/// A git configuration with a credential helper.
const HELPER: &str = "[credential]\n\thelper = store\n";

fn start(env: &TestEnv, args: &[&str]) -> Terminal {
    env.hf(args).terminal(40, 120)
}

/// Waits for a question, and for the terminal to hide the answer where that is a secret.
fn asked(terminal: &Terminal, question: &str) {
    if question.starts_with("Token (not shown") {
        terminal.expect_hidden(question);
    } else {
        terminal.expect(question);
    }
}

/// A shell that runs `hf auth login` and then prints its exit code and whether the terminal echoes.
fn in_a_shell(env: &TestEnv) -> Terminal {
    let script = format!(
        "{} auth login; echo code=$?; case \"$(stty -a)\" in *' -echo '*) ;; *) echo echoes;; esac",
        env!("CARGO_BIN_EXE_hf")
    );
    env.program("sh", ["-c", &script]).terminal(40, 120)
}

#[test]
fn a_pasted_token_is_hidden_and_cleaned() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("How do you want to log in?");
    terminal.send_line("2");
    terminal.expect_hidden("Token (not shown while you type):");
    // A wrong one, an empty line, then the right one with text that is often copied with it.
    terminal.send_line("hf_a b");
    terminal.expect("blanks in the middle");
    terminal.send_line("");
    terminal.expect("There is no token");
    terminal.send_line(&format!("\"Bearer {LAPTOP}\""));
    terminal.expect("Removed from the token: quotes, the word Bearer.");
    terminal.expect("The token is valid (permission: write).");
    terminal.expect(match installed(["git"]) {
        Some(()) => "No git credential helper is set up",
        None => "git is not installed here",
    });
    terminal.expect("Logged in as alice.");
    assert_eq!(terminal.exit_code(), 0);
    let said = terminal.transcript();
    assert!(!said.contains(&LAPTOP[3..]), "{said}");
    assert!(
        !said.contains("(Y/n)"),
        "its answer would change nothing: {said}"
    );
    assert_eq!(read(&env, "token"), LAPTOP);
}

/// The user may type as soon as the question shows: nothing of it may be echoed.
#[test]
fn the_input_is_hidden_before_the_question_shows() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("Number [1]:");
    terminal.send_line("2");
    for round in 1..=6 {
        // Without a pause, to see the state at the moment of the question.
        let questions = || terminal.transcript().matches("Token (not shown").count();
        let start = std::time::Instant::now();
        while questions() < round {
            assert!(start.elapsed().as_secs() < 60, "{}", terminal.screen());
            std::thread::yield_now();
        }
        assert!(!terminal.echoes(), "round {round}");
        match round {
            6 => terminal.send("\u{3}"),
            _ => terminal.send_line("hf_a b"),
        }
    }
    assert_eq!(terminal.exit_code(), 130);
    let said = terminal.transcript();
    assert!(!said.contains("hf_a b"), "{said}");
}

#[test]
fn further_lines_of_a_paste_answer_no_question() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let Some(()) = with_git(&env, HELPER) else {
        return;
    };
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("Number [1]:");
    terminal.send_line("2");
    terminal.expect_hidden("Token (not shown");
    terminal.send(&format!("{LAPTOP}\r\ry\r"));
    terminal.expect("Add token as git credential? (Y/n)");
    terminal.send_line("n");
    terminal.expect("Logged in as alice.");
    assert_eq!(terminal.exit_code(), 0);
    assert!(!env.home().join(".git-credentials").exists());
}

#[test]
fn ctrl_c_ends_every_step_and_restores_the_terminal() {
    let hub = hub();
    hub.device_login("alice", &["authorization_pending"; 100], 0);
    let env = TestEnv::for_hub(&hub);
    let Some(()) = with_git(&env, HELPER) else {
        return;
    };
    type Steps = &'static [(&'static str, &'static str)];
    let pasted: Steps = &[("Number [1]:", "2"), ("Token (not shown", LAPTOP)];
    let cases: [(Steps, &str); 4] = [
        (&[], "Number [1]:"),
        (&[("Number [1]:", "2")], "Token (not shown"),
        (pasted, "git credential? (Y/n)"),
        (&[("Number [1]:", "1")], "Waiting for your confirmation"),
    ];
    for (steps, last) in cases {
        let mut terminal = in_a_shell(&env);
        for (shown, answer) in steps {
            asked(&terminal, shown);
            terminal.send_line(answer);
        }
        asked(&terminal, last);
        terminal.send("\u{3}");
        // The shell is interrupted as well, unless the program took the key itself; what counts is
        // that nothing is left hidden.
        if last.starts_with("Token") {
            terminal.expect("code=130");
            terminal.expect("echoes");
        }
        terminal.exit_code();
        assert_eq!(read(&env, "token"), "", "{last}");
    }
}

#[test]
fn sigterm_at_a_hidden_prompt_restores_the_terminal() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("Number [1]:");
    assert!(terminal.echoes());
    terminal.send_line("2");
    terminal.expect_hidden("Token (not shown");
    terminal.terminate();
    assert_eq!(terminal.exit_code(), 128 + 15);
    assert!(terminal.echoes());
}

#[test]
fn interrupted_programs_end_with_130() {
    let hub = hub();
    hub.device_login("alice", &["authorization_pending"; 100], 0);
    let env = TestEnv::for_hub(&hub);
    for (answers, last) in [
        (&[][..], "Number [1]:"),
        (&["2"], "Token (not shown"),
        (&["1"], "Waiting for your confirmation"),
    ] {
        let mut terminal = start(&env, &["auth", "login"]);
        terminal.expect("Number [1]:");
        for answer in answers {
            terminal.send_line(answer);
        }
        asked(&terminal, last);
        terminal.send("\u{3}");
        assert_eq!(terminal.exit_code(), 130, "{last}");
        // The shell's prompt begins a line after a question.
        let is_question = !last.starts_with("Waiting");
        assert!(
            !is_question || terminal.transcript().ends_with('\n'),
            "{last}"
        );
    }
    // The git question comes after work in the background: Ctrl-C must still end it.
    login(&env, LAPTOP);
    let Some(()) = with_git(&env, HELPER) else {
        return;
    };
    let mut terminal = start(&env, &["auth", "login", "--force"]);
    terminal.expect("Number [1]:");
    terminal.send_line("2");
    terminal.expect_hidden("Token (not shown");
    terminal.send_line(SERVER);
    terminal.expect("(Y/n)");
    terminal.send("\u{3}");
    assert_eq!(terminal.exit_code(), 130);
    assert!(terminal.transcript().ends_with('\n'));
    assert_eq!(read(&env, "token"), LAPTOP, "nothing was saved");
}

/// What scripts that drive the old client wait for, and when: both questions before the token is
/// checked.
#[test]
fn the_old_name_asks_in_the_words_and_the_order_of_the_old_client() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    for (token, code) in [("hf_nobody", 1), (LAPTOP, 0)] {
        let mut terminal = env.huggingface_cli(["login"]).terminal(40, 120);
        terminal.expect("Enter your token (input will not be visible):");
        terminal.wait_until("the echo is off", |terminal| !terminal.echoes());
        terminal.send_line(token);
        terminal.expect("Add token as git credential? (Y/n)");
        // The screen has no blanks at the end of a line; scripts wait for them.
        let shown = terminal.transcript();
        assert!(
            shown.contains("Enter your token (input will not be visible): "),
            "{shown}"
        );
        assert!(
            shown.contains("Add token as git credential? (Y/n) "),
            "{shown}"
        );
        assert_eq!(hub.count(|request| request.path.contains("whoami")), 0);
        terminal.send_line("n");
        assert_eq!(terminal.exit_code(), code, "{}", terminal.transcript());
        hub.clear_requests();
    }
    assert_eq!(read(&env, "token"), LAPTOP);
}

#[test]
fn the_end_of_input_aborts() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("Number [1]:");
    terminal.send("\u{4}");
    terminal.expect("Aborted");
    assert_eq!(terminal.exit_code(), 1);
}

#[test]
fn in_the_browser_on_a_terminal() {
    let hub = Hub::start();
    hub.device_login(
        "bob",
        &["authorization_pending", "authorization_pending"],
        3600 * 24 * 30,
    );
    let mut env = TestEnv::for_hub(&hub);
    let opened = env.path("opened");
    let text = format!("#!/bin/sh\necho \"$1\" > {}\n", opened.display());
    let browser = env.script("bin/browser", &text);
    env.set("BROWSER", &browser);
    let mut terminal = start(&env, &["auth", "login"]);
    terminal.expect("Number [1]:");
    terminal.send_line("");
    terminal.expect("ABCD-EFGH");
    terminal.expect("Waiting for your confirmation");
    terminal.expect("Logged in as bob.");
    terminal.expect("renewed automatically");
    assert_eq!(terminal.exit_code(), 0);
    assert!(
        !terminal.screen().contains("Waiting"),
        "the spinner is gone\n{}",
        terminal.screen()
    );
    let opened = fs::read_to_string(opened).unwrap();
    assert!(
        opened.contains("/oauth/device?user_code=ABCD-EFGH"),
        "{opened}"
    );
    let stored = read(&env, "stored_tokens");
    assert!(
        stored.starts_with("[oauth-bob]\nhf_token = hf_oauth_access00001\n"),
        "{stored}"
    );
    assert!(
        stored.contains("refresh_token = hf_refresh_rotated00001\n"),
        "{stored}"
    );
    assert!(stored.contains("expires_at = "), "{stored}");
    assert_eq!(read(&env, "token"), "hf_oauth_access00001");
}

#[test]
fn in_the_browser_without_a_terminal() {
    let hub = Hub::start();
    let env = TestEnv::for_hub(&hub);
    let login = || env.run(["auth", "login", "--force"]);
    // Temporary failures of all kinds do not end it.
    hub.device_login(
        "bob",
        &["authorization_pending", "authorization_pending"],
        3600,
    );
    let strikes = hub.fault(Fault::status(503).on("/oauth/token").times(2));
    let output = login().ok();
    assert_eq!(strikes.count(), 2);
    assert_eq!(output.stdout(), "");
    assert!(
        output.stderr().contains("enter the code ABCD-EFGH"),
        "{output}"
    );
    assert!(
        output.stderr().contains("Waiting for your confirmation"),
        "{output}"
    );
    assert!(
        output.stderr().contains("The Hub answers again"),
        "{output}"
    );
    assert!(output.stderr().contains("Logged in as bob"), "{output}");
    assert!(!output.stderr().contains('\u{1b}'), "{output}");
    for (error, words) in [
        ("expired_token", "expired before the login was confirmed"),
        ("access_denied", "denied in the browser"),
        (
            "server_on_fire",
            "the Hub says server_on_fire (said the test)",
        ),
    ] {
        hub.device_login("bob", &[error], 3600);
        let output = login().fails(1);
        assert!(
            output
                .stderr()
                .to_lowercase()
                .contains(&words.to_lowercase()),
            "{output}"
        );
    }
    hub.fault(Fault::status(404).on("/oauth/device").times(1));
    let output = login().fails(1);
    assert!(output.stderr().contains("--token-stdin"), "{output}");
}

#[test]
fn a_menu_of_saved_tokens() {
    let hub = hub();
    let env = TestEnv::for_hub(&hub);
    login(&env, LAPTOP);
    login(&env, SERVER);
    let mut terminal = start(&env, &["auth", "switch"]);
    // The active one is marked, and an empty line leaves it.
    terminal.expect("2. server % 1 (active)\nNumber [2]:");
    terminal.send_line("");
    terminal.expect("The active token is now server % 1.");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(read(&env, "token"), SERVER);
    let mut terminal = start(&env, &["auth", "switch"]);
    terminal.expect("Number [2]:");
    terminal.send_line("7");
    terminal.expect("Please type a number from 1 to 2.");
    terminal.send_line("1");
    terminal.expect("The active token is now my laptop.");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(read(&env, "token"), LAPTOP);
    // The arrow keys of a menu work too.
    let mut terminal = start(&env, &["auth", "switch"]);
    terminal.expect("1. my laptop (active)");
    terminal.expect("Number [1]:");
    terminal.send_line("\u{1b}[B");
    terminal.expect("The active token is now server % 1.");
    assert_eq!(terminal.exit_code(), 0);
}
