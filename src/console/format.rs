//! Output formats: the requested one, and the one in use.

/// Output format as given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// `agent` when an AI agent runs the command, else `human`.
    #[default]
    Auto,
    /// Tables and sentences for people.
    Human,
    /// Tab-separated values and `key=value` pairs for language models.
    Agent,
    /// One line of JSON.
    Json,
    /// The bare essential value, one a line.
    Quiet,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ProgressStyle {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars; lines where there is no terminal to draw them on.
    Bar,
    /// A line every ten seconds.
    Plain,
    /// Nothing.
    None,
}

impl ProgressStyle {
    /// What to show. `switch` is [`crate::config::settings::Settings::progress_bars`]; `can_draw`: stderr is
    /// a terminal that knows how to move its cursor.
    pub(super) fn decide(self, mode: Mode, switch: Option<bool>, can_draw: bool) -> ProgressStyle {
        let wanted = match self {
            ProgressStyle::Auto if switch.unwrap_or(mode == Mode::Human) => ProgressStyle::Bar,
            ProgressStyle::Auto => ProgressStyle::None,
            given => given,
        };
        match wanted {
            // A log would be full of them.
            ProgressStyle::Bar if !can_draw => ProgressStyle::Plain,
            other => other,
        }
    }
}

/// Output format in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Tables and sentences.
    Human,
    /// Tab-separated values.
    Agent,
    /// JSON.
    Json,
    /// Bare values.
    Quiet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_styles() {
        use ProgressStyle::{Auto, Bar, None as Nothing, Plain};
        for (given, mode, switch, can_draw, expected) in [
            (Auto, Mode::Human, None, true, Bar),
            (Auto, Mode::Human, None, false, Plain),
            (Auto, Mode::Json, None, true, Nothing),
            (Auto, Mode::Quiet, None, false, Nothing),
            (Auto, Mode::Human, Some(false), true, Nothing),
            (Auto, Mode::Human, Some(false), false, Nothing),
            (Auto, Mode::Json, Some(true), true, Bar),
            (Auto, Mode::Json, Some(true), false, Plain),
            (Bar, Mode::Json, Some(false), true, Bar),
            (Bar, Mode::Human, None, false, Plain),
            (Plain, Mode::Quiet, Some(false), true, Plain),
            (Nothing, Mode::Human, Some(true), true, Nothing),
        ] {
            assert_eq!(
                given.decide(mode, switch, can_draw),
                expected,
                "{given:?} {mode:?} {switch:?} {can_draw}"
            );
        }
    }
}
