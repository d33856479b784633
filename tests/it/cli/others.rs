//! Commands that only the Python client has: which program runs them, with what, and the error where there is none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::harness::oracle::Oracle;
use crate::harness::{Output, TestEnv};

/// Prints who it is, each argument, a variable and its input; ends with 7.
const PROBE: &str = r#"#!/bin/sh
echo "probe $0"
for word in "$@"; do echo "<$word>"; done
echo "$PROBED"
cat
echo complaint >&2
exit 7
"#;

struct Place {
    env: TestEnv,
}

impl Place {
    /// The program in `ours`, first in `PATH`, before the empty folder `next`.
    fn new() -> Self {
        let mut env = TestEnv::new();
        for folder in ["ours", "next", "last"] {
            fs::create_dir(env.path(folder)).unwrap();
        }
        env.install("ours/hf");
        symlink("hf", env.path("ours/huggingface-cli")).unwrap();
        let folders = ["ours", "next", "last"].map(|one| env.path(one).display().to_string());
        env.set("PATH", format!("{}:/usr/bin:/bin", folders.join(":")));
        Self { env }
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        let program = self.env.path("ours").join(name);
        self.env.program(program, args).run()
    }
}

#[test]
fn the_next_one_in_path_takes_our_place() {
    let here = Place::new();
    here.env.script("next/hf", PROBE);
    let output = here
        .env
        .program(
            here.env.path("ours/hf"),
            ["upload", "o/n", "a b", "", "--token", "hf_x", "*"],
        )
        .var("PROBED", "seen")
        .stdin("typed\n")
        .run()
        .fails(7);
    let path = here.env.path("next/hf");
    assert_eq!(
        output.stdout(),
        format!(
            "probe {}\n<upload>\n<o/n>\n<a b>\n<>\n<--token>\n<hf_x>\n<*>\nseen\ntyped\n",
            path.display()
        )
    );
    assert_eq!(output.stderr(), "complaint\n");
}

#[test]
fn its_help_is_its_own() {
    let here = Place::new();
    here.env.script("next/hf", "#!/bin/sh\necho \"$@\"\n");
    for (asked, passed_on) in [
        (&["help", "upload"][..], "upload --help\n"),
        (&["help", "repos", "create"], "repos create --help\n"),
        (&["upload", "help"], "upload help\n"),
    ] {
        let output = here.run("hf", asked).ok();
        assert_eq!(output.stdout(), passed_on, "{asked:?}");
    }
    let ours = here.run("hf", &["help", "download"]).ok();
    assert!(ours.stdout().contains("--include"), "{ours}");
}

#[test]
fn a_signal_that_ends_it_is_its_own() {
    let here = Place::new();
    here.env.script("next/hf", "#!/bin/sh\nkill -TERM $$\n");
    let output = here.run("hf", &["jobs", "ps"]);
    assert_eq!(output.signal, Some(15), "{output}");
}

#[test]
fn who_is_asked() {
    let others = "#!/bin/sh\necho \"$0\"\n";
    // What stands in `next` under the called name is passed over, and `last` is asked.
    type Make = fn(&TestEnv);
    let kinds: [(&str, Make); 7] = [
        ("nothing", |_| {}),
        ("a folder", |env| {
            fs::create_dir(env.path("next/hf")).unwrap()
        }),
        ("no right to run", |env| {
            fs::write(env.path("next/hf"), "#!/bin/sh\necho wrong\n").unwrap();
            fs::set_permissions(env.path("next/hf"), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("a broken link", |env| {
            symlink("absent", env.path("next/hf")).unwrap()
        }),
        ("a hard link to this program", |env| {
            fs::hard_link(env.path("ours/hf"), env.path("next/hf")).unwrap();
        }),
        ("a copy of this program", |env| drop(env.install("next/hf"))),
        ("a wrapper of this program", |env| {
            let text = format!("#!/bin/sh\n\"{}\" \"$@\"\n", env.path("ours/hf").display());
            env.script("next/hf", &text);
        }),
    ];
    for (kind, make) in kinds {
        let here = Place::new();
        here.env.script("last/hf", others);
        make(&here.env);
        let output = here.run("hf", &["upload", "x"]).ok();
        let expected = format!("{}\n", here.env.path("last/hf").display());
        assert_eq!(output.stdout(), expected, "{kind}");
    }
}

#[test]
fn relative_and_empty_folders_of_path_are_searched_as_a_shell_does() {
    for path in ["", "."] {
        let here = Place::new();
        here.env.script("work/hf", "#!/bin/sh\necho here\n");
        let output = here
            .env
            .program(here.env.path("ours/hf"), ["models", "ls"])
            .var("PATH", format!("/absent:{path}:/usr/bin:/bin"))
            .run()
            .ok();
        assert_eq!(output.stdout(), "here\n", "{path:?}");
    }
}

#[test]
fn both_names_are_looked_for_the_called_one_first() {
    let here = Place::new();
    here.env.script("last/hf", "#!/bin/sh\necho hf\n");
    let output = here.run("huggingface-cli", &["upload", "x"]).ok();
    assert_eq!(output.stdout(), "hf\n");
    here.env
        .script("last/huggingface-cli", "#!/bin/sh\necho cli\n");
    let output = here.run("huggingface-cli", &["upload", "x"]).ok();
    assert_eq!(output.stdout(), "cli\n");
    let output = here.run("hf", &["upload", "x"]).ok();
    assert_eq!(output.stdout(), "hf\n");
}

#[test]
fn wrappers_of_this_program_end_with_an_error_and_no_circle() {
    let here = Place::new();
    for (folder, how) in [("next", "exec "), ("last", "")] {
        let program = here.env.path("ours/hf");
        // It does not hide its name: only the guard stops it.
        let text = format!(
            "#!/bin/sh\n# huggingface_hub\n{how}\"{}\" \"$@\"\n",
            program.display()
        );
        here.env.script(format!("{folder}/hf"), &text);
    }
    let output = here.run("hf", &["upload", "o/n", "a b"]).fails(2);
    let said = "`uvx --from huggingface_hub hf upload o/n 'a b'`";
    assert!(output.stderr().contains(said), "{output}");
    assert_eq!(output.stdout(), "");
}

#[test]
fn the_command_to_run_instead_is_whole_and_without_secrets() {
    let here = Place::new();
    let args = ["upload", "o/n", "it's", "--token", "hf_verysecret"];
    let output = here.run("hf", &args).fails(2);
    let command = r"`uvx --from huggingface_hub hf upload o/n 'it'\''s' --token '<hidden>'`";
    assert!(output.stderr().contains(command), "{output}");
    assert!(!output.to_string().contains("verysecret"), "{output}");
    assert_eq!(output.stderr().lines().count(), 1, "{output}");
    let output = here.run("huggingface-cli", &["tag", "o/n", "v1"]).fails(2);
    let command = "`uvx --from 'huggingface_hub<1' huggingface-cli tag o/n v1`";
    assert!(output.stderr().contains(command), "{output}");
}

#[test]
fn a_python_beside_this_program_is_asked_last() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    let here = Place::new();
    let python = oracle.venv().join("bin/python");
    here.env.script(
        "ours/python3",
        &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()),
    );
    // A module of the working folder must not be taken for the client.
    fs::create_dir(here.env.work().join("huggingface_hub")).unwrap();
    fs::write(
        here.env.work().join("huggingface_hub/__init__.py"),
        "raise SystemExit(9)",
    )
    .unwrap();
    let output = here.run("hf", &["lfs-enable-largefiles", "--help"]).ok();
    assert!(
        output.stdout().contains("Usage: hf lfs-enable-largefiles"),
        "{output}"
    );
}

#[test]
fn the_real_client_is_asked() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    let mut here = Place::new();
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        here.env.path("ours").display(),
        oracle.venv().join("bin").display()
    );
    here.env.set("PATH", path);
    let output = here.run("hf", &["repos", "--help"]).ok();
    assert!(output.stdout().contains("Usage: hf repos"), "{output}");
    let theirs = oracle.hf(&here.env, ["repos", "bogus"]).run();
    assert_eq!(here.run("hf", &["repos", "bogus"]).code, theirs.code);
}

#[test]
fn our_own_commands_are_never_handed_on() {
    let here = Place::new();
    here.env.script("next/hf", "#!/bin/sh\necho wrong\n");
    for args in [
        &["version"][..],
        &["alias", "list"],
        &["download", "--help"],
        &["--help"],
    ] {
        let output = here.run("hf", args).ok();
        assert!(!output.stdout().contains("wrong"), "{output}");
    }
    for args in [&["cache", "upload"][..], &["bogus"], &["auth", "jobs"]] {
        assert_eq!(here.run("hf", args).fails(2).stdout(), "", "{args:?}");
    }
}

#[test]
fn env_and_alias_show_who_is_asked() {
    let here = Place::new();
    let env = here.run("hf", &["env", "--json"]).ok().json();
    assert_eq!(env["Other commands go to"], serde_json::Value::Null);
    here.env.script("next/hf", PROBE);
    let (ours, next) = (here.env.path("ours/hf"), here.env.path("next/hf"));
    let env = here.run("hf", &["env", "--json"]).ok().json();
    assert_eq!(env["Other commands go to"], next.display().to_string());
    assert_eq!(
        env["hf in PATH"],
        format!(
            "{} (this tool), before {} (other program)",
            ours.display(),
            next.display()
        )
    );
    let output = here.run("hf", &["alias", "add"]).ok();
    let said = format!("are handed to {}.", next.display());
    assert!(output.stderr().contains(&said), "{output}");
    let help = here.run("hf", &["--help"]).ok();
    assert!(help.stdout().contains("upload-large-folder"), "{help}");
}
