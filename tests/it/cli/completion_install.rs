//! The scripts of `hf completions`, and turning completion on in the user's own files.

use std::fs;
use std::path::Path;

use crate::cli::completion::home_with_names;
use crate::harness::TestEnv;
use crate::harness::oracle::Oracle;

#[test]
fn scripts_are_printed_for_every_shell() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let printed = env.run(["completions", shell]).ok();
        assert_eq!(printed.stderr(), "");
        let shown = env.run(["--show-completion", shell]).ok();
        assert_eq!(printed.stdout(), shown.stdout());
        let by_variable = env
            .hf([""; 0])
            .var("_HF_COMPLETE", format!("{shell}_source"))
            .run()
            .ok();
        assert_eq!(printed.stdout(), by_variable.stdout());
        let by_shell = env
            .hf(["completions"])
            .var("SHELL", format!("/usr/bin/{shell}"))
            .run()
            .ok();
        assert_eq!(printed.stdout(), by_shell.stdout());
    }
    let output = env
        .hf(["completions"])
        .var("SHELL", "/bin/tcsh")
        .run()
        .fails(1);
    insta::assert_snapshot!(output.snapshot(&env), @"
    exit: 1
    ----- stdout
    ----- stderr
    Error: There is no completion for the shell tcsh.
    Hint: name one of bash, zsh, fish, powershell and elvish
    ");
    insta::assert_snapshot!(env.run(["completions", "powershell"]).ok().stdout(), @r#"
    # Completion of hf and huggingface-cli in PowerShell.
    Register-ArgumentCompleter -Native -CommandName hf, huggingface-cli -ScriptBlock {
        param($wordToComplete, $commandAst, $cursorPosition)
        $typed = $commandAst.Extent.Text
        $length = $cursorPosition - $commandAst.Extent.StartOffset
        # Blanks after the last word are not part of the command, but tell that a new word begins.
        $line = $typed.PadRight($length).Substring(0, $length)
        $before = $env:_HF_COMPLETE
        try {
            $env:_HF_COMPLETE = 'powershell'
            $found = @(& hf -- $line 2>$null)
        } finally {
            $env:_HF_COMPLETE = $before
        }
        foreach ($one in $found) {
            $value, $help = $one -split "`t", 2
            if (-not $help) { $help = $value }
            $quoted = if ($value -match '^[\w./:=@+-]+$') { $value } else { "'" + $value.Replace("'", "''") + "'" }
            [System.Management.Automation.CompletionResult]::new($quoted, $value, 'ParameterValue', $help)
        }
    }
    "#);
}

fn install(env: &TestEnv, shell: &str) -> String {
    env.run(["--install-completion", shell]).ok().snapshot(env)
}

#[test]
fn installing_appends_one_line_once() {
    let env = home_with_names();
    let dotfiles = env.path("dotfiles");
    fs::create_dir(&dotfiles).unwrap();
    let real = dotfiles.join("bashrc");
    // No newline at the end, an odd byte, a link, a mode of its own.
    fs::write(&real, b"alias x=y\xff").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&real, private).unwrap();
    let rc = env.home().join(".bashrc");
    std::os::unix::fs::symlink(&real, &rc).unwrap();
    insta::assert_snapshot!(install(&env, "bash"), @"
    exit: 0
    ----- stdout
    ----- stderr
    ✓ Completion is on: [ROOT]/home/.bashrc was changed. Start a new bash to use it.
    ");
    insta::assert_snapshot!(install(&env, "bash"), @"
    exit: 0
    ----- stdout
    ----- stderr
    ✓ Completion is on already: [ROOT]/home/.bashrc was not changed.
    ");
    assert_eq!(
        fs::read(&rc).unwrap(),
        b"alias x=y\xff\neval \"$(_HF_COMPLETE=bash_source hf)\"\n"
    );
    assert!(rc.is_symlink());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&real).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Many at once still write it once.
    let zsh: Vec<_> = (0..4)
        .map(|_| env.hf(["--install-completion", "zsh"]).spawn())
        .collect();
    zsh.into_iter().for_each(|one| {
        one.wait().ok();
    });
    let line = "\neval \"$(_HF_COMPLETE=zsh_source hf)\"\n";
    assert_eq!(fs::read_to_string(env.home().join(".zshrc")).unwrap(), line);
}

#[test]
fn installing_agrees_with_the_python_client() {
    let Some(oracle) = Oracle::modern() else {
        return;
    };
    for (shell, file) in [
        ("bash", ".bashrc"),
        ("zsh", ".zshrc"),
        ("fish", ".config/fish/completions/hf.fish"),
    ] {
        let (ours, theirs) = (TestEnv::new(), TestEnv::new());
        install(&ours, shell);
        let call = oracle.hf(&theirs, ["--install-completion"]);
        call.var("SHELL", format!("/bin/{shell}")).run().ok();
        let read = |env: &TestEnv| fs::read_to_string(env.home().join(file)).unwrap();
        if shell == "fish" {
            // The script is our own, and replaces theirs.
            install(&theirs, shell);
        } else {
            assert_eq!(install(&theirs, shell), install(&ours, shell));
        }
        assert_eq!(read(&ours), read(&theirs), "{shell}");
    }
}

#[test]
fn what_another_program_wrote_stays() {
    let env = TestEnv::new();
    let folder = env.home().join(".config/fish/completions");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hf.fish");
    fs::write(&file, "complete -c hf -a mine\n").unwrap();
    let output = env.run(["--install-completion", "fish"]).fails(1);
    insta::assert_snapshot!(output.snapshot(&env), @"
    exit: 1
    ----- stdout
    ----- stderr
    Error: The file [ROOT]/home/.config/fish/completions/hf.fish was not made by this command.
    Hint: move it away, or add to it what `hf completions fish` prints
    ");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "complete -c hf -a mine\n"
    );
    let output = env.run(["--install-completion", "powershell"]).fails(1);
    insta::assert_snapshot!(output.snapshot(&env), @"
    exit: 1
    ----- stdout
    ----- stderr
    Error: Completion for powershell has to be turned on by hand.
    Hint: put `hf completions powershell | Out-String | Invoke-Expression` into $PROFILE
    ");
    let elsewhere = env.path("zdot");
    env.hf(["--install-completion", "zsh"])
        .var("ZDOTDIR", &elsewhere)
        .run()
        .ok();
    assert!(elsewhere.join(".zshrc").exists());
    assert!(!Path::new(&env.home().join(".zshrc")).exists());
}
