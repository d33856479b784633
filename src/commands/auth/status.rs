//! `hf auth status`: where a token would come from, which one is used, and what the Hub says about it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::explain;
use super::whoami::orgs;
use crate::auth::resolve::ResolvedToken;
use crate::auth::session::now;
use crate::auth::sources::{Row, Sources, State, kind_of, sources};
use crate::commands::context::{Context, another_hub};
use crate::commands::error::{CliError, ErrorKind, sentence};
use crate::console::text::escape;
use crate::console::{Mode, Table};
use crate::hub::account::Seen;

/// A clock that is further off than this, in seconds, breaks logins.
const CLOCK_TOLERANCE: i64 = 300;

/// Shows the chain of token sources.
///
/// # Errors
/// No source has a token, the deciding one cannot be used, or the Hub does not accept it.
pub fn run(context: &Context) -> Result<(), CliError> {
    // First the token: that may renew it, and the sources should show the result.
    let resolved = context.token_to_show();
    let sources = sources(&context.env, &context.settings);
    let answer = match &resolved {
        Ok(Some(resolved)) if !context.settings.offline => Some(ask(context, resolved)),
        _ => None,
    };
    let seen = match &answer {
        Some(Ok(seen)) => Some(seen),
        _ => None,
    };
    let mut warnings = sources.warnings(&context.settings, now());
    let another = resolved.as_ref().ok().and_then(Option::as_ref);
    let another = another.and_then(|resolved| another_hub(resolved, &context.settings));
    warnings.extend(another.map(|(warning, hint)| format!("{warning} {}", sentence(&hint))));
    warnings.extend(seen.and_then(clock_warning));
    if resolved.as_ref().is_ok_and(Option::is_some) {
        let replaces = context.settings.endpoint.replaces_token();
        warnings.extend(replaces.map(str::to_owned));
    }
    show(
        context,
        &sources,
        resolved.as_ref().ok().and_then(Option::as_ref),
        &answer,
        &warnings,
    );
    match (resolved, answer) {
        (Err(error), _) => Err(error),
        (Ok(None), _) => Err(CliError::not_logged_in()),
        (Ok(Some(_)), Some(Err(error))) if error.kind == ErrorKind::Unauthorized => Err(error),
        _ => Ok(()),
    }
}

fn ask(context: &Context, resolved: &ResolvedToken) -> Result<Seen, CliError> {
    let hub = context.hub()?;
    context
        .block_on(async {
            hub.with_token(Some(resolved.token.clone()))
                .whoami_once()
                .await
        })
        .map_err(|error| explain(context, error, &resolved.source))
}

fn clock_warning(seen: &Seen) -> Option<String> {
    let off = now() - seen.server_time?;
    (off.abs() > CLOCK_TOLERANCE).then(|| {
        let direction = if off > 0 { "ahead of" } else { "behind" };
        format!(
            "This machine's clock is {} s {direction} the Hub's: logins may seem expired or not yet valid. Set it right.",
            off.abs()
        )
    })
}

type Answer = Option<Result<Seen, CliError>>;

fn show(
    context: &Context,
    sources: &Sources,
    resolved: Option<&ResolvedToken>,
    answer: &Answer,
    warnings: &[String],
) {
    let console = &context.console;
    match console.mode() {
        Mode::Json => {
            console.json(&json_report(context, sources, resolved, answer, warnings));
            return;
        }
        Mode::Quiet => {
            if let Some(resolved) = resolved {
                console.line(kind_of(&resolved.source));
            }
            return;
        }
        Mode::Human | Mode::Agent => {}
    }
    console.table(&table(sources, console.mode(), resolved));
    if let Some(resolved) = resolved {
        if console.mode() == Mode::Human {
            console.line("");
        }
        show_winner(context, sources, resolved, answer);
    }
    for warning in warnings {
        console.warn(&escape(warning));
    }
}

fn show_winner(context: &Context, sources: &Sources, resolved: &ResolvedToken, answer: &Answer) {
    let console = &context.console;
    let seen = match answer {
        Some(Ok(seen)) => seen,
        Some(Err(error)) => {
            // A refused token is the command's error; with any other error the answer is just unknown.
            if error.kind != ErrorKind::Unauthorized {
                console.warn(&format!(
                    "The Hub cannot be asked about the token: {}",
                    error.message
                ));
            }
            return;
        }
        None => {
            console.say("Offline mode: the Hub is not asked about the token.");
            return;
        }
    };
    let account = &seen.account;
    let endpoint = &context.settings.endpoint;
    console.result(
        match endpoint.replaces_token() {
            Some(_) => "The Hub accepts the login in HF_ENDPOINT",
            None => "The Hub accepts the token",
        },
        vec![
            ("user", json!(account.name)),
            ("orgs", orgs(account)),
            ("token_name", json!(account.token_name)),
            ("role", json!(account.role)),
            ("expires", expires(sources, resolved)),
            (
                "endpoint",
                (!endpoint.is_default()).then(|| endpoint.shown()).into(),
            ),
        ],
    );
}

/// When the token expires, as far as the saved login says so: RFC 3339.
fn expires(sources: &Sources, resolved: &ResolvedToken) -> Value {
    let stored = sources.stored.as_deref().unwrap_or_default();
    let entry = stored
        .iter()
        .find(|entry| entry.token.as_ref() == Some(&resolved.token));
    let at = entry
        .and_then(|entry| entry.expires_at)
        .and_then(|at| Timestamp::from_second(at).ok());
    json!(at.map(|at| at.to_string()))
}

fn table(sources: &Sources, mode: Mode, resolved: Option<&ResolvedToken>) -> Table<'static> {
    let human = mode == Mode::Human;
    let mut table = Table::new(&[if human { " " } else { "used" }, "source", "token", "note"])
        .with_plain_headers();
    let winner = sources.winner();
    for (index, row) in sources.rows.iter().enumerate() {
        let used = winner == Some(index) && resolved.is_some();
        let mark = match human {
            true => json!(if used { "*" } else { "" }),
            false => json!(used),
        };
        table.push(vec![
            mark,
            json!(row.label),
            json!(masked(row, used, resolved)),
            json!(note(sources, index)),
        ]);
    }
    table
}

fn masked(row: &Row, used: bool, resolved: Option<&ResolvedToken>) -> String {
    match (&row.state, resolved) {
        // Exchanged, read from the keyring, or renewed.
        (State::Promise, Some(resolved)) if used => resolved.token.masked(),
        (State::Token(token), _) => token.masked(),
        _ => "-".to_owned(),
    }
}

/// Set or not, and why it counts or does not.
fn note(sources: &Sources, index: usize) -> String {
    let row = &sources.rows[index];
    let winner = sources.winner();
    let mut note = match &row.state {
        State::Unset => return "not set".to_owned(),
        State::Unusable(error) => format!("unusable: {}", error.in_words()),
        _ if winner == Some(index) => "used: the first that is set".to_owned(),
        _ => match winner {
            Some(above) => format!("hidden by {}", short(&sources.rows[above])),
            None => String::new(),
        },
    };
    if let Some(name) = &row.saved_as {
        note.push_str(&format!("; saved as {name}"));
    }
    if let Some(issuer) = &row.issuer {
        note.push_str(&format!("; from {issuer}"));
    }
    if let Some(path) = &row.from_file {
        note.push_str(&format!("; from {path}"));
    }
    note
}

fn short(row: &Row) -> &str {
    match row.kind {
        "file" => "the token file",
        _ => &row.label,
    }
}

fn json_report(
    context: &Context,
    sources: &Sources,
    resolved: Option<&ResolvedToken>,
    answer: &Answer,
    warnings: &[String],
) -> Value {
    let winner = sources.winner();
    let rows: Vec<Value> = sources
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let used = winner == Some(index) && resolved.is_some();
            json!({
                "source": row.label,
                "kind": row.kind,
                "set": row.decides(),
                "usable": !matches!(row.state, State::Unusable(_)),
                "used": used,
                "token": match masked(row, used, resolved) {
                    dash if dash == "-" => Value::Null,
                    masked => json!(masked),
                },
                "token_name": row.saved_as,
                "env_file": row.from_file,
                "endpoint": row.issuer.as_ref().map(ToString::to_string),
                "note": note(sources, index),
            })
        })
        .collect();
    let (account, error) = match answer {
        Some(Ok(seen)) => (Some(&seen.account), None),
        Some(Err(error)) => (None, Some(error.message.clone())),
        None => (None, None),
    };
    json!({
        "resolved": resolved.is_some(),
        "source": resolved.map(|resolved| resolved.source.to_string()),
        "endpoint": context.settings.endpoint.shown(),
        "token_endpoint": resolved
            .and_then(|resolved| resolved.issuer.as_ref())
            .map(ToString::to_string),
        "trusted_endpoints": context.settings.trusted_endpoints,
        "offline": context.settings.offline,
        "user": account.map(|account| &account.name),
        "orgs": account.map_or(Value::Null, orgs),
        "token_name": account.and_then(|account| account.token_name.as_ref()),
        "role": account.and_then(|account| account.role.as_ref()),
        "expires": resolved.map_or(Value::Null, |resolved| expires(sources, resolved)),
        "error": error,
        "sources": rows,
        "warnings": warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::account::Account;

    #[test]
    fn a_clock_that_is_far_off() {
        let seen = |server_time| Seen {
            account: Account {
                name: "a".to_owned(),
                orgs: Vec::new(),
                token_name: None,
                role: None,
            },
            server_time,
        };
        assert_eq!(clock_warning(&seen(None)), None);
        assert_eq!(clock_warning(&seen(Some(now()))), None);
        let ahead = clock_warning(&seen(Some(now() - 4000))).unwrap();
        assert!(ahead.contains("s ahead of the Hub's"), "{ahead}");
        let behind = clock_warning(&seen(Some(now() + 4000))).unwrap();
        assert!(behind.contains("s behind the Hub's"), "{behind}");
    }
}
