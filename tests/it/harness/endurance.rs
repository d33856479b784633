//! Endurance tests: they repeat something hundreds of times, or at a size that takes long.
//!
//! `cargo test` takes a small round of each. The endurance run takes all of it; `.ci/run` makes it:
//!
//! ```sh
//! cargo test --locked --test it -- --ignored
//! ```
//!
//! A test in two sizes is a plain function of its size with one line below it:
//!
//! ```ignore
//! fn kills_leave_nothing_wrong(rounds: usize) { … }
//! in_two_sizes!(kills_leave_nothing_wrong: 10, 200);
//! ```
//!
//! A test that has no small size, such as one that installs what it needs, is `#[ignore = "endurance"]`.
//! Nothing is ignored for another reason.

/// Makes the tests `<name>::small` and, ignored but in the endurance run, `<name>::endurance` of a function.
macro_rules! in_two_sizes {
    ($name:ident: $small:expr, $full:expr) => {
        mod $name {
            #[test]
            fn small() {
                super::$name($small);
            }

            #[test]
            #[ignore = "endurance"]
            fn endurance() {
                super::$name($full);
            }
        }
    };
}

pub(crate) use in_two_sizes;
