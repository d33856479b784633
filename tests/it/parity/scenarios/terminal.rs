//! On a terminal: prompts, menus, interruption.

use super::login::git_helper;
use crate::parity::scenario::{Scenario, Typed, hf};
use crate::parity::world::{full_cache, logged_in, three_tokens};

/// All.
pub fn scenarios() -> Vec<Scenario> {
    let typed = |ours, theirs, keys| Typed { ours, theirs, keys };
    let chosen = typed("Number [1]:", "> Log in with", "2\r");
    let pasted = typed("Token (not shown", "Enter your token", "{laptop}\r");
    // The Python client asks nothing more.
    let with_git = |answer| [chosen, pasted, typed("Add token as git", "", answer)];
    vec![
        hf("auth whoami").given("logged in", logged_in).typed([]),
        hf("auth token").given("logged in", logged_in).typed([]),
        hf("cache ls").given("a full cache", full_cache).typed([]),
        hf("download org/name").typed([]),
        hf("download org/name config.json").typed([]),
        hf("cache rm model/org/name")
            .given("a full cache", full_cache)
            .typed([typed("y/N", "y/N", "y\r")]),
        hf("cache rm model/org/name")
            .given("a full cache", full_cache)
            .typed([typed("y/N", "y/N", "n\r")]),
        hf("cache prune")
            .given("a full cache", full_cache)
            .typed([typed("y/N", "y/N", "y\r")]),
        hf("cache rm model/org/name")
            .given("a full cache", full_cache)
            .typed([typed("y/N", "y/N", "\u{3}")]),
        hf("auth switch")
            .given("three tokens", three_tokens)
            .typed([typed("Number", "> bob", "2\r")]),
        hf("auth login").typed([chosen, pasted]),
        hf("auth login")
            .given("a git helper", git_helper)
            .typed(with_git("n\r")),
        hf("auth login")
            .given("a git helper", git_helper)
            .typed(with_git("y\r")),
    ]
}
