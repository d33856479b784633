//! Completion in real shells: bash and zsh on a terminal with the tab key, fish by its own command.
//! The shell functions are ours, and those that Python clients have left in people's files.

use std::fs;

use crate::harness::cache::CacheTree;
use crate::harness::oracle::{Oracle, installed};
use crate::harness::{Terminal, TestEnv};

const COMMIT: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334";
const SECRET: &str = "hf_neverToBeShown";

/// Whether a shell is there.
fn there(shell: &str) -> bool {
    installed([shell]).is_some()
}

/// A home with `hf` and `huggingface-cli` in its path, two repositories and two saved tokens.
pub fn home_with_names() -> TestEnv {
    let mut env = TestEnv::new();
    for name in ["hf", "huggingface-cli"] {
        let link = env.path("bin").join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hf"), link).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    env.set("PATH", format!("{}:{path}", env.path("bin").display()));
    let cache = CacheTree::at(env.cache());
    let model = cache.model("openai/clip");
    fs::create_dir_all(model.root().join("snapshots").join(COMMIT)).unwrap();
    model.refer("main", COMMIT);
    cache.dataset("squad/plain").main([("a.txt", "a")]);
    let stored = format!("[my laptop]\nhf_token = {SECRET}1\n\n[work]\nhf_token = {SECRET}2\n\n");
    fs::write(env.hf_home().join("stored_tokens"), stored).unwrap();
    fs::create_dir_all(env.work().join("folder")).unwrap();
    env
}

/// An interactive bash or zsh that has read `setup`, and waits.
fn interactive(env: &TestEnv, shell: &str, setup: &str) -> Terminal {
    let file = env.path("setup");
    fs::write(&file, setup).unwrap();
    let args: &[&str] = match shell {
        "bash" => &["--norc", "--noprofile", "-i"],
        _ => &["-f", "-i"],
    };
    let invocation = env
        .program(shell, args)
        .var("PS1", "@ ")
        .var("HISTFILE", "/dev/null");
    let mut terminal = invocation.terminal(40, 100);
    // What is typed before the shell has made the terminal its own may be thrown away.
    terminal.expect("@");
    terminal.send_line(&format!(
        "PS1='@ '; source {}; echo rea''dy",
        file.display()
    ));
    terminal.expect("\nready");
    terminal
}

/// Types, presses tab, and expects the line to become this.
#[track_caller]
fn completes(terminal: &mut Terminal, typed: &str, expected: &str) {
    terminal.send(&format!("{typed}\t"));
    // The mark at the end shows where the cursor is: after a blank, or not.
    terminal.send("#");
    terminal.expect(&format!("@ {expected}#"));
    // Away with the line.
    terminal.send("\u{15}clear\r");
}

/// What is completed in every shell, by every generation of shell functions.
const EVERYWHERE: [(&str, &str); 6] = [
    ("hf dow", "hf download "),
    ("hf auth whoa", "hf auth whoami "),
    (
        "hf cache verify --fail-on-e",
        "hf cache verify --fail-on-extra-files ",
    ),
    ("hf cache rm mo", "hf cache rm model/openai/clip "),
    (
        "hf cache verify datasets/",
        "hf cache verify datasets/squad/plain ",
    ),
    (
        "hf auth switch --token-name w",
        "hf auth switch --token-name work ",
    ),
];

fn works_everywhere(terminal: &mut Terminal) {
    for (typed, expected) in EVERYWHERE {
        completes(terminal, typed, expected);
    }
}

/// What our own functions can do besides.
const OURS: [(&str, &str); 6] = [
    (
        "hf auth logout --token-name my",
        r"hf auth logout --token-name my\ laptop ",
    ),
    ("hf cache rm hf://op", "hf cache rm hf://openai/clip "),
    (
        "hf cache rm a1b2c",
        "hf cache rm a1b2c3d4e5f60718293a4b5c6d7e8f9001122334 ",
    ),
    (
        "hf download openai/clip --revision=m",
        "hf download openai/clip --revision=main ",
    ),
    (
        "hf cache ls --cache-dir fol",
        "hf cache ls --cache-dir folder/",
    ),
    ("echo x; hf cache pru", "echo x; hf cache prune "),
];

#[test]
fn in_bash() {
    if !there("bash") {
        return;
    }
    let env = home_with_names();
    let mut terminal = interactive(&env, "bash", "source <(hf completions bash)\n");
    works_everywhere(&mut terminal);
    for (typed, expected) in OURS {
        completes(&mut terminal, typed, expected);
    }
    completes(
        &mut terminal,
        "hf auth switch --token-name 'my",
        "hf auth switch --token-name 'my laptop' ",
    );
    completes(
        &mut terminal,
        "huggingface-cli dow",
        "huggingface-cli download ",
    );
    terminal.send("hf auth switch --token-name \t\t");
    terminal.expect("work");
    assert!(!terminal.transcript().contains(SECRET));
}

#[test]
fn in_zsh() {
    if !there("zsh") {
        return;
    }
    let env = home_with_names();
    let mut terminal = interactive(&env, "zsh", "eval \"$(hf completions zsh)\"\n");
    works_everywhere(&mut terminal);
    for (typed, expected) in OURS {
        completes(&mut terminal, typed, expected);
    }
    terminal.send("hf auth sta\t\u{15}hf auth \t");
    terminal.expect("Show which account");
    assert!(!terminal.transcript().contains(SECRET));
}

/// What fish would offer, descriptions left out.
fn fish(env: &TestEnv, setup: &str, line: &str) -> Vec<String> {
    let code = format!("{setup}\ncomplete -C \"$argv[1]\"");
    let output = env
        .program("fish", ["--no-config", "-c", &code, line])
        .run()
        .ok();
    assert!(!output.to_string().contains(SECRET), "{output}");
    output
        .stdout()
        .lines()
        .map(|line| line.split('\t').next().unwrap().to_owned())
        .collect()
}

#[test]
fn in_fish() {
    if !there("fish") {
        return;
    }
    let env = home_with_names();
    let setup = "hf completions fish | source";
    for (typed, expected) in EVERYWHERE {
        let word = expected.trim_end().rsplit(' ').next().unwrap();
        assert_eq!(fish(&env, setup, typed), [word], "{typed}");
    }
    for (typed, expected) in [
        ("hf auth logout --token-name my", "my laptop"),
        ("hf auth logout --token-name 'my l", "my laptop"),
        ("hf cache rm hf://op", "hf://openai/clip"),
        ("hf cache rm --cache-dir fol", "folder/"),
        ("true; huggingface-cli dow", "download"),
    ] {
        assert_eq!(fish(&env, setup, typed), [expected], "{typed}");
    }
}

/// The shell function of the Python client, as it is in users' files.
fn of_python(oracle: &Oracle, env: &TestEnv, shell: &str) -> String {
    let output = oracle
        .hf(env, ["--show-completion"])
        .var("SHELL", format!("/bin/{shell}"));
    output.run().ok().stdout().to_owned()
}

#[test]
fn the_python_clients_functions_go_on_working() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    let env = home_with_names();
    for (shell, before) in [
        ("bash", ""),
        ("zsh", "autoload -Uz compinit; compinit -u\n"),
    ] {
        if there(shell) {
            let setup = format!("{before}{}", of_python(&oracle, &env, shell));
            let mut terminal = interactive(&env, shell, &setup);
            works_everywhere(&mut terminal);
            completes(
                &mut terminal,
                "hf cache rm hf://op",
                "hf cache rm hf://openai/clip ",
            );
            let name = r"hf auth logout --token-name my\ laptop ";
            completes(&mut terminal, "hf auth logout --token-name my", name);
        }
    }
    if there("fish") {
        let script = env.path("hf.fish");
        fs::write(&script, of_python(&oracle, &env, "fish")).unwrap();
        let setup = format!("source {}", script.display());
        for (typed, expected) in EVERYWHERE {
            let word = expected.trim_end().rsplit(' ').next().unwrap();
            assert_eq!(fish(&env, &setup, typed), [word], "{typed}");
        }
    }
}

#[test]
fn lines_in_users_files_go_on_working() {
    let env = home_with_names();
    for (shell, asked) in [
        ("bash", "bash_source"),
        ("bash", "source_bash"),
        ("zsh", "zsh_source"),
    ] {
        if there(shell) {
            let line = format!("eval \"$(_HF_COMPLETE={asked} hf)\"\n");
            let mut terminal = interactive(&env, shell, &line);
            works_everywhere(&mut terminal);
        }
    }
    // As clients 1.x put it into fpath.
    if there("zsh") {
        let line = "autoload -Uz compinit; compinit -u\nf() { eval $(env _TYPER_COMPLETE_ARGS=\"${words[1,$CURRENT]}\" _HF_COMPLETE=complete_zsh hf) }\ncompdef f hf\n";
        let mut terminal = interactive(&env, "zsh", line);
        works_everywhere(&mut terminal);
    }
}

/// The questions of clients 1.x, one by one.
#[test]
fn older_questions_are_answered() {
    let env = home_with_names();
    let ask = |pairs: &[(&str, &str)]| {
        let call = env.hf([""; 0]);
        pairs
            .iter()
            .fold(call, |call, (name, value)| call.var(name, value))
            .run()
    };
    let line = ("_TYPER_COMPLETE_ARGS", "hf cache ver");
    let words = [
        ("COMP_WORDS", "hf cache ver"),
        ("COMP_CWORD", "2"),
        ("_HF_COMPLETE", "complete_bash"),
    ];
    assert_eq!(ask(&words).ok().stdout(), "verify\n");
    for shell in ["complete_powershell", "complete_pwsh"] {
        let output = ask(&[line, ("_HF_COMPLETE", shell)]).ok();
        assert!(output.stdout().starts_with("verify:::Check"), "{output}");
    }
    let fish = ("_HF_COMPLETE", "complete_fish");
    let output = ask(&[line, fish, ("_TYPER_COMPLETE_FISH_ACTION", "get-args")]).ok();
    assert!(output.stdout().starts_with("verify\tCheck"), "{output}");
    let is_any = ("_TYPER_COMPLETE_FISH_ACTION", "is-args");
    assert_eq!(ask(&[line, fish, is_any]).ok().stdout(), "");
    assert_eq!(
        ask(&[("_TYPER_COMPLETE_ARGS", "hf zz"), fish, is_any])
            .fails(1)
            .stdout(),
        ""
    );
}

#[test]
fn nothing_is_said_when_nothing_can_be_answered() {
    let env = home_with_names();
    for asked in ["nonsense", "bash_complete", "tcsh_source", "complete_zsh"] {
        let output = env.hf([""; 0]).var("_HF_COMPLETE", asked).run().fails(1);
        assert_eq!((output.stdout(), output.stderr()), ("", ""), "{asked}");
    }
    let broken = env.path("broken");
    fs::write(&broken, "not a folder").unwrap();
    fs::write(env.hf_home().join("stored_tokens"), "[broken").unwrap();
    for line in [
        "hf cache rm m",
        "hf auth switch --token-name m",
        "hf download x --revision ",
    ] {
        let call = env.hf(["--", line, ""]).var("_HF_COMPLETE", "bash");
        let output = call.var("HF_HUB_CACHE", &broken).run().ok();
        assert_eq!((output.stdout(), output.stderr()), ("", ""), "{line}");
    }
}

#[test]
fn a_hostile_cache_puts_nothing_into_the_line() {
    let env = home_with_names();
    for name in [
        "models--$(touch x)--y",
        "models--a\nb--c",
        "models--`id`",
        "models--a--b\u{202e}",
    ] {
        fs::create_dir_all(env.cache().join(name)).unwrap();
    }
    let output = env
        .hf(["--", "hf cache rm ", ""])
        .var("_HF_COMPLETE", "bash")
        .run()
        .ok();
    assert_eq!(output.stdout(), "dataset/squad/plain\nmodel/openai/clip\n");
}
