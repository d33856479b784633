//! Every variable that the program reads, with its meaning: one text, which is the documentation here
//! and the help on the command line.

macro_rules! variables {
    ($($name:ident $(= $value:literal)? : $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: &str = variables!(@value $name $($value)?);
        )*

        /// Each variable with its meaning.
        pub const VARIABLES: &[(&str, &str)] = &[$(($name, $meaning),)*];
    };
    (@value $name:ident) => { stringify!($name) };
    (@value $name:ident $value:literal) => { $value };
}

variables! {
    // Folders and files.
    HF_HOME: "folder of tokens and cache [default: ~/.cache/huggingface]";
    XDG_CACHE_HOME: "folder of caches, for the default of HF_HOME (XDG base directory specification)";
    HF_HUB_CACHE: "folder of the cache [default: HF_HOME/hub]";
    HUGGINGFACE_HUB_CACHE: "older name of HF_HUB_CACHE";
    HF_TOKEN_PATH: "file of the active token [default: HF_HOME/token]";
    HF_XET_CACHE: "folder of the Python client's Xet library; not used [default: HF_HOME/xet]";

    // The Hub and the token.
    HF_ENDPOINT: "the Hub, or a mirror [default: https://huggingface.co]";
    HF_TRUSTED_ENDPOINTS: "origins that may get a token of another Hub without a warning: https://mirror.example,…";
    HF_TOKEN: "token, before any saved one";
    HUGGING_FACE_HUB_TOKEN: "token, read when HF_TOKEN is unset";
    HUGGINGFACE_TOKEN: "token, read when HF_TOKEN and HUGGING_FACE_HUB_TOKEN are unset";
    HF_DEVICE_CODE_OAUTH_CLIENT_ID: "client id of the browser login [default: that of the Python client]";
    HF_TOKEN_STORAGE: "where a login keeps its token: file or keyring";
    HF_OIDC_RESOURCE: "what the token of a CI job is for: exchanges the job's identity for a token";
    HF_OIDC_ID_TOKEN: "identity token of a CI job, where the CI system is not GitHub Actions";
    GITHUB_ACTIONS: "true in a job of GitHub Actions";
    ACTIONS_ID_TOKEN_REQUEST_URL: "where a job of GitHub Actions gets its identity token";
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "credential for ACTIONS_ID_TOKEN_REQUEST_URL";
    HF_HUB_DISABLE_IMPLICIT_TOKEN: "1: downloads send no token but that of --token";

    // Downloads.
    HF_HUB_OFFLINE: "1: send no request";
    TRANSFORMERS_OFFLINE: "1: send no request; ignored when HF_HUB_OFFLINE is set";
    HF_HUB_DISABLE_PROGRESS_BARS: "1: no progress bars";
    HF_HUB_DISABLE_SYMLINKS: "1: copy files into snapshots instead of linking them";
    HF_HUB_DISABLE_SYMLINKS_WARNING: "1: no warning about a file system without symbolic links";
    HF_HUB_DISABLE_XET: "1: fetch over HTTP, never from Xet storage";
    HF_HUB_DISABLE_SHARED_BLOBS: "1: neither use nor fill the shared blob store";
    HF_HUB_ENABLE_SHARED_BLOBS: "1: make the shared blob store where the cache has none";
    HF_XET_HIGH_PERFORMANCE: "1: more memory and connections for Xet";
    HF_HUB_ETAG_TIMEOUT: "seconds to wait for a connection and for the answer to a HEAD request [default: 10]";
    HF_HUB_DOWNLOAD_TIMEOUT: "seconds of silence before a connection is dropped";
    HF_HUB_USER_AGENT_ORIGIN: "text at the end of the user-agent header, to name a program that runs this one";
    HF_HUB_DISABLE_TELEMETRY: "1: send no telemetry (none is ever sent)";
    HF_HUB_VERBOSITY: "debug: as HF_DEBUG; error or critical: no warnings of the Hub [default: warning]";
    HF_DEBUG: "1: show each request, without secrets";

    // Terminal and system.
    NO_COLOR: "1: no colour";
    DISPLAY: "X display: a browser can be shown";
    WAYLAND_DISPLAY: "Wayland display: a browser can be shown";
    BROWSER: "the user's browser; counts as a display";
    SSH_CONNECTION: "set in a login from another machine, where a browser would open on the wrong screen";
    PATH: "folders that are searched for programs";
    HF_HANDED_ON = "_HF_HANDED_ON": "whom this program handed a command to before, so that a wrapper is not asked twice; set by it";
    COLUMNS: "width of tables in columns, before that of the terminal";
    TERM: "kind of terminal; dumb: no colour, no bars";
    SHELL: "the shell that is meant when none is named";
    ZDOTDIR: "folder of .zshrc [default: the home folder]";
    XDG_CONFIG_HOME: "folder of fish's files [default: ~/.config]";

    // Completion.
    HF_COMPLETE = "_HF_COMPLETE": "set by a shell that asks for a completion: the shell, and the form of the answer";
    COMP_WORDS: "command line to complete, from the shell functions of the Python client";
    COMP_CWORD: "index of the incomplete word in COMP_WORDS, from 0; in fish the word itself";
    TYPER_COMPLETE_ARGS = "_TYPER_COMPLETE_ARGS": "command line to complete, from older Python clients";
    TYPER_COMPLETE_FISH_ACTION = "_TYPER_COMPLETE_FISH_ACTION": "what fish asks of an older Python client: get-args or is-args";

    // Certificate authorities.
    SSL_CERT_FILE: "PEM file of certificate authorities, instead of the system's";
    SSL_CERT_DIR: "folders of such files, in OpenSSL's form";
    REQUESTS_CA_BUNDLE: "PEM file of additional certificate authorities (the variable of Python's requests)";
    CURL_CA_BUNDLE: "PEM file of additional certificate authorities (the variable of curl)";
}

/// The proxy variables, in the spellings that are honoured.
pub const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// What a variable means, in a few words; `None` for one that is not read.
pub fn meaning(variable: &str) -> Option<&'static str> {
    let mut all = VARIABLES.iter();
    all.find(|(name, _)| *name == variable)
        .map(|(_, meaning)| *meaning)
}
