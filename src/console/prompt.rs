//! Questions to a person: on stderr, answered from stdin (REFERENCE 6).

use std::io::{self, BufRead};

use zeroize::Zeroizing;

use super::{Console, Mode};

impl Console {
    /// Asks for a secret without showing it. Needs a terminal.
    ///
    /// # Errors
    /// The terminal cannot be read, or the input ended ([`io::ErrorKind::UnexpectedEof`]).
    pub fn ask_secret(&self, question: &str) -> io::Result<Zeroizing<String>> {
        self.prompt(question);
        let config = rpassword::ConfigBuilder::new().output_discard().build();
        let answer = rpassword::read_password_with_config(config);
        self.prompt("\n");
        answer.map(Zeroizing::new)
    }

    /// Asks a yes/no question. The answer is read from stdin even when it is not a terminal; an
    /// empty line means `default`, the end of input means no.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub fn ask_yes_no(&self, question: &str, default: bool) -> io::Result<bool> {
        let choices = if default { "[Y/n]" } else { "[y/N]" };
        loop {
            self.prompt(&format!("{question} {choices} "));
            let mut answer = String::new();
            if io::stdin().lock().read_line(&mut answer)? == 0 {
                self.prompt("\n");
                return Ok(false);
            }
            match answer.trim().to_ascii_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.prompt("Please answer y or n.\n"),
            }
        }
    }

    /// Whether a question makes sense in the format in force: only `human` asks.
    pub fn may_ask(&self) -> bool {
        self.mode() == Mode::Human
    }
}
