//! What `--help` and the man pages show of each command beside its arguments: examples, and the
//! variables that it reads. One table, so that a test can find a command without a page and run each
//! example.

use crate::config::env;

/// The examples and variables of one command.
pub struct Page {
    /// Its words after `hf`, with blanks between; empty for `hf` itself.
    pub command: &'static str,
    /// Lines that can be typed as they are.
    pub examples: &'static [&'static str],
    /// Variables that it reads, the most important first.
    pub variables: &'static [&'static str],
}

const LOGIN: &[&str] = &[
    env::HF_HOME,
    env::HF_TOKEN_PATH,
    env::HF_ENDPOINT,
    env::HF_TOKEN_STORAGE,
];
const TOKENS: &[&str] = &[
    env::HF_TOKEN,
    env::HF_HOME,
    env::HF_TOKEN_PATH,
    env::HF_ENDPOINT,
];
const CACHE: &[&str] = &[env::HF_HUB_CACHE, env::HF_HOME];

/// What commands obey that ask the Hub about a repository, or read the cache instead.
const REPOSITORY: &[&str] = &[
    env::HF_HUB_CACHE,
    env::HF_HOME,
    env::HF_TOKEN,
    env::HF_ENDPOINT,
    env::HF_HUB_OFFLINE,
];
const ALIAS: &[&str] = &[env::PATH];

/// All pages.
pub const PAGES: &[Page] = &[
    Page {
        command: "",
        examples: &[
            "hf auth login",
            "hf download openai-community/gpt2",
            "hf cache ls",
        ],
        variables: &[
            env::HF_HOME,
            env::HF_HUB_CACHE,
            env::HF_TOKEN,
            env::HF_ENDPOINT,
            env::HF_HUB_OFFLINE,
            env::HF_DEBUG,
            env::NO_COLOR,
        ],
    },
    Page {
        command: "auth",
        examples: &["hf auth login", "hf auth status", "hf auth list"],
        variables: TOKENS,
    },
    Page {
        command: "auth login",
        examples: &[
            "hf auth login",
            "hf auth login --token-stdin < token.txt",
            "hf auth login --storage keyring",
        ],
        variables: LOGIN,
    },
    Page {
        command: "auth logout",
        examples: &["hf auth logout", "hf auth logout --token-name my-laptop"],
        variables: LOGIN,
    },
    Page {
        command: "auth whoami",
        examples: &["hf auth whoami", "hf auth whoami --json"],
        variables: TOKENS,
    },
    Page {
        command: "auth list",
        examples: &["hf auth list", "hf auth list --json"],
        variables: TOKENS,
    },
    Page {
        command: "auth switch",
        examples: &["hf auth switch", "hf auth switch --token-name my-laptop"],
        variables: LOGIN,
    },
    Page {
        command: "auth token",
        examples: &["hf auth token", "TOKEN=$(hf auth token -q)"],
        variables: TOKENS,
    },
    Page {
        command: "auth status",
        examples: &["hf auth status", "hf auth status --offline"],
        variables: TOKENS,
    },
    Page {
        command: "download",
        examples: &[
            "hf download openai-community/gpt2",
            "hf download openai-community/gpt2 config.json model.safetensors",
            "hf download openai-community/gpt2 --include \"*.json\" --exclude \"onnx/*\"",
            "hf download openai-community/gpt2 --local-dir ./gpt2",
            "hf download datasets/nyu-mll/glue cola/ --revision refs/pr/1",
            "hf download --from-file models.txt",
            "MODEL=$(hf download openai-community/gpt2)",
        ],
        variables: &[
            env::HF_HUB_CACHE,
            env::HF_HOME,
            env::HF_TOKEN,
            env::HF_ENDPOINT,
            env::HF_HUB_OFFLINE,
            env::HF_HUB_DISABLE_PROGRESS_BARS,
            env::HF_HUB_DISABLE_XET,
            env::HF_XET_HIGH_PERFORMANCE,
            env::HF_HUB_DOWNLOAD_TIMEOUT,
        ],
    },
    Page {
        command: "ls",
        examples: &[
            "hf ls openai-community/gpt2",
            "hf ls openai-community/gpt2 \"*.json\" onnx/",
            "hf ls datasets/nyu-mll/glue --revision refs/pr/1 --json",
        ],
        variables: REPOSITORY,
    },
    Page {
        command: "cache",
        examples: &[
            "hf cache ls --sort size",
            "hf cache rm model/openai-community/gpt2",
            "hf cache prune --dry-run",
        ],
        variables: CACHE,
    },
    Page {
        command: "cache ls",
        examples: &[
            "hf cache ls",
            "hf cache ls --revisions",
            "hf cache ls --filter \"size>1GB\" --filter \"accessed>30d\" --sort size",
            "hf cache ls -q --filter type=dataset",
        ],
        variables: CACHE,
    },
    Page {
        command: "cache rm",
        examples: &[
            "hf cache rm model/openai-community/gpt2",
            "hf cache rm dataset/nyu-mll/glue --dry-run",
            "hf cache rm hf://openai-community/gpt2/model.safetensors --yes",
        ],
        variables: CACHE,
    },
    Page {
        command: "cache prune",
        examples: &[
            "hf cache prune --dry-run",
            "hf cache prune --older-than 60d --pin \"model/my-org/*\"",
            "hf cache prune --max-size 200GB --yes",
        ],
        variables: CACHE,
    },
    Page {
        command: "cache pin",
        examples: &["hf cache pin model/openai-community/gpt2"],
        variables: CACHE,
    },
    Page {
        command: "cache unpin",
        examples: &["hf cache unpin model/openai-community/gpt2"],
        variables: CACHE,
    },
    Page {
        command: "cache verify",
        examples: &[
            "hf cache verify openai-community/gpt2",
            "hf cache verify openai-community/gpt2 --revision main --fail-on-missing-files",
            "hf cache verify --all",
        ],
        variables: REPOSITORY,
    },
    Page {
        command: "cache doctor",
        examples: &["hf cache doctor", "hf cache doctor --fix --yes"],
        variables: CACHE,
    },
    Page {
        command: "cache scan",
        examples: &["hf cache scan", "hf cache scan -vvv"],
        variables: CACHE,
    },
    Page {
        command: "cache delete",
        examples: &["hf cache delete", "hf cache delete --sort size"],
        variables: CACHE,
    },
    Page {
        command: "env",
        examples: &["hf env", "hf env --json"],
        variables: &[env::HF_HOME, env::HF_HUB_CACHE, env::HF_ENDPOINT],
    },
    Page {
        command: "version",
        examples: &["hf version", "hf version -q", "hf version --json"],
        variables: &[],
    },
    Page {
        command: "update",
        examples: &["hf update", "hf update -q"],
        variables: &[],
    },
    Page {
        command: "completions",
        examples: &[
            "hf completions bash",
            "hf completions zsh > _hf",
            "hf --install-completion",
        ],
        variables: &[env::SHELL, env::ZDOTDIR, env::XDG_CONFIG_HOME],
    },
    Page {
        command: "alias",
        examples: &["hf alias", "hf alias add", "hf alias remove"],
        variables: ALIAS,
    },
    Page {
        command: "alias list",
        examples: &["hf alias list", "hf alias list --json"],
        variables: ALIAS,
    },
    Page {
        command: "alias add",
        examples: &["hf alias add", "hf alias add --dir ~/.local/bin"],
        variables: ALIAS,
    },
    Page {
        command: "alias remove",
        examples: &["hf alias remove", "hf alias remove --dir ~/.local/bin"],
        variables: ALIAS,
    },
    Page {
        command: "man",
        examples: &["hf man | man -l -", "hf man --out man1"],
        variables: &[],
    },
];

/// The page of a command.
pub fn page(command: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.command == command)
}

impl Page {
    /// `Examples:` and the lines.
    pub fn examples_text(&self) -> String {
        let lines: Vec<String> = self.examples.iter().map(|one| format!("  {one}")).collect();
        format!("Examples:\n{}", lines.join("\n"))
    }

    /// `Environment:` and the variables with their meaning; empty when there are none.
    pub fn variables_text(&self) -> String {
        if self.variables.is_empty() {
            return String::new();
        }
        let width = self.variables.iter().map(|one| one.len()).max();
        let width = width.unwrap_or(0);
        let lines: Vec<String> = self
            .variables
            .iter()
            .map(|one| format!("  {one:width$}  {}", env::meaning(one).unwrap_or_default()))
            .collect();
        format!("Environment:\n{}", lines.join("\n"))
    }
}
