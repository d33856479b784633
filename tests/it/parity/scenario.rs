//! One line of the table: a command, the state it starts from, and the differences it shows.

use std::sync::Arc;

use crate::harness::oracle::Oracle;

use super::compare::Format;
use super::world::World;

/// Which Python client is the measure, and the name our program is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `hf`, 2.4.0.
    Modern,
    /// `huggingface-cli`, 0.36.2.
    Legacy,
    /// `hf`, 0.36.2: for commands that 2.4.0 has no more.
    LegacyHf,
}

impl Client {
    /// The Python client, when it can be had.
    pub fn oracle(self) -> Option<Oracle> {
        match self {
            Self::Modern => Oracle::modern(),
            Self::Legacy | Self::LegacyHf => Oracle::legacy(),
        }
    }
}

/// Changes the world before the command runs.
pub type Step = Arc<dyn Fn(&mut World) + Send + Sync>;

/// What is typed on a terminal: what our program and the Python client show before, and the keys. A client that shows
/// nothing (an empty text) is typed nothing.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    pub ours: &'static str,
    pub theirs: &'static str,
    pub keys: &'static str,
}

/// One line of the table.
#[derive(Clone)]
pub struct Scenario {
    pub client: Client,
    /// Words of the command line; `{name}` stands for what the world calls so.
    pub args: Vec<String>,
    pub state: Vec<&'static str>,
    pub steps: Vec<Step>,
    /// Command lines that the same client runs before, unobserved.
    pub before: Vec<Vec<String>>,
    pub vars: Vec<(&'static str, String)>,
    pub stdin: &'static str,
    /// On a terminal, with this typed.
    pub terminal: Option<Vec<Typed>>,
}

/// A scenario of the name `hf`. Words are separated by blanks; `''` is an empty word.
pub fn hf(line: &str) -> Scenario {
    Scenario::new(Client::Modern, line)
}

/// A scenario of the name `huggingface-cli`.
pub fn huggingface_cli(line: &str) -> Scenario {
    Scenario::new(Client::Legacy, line)
}

/// A scenario of the name `hf`, measured by 0.36.2.
pub fn hf_0_36(line: &str) -> Scenario {
    Scenario::new(Client::LegacyHf, line)
}

fn words(line: &str) -> Vec<String> {
    let word = |word: &str| if word == "''" { "" } else { word }.to_owned();
    line.split_whitespace().map(word).collect()
}

impl Scenario {
    fn new(client: Client, line: &str) -> Self {
        Self {
            client,
            args: words(line),
            state: Vec::new(),
            steps: Vec::new(),
            before: Vec::new(),
            vars: Vec::new(),
            stdin: "",
            terminal: None,
        }
    }

    /// Starts from a state of this name, reached by `step`; states add up.
    pub fn given(
        mut self,
        name: &'static str,
        step: impl Fn(&mut World) + Send + Sync + 'static,
    ) -> Self {
        self.state.push(name);
        self.steps.push(Arc::new(step));
        self
    }

    /// The same client has run this before; the Hub's log starts after it.
    pub fn after(mut self, line: &str) -> Self {
        self.before.push(words(line));
        self
    }

    /// With a variable; `{name}` stands for what the world calls so.
    pub fn var(mut self, name: &'static str, value: &str) -> Self {
        self.vars.push((name, value.to_owned()));
        self
    }

    /// With this on standard input.
    pub fn stdin(mut self, text: &'static str) -> Self {
        self.stdin = text;
        self
    }

    /// On a terminal, with this typed.
    pub fn typed<const N: usize>(mut self, typed: [Typed; N]) -> Self {
        self.terminal = Some(typed.to_vec());
        self
    }

    /// The form of its output.
    pub fn format(&self) -> Format {
        match self.client {
            Client::Modern => Format::asked_for(&self.args),
            Client::Legacy | Client::LegacyHf => Format::Human,
        }
    }

    /// Its name in messages: unique in the table.
    pub fn name(&self) -> String {
        let client = match self.client {
            Client::Modern => "hf",
            Client::Legacy => "huggingface-cli",
            Client::LegacyHf => "hf (0.36.2)",
        };
        let mut name = String::new();
        for (variable, value) in &self.vars {
            name.push_str(&format!("{variable}={} ", value.escape_default()));
        }
        name.push_str(client);
        for arg in &self.args {
            name.push(' ');
            name.push_str(if arg.is_empty() { "''" } else { arg });
        }
        if !self.stdin.is_empty() {
            name.push_str(&format!(" < {:?}", self.stdin));
        }
        if let Some(typed) = &self.terminal {
            let keys: String = typed.iter().map(|typed| typed.keys).collect();
            name.push_str(&format!(" (on a terminal, typing {keys:?})"));
        }
        for state in &self.state {
            name.push_str(&format!("; {state}"));
        }
        for before in &self.before {
            name.push_str(&format!("; after {}", before.join(" ")));
        }
        name
    }
}

/// Several scenarios from one, each with further words.
pub fn each<const N: usize>(
    scenario: impl Fn(&str) -> Scenario,
    endings: [&str; N],
) -> Vec<Scenario> {
    endings.iter().map(|ending| scenario(ending)).collect()
}
