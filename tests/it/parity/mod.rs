//! The differential suite: the same command line, from the same starting state, against the same Hub, once by this
//! program and once by the real Python client; then everything that a user or a script could notice is compared.
//!
//! - [`scenarios`] is the table: a command line, the state it starts from ([`world`]), an area a file.
//! - [`run`] runs both clients, each in a world of its own, and [`observe`] writes down exit code, stdout, the files left
//!   and the requests that the Hub saw, with their tokens.
//! - [`compare`] finds every disagreement. Machine-readable output is compared byte for byte (JSON: their keys and values,
//!   ours may have more), and so are the tables for people, without colours.
//! - [`differences`] names every intended difference, with its reason; a disagreement that none of them accounts for
//!   fails. [`declared`] holds which scenario shows which, and one that shows no longer fails as well.
//! - [`readme`] keeps the README's table of differences equal to the list.
//!
//! After an intended change: `HF_PARITY=update cargo test --test it parity`, and read what changed in `declared/` and in
//! the README before committing it. `PARITY_ONLY=text` runs the scenarios whose name contains a text.

mod compare;
mod declared;
mod differences;
mod observe;
mod readme;
mod run;
mod scenario;
mod scenarios;
mod signs;
mod world;

use std::collections::BTreeSet;
use std::io::Write;

use declared::Declared;
use run::compare_all;

macro_rules! areas {
    ($($area:ident)*) => {
        $(
            #[test]
            fn $area() {
                compare_all(stringify!($area), scenarios::$area::scenarios());
            }
        )*

        /// What is declared in each area; reading it checks that it is about the scenarios there are.
        fn all_declared() -> Vec<Declared> {
            vec![$(Declared::load(stringify!($area), &scenarios::$area::scenarios())),*]
        }
    };
}

areas! { auth cache_ls cache_remove cache_verify download faults general legacy login terminal }

/// The size of the suite that a change must not lose by mistake.
const SCENARIOS: usize = 300;

#[test]
fn every_difference_shows_somewhere() {
    if declared::updating() {
        // The areas write their files at the same time.
        return;
    }
    let areas = all_declared();
    let rows: Vec<_> = areas.iter().flat_map(Declared::rows).collect();
    let used: BTreeSet<&str> = rows
        .iter()
        .copied()
        .flatten()
        .map(|known| known.name)
        .collect();
    let agreements = rows.iter().filter(|row| row.is_empty()).count();
    // Not eprintln!, which the test runner swallows when the test passes.
    let _ = writeln!(
        std::io::stderr(),
        "parity: {} scenarios, {agreements} agree in everything, {} show some of {} named differences",
        rows.len(),
        rows.len() - agreements,
        used.len(),
    );
    assert!(rows.len() >= SCENARIOS, "{} scenarios", rows.len());
    for difference in differences::ALL {
        assert!(
            used.contains(difference.name),
            "no scenario shows {}",
            difference.name
        );
    }
}
