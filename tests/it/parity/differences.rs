//! Every intended difference, by name. The table in the README is made from this list.

use super::compare::{Disagreement, Format};
use super::signs::*;

/// One intended difference.
#[derive(Debug)]
pub struct Difference {
    /// Its name in this suite.
    pub name: &'static str,
    /// What this program does.
    pub here: &'static str,
    /// What the Python client does.
    pub there: &'static str,
    /// The reason, for users.
    pub why: &'static str,
    explains: fn(&str, &Disagreement) -> bool,
}

impl Difference {
    /// Whether it accounts for this disagreement of the scenario of this name.
    pub fn explains(&self, scenario: &str, one: &Disagreement) -> bool {
        (self.explains)(scenario, one)
    }
}

/// The difference of this name. Panics when there is none.
pub fn named(name: &str) -> &'static Difference {
    let found = ALL.iter().find(|difference| difference.name == name);
    found.unwrap_or_else(|| panic!("no difference is named {name}"))
}

macro_rules! differences {
    ($($name:ident {
        here: $here:expr,
        there: $there:expr,
        why: $why:expr,
        explains: $explains:expr,
    })*) => {
        /// All of them, in the order of the README.
        pub static ALL: &[Difference] = &[$(Difference {
            name: stringify!($name),
            here: $here,
            there: $there,
            why: $why,
            explains: $explains,
        }),*];
    };
}

differences! {
    STDOUT_IS_FOR_RESULTS {
        here: "results on stdout, all else on stderr",
        there: "announcements, prompts, totals and some warnings on stdout",
        why: "a script reads stdout, and a person sees both",
        explains: |_, one| matches!(one, Disagreement::Stdout { format: Format::Human | Format::Agent, ours, theirs }
            if !theirs.starts_with("Usage:") && only_talk_is_missing(ours, theirs)),
    }
    NO_DEPRECATION_LINE {
        here: "`huggingface-cli` prints the result alone",
        there: "0.36.2 prints a line about its deprecation first, on stdout",
        why: "the line breaks scripts that read stdout",
        explains: |_, one| matches!(one, Disagreement::Words { ours, theirs }
            if theirs.contains('⚠') && without_deprecation(theirs) == *ours),
    }
    OWN_WORDS {
        here: "its own sentences for people",
        there: "other sentences",
        why: "tables, keys, paths and all machine-readable forms are the same; prose is not an interface",
        explains: |_, one| matches!(one, Disagreement::Words { ours, theirs }
            if !ours.is_empty() && !without_deprecation(theirs).is_empty()),
    }
    OWN_HELP {
        here: "its own help texts",
        there: "other help texts",
        why: "they describe this program",
        explains: |scenario, one| scenario.contains("--help")
            && matches!(one, Disagreement::Stdout { ours, .. } if ours.contains("Usage: h")),
    }
    OWN_VERSION {
        here: "`hf version` is the version of this program",
        there: "the version of huggingface_hub",
        why: "the two programs have releases of their own",
        explains: |_, one| matches!(one, Disagreement::Stdout { ours, theirs, .. }
            if ["2.4.0", "0.36.2"].iter().any(|theirs_is| ours.replace(env!("CARGO_PKG_VERSION"), theirs_is) == *theirs)),
    }
    VERSION_TELLS_MORE {
        here: "`hf version --json` also names the commit, the target and the way of installing",
        there: "the version alone",
        why: "a bug report needs the program that ran",
        explains: |_, one| matches!(one, Disagreement::Stdout { ours, theirs, .. }
            if theirs.starts_with("{\"version\": ") && ours.contains("\"installed\": ")),
    }
    OWN_ENV {
        here: "`hf env` describes this installation, in json too",
        there: "the Python one, always as text",
        why: "a bug report needs the program that ran",
        explains: |_, one| matches!(one, Disagreement::Stdout { ours, theirs, .. }
            if theirs.contains("Copy-and-paste") && ours.contains("HF_HUB_CACHE")),
    }
    EVERY_FORMAT {
        here: "`--json`, `--quiet` and `--format agent` work with every command",
        there: "`auth list`, `token`, `login`, `logout` and `switch` ignore them",
        why: "a script can rely on them",
        explains: |scenario, one| scenario.contains("hf auth ") && !scenario.contains("whoami") && matches!(one,
            Disagreement::Stdout { format: Format::Json | Format::Agent | Format::Quiet, ours, theirs }
            if !ours.is_empty() && (theirs.is_empty() || theirs.contains("****") || theirs.starts_with("hf_")
                || theirs.contains("Login successful"))),
    }
    LESS_IN_IT {
        here: "login, download and the cache; the rest is handed to the next `hf` in `PATH`, else a line says what to run, exit 2",
        there: "uploads, repositories, jobs and more",
        why: "a small program for these tasks",
        explains: |scenario, one| ["hf upload", "hf jobs", "hf repos"].contains(&scenario)
            && matches!(one, Disagreement::Exit { ours: 2, .. } | Disagreement::Stdout { .. }),
    }
    FLAGS_ANYWHERE {
        here: "flags such as `--json` are accepted before and after the command",
        there: "after it only",
        why: "no need to remember the position",
        explains: |scenario, one| (scenario.contains("hf --json") || scenario.contains("hf cache --json"))
            && matches!(one, Disagreement::Exit { theirs: 2, .. } | Disagreement::Stdout { .. }),
    }
    USAGE_IS_2 {
        here: "an invalid command line is a usage error: stderr, exit 2",
        there: "help on stdout and exit 0 for a missing argument, exit 1 for some others",
        why: "a mistake in a script must not look like a success",
        explains: |_, one| matches!(one, Disagreement::Exit { ours: 2, theirs: 0 | 1 })
            || matches!(one, Disagreement::Stdout { ours, theirs, .. }
                if ours.is_empty() && theirs.starts_with("Usage:")),
    }
    WHOLE_CELLS {
        here: "in a pipe no cell of a table is cut",
        there: "cells are cut to 80 columns, or `$COLUMNS`",
        why: "a script that reads a table needs whole names",
        explains: |_, one| match one {
            Disagreement::Stdout { format: Format::Human, ours, theirs } => is_uncut(ours, theirs),
            Disagreement::Words { ours, theirs } => ours.is_empty() && theirs.contains("--no-truncate"),
            _ => false,
        },
    }
    HEADING_APART {
        here: "the heading of `hf auth whoami` goes to stderr in a pipe",
        there: "it is the first line of stdout",
        why: "scripts take the name from the first line, as 0.36.2 printed it",
        explains: |scenario, one| scenario.contains("whoami")
            && matches!(one, Disagreement::Words { theirs, .. } | Disagreement::Stdout { theirs, .. }
                if theirs.contains("✓ Logged in")),
    }
    INTERRUPTED_IS_130 {
        here: "Ctrl-C ends with exit code 130, SIGTERM with 143, SIGHUP with 129, also as the first process of a container",
        there: "1, or by the signal",
        why: "shells and scripts can tell it from a failure",
        explains: |scenario, one| scenario.contains("\\u{3}") && exit(one, 130, 1),
    }
    BARE_PATH {
        here: "`hf download` in a pipe prints the bare path",
        there: "a decorated line, unless `-q`",
        why: "so that `P=$(hf download …)` works",
        explains: |_, one| match one {
            Disagreement::Stdout { format: Format::Human, ours, theirs } =>
                !ours.is_empty() && *theirs == format!("  path: {ours}"),
            Disagreement::Words { ours, theirs } => ours.is_empty() && theirs == "✓ Downloaded\n",
            _ => false,
        },
    }
    NO_AGENT_REGISTRY {
        here: "the list of coding agents is read when the Python client left one, never fetched",
        there: "fetched once a day",
        why: "no request that the user did not ask for",
        explains: |_, one| matches!(one, Disagreement::Request { asked, ours, .. }
            if asked.path == "/api/agent-harnesses" && ours.is_empty()),
    }
    TOKEN_FILES_ARE_LOCKED {
        here: "token files are replaced whole, under a lock (`stored_tokens.lock`)",
        there: "truncated and written; locked for a renewal only",
        why: "a crash or a second program cannot leave half a file",
        explains: |_, one| only_we_leave(one).is_some_and(|path| path.ends_with("stored_tokens.lock")),
    }
    TOKEN_FILES_ARE_PRIVATE {
        here: "token files are readable by their owner alone",
        there: "0.36.2 leaves them to the umask",
        why: "they are secrets",
        explains: |_, one| matches!(one, Disagreement::Mode { path, ours: 0o600, .. }
            if path.ends_with("token") || path.ends_with("stored_tokens")),
    }
    SHARED_FOLDERS_STAY_SHARED {
        here: "a login makes the token files private, and their folder only when it creates it",
        there: "the folder is made private at every login",
        why: "other users of a shared `HF_HOME` need the models in it",
        explains: |_, one| matches!(one, Disagreement::Mode { path, ours, theirs: 0o700 }
            if path == "work/shared" && ours & 0o070 != 0),
    }
    LOGINS_NAME_THEIR_HUB {
        here: "a login at another Hub than the public one is stored with its address (`endpoint`)",
        there: "not recorded: the refresh token is sent wherever `HF_ENDPOINT` points",
        why: "a refresh token must go to the Hub that issued it and to no other",
        explains: |_, one| matches!(one, Disagreement::File { path, ours: Some(ours), theirs: Some(theirs) }
            if path.ends_with("stored_tokens") && without_hub(ours) == without_hub(theirs)),
    }
    DAMAGED_TOKENS_ARE_KEPT {
        here: "a damaged `stored_tokens` is reported and kept",
        there: "taken as empty, and overwritten by the next login",
        why: "it may hold the only copy of the tokens",
        explains: |scenario, one| scenario.contains("damaged stored_tokens") && match one {
            Disagreement::File { path, .. } => path == "hf/stored_tokens" || path == "hf/token",
            Disagreement::Exit { ours: 1, theirs: 0 } => true,
            Disagreement::Request { ours, .. } => ours.is_empty(),
            _ => false,
        },
    }
    MORE_TOKEN_VARIABLES {
        here: "`HUGGINGFACE_TOKEN` is read too",
        there: "not read",
        why: "many tools tell people to set it",
        explains: |scenario, one| scenario.contains("HUGGINGFACE_TOKEN=") && we_succeed(one),
    }
    BLANK_IS_UNSET {
        here: "a blank variable is an unset one, and the next source is asked",
        there: "it ends the search; an empty `HF_HOME` is the current folder",
        why: "`HF_TOKEN=` in a compose file means no token",
        explains: |scenario, one| (scenario.contains("HF_TOKEN=  ") || scenario.starts_with("HF_HOME= "))
            && (we_succeed(one) || matches!(one, Disagreement::File { .. } | Disagreement::Stdout { .. })),
    }
    LOGIN_AT_HAND_IS_CHECKED {
        here: "`hf auth login` asks the Hub whether the saved login is still valid, and names its user",
        there: "only says that there is one",
        why: "with a revoked token the user is not logged in",
        explains: |scenario, one| scenario.contains("hf auth login")
            && matches!(one, Disagreement::Request { asked, theirs, .. }
                if asked.path == "/api/whoami-v2" && theirs.is_empty()),
    }
    GIT_IS_ASKED_ABOUT {
        here: "`hf auth login` asks whether git should get a pasted token, if a credential helper is set up",
        there: "never asks",
        why: "`git push` needs the token, and few users know the flag",
        explains: |scenario, one| scenario.contains("(on a terminal")
            && only_we_leave(one).is_some_and(|path| path == "home/credentials"),
    }
    LOGOUT_BESIDE_A_VARIABLE {
        here: "logging out with `HF_TOKEN` set warns that it still logs you in",
        there: "an exception, after deleting",
        why: "the logout itself succeeded",
        explains: |scenario, one| scenario.contains("hf auth logout") && exit(one, 0, 1),
    }
    TRANSIENT_ERRORS_ARE_RETRIED {
        here: "every read request that fails temporarily is sent again, up to five times without progress",
        there: "some are, others fail at once",
        why: "short network failures are common",
        explains: |scenario, one| [" once", "for a while", "expired link"]
            .iter().any(|fault| scenario.contains(fault)) && we_succeed(one),
    }
    DOWNLOADS_RESUME {
        here: "partial downloads are resumed, in the same run and in the next (`<hash>.hf-sparse`)",
        there: "fail, and start over",
        why: "large files arrive over bad connections too",
        explains: |scenario, one| ["a reset in mid-body", "an early close"]
            .iter().any(|fault| scenario.contains(fault)) && we_succeed(one),
    }
    ONE_GET_A_FILE {
        here: "one `GET` a file of a snapshot; none for content that is there already, under any name",
        there: "a `HEAD` and a `GET`",
        why: "the listing has what a `HEAD` would answer",
        explains: |_, one| matches!(one, Disagreement::Request { asked, ours, theirs }
            if is_file(&asked.path) && total(ours) <= total(theirs)
                && ours.get("HEAD") <= theirs.get("HEAD")),
    }
    GET_AT_THE_COMMIT {
        here: "a single file is fetched at the commit that its `HEAD` named",
        there: "at the branch, which may have moved on",
        why: "a snapshot must hold the files of its commit",
        explains: |_, one| matches!(one, Disagreement::Request { asked, ours, theirs }
            if is_file(&asked.path) && theirs.is_empty() && ours.get("GET") == Some(&1)),
    }
    DRY_RUN_WRITES_NOTHING {
        here: "`download --dry-run` writes nothing",
        there: "writes refs, folders and lock files",
        why: "a dry run must not change anything",
        explains: |scenario, one| scenario.contains("--dry-run") && only_they_leave(one).is_some(),
    }
    LOCAL_DIR_LEAVES_THE_CACHE_ALONE {
        here: "`--local-dir` writes nothing to the cache",
        there: "writes `refs/<revision>`, which `cache ls` then reports as damage",
        why: "a ref without its snapshot is of no use",
        explains: |scenario, one| scenario.contains("--local-dir")
            && only_they_leave(one).is_some_and(|path| path.starts_with("hf/hub")),
    }
    REF_WHEN_COMPLETE {
        here: "`refs/<revision>` is written when the snapshot is complete, and nothing at all before the first file is",
        there: "the ref and the listing are written before the download",
        why: "until then only the older snapshot works offline",
        explains: |_, one| only_they_leave(one).is_some_and(|path| path.contains("/refs"))
            || matches!(one, Disagreement::File { path, ours: Some(_), theirs: Some(_) } if path.contains("/refs/"))
            || only_they_leave(one).is_some_and(|path| path.contains("org--gated")),
    }
    LOCKS_FOR_THE_GROUP {
        here: "a group may take the locks of a shared cache, as in 2.4.0",
        there: "0.36.2 leaves them to the umask",
        why: "a user who cannot open a lock cannot download",
        explains: |_, one| matches!(one, Disagreement::Mode { path, ours: 0o664, theirs: 0o644 }
            if path.ends_with(".lock")),
    }
    LISTINGS_BY_UMASK {
        here: "`trees/` has the modes that the umask gives",
        there: "0600",
        why: "the group that shares a cache has to read them",
        explains: |_, one| matches!(one, Disagreement::Mode { path, theirs: 0o600, .. } if path.contains("/trees/")),
    }
    CONTENT_IS_HASHED {
        here: "content is hashed before it is published",
        there: "only its size is checked",
        why: "a damaged file is found while it can still be fetched again",
        explains: |scenario, one| scenario.contains("wrong bytes")
            && match one {
                Disagreement::File { path, ours: Some(_), theirs: Some(_) } => path.contains("/blobs/"),
                Disagreement::Request { ours, theirs, .. } => total(ours) > total(theirs),
                _ => false,
            },
    }
    REFUSALS_ARE_EXPLAINED {
        here: "a refused download says whose token was used, and one of something unknown what there is instead, which takes requests of its own",
        there: "that it was refused",
        why: "a wrong token, kind or spelling is the usual reason",
        explains: |scenario, one| scenario.contains("download") && matches!(one,
            Disagreement::Request { asked, theirs, .. } if theirs.is_empty()
                && (asked.path == "/api/whoami-v2" || asked.path.ends_with("/refs") || asked.path.contains("/revision/"))),
    }
    NAMED_FILES_MUST_EXIST {
        here: "a named file that is missing is an error before anything is fetched",
        there: "ignored, when several are named",
        why: "the user asked for it by name",
        explains: |scenario, one| scenario.contains("nothing.txt") && we_refuse(one),
    }
    PATTERNS_MUST_MATCH {
        here: "patterns that match nothing at all are an error",
        there: "a warning, exit 0",
        why: "a typing mistake must not look like a success",
        explains: |scenario, one| ["*.nothing", "--exclude * ", "nowhere/", "CONFIG.json", "{braces}"]
            .iter().any(|pattern| format!("{scenario} ").contains(pattern)) && we_refuse(one),
    }
    PATTERNS_ARE_GIVEN {
        here: "`huggingface-cli download --include` without a pattern is a usage error",
        there: "0.36.2 downloads nothing, exit 0",
        why: "an empty list is a mistake in the script",
        explains: |scenario, one| scenario.ends_with("--include") && we_refuse(one),
    }
    SEVERAL_PATTERNS {
        here: "behind the repository, `--include` and `--exclude` take all words up to the next flag",
        there: "2.4.0 takes one, and the others for names of files; 0.36.2 takes all",
        why: "scripts that are written for the older rule download what they mean",
        explains: |scenario, one| (scenario.contains("--include *.json *.txt") || scenario.contains("--exclude *.json *.txt"))
            && matches!(one, Disagreement::Stdout { .. } | Disagreement::File { .. } | Disagreement::Request { .. }
                | Disagreement::Exit { .. } | Disagreement::Words { .. }),
    }
    PATTERNS_BESIDE_NAMES {
        here: "`--include`/`--exclude` add to, and take from, named files",
        there: "ignored beside named files",
        why: "the user gave them for a reason",
        explains: |scenario, one| scenario.contains("config.json --include") && matches!(one,
            Disagreement::Stdout { .. } | Disagreement::File { .. } | Disagreement::Request { .. }),
    }
    LISTINGS_UNDER_BOTH_NAMES {
        here: "the old name keeps listings (`trees/`) and `CACHEDIR.TAG` in the cache, as 2.4.0 does",
        there: "0.36.2 keeps none",
        why: "both names use the same cache",
        explains: |scenario, one| scenario.contains("huggingface-cli download")
            && (only_we_leave(one).is_some_and(|path| path.contains("/trees") || path.ends_with("CACHEDIR.TAG"))
            || matches!(one, Disagreement::Request { asked, theirs, .. }
                if asked.path.contains("/tree/") && theirs.is_empty())),
    }
    LOCK_BEFORE_ASKING {
        here: "a file's lock is taken before the Hub is asked for the file",
        there: "after a `HEAD`",
        why: "of several programs at the same time only one sends requests",
        explains: |scenario, one| scenario.contains("download") && only_we_leave(one)
            .is_some_and(|path| path.contains("/.locks") || path.ends_with("CACHEDIR.TAG")),
    }
    FIRST_FAILURE_STOPS {
        here: "a snapshot stops at the first file that cannot be fetched",
        there: "the files in transfer are finished first",
        why: "the next run resumes what was not finished",
        explains: |scenario, one| scenario.contains("a slow file")
            && matches!(one, Disagreement::File { path, .. }
                if ["/blobs/", "/snapshots/"].iter().any(|part| path.contains(part))),
    }
    LISTED_FILES_EXIST {
        here: "a listed file that cannot be fetched is not recorded as absent (`.no_exist/`)",
        there: "it is",
        why: "libraries would never ask for it again",
        explains: |_, one| only_they_leave(one).is_some_and(|path| path.contains("/.no_exist")),
    }
    NONSENSE_IS_REFUSED {
        here: "a malformed answer is an error",
        there: "a listing of the wrong form counts as empty, exit 0",
        why: "an empty snapshot must not look like a success",
        explains: |scenario, one| scenario.contains("of other types") && we_refuse(one),
    }
    HOSTILE_NAMES_STOP_ALL {
        here: "a file name that would leave its folder stops a download that asks for the file, before anything is written",
        there: "refused file by file, the rest already written",
        why: "the other files of such a repository are not safe either",
        explains: |scenario, one| scenario.contains("org/hostile") && (only_they_leave(one).is_some()
            || matches!(one, Disagreement::Request { ours, .. } if ours.is_empty())),
    }
    SPACE_IS_CHECKED {
        here: "too little disk space is an error before the download (`--no-space-check` goes on)",
        there: "a warning",
        why: "otherwise the download fails after hours",
        explains: |scenario, one| scenario.contains("org/huge") && (only_they_leave(one).is_some()
            || matches!(one, Disagreement::Request { ours, .. } if ours.is_empty())),
    }
    VERIFY_OFFLINE {
        here: "`cache verify` works offline, against the listing in the cache",
        there: "needs the Hub",
        why: "the listing in the cache is enough",
        explains: |scenario, one| scenario.contains("cache verify") && scenario.contains("offline") && we_succeed(one),
    }
    DAMAGED_REPOSITORIES_ARE_LISTED {
        here: "`cache ls` lists damaged repositories too, with what is wrong (`problem`), except in quiet",
        there: "leaves them out of the list and its total",
        why: "they use disk space, and most can be repaired",
        explains: |scenario, one| scenario.contains("cache ls") && scenario.contains("a damaged cache") && match one {
            Disagreement::Stdout { ours, .. } | Disagreement::Words { ours, .. } =>
                ours.to_lowercase().contains("problem"),
            _ => false,
        },
    }
    DAMAGED_REPOSITORIES_CAN_GO {
        here: "`cache rm` removes damaged repositories too",
        there: "does not find them",
        why: "otherwise only `rm -r` removes them",
        explains: |scenario, one| scenario.contains("cache rm model/org/broken-link") && match one {
            Disagreement::File { ours, .. } => ours.is_none(),
            Disagreement::Stdout { theirs, .. } => theirs.contains("Nothing to delete"),
            Disagreement::Words { theirs, .. } => theirs.is_empty(),
            _ => false,
        },
    }
    REFUSED_LEAVES_NOTHING {
        here: "a refused download leaves the disk as it was",
        there: "empty folders, and files without content",
        why: "a repository that was never downloaded must not be listed",
        explains: |scenario, one| scenario.contains("gated")
            && matches!(one, Disagreement::File { ours: None, .. }),
    }
    LS_TAKES_NAMES {
        here: "`hf cache ls NAME…` lists the repositories of these names",
        there: "it takes no names",
        why: "one repository is looked at more often than all",
        explains: |scenario, one| scenario.contains("cache ls surplus")
            && matches!(one, Disagreement::Exit { theirs: 2, .. }),
    }
    OLD_NAME_HAS_A_VERSION {
        here: "`huggingface-cli --version` answers",
        there: "0.36.2 has `version` alone",
        why: "scripts ask each program in the same way",
        explains: |scenario, one| scenario.contains("huggingface-cli --version")
            && matches!(one, Disagreement::Exit { theirs: 2, .. } | Disagreement::Stdout { .. }),
    }
    ONE_GRAMMAR_OF_NAMES {
        here: "every command understands every form of a name; `cache rm` also `org/name` and `hf://org/name@revision`",
        there: "`cache rm` does not find the former, and refuses the latter",
        why: "what one command prints can be given to another",
        explains: |scenario, one| {
            let names = ["gpt2;", "org/name;", "hf://org/name@main/config.json;"];
            let is_asked = names.iter().any(|name| scenario.contains(&format!("cache rm -y --json {name}")));
            is_asked && match one {
                Disagreement::File { ours, .. } => ours.is_none(),
                Disagreement::Exit { ours, .. } => *ours == 0,
                Disagreement::Stdout { ours, theirs, .. } => ours.contains("deleted") && theirs.is_empty(),
                Disagreement::Words { ours, .. } => !ours.is_empty(),
                _ => false,
            }
        },
    }
    KERNELS_IN_EVERY_TABLE {
        here: "the older commands know kernel repositories too",
        there: "0.36.2 does not",
        why: "they are in the same cache",
        explains: |scenario, one| scenario.contains("scan") && matches!(one, Disagreement::Stdout { ours, theirs, .. }
            if ours.contains("kernel") && !theirs.contains("kernel ")),
    }
    FREED_IS_WHAT_THE_DISK_GETS {
        here: "`freed` counts the unfinished downloads that are removed too",
        there: "does not count them",
        why: "the number is what the disk gets back",
        explains: |scenario, one| scenario.contains("cache rm model/org/sound")
            && matches!(one, Disagreement::Stdout { ours, theirs, .. }
                if ours.contains("freed: 12.0") && theirs.contains("freed: 2.0")),
    }
    WHAT_MAY_BE_WRITTEN_STAYS {
        here: "deletion keeps what was written within 24 hours, unless a lock shows that no process writes it",
        there: "removes it, also while it is written",
        why: "some programs and some file systems have no locks",
        explains: |scenario, one| scenario.contains("written just now") && match one {
            Disagreement::Stdout { ours, theirs, .. } =>
                ours.contains("\"incomplete_deleted\": 0") && theirs.contains("\"incomplete_deleted\": 1"),
            other => only_we_leave(other).is_some_and(|path| path.ends_with(".incomplete")),
        },
    }
    DELETING_TAKES_LOCKS {
        here: "deletion takes the locks that downloads take",
        there: "takes none",
        why: "a repository with a running download is left alone",
        explains: |scenario, one| !scenario.contains("download")
            && only_we_leave(one).is_some_and(|path| path.ends_with("hub/.locks")),
    }
}
