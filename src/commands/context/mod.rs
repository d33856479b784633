//! What every command works with: settings, console, and a Hub client made on first use.

mod token;

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Runtime, RuntimeFlavor};

pub use self::token::{another_hub, now};
use crate::commands::error::{CliError, Kind, RAISE_LIMIT, sentence};
use crate::config::env::Env;
use crate::config::settings::Settings;
use crate::console::text::escape;
use crate::console::{Console, interrupt};
use crate::hub::http::{Notice, Notify};
use crate::hub::{Hub, HubOptions};
use crate::sys::{limits, threads};
use crate::types::token::Token;

/// How long background work may take to stop once a command is over.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// Everything a command is given besides its arguments.
pub struct Context {
    /// The environment as it was at start.
    pub env: Env,
    /// What it means.
    pub settings: Settings,
    /// Where to speak.
    pub console: Arc<Console>,
    /// The whole grammar with its help texts, made on demand. A value, so that no command imports
    /// the room above it.
    grammar: fn() -> clap::Command,
    hub: OnceCell<Hub>,
    runtime: OnceCell<Runtime>,
    exchanged: OnceCell<Token>,
    renewal_failed: Cell<bool>,
    issuer_told: Cell<bool>,
}

impl Context {
    /// A context; nothing is opened or started yet.
    pub fn new(
        env: Env,
        settings: Settings,
        console: Arc<Console>,
        grammar: fn() -> clap::Command,
    ) -> Self {
        Context {
            env,
            settings,
            console,
            grammar,
            hub: OnceCell::new(),
            runtime: OnceCell::new(),
            exchanged: OnceCell::new(),
            renewal_failed: Cell::new(false),
            issuer_told: Cell::new(false),
        }
    }

    /// The grammar of `hf` with all that `--help` shows.
    pub fn grammar(&self) -> clap::Command {
        (self.grammar)()
    }

    /// The Hub client.
    ///
    /// # Errors
    /// It cannot be set up: a bad certificate file or proxy setting.
    pub fn hub(&self) -> Result<&Hub, CliError> {
        if self.hub.get().is_none() {
            let console = Arc::clone(&self.console);
            let notify: Notify = Arc::new(move |notice| match notice {
                Notice::Waiting(text) => console.say(&sentence(&escape(&text))),
                Notice::Retrying(text) => console.warn_of_retry(&sentence(&escape(&text))),
                Notice::Warning(text) => console.warn(&escape(&text)),
                Notice::Trace(text) => console.say(&format!("[debug] {}", escape(&text))),
            });
            let hub = Hub::new(HubOptions::from_settings(&self.settings)?, notify)?;
            let _ = self.hub.set(hub);
        }
        Ok(self.hub.get().expect("set above"))
    }

    /// Runs asynchronous work to its end. Ctrl-C and its like end it at once.
    ///
    /// # Errors
    /// The work's own error; [`Kind::Interrupted`] after Ctrl-C.
    pub fn block_on<T, E: Into<CliError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        self.block_on_then(work, Into::into)
    }

    /// Gets ready for work that keeps several cores busy; to be called before anything else waits for
    /// the network. `false` when the system gives too few threads: all is done by this one then.
    ///
    /// # Errors
    /// Not even that can be started.
    pub fn use_threads(&self) -> Result<bool, CliError> {
        let workers = threads::workers();
        let runtime = self.runtime(workers)?;
        Ok(runtime.handle().runtime_flavor() == RuntimeFlavor::MultiThread)
    }

    /// What runs asynchronous work, started on first use: on this thread, or on so many others.
    /// `TOKIO_WORKER_THREADS` is for programs that ask their users to set it.
    fn runtime(&self, workers: Option<NonZeroUsize>) -> Result<&Runtime, CliError> {
        if self.runtime.get().is_none() {
            let runtime = threads::start_runtime(workers).map_err(|error| {
                let reason = crate::sys::reason(&error);
                let message = format!("Cannot start the network: {reason}.");
                let hint = limits::is_about_descriptors(&error).then(|| RAISE_LIMIT.to_owned());
                CliError {
                    hint,
                    ..CliError::new(Kind::Other, message).caused_by(error)
                }
            })?;
            let _ = self.runtime.set(runtime);
        }
        Ok(self.runtime.get().expect("set above"))
    }

    /// As [`Context::block_on`], with words for the error that only the command can find. They are
    /// found after the work is over, so `explain` may ask the Hub.
    ///
    /// # Errors
    /// As [`Context::block_on`].
    pub fn block_on_then<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        explain: impl FnOnce(E) -> CliError,
    ) -> Result<T, CliError> {
        let runtime = self.runtime(None)?;
        let _held = interrupt::hold();
        let result = runtime.block_on(async {
            tokio::select! {
                // In this order: the listener stands before the work begins, or a Ctrl-C in its
                // first moments would be nobody's.
                biased;
                () = interrupt::wait() => None,
                result = work => Some(result),
            }
        });
        match result {
            Some(result) => result.map_err(explain),
            None => Err(CliError::new(Kind::Interrupted, "Interrupted.")),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SHUTDOWN);
        }
    }
}
