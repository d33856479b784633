//! What every command works with: settings, console, the token, and a Hub client made on first use.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::auth::renew::NotRenewed;
use crate::auth::resolve::{self, ResolvedToken, Step};
use crate::auth::session::{self, Next, Session, now};
use crate::commands::error::{CliError, ErrorKind, Kind, RAISE_LIMIT, sentence};
use crate::config::env::Env;
use crate::config::settings::{Settings, Verbosity};
use crate::console::text::escape;
use crate::console::{Console, ProgressStyle, interrupt};
use crate::hub::{Hub, HubOptions};
use crate::sys::{limits, threads};
use crate::types::progress::{Event, Notice, Progress};

/// How long background work may take to stop once a command is over.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// Everything a command gets in addition to its arguments.
pub struct Context {
    /// The environment as it was at start.
    pub env: Env,
    /// The settings that follow from it.
    pub settings: Settings,
    /// Output and prompts.
    pub console: Arc<Console>,
    /// The whole grammar with its help texts, made on demand. A value, so that no command imports
    /// the room above it.
    grammar: fn() -> clap::Command,
    hub: OnceCell<Hub>,
    runtime: OnceCell<Runtime>,
    session: Session,
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
        let speaker = Arc::clone(&console);
        let notify = Box::new(move |notice| tell(&speaker, &notice));
        Context {
            session: Session::new(settings.clone(), notify),
            env,
            settings,
            console,
            grammar,
            hub: OnceCell::new(),
            runtime: OnceCell::new(),
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
            let observer = self.observer(ProgressStyle::None);
            let hub = Hub::new(HubOptions::from_settings(&self.settings)?, observer)?;
            let _ = self.hub.set(hub);
        }
        Ok(self.hub.get().expect("set above"))
    }

    /// The active token, to be sent to the Hub, or `None` when no source has one. Asks the Hub only
    /// when a token has to be renewed or exchanged, and the keyring only when a token was put there.
    /// Warns when another Hub gave the token.
    ///
    /// # Errors
    /// See [`resolve::plan`]; a failed exchange, and a keyring that cannot be used.
    pub fn token(&self) -> Result<Option<ResolvedToken>, CliError> {
        let resolved = self.token_to_show()?;
        self.warn_of_another_hub(resolved.as_ref());
        Ok(resolved)
    }

    /// As [`Context::token`], for commands that do not send it.
    ///
    /// # Errors
    /// As [`Context::token`].
    pub fn token_to_show(&self) -> Result<Option<ResolvedToken>, CliError> {
        self.carry_out(resolve::plan(None, &self.env, &self.settings, now())?)
    }

    /// The token for download and verify requests: as [`Context::token`], unless
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves only `option`, the value of `--token`.
    ///
    /// # Errors
    /// As [`Context::token`].
    pub fn token_for_download(
        &self,
        option: Option<&str>,
    ) -> Result<Option<ResolvedToken>, CliError> {
        let step = resolve::plan_for_download(option, &self.env, &self.settings, now())?;
        let resolved = self.carry_out(step)?;
        self.warn_of_another_hub(resolved.as_ref());
        Ok(resolved)
    }

    /// [`Session::token`] in its parts: the runtime and the Hub client are made only when they are
    /// needed, and Ctrl-C ends each part.
    fn carry_out(&self, step: Step) -> Result<Option<ResolvedToken>, CliError> {
        match self.session.begin(step)? {
            Next::Ready(found) => Ok(found),
            Next::Exchange(exchange) => {
                let token = self.block_on(exchange.run(self.hub()?))?;
                Ok(Some(self.session.exchanged(&exchange, token)))
            }
            Next::Renew(renewing) => {
                let client_id = &self.settings.oauth_client_id;
                let asked = self.hub().and_then(|hub| {
                    self.block_on(async { Ok::<_, CliError>(renewing.ask(hub, client_id).await) })
                });
                let answer =
                    asked.unwrap_or_else(|error| Err(NotRenewed::Later(error.to_string())));
                Ok(Some(self.session.finish(*renewing, answer)))
            }
        }
    }

    /// Says, once a command, that the token goes to another Hub than the one that gave it, or that
    /// only that one can renew it.
    fn warn_of_another_hub(&self, resolved: Option<&ResolvedToken>) {
        let Some(resolved) = resolved else { return };
        if self.settings.offline || self.issuer_told.get() {
            return;
        }
        if let Some((warning, hint)) = another_hub(resolved, &self.settings) {
            self.issuer_told.set(true);
            self.console.warn(&warning);
            self.console.hint(&hint);
        }
    }

    /// Shows the events of a download: notices as messages, the rest as progress in this style.
    pub fn observer(&self, style: ProgressStyle) -> Arc<dyn Progress> {
        let (console, shown) = (
            Arc::clone(&self.console),
            self.console.progress_of_download(style),
        );
        let verbosity = self.settings.verbosity;
        Arc::new(move |event: Event| match event {
            Event::Notice(notice) => tell_of_hub(&console, notice, verbosity),
            event => shown.event(event),
        })
    }

    /// Runs asynchronous work to its end. Ctrl-C, SIGTERM and SIGHUP end it at once.
    ///
    /// # Errors
    /// The work's own error; [`Kind::Interrupted`] after Ctrl-C.
    pub fn block_on<T, E: Into<CliError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        self.block_on_then(work, Into::into)
    }

    /// Prepares for work that keeps several cores busy. Call it before anything else waits for the
    /// network. Where the system gives too few threads, this thread does everything.
    ///
    /// # Errors
    /// No runtime can be started at all.
    pub fn use_threads(&self) -> Result<(), CliError> {
        self.runtime(threads::workers()).map(drop)
    }

    /// The runtime, started on first use: on this thread, or on `workers` others.
    /// `TOKIO_WORKER_THREADS` is ignored: it is for programs that document it.
    fn runtime(&self, workers: Option<NonZeroUsize>) -> Result<&Runtime, CliError> {
        if self.runtime.get().is_none() {
            let runtime = threads::start_runtime(workers).map_err(|error| {
                let reason = crate::sys::reason(&error);
                let message = format!("Cannot start the network: {reason}.");
                let hint = limits::is_about_descriptors(&error).then(|| RAISE_LIMIT.to_owned());
                CliError {
                    hint,
                    ..CliError::new(ErrorKind::Other, message).caused_by(error)
                }
            })?;
            let _ = self.runtime.set(runtime);
        }
        Ok(self.runtime.get().expect("set above"))
    }

    /// As [`Context::block_on`], with an error message that only the command can write. `explain` runs
    /// after the work is over, so it may ask the Hub.
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
                // first moments would be lost.
                biased;
                () = interrupt::wait() => None,
                result = work => Some(result),
            }
        });
        match result {
            Some(result) => result.map_err(explain),
            None => {
                self.console.end_progress();
                Err(CliError::new(Kind::Interrupted, "Interrupted."))
            }
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

/// Shows a notice of the Hub client or a download.
fn tell_of_hub(console: &Console, notice: Notice, verbosity: Verbosity) {
    match notice {
        Notice::Trace(text) => console.debug(&escape(&text)),
        _ if verbosity > Verbosity::Warning => {}
        Notice::Waiting(text) => console.say(&sentence(&escape(&text))),
        Notice::Retrying(text) => console.warn_of_retry(&sentence(&escape(&text))),
        Notice::Warning(text) => console.warn(&escape(&text)),
        Notice::Hint(text) => console.hint(&escape(&text)),
    }
}

/// Puts a notice about the token into words.
fn tell(console: &Console, notice: &session::Notice) {
    match notice {
        session::Notice::Ended { name } => {
            console.warn(&format!(
                "The login {} has ended (expired or revoked) and cannot be renewed.",
                escape(name)
            ));
            console.hint("log in again with `hf auth login --force`");
        }
        session::Notice::NotRenewed { name, reason } => console.warn(&format!(
            "The login {} could not be renewed just now ({}); going on with the old token.",
            escape(name),
            escape(reason)
        )),
        session::Notice::NotSaved { reason } => console.warn(&format!(
            "The renewed token could not be saved: {}. Log in again with `hf auth login --force` soon.",
            escape(reason)
        )),
    }
}

/// [`session::another_hub`], fit for a terminal.
pub fn another_hub(resolved: &ResolvedToken, settings: &Settings) -> Option<(String, String)> {
    let (warning, hint) = session::another_hub(resolved, settings)?;
    Some((escape(&warning), escape(&hint)))
}
