//! How the terminal hands over keys: raw for the picker, hidden for secrets.

#[cfg(unix)]
pub use unix::{Changed, discard_input, has_input};

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
        tcsetattr,
    };

    /// A terminal whose modes are changed until this is dropped.
    pub struct Changed {
        terminal: OwnedFd,
        before: Termios,
        /// When the modes from before are set again.
        when: OptionalActions,
    }

    impl Changed {
        /// `None` when there is no terminal, or it cannot be set.
        fn to(
            terminal: OwnedFd,
            when: OptionalActions,
            change: impl FnOnce(&mut Termios),
        ) -> Option<Self> {
            let before = tcgetattr(&terminal).ok()?;
            let mut modes = before.clone();
            change(&mut modes);
            tcsetattr(&terminal, when, &modes).ok()?;
            Some(Changed {
                terminal,
                before,
                when,
            })
        }

        /// Keys come one by one and are not shown, also while no key is waited for.
        pub fn to_raw() -> Option<Self> {
            let stdin = io::stdin().as_fd().try_clone_to_owned().ok()?;
            Changed::to(stdin, OptionalActions::Drain, |modes| {
                modes.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            })
        }

        /// The terminal shows no keys and hands over each at once, Ctrl-C too, as `rpassword` needs it.
        /// What was typed ahead stays.
        pub fn to_hidden() -> Option<Self> {
            let terminal = File::open("/dev/tty").ok()?;
            Changed::to(terminal.into(), OptionalActions::Now, |modes| {
                let shown = LocalModes::ECHO | LocalModes::ECHONL;
                modes.local_modes &= !(shown | LocalModes::ICANON | LocalModes::ISIG);
                modes.special_codes[SpecialCodeIndex::VMIN] = 1;
                modes.special_codes[SpecialCodeIndex::VTIME] = 0;
            })
        }
    }

    impl Drop for Changed {
        fn drop(&mut self) {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(&self.terminal, self.when, &self.before);
        }
    }

    /// Whether a key was pressed, after waiting for at most 0.2 seconds.
    pub fn has_input() -> bool {
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 200_000_000,
        };
        let stdin = io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        // The following read reports an error; a signal is not one.
        match poll(&mut waiting, Some(&moment)) {
            Ok(ready) => ready > 0,
            Err(error) => error != rustix::io::Errno::INTR,
        }
    }

    /// Discards what was typed and not read yet.
    pub fn discard_input() {
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }
}

#[cfg(not(unix))]
pub use other::{Changed, discard_input, has_input};

/// The crates that read keys set the console by themselves.
#[cfg(not(unix))]
mod other {
    /// Nothing is changed.
    pub struct Changed;

    impl Changed {
        /// Nothing to change.
        pub fn to_raw() -> Option<Self> {
            None
        }

        /// Nothing to change.
        pub fn to_hidden() -> Option<Self> {
            None
        }
    }

    /// The read waits for a key.
    pub fn has_input() -> bool {
        true
    }

    /// Cannot be done.
    pub fn discard_input() {}
}
