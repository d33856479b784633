//! `hf auth list`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::environment_token;
use crate::auth::saved::{self, Saved};
use crate::auth::session::now;
use crate::auth::stored::Storage;
use crate::commands::context::Context;
use crate::commands::error::CliError;
use crate::console::text::escape;
use crate::console::{Console, Mode, Table};
use crate::types::token::Token;

/// Shown for a section without a token.
const NOT_SET: &str = "<not set>";

/// Lists the saved tokens, never showing one.
///
/// # Errors
/// `stored_tokens` cannot be read or understood.
pub fn run(context: &Context) -> Result<(), CliError> {
    // Before the list is read: this may renew a token and write it there.
    let current = context.token_to_show()?.map(|resolved| resolved.token);
    let stored = saved::list(&context.settings)?;
    show(&context.console, &stored, current.as_ref(), now());
    for saved in &stored {
        if let Some(error) = &saved.trouble {
            context.console.warn(&format!(
                "The token {} cannot be shown: {}.",
                escape(&saved.entry.name),
                escape(&error.in_words())
            ));
        }
    }
    explain_active(context, &stored, current.as_ref());
    Ok(())
}

fn show(console: &Console, stored: &[Saved], current: Option<&Token>, now: i64) {
    if stored.is_empty() && matches!(console.mode(), Mode::Human | Mode::Agent) {
        return;
    }
    if console.is_legacy() {
        console.line(&legacy_table(stored, current));
        return;
    }
    let human = console.mode() == Mode::Human;
    let mut columns = vec![if human { " " } else { "active" }, "name", "token"];
    let with_expiry = stored.iter().any(|saved| saved.entry.expires_at.is_some());
    if with_expiry {
        columns.push("expires");
    }
    // Only when the keyring is used: the Python client has no such column.
    let with_storage = stored.iter().any(|saved| saved.storage == Storage::Keyring);
    if with_storage {
        columns.push("storage");
    }
    let mut table = Table::new(&columns).with_id("name").with_plain_headers();
    for saved in stored {
        let entry = &saved.entry;
        let active = entry.token.is_some() && entry.token.as_ref() == current;
        let mark = if human {
            json!(if active { "*" } else { "" })
        } else {
            json!(active)
        };
        let masked = entry
            .token
            .as_ref()
            .map_or_else(|| NOT_SET.to_owned(), Token::masked);
        let mut cells = vec![mark, json!(entry.name), json!(masked)];
        if with_expiry {
            let shown = entry
                .expires_at
                .map(|at| expiry(at, now, &TimeZone::system()));
            cells.push(json!(shown.unwrap_or_default()));
        }
        if with_storage {
            cells.push(json!(saved.storage.as_str()));
        }
        table.push_with(cells, json_only(saved, now));
    }
    console.table(&table);
}

/// The table of huggingface_hub 0.36.2, every row padded to its end.
fn legacy_table(stored: &[Saved], current: Option<&Token>) -> String {
    let names: Vec<String> = stored
        .iter()
        .map(|saved| escape(&saved.entry.name))
        .collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0).max("token".len()) + 2;
    let row = |mark: &str, name: &str, token: &str| format!("{mark} {name:<width$}| {token:<15}");
    let mut lines = vec![
        row(" ", "name", "token"),
        format!("{}|{}", "-".repeat(width + 2), "-".repeat(15)),
    ];
    lines.extend(stored.iter().zip(&names).map(|(saved, name)| {
        let token = saved.entry.token.as_ref();
        let is_active = token.is_some() && token == current;
        let masked = token.map_or_else(|| NOT_SET.to_owned(), Token::masked);
        row(if is_active { "*" } else { " " }, name, &masked)
    }));
    lines.join("\n")
}

/// Keys that only JSON shows.
fn json_only(saved: &Saved, now: i64) -> Vec<(&'static str, Value)> {
    let entry = &saved.entry;
    let at = entry
        .expires_at
        .and_then(|at| Timestamp::from_second(at).ok());
    let is_expired = entry.expires_at.is_some_and(|at| at < now);
    vec![
        ("expires_at", json!(at.map(|at| at.to_string()))),
        ("expired", json!(is_expired)),
        ("renewable", json!(entry.refresh_token.is_some())),
        ("storage", json!(saved.storage.as_str())),
    ]
}

/// `2026-09-21`, in local time as the Python client shows it, ` (expired)` appended.
fn expiry(at: i64, now: i64, zone: &TimeZone) -> String {
    let Ok(time) = Timestamp::from_second(at) else {
        return String::new();
    };
    let date = time.to_zoned(zone.clone()).date();
    let mark = if at < now { " (expired)" } else { "" };
    format!("{date}{mark}")
}

/// Says on stderr when no row is active, or a token that is not listed.
fn explain_active(context: &Context, stored: &[Saved], current: Option<&Token>) {
    let console = &context.console;
    if let Some(found) = environment_token(context) {
        console.warn(&format!(
            "The active token is the one from {}, whatever is saved.",
            found.source
        ));
    } else if stored.is_empty() && current.is_none() {
        console.say("No token is saved.");
        console.hint("`hf auth login` saves one");
    } else if stored.is_empty() {
        console.say("No token is saved under a name, but there is an active one.");
        console.hint("`hf auth status` shows where it comes from");
    } else if current.is_none() {
        console.warn("None of these tokens is active.");
        console.hint("choose one with `hf auth switch`");
    } else if !stored
        .iter()
        .any(|saved| saved.entry.token.as_ref() == current)
    {
        console.warn("The active token is none of these.");
        console.hint("`hf auth status` shows where it comes from");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::issuer::Issuer;
    use crate::auth::stored::StoredToken;
    use crate::console::OutputFormat;

    fn entry(name: &str, token: &str, expires_at: Option<i64>) -> Saved {
        Saved {
            entry: StoredToken {
                name: name.to_owned(),
                token: Token::clean(token).unwrap(),
                refresh_token: None,
                expires_at,
                issuer: Issuer::default(),
                replaced: None,
            },
            storage: Storage::File,
            trouble: None,
        }
    }

    fn shown(format: OutputFormat, stored: &[Saved]) -> String {
        let (mut console, capture) = Console::captured();
        console.configure(Some(format), false, None);
        let current = Token::clean("hf_aaaaaaaaaaaa").unwrap();
        show(&console, stored, current.as_ref(), 1_700_000_000);
        capture.stdout()
    }

    #[test]
    fn the_table_is_the_python_clients() {
        let stored = [
            entry("my laptop", "hf_aaaaaaaaaaaa", None),
            entry("x", "", Some(1_690_000_000)),
        ];
        let text = shown(OutputFormat::Human, &stored);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  name      token       expires             ");
        assert_eq!(lines[1], "- --------- ----------- --------------------");
        assert_eq!(lines[2], "* my laptop hf_****aaaa                     ");
        assert!(lines[3].starts_with("  x         <not set>   2023-07-2"));
        assert!(lines[3].ends_with(" (expired)"));
        assert_eq!(shown(OutputFormat::Quiet, &stored), "my laptop\nx\n");
        let agent = shown(OutputFormat::Agent, &stored[..1]);
        assert_eq!(agent, "active\tname\ttoken\nTrue\tmy laptop\thf_****aaaa\n");
        let json = shown(OutputFormat::Json, &stored[..1]);
        assert!(
            json.starts_with("[{\"active\": true, \"name\": \"my laptop\""),
            "{json}"
        );
        assert_eq!(shown(OutputFormat::Json, &[]), "[]\n");
        assert_eq!(shown(OutputFormat::Human, &[]), "");
    }

    #[test]
    fn expiry_is_a_local_date() {
        let zone = TimeZone::fixed(jiff::tz::offset(-5));
        assert_eq!(expiry(1_700_000_000, 0, &zone), "2023-11-14");
        assert_eq!(
            expiry(1_700_020_000, 1_800_000_000, &zone),
            "2023-11-14 (expired)"
        );
        assert_eq!(expiry(i64::MAX, 0, &zone), "");
    }
}
