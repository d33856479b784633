//! `hf cache delete`: the list on the terminal and the file to edit.

use std::fs;

use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;
use crate::harness::tree::tree_of;

/// A model with two revisions and a dataset with one; answers the commits in the list's order.
fn cache(env: &TestEnv) -> [String; 3] {
    let tree = CacheTree::at(env.cache());
    let data = tree.dataset("org/data");
    let only = data.main([("d", "1234")]);
    let model = tree.model("org/name");
    let old = model.commit([("shared", "12345"), ("old.bin", "1234567")]);
    let new = model.main([("shared", "12345"), ("new.bin", "123")]);
    let day =
        |days: u64| std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 * days);
    for (file, days) in [("shared", 9), ("old.bin", 5)] {
        model.times(&old, file, day(days), day(days));
    }
    [only, old, new]
}

fn snapshots(env: &TestEnv) -> Vec<String> {
    let is_commit = |path: &str| path.split('/').count() == 3 && path.contains("/snapshots/");
    let paths = tree_of(env.cache()).into_iter().map(|node| node.path);
    paths.filter(|path| is_commit(path)).collect()
}

#[test]
fn ticked_revisions_go() {
    let env = TestEnv::new();
    let [only, old, new] = cache(&env);
    let mut terminal = env.hf(["cache", "delete"]).terminal(24, 100);
    terminal.expect("0 revisions chosen, which frees 0.0.");
    let screen = terminal.screen();
    for text in [
        "Dataset org/data (4.0, used a few seconds ago)",
        &format!(
            "> [ ] {}     4.0  main, modified a few seconds ago",
            &only[..8]
        ),
        &format!(
            "  [ ] {}    12.0  (detached), modified 5 days ago",
            &old[..8]
        ),
    ] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    terminal.send("\u{1b}[B ");
    terminal.expect("1 revision chosen, which frees 7.0.");
    terminal.send("\u{1b}[B ");
    terminal.expect("2 revisions chosen, which frees 15.0.");
    terminal.send(" ");
    terminal.expect("1 revision chosen, which frees 7.0.");
    terminal.send("\r");
    terminal.expect("Delete them? (y/N)");
    let screen = terminal.screen();
    for text in [
        "To be deleted: 1 revision, which frees 7.0.",
        "model/org/name",
        &*old,
    ] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    terminal.send_line("y");
    terminal.expect("✓ Deleted 1 revision; 7.0 freed.");
    assert_eq!(terminal.exit_code(), 0);
    let left = snapshots(&env);
    assert_eq!(left.len(), 2);
    assert!(
        left[0].ends_with(&only) && left[1].ends_with(&new),
        "{left:?}"
    );
}

#[test]
fn leaving_the_list_deletes_nothing_and_gives_the_terminal_back() {
    for keys in ["q", " q", "\u{1b}", "\u{3}", "\r", "  \r", " \r"] {
        let env = TestEnv::new();
        cache(&env);
        let before = snapshots(&env);
        let mut terminal = env.hf(["delete-cache", "--sort", "size"]).terminal(12, 60);
        terminal.expect("chosen");
        terminal.send(keys);
        let is_asked = keys == " \r";
        let expected = if keys == "\u{3}" {
            130
        } else {
            i32::from(is_asked)
        };
        if is_asked {
            terminal.expect("Delete them? (y/N)");
            // As everywhere, nothing is no.
            terminal.send_line("");
        }
        let code = terminal.exit_code();
        assert_eq!(code, expected, "{keys:?}\n{}", terminal.screen());
        assert_eq!(snapshots(&env), before, "{keys:?}");
        let shown = terminal.transcript();
        for (back, away) in [("[?25h", "[?25l"), ("[?1049l", "[?1049h")] {
            assert!(shown.rfind(back) > shown.rfind(away), "{keys:?}");
        }
    }
}

#[test]
fn a_file_can_be_edited_instead() {
    let env = TestEnv::new();
    let [_, old, _] = cache(&env);
    let mut terminal = env
        .hf(["cache", "delete", "--disable-tui"])
        .terminal(24, 200);
    terminal.expect("Is the file ready?");
    let screen = terminal.screen();
    let path = screen
        .split_whitespace()
        .find(|word| word.ends_with(".txt"))
        .expect("a path");
    let text = fs::read_to_string(path).unwrap();
    let line = format!("#    {old} # Refs: (detached) # modified 5 days ago\n");
    assert!(
        text.contains(&line) && text.contains("# Model org/name (15.0, used"),
        "{text}"
    );
    fs::write(path, format!("{text}\nnonsense\n")).unwrap();
    terminal.send_line("y");
    terminal.expect("not in the list: nonsense");
    fs::write(path, text.replace(&line, &line[1..])).unwrap();
    terminal.send_line("y");
    terminal.expect("1 revision chosen, which frees 7.0.");
    terminal.send_line("y");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(snapshots(&env).len(), 2);
    assert_eq!(
        fs::read_dir(env.path("tmp")).unwrap().count(),
        0,
        "the file is gone"
    );
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let env = TestEnv::new();
    cache(&env);
    let before = snapshots(&env);
    for args in [
        &["cache", "delete"][..],
        &["cache", "delete", "--disable-tui"],
        &["cache", "delete", "--json"],
    ] {
        let output = env.run(args).fails(1);
        assert_eq!(output.stdout(), "", "{args:?}");
        assert!(output.stderr().to_lowercase().contains("hint"), "{output}");
    }
    assert_eq!(snapshots(&env), before);
}

#[test]
fn a_long_list_fits_any_window_and_follows_its_size() {
    let env = TestEnv::new();
    let tree = CacheTree::at(env.cache());
    for number in 10..50 {
        tree.model(&format!("org/name-{number}"))
            .main([("f", &*number.to_string())]);
    }
    let mut terminal = env.hf(["cache", "delete"]).terminal(12, 60);
    terminal.expect("Enter goes on");
    let screen = terminal.screen();
    assert!(screen.starts_with("Which revisions"), "{screen}");
    assert!(
        screen.contains("more below") && !screen.contains("above"),
        "{screen}"
    );
    terminal.send("\u{1b}[F \u{1b}[A");
    terminal.expect("1 revision chosen");
    terminal.resize(30, 40);
    terminal.expect("name-37");
    let screen = terminal.screen();
    assert_eq!(screen.matches("Which revisions").count(), 1, "{screen}");
    assert!(
        screen.contains("[x]") && !screen.contains("more below"),
        "{screen}"
    );
    assert!(
        screen.lines().all(|line| line.chars().count() < 40),
        "{screen}"
    );
    terminal.send("q");
    assert_eq!(terminal.exit_code(), 0);
    assert!(
        !terminal.screen().contains("Which revisions"),
        "the list is gone"
    );
}
