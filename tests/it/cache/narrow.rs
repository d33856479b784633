//! Tables in windows of every width: identifiers are whole, sizes stand to the right.

use crate::harness::TestEnv;
use crate::harness::cache::CacheTree;

/// Ids as long as real ones.
const IDS: [&str; 3] = [
    "openai-community/gpt2",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "o/m",
];

fn cache(env: &TestEnv) {
    let cache = CacheTree::at(env.cache());
    for (size, id) in [5, 12_345, 700].into_iter().zip(IDS) {
        let repo = cache.model(id);
        let commit = repo.main([("f", &"x".repeat(size))]);
        repo.refer("refs/pr/1", &commit).refer("v1.0", &commit);
    }
}

/// The lines of a table on a terminal.
fn table(env: &TestEnv, arguments: &[&str], columns: u16) -> Vec<String> {
    let mut terminal = env.hf(arguments).terminal(24, columns);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    let lines = screen.lines().map(str::to_owned);
    lines
        .take_while(|line| !line.starts_with("Hint:"))
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn ids_are_whole_and_sizes_stand_to_the_right() {
    let env = TestEnv::new();
    cache(&env);
    for (columns, headings) in [
        (
            200,
            &[
                "ID",
                "SIZE",
                "SHARE",
                "LAST_ACCESSED",
                "LAST_MODIFIED",
                "REFS",
            ][..],
        ),
        (112, &["ID", "SIZE", "SHARE", "LAST_ACCESSED", "REFS"]),
        (80, &["ID", "SIZE", "LAST_ACCESSED"]),
        (62, &["ID", "SIZE"]),
    ] {
        let lines = table(&env, &["cache", "ls"], columns);
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            headings,
            "{columns}"
        );
        let end = lines[0].find("SIZE").unwrap() + 4;
        for (line, size) in lines[2..].iter().zip(["12.3K", "700.0", "5.0"]) {
            let (before, _) = line.split_at(end);
            assert!(before.ends_with(&format!(" {size}")), "{columns}: {line}");
            let id = before.split_whitespace().next().unwrap();
            assert!(
                IDS.contains(&id.strip_prefix("model/").unwrap()),
                "{columns}: {line}"
            );
        }
    }
    // Where not even the ids find room, they are whole, on a line of their own.
    let screen = table(&env, &["cache", "ls"], 30).join("");
    for id in IDS {
        assert!(screen.contains(&format!("model/{id}")), "{screen}");
    }
}

#[test]
fn nothing_is_left_out_when_asked_for_all() {
    let env = TestEnv::new();
    cache(&env);
    let mut terminal = env.hf(["cache", "ls"]).terminal(24, 80);
    assert_eq!(terminal.exit_code(), 0);
    let hint = "too narrow for LAST_MODIFIED, SHARE, REFS; --no-truncate shows";
    assert!(terminal.screen().contains(hint), "{}", terminal.screen());
    for arguments in [
        &["cache", "ls", "--no-truncate"][..],
        &["cache", "ls", "--revisions", "--no-truncate"],
    ] {
        let lines = table(&env, arguments, 300);
        assert!(lines[0].contains("REFS"), "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("main, refs/pr/1, v1.0")),
            "{lines:?}"
        );
        let mut narrow = env.hf(arguments).terminal(24, 80);
        assert_eq!(narrow.exit_code(), 0);
        assert!(
            !narrow.screen().contains("Hint: this window"),
            "{}",
            narrow.screen()
        );
    }
}

#[test]
fn a_commit_is_cut_to_a_beginning_that_other_commands_take() {
    let env = TestEnv::new();
    cache(&env);
    let lines = table(&env, &["cache", "ls", "--revisions"], 80);
    let row = lines.iter().find(|line| line.contains("gpt2 ")).unwrap();
    let commit = row.split_whitespace().nth(1).unwrap();
    assert_eq!(commit.len(), 12, "{row}");
    let output = env.run(["cache", "rm", commit, "--dry-run"]).ok();
    assert!(output.stdout().contains("5.0"), "{output}");
}

/// Whole hashes fill a line each; their beginnings name the files as well.
#[test]
fn what_the_doctor_finds_fits_into_eighty_columns() {
    let env = TestEnv::new();
    let repo = CacheTree::at(env.cache()).dataset("acme/questions");
    let etag = "ab".repeat(32);
    repo.main([("f", "x")]);
    repo.abandoned(&format!("{etag}.9f3c1a77.incomplete"), "12345");
    let (place, all) = (
        "datasets--acme--questions/blobs",
        &["cache", "doctor", "--no-truncate"],
    );
    let mut terminal = env.hf(["cache", "doctor"]).terminal(24, 80);
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    let line = format!("    {place}/{}.9f3c1a77.incomplete", &etag[..12]);
    assert!(
        screen.lines().any(|shown| shown.starts_with(&line)),
        "{screen}"
    );
    let mut terminal = env.hf(all).terminal(24, 200);
    assert_eq!(terminal.exit_code(), 0);
    assert!(terminal.screen().contains(&etag), "{}", terminal.screen());
    let piped = env.run(["cache", "doctor"]).ok();
    assert!(piped.stdout().contains(&etag), "{piped}");
}
