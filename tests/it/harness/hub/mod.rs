//! A Hub on the loopback interface: a real HTTP server with repositories, users, a CDN on an origin of its own, a log of
//! every request, and faults that a test switches on by name.
//!
//! It depends on nothing else of the test harness and not on the program under test, so the demo and the benchmarks
//! include it too. It runs on threads of its own; callers need no async runtime. Dropping it stops it.
//!
//! ```ignore
//! let hub = Hub::start();
//! let repo = hub.add(Repo::model("org/name").file("config.json", "{}").lfs("model.bin", Content::synthetic(1 << 20, 7)));
//! hub.user("alice").token("hf_alice", "read", "laptop");
//! hub.fault(Fault::ResetMidBody { after_bytes: 1000 }.on("model.bin").times(1));
//! // … run a client with HF_ENDPOINT = hub.endpoint() …
//! assert_eq!(hub.count(|request| request.content), 3);
//! ```
//!
//! Where things are: `route` reads addresses; `api`, `resolve`, `cdn` and `auth` answer them; `repo` and `content` hold
//! what is served; `faults` and `body` damage it, `delivery` knows what has arrived; `log` writes down what was asked; `server` ties them together, `wire`
//! holds the connections.
#![allow(
    dead_code,
    unused_imports,
    reason = "tests, demo and benchmarks each use a part of it"
)]

mod api;
mod auth;
mod body;
mod cdn;
mod content;
mod delivery;
mod faults;
mod log;
mod oauth;
mod port;
mod reply;
mod repo;
mod resolve;
mod route;
mod server;
mod wire;
mod xet;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use content::{Content, hex, sha1_hex, sha256_of};
pub use faults::{Fault, Rule, Strikes};
pub use log::{Origin, Request};
pub use port::{Port, close, closed};
pub use repo::{Access, Entry, Kind, Repo, Tree};
pub use xet::{TOKEN as XET_TOKEN, XetGate};

use server::State;

/// How the Hub behaves; see [`Hub::configure`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Port of the Hub's origin; 0 lets the system choose. Read at the start only.
    pub port: u16,
    /// Both origins speak https, with certificates of an authority of their own: see [`Hub::ca_pem`]. Read at the start only.
    pub tls: bool,
    /// HTTP/2 with clients that ask for it; needs `tls`. Read at the start only.
    pub http2: bool,
    /// A path before every address of the Hub, such as `/mirror`: `HF_ENDPOINT` may carry one. Read at the start only.
    pub path_prefix: String,
    /// Links and redirects name the public Hub instead of this one: a mirror that passes on what it was told.
    pub public_links: bool,
    /// Waiting time before every answer.
    pub latency: Duration,
    /// Bytes per second that one connection gets.
    pub bandwidth: Option<u64>,
    /// Rows in one page of a tree listing; the real Hub sends about 1,000.
    pub page_size: usize,
    /// Small files answer 307 to `/api/resolve-cache/…`, as the real Hub does for most.
    pub resolve_cache: bool,
    /// The answer behind that 307 has the content alone: only the 307 says which file of which commit it is.
    pub bare_cached_copies: bool,
    /// ETags of files carry the weak mark `W/`.
    pub weak_etags: bool,
    /// How long a link to the CDN is valid.
    pub link_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            tls: false,
            http2: false,
            path_prefix: String::new(),
            public_links: false,
            latency: Duration::ZERO,
            bandwidth: None,
            page_size: 1000,
            resolve_cache: false,
            bare_cached_copies: false,
            weak_etags: false,
            link_lifetime: Duration::from_secs(3600),
        }
    }
}

/// A running Hub.
pub struct Hub {
    state: Arc<State>,
    /// Of the Hub's origin and of the CDN's.
    ports: [Port; 2],
    runtime: Option<Runtime>,
    running: Option<Running>,
}

/// The two listeners: they end when `stop` is dropped, and `ended` disconnects when both have.
struct Running {
    stop: watch::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Hub {
    /// An empty Hub on free ports.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// An empty Hub with these settings. Panics when the port is taken.
    pub fn with(settings: Settings) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("hub")
            .enable_all()
            .build()
            .expect("runtime of the Hub");
        let ports = [Port::numbered(settings.port), Port::free()];
        let state = Arc::new(State {
            tls: settings.tls.then(|| wire::Tls::new(settings.http2)),
            settings: RwLock::new(settings),
            hub_address: ports[0].address(),
            cdn_address: ports[1].address(),
            repos: RwLock::default(),
            renamed: RwLock::default(),
            blobs: RwLock::default(),
            expired: std::sync::Mutex::default(),
            users: RwLock::default(),
            oauth: std::sync::Mutex::default(),
            faults: faults::Faults::default(),
            log: log::Log::default(),
            warnings: RwLock::default(),
            xet: RwLock::default(),
            numbers: AtomicU64::new(1),
        });
        let mut this = Self {
            state,
            ports,
            runtime: Some(runtime),
            running: None,
        };
        this.listen();
        this
    }

    fn listen(&mut self) {
        let (stop, stopped) = watch::channel(());
        let (ending, ended) = mpsc::channel::<()>();
        let runtime = self.runtime.as_ref().expect("running");
        for (port, origin) in self.ports.iter().zip([Origin::Hub, Origin::Cdn]) {
            let listener = port.listen();
            listener.set_nonblocking(true).expect("listener");
            let (state, stopped, ending) = (self.state.clone(), stopped.clone(), ending.clone());
            runtime.spawn(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
                wire::serve(listener, origin, state, stopped).await;
                drop(ending);
            });
        }
        self.running = Some(Running { stop, ended });
    }

    /// Closes both ports and all connections: clients are refused. See [`Hub::resume`].
    pub fn stop(&mut self) {
        if let Some(Running { stop, ended }) = self.running.take() {
            drop(stop);
            // Disconnects, which is an error by name only, when both listeners are closed.
            let _ = ended.recv();
        }
    }

    /// Opens the same ports again.
    pub fn resume(&mut self) {
        assert!(self.running.is_none(), "the Hub is running");
        self.listen();
    }

    /// What belongs in `HF_ENDPOINT`: `http://127.0.0.1:PORT`, and the path prefix if one is set.
    pub fn endpoint(&self) -> String {
        self.state.endpoint()
    }

    /// The origin of links to large files: another port, hence another origin.
    pub fn cdn_origin(&self) -> String {
        self.state.cdn_origin()
    }

    /// The certificate a client has to trust (`SSL_CERT_FILE`), in PEM. Panics unless the Hub speaks TLS.
    pub fn ca_pem(&self) -> &str {
        &self.state.tls.as_ref().expect("Settings::tls").ca_pem
    }

    /// Changes the settings from the next request on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state.settings.write().expect("settings"));
    }

    /// Publishes a repository, replacing one of the same kind and name.
    pub fn add(&self, mut repo: Repo) -> Published<'_> {
        repo.seal();
        let key = repo.key();
        self.publish_large_files(&repo);
        self.state.renamed.write().expect("renamed").remove(&key);
        let mut repos = self.state.repos.write().expect("repos");
        repos.insert(key.clone(), repo);
        Published { hub: self, key }
    }

    /// A published repository by kind and id, such as `models/org/name`. Panics when there is none.
    pub fn repo(&self, key: &str) -> Published<'_> {
        let repos = self.state.repos.read().expect("repos");
        assert!(repos.contains_key(key), "no repository {key}");
        Published {
            hub: self,
            key: key.to_owned(),
        }
    }

    fn publish_large_files(&self, repo: &Repo) {
        let mut blobs = self.state.blobs.write().expect("blobs");
        for content in repo.large_files() {
            blobs.insert(content.sha256(), content.clone());
        }
    }

    /// A user, created when new.
    pub fn user(&self, name: &str) -> Account<'_> {
        self.state.users.write().expect("users").ensure(name);
        Account {
            hub: self,
            name: name.to_owned(),
        }
    }

    /// Makes a token unknown.
    pub fn revoke(&self, token: &str) {
        self.state.users.write().expect("users").revoke(token);
    }

    /// Switches a fault on; returns a counter of its strikes.
    pub fn fault(&self, rule: impl Into<Rule>) -> Strikes {
        self.state.faults.add(rule.into())
    }

    /// Switches all faults off. Panics when no request met one of them, unless it is [`Rule::optional`].
    #[track_caller]
    pub fn clear_faults(&self) {
        let unmet = self.state.faults.clear();
        assert!(
            unmet.is_empty(),
            "no request met {}\n{}",
            unmet.join(" nor "),
            self.log_text()
        );
    }

    /// Sends `X-HF-Warning: topic; message` with every answer of the Hub from now on.
    pub fn warning(&self, warning: &str) {
        let mut warnings = self.state.warnings.write().expect("warnings");
        warnings.push(warning.to_owned());
    }

    /// Sends clients to this Xet storage server from now on, with tokens that work for an hour; `None`: there is none.
    pub fn xet(&self, server: Option<&str>) {
        self.xet_tokens(server, [3600]);
    }

    /// As [`Hub::xet`], with tokens of these lifetimes.
    pub fn xet_tokens<const N: usize>(&self, server: Option<&str>, lifetimes: [i64; N]) {
        *self.state.xet.write().expect("xet") = server.map(|server| XetGate {
            server: server.to_owned(),
            lifetimes: lifetimes.to_vec(),
        });
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.state.log.requests()
    }

    /// How many requests fit.
    pub fn count(&self, fits: impl Fn(&Request) -> bool) -> usize {
        self.requests().into_iter().filter(|r| fits(r)).count()
    }

    /// Bytes of file content sent so far by both origins.
    pub fn content_bytes_sent(&self) -> u64 {
        let requests = self.requests().into_iter();
        requests
            .filter(|r| r.content)
            .map(|r| r.body_bytes_sent)
            .sum()
    }

    /// As [`Hub::content_bytes_sent`], of the requests that fit (status and bytes of these are not set yet). Cheap
    /// enough to be asked every millisecond.
    pub fn content_bytes_sent_for(&self, fits: impl Fn(&Request) -> bool) -> u64 {
        self.state.log.content_bytes(fits)
    }

    /// Requests that showed a token to the CDN: there must never be one.
    pub fn leaked_tokens(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|r| r.origin == Origin::Cdn && r.authorization.is_some());
        requests
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.log.connections()
    }

    /// Forgets all requests so far.
    pub fn clear_requests(&self) {
        self.state.log.clear();
    }

    /// The log as text, a line a request, for failure messages.
    pub fn log_text(&self) -> String {
        let lines: Vec<String> = self.requests().iter().map(Request::line).collect();
        lines.join("\n")
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.running = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // A test that fails already says why.
        if !std::thread::panicking() {
            self.clear_faults();
        }
    }
}

/// A repository of a running Hub.
#[derive(Clone)]
pub struct Published<'a> {
    hub: &'a Hub,
    key: String,
}

impl Published<'_> {
    fn read<T>(&self, look: impl FnOnce(&Repo) -> T) -> T {
        let repos = self.hub.state.repos.read().expect("repos");
        look(repos.get(&self.key).expect("repository"))
    }

    /// The commit a revision names. Panics when it names none.
    pub fn commit(&self, revision: &str) -> String {
        self.read(|repo| repo.at(revision).expect("revision").0.to_owned())
    }

    /// A file of `main`: its content, and the names a client gives it.
    pub fn entry(&self, path: &str) -> Entry {
        self.read(|repo| repo.at("main").expect("main").1.entries[path].clone())
    }

    /// Adds a commit to `main`; answers its hash.
    pub fn update(&self, edit: impl FnOnce(Tree) -> Tree) -> String {
        self.update_at("main", edit)
    }

    /// Adds a commit to a branch or `refs/…`; answers its hash.
    pub fn update_at(&self, name: &str, edit: impl FnOnce(Tree) -> Tree) -> String {
        let mut repos = self.hub.state.repos.write().expect("repos");
        let repo = repos.get_mut(&self.key).expect("repository");
        let commit = repo.update(name, edit);
        self.hub.publish_large_files(repo);
        commit
    }

    /// Changes who may read it.
    pub fn set_access(&self, access: Access) {
        let mut repos = self.hub.state.repos.write().expect("repos");
        repos.get_mut(&self.key).expect("repository").access = access;
    }

    /// Gives it another id; the old one answers 307 from now on.
    pub fn rename(self, new_id: &str) -> Self {
        let mut repos = self.hub.state.repos.write().expect("repos");
        let mut repo = repos.remove(&self.key).expect("repository");
        repo.id = new_id.to_owned();
        let key = repo.key();
        repos.insert(key.clone(), repo);
        let mut renamed = self.hub.state.renamed.write().expect("renamed");
        renamed.insert(self.key, new_id.to_owned());
        Self { hub: self.hub, key }
    }

    /// Removes it.
    pub fn delete(self) {
        let mut repos = self.hub.state.repos.write().expect("repos");
        repos.remove(&self.key);
    }
}

/// A user of a running Hub.
pub struct Account<'a> {
    hub: &'a Hub,
    name: String,
}

impl Account<'_> {
    /// Gives the user a token with a role (`read`, `write`, `fineGrained`) and a display name.
    pub fn token(self, token: &str, role: &str, display_name: &str) -> Self {
        let mut users = self.hub.state.users.write().expect("users");
        users.add_token(&self.name, token, role, Some(display_name));
        drop(users);
        self
    }

    /// Gives the user a token as the browser login issues it: whoami shows no name and no role for it.
    pub fn oauth_token(self, token: &str) -> Self {
        let mut users = self.hub.state.users.write().expect("users");
        users.add_token(&self.name, token, "", None);
        drop(users);
        self
    }

    /// Makes the user a member of organisations.
    pub fn orgs<const N: usize>(self, orgs: [&str; N]) -> Self {
        let mut users = self.hub.state.users.write().expect("users");
        for org in orgs {
            users.join(&self.name, org);
        }
        drop(users);
        self
    }
}
