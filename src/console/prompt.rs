//! Questions to a person: on stderr, answered from stdin (docs/reference.md#questions).

use std::io::{self, BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::terminal::{self, Changed};
use super::{Console, Mode, interrupt};

impl Console {
    /// Asks for a secret without showing it. Needs a terminal.
    ///
    /// # Errors
    /// The terminal cannot be read, or the input ended ([`io::ErrorKind::UnexpectedEof`]).
    pub fn ask_secret(&self, question: &str) -> io::Result<Zeroizing<String>> {
        // Ctrl-C must not end the process before the terminal shows its input again.
        let _held = interrupt::hold();
        let _kept = interrupt::keep_terminal();
        // Before the question appears: the user may type as soon as it does.
        let _hidden = Changed::to_hidden();
        self.prompt(question);
        let config = rpassword::ConfigBuilder::new().output_discard().build();
        let answer = rpassword::read_password_with_config(config);
        // What was pasted after the first line must not answer the next question.
        terminal::discard_input();
        self.prompt("\n");
        answer.map(Zeroizing::new)
    }

    /// Offers numbered choices and returns the index of the chosen one; an empty line is `default`.
    /// Numbers, not arrow keys: they work on every terminal, with a screen reader and through tmux.
    ///
    /// # Errors
    /// The terminal cannot be read, or the input ended ([`io::ErrorKind::UnexpectedEof`]).
    pub fn ask_choice(
        &self,
        question: &str,
        choices: &[&str],
        default: usize,
    ) -> io::Result<usize> {
        let mut text = format!("{question}\n");
        for (index, choice) in choices.iter().enumerate() {
            text.push_str(&format!(
                "  {}. {}\n",
                index + 1,
                super::text::escape(choice)
            ));
        }
        self.prompt(&text);
        loop {
            let Some(answer) = self.answer(&format!("Number [{}]: ", default + 1))? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match chosen(answer.trim(), choices.len(), default) {
                Some(index) => return Ok(index),
                None => self.prompt(&format!(
                    "Please type a number from 1 to {}.\n",
                    choices.len()
                )),
            }
        }
    }

    /// Asks a yes/no question. The answer is read from stdin even when it is not a terminal; an
    /// empty line means `default`, the end of input means no.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub fn ask_yes_no(&self, question: &str, default: bool) -> io::Result<bool> {
        Ok(self.ask_yes_no_or_end(question, default)?.unwrap_or(false))
    }

    /// As [`Console::ask_yes_no`]; `None` at the end of the input.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub fn ask_yes_no_or_end(&self, question: &str, default: bool) -> io::Result<Option<bool>> {
        let choices = if default { "(Y/n)" } else { "(y/N)" };
        loop {
            let Some(answer) = self.answer(&format!("{question} {choices} "))? else {
                return Ok(None);
            };
            match answer.trim().to_ascii_lowercase().as_str() {
                "" => return Ok(Some(default)),
                "y" | "yes" | "1" => return Ok(Some(true)),
                "n" | "no" | "0" => return Ok(Some(false)),
                _ => self.prompt("Please answer y or n.\n"),
            }
        }
    }

    /// Asks for a line; `None` at the end of the input.
    ///
    /// # Errors
    /// Stdin cannot be read.
    pub fn ask_line(&self, question: &str) -> io::Result<Option<String>> {
        self.answer(question)
    }

    /// Asks, and reads a line; `None` at the end of the input. A signal ends the process, below the line of the question:
    /// the shell's prompt would stand behind `^C` otherwise.
    fn answer(&self, question: &str) -> io::Result<Option<String>> {
        let is_terminal = io::stdin().is_terminal();
        // Before the question appears: the user may press Ctrl-C as soon as it does.
        let held = is_terminal.then(interrupt::hold);
        self.prompt(question);
        if is_terminal {
            while !terminal::has_input() {
                if interrupt::has_come() {
                    self.prompt("\n");
                    interrupt::exit(interrupt::exit_code());
                }
            }
        }
        drop(held);
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer)?;
        if read == 0 {
            self.prompt("\n");
        }
        Ok((read > 0).then_some(answer))
    }

    /// Whether questions are asked in the current format: only in `human`.
    pub fn may_ask(&self) -> bool {
        self.mode() == Mode::Human
    }
}

/// The index that an answer means: nothing is the default, a number itself, and arrow keys (which
/// arrive as escape sequences) move from the default, as in a menu.
fn chosen(answer: &str, choices: usize, default: usize) -> Option<usize> {
    let down = answer.matches("\u{1b}[B").count() + answer.matches("\u{1b}OB").count();
    let up = answer.matches("\u{1b}[A").count() + answer.matches("\u{1b}OA").count();
    let rest = ["\u{1b}[A", "\u{1b}[B", "\u{1b}OA", "\u{1b}OB"]
        .iter()
        .fold(answer.to_owned(), |text, key| text.replace(key, ""));
    match rest.trim() {
        "" => Some((default + down).saturating_sub(up).min(choices - 1)),
        number => {
            let number: usize = number.parse().ok()?;
            (1..=choices).contains(&number).then(|| number - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_a_choice() {
        for (answer, expected) in [
            ("", Some(0)),
            ("1", Some(0)),
            ("3", Some(2)),
            ("0", None),
            ("4", None),
            ("x", None),
            ("\u{1b}[B", Some(1)),
            ("\u{1b}OB\u{1b}[B\u{1b}[A", Some(1)),
            ("\u{1b}[B\u{1b}[B\u{1b}[B\u{1b}[B", Some(2)),
            ("\u{1b}[B3", Some(2)),
        ] {
            assert_eq!(chosen(answer, 3, 0), expected, "{answer:?}");
        }
        for (answer, expected) in [
            ("", 1),
            ("1", 0),
            ("\u{1b}[A", 0),
            ("\u{1b}[A\u{1b}[A", 0),
            ("\u{1b}[B", 2),
            ("\u{1b}[B\u{1b}[B", 2),
        ] {
            assert_eq!(chosen(answer, 3, 1), Some(expected), "{answer:?}");
        }
    }
}
