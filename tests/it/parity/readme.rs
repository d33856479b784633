//! The table of differences in the README, made from the list.

use std::fs;
use std::path::Path;

use super::declared::updating;
use super::differences::ALL;

const BEGIN: &str =
    "<!-- made from tests/it/parity/differences.rs; HF_PARITY=update writes it -->\n";
const END: &str = "<!-- end of what is made -->\n";

fn table() -> String {
    let row = |cells: [&str; 3]| {
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        format!("| {} |\n", cells.join(" | "))
    };
    let mut table = row(["Here", "Python client", "Why"]);
    table.push_str("| --- | --- | --- |\n");
    for difference in ALL {
        table.push_str(&row([difference.here, difference.there, difference.why]));
    }
    table
}

#[test]
fn the_readme_tells_the_differences() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&place).expect("README");
    let (before, rest) = readme.split_once(BEGIN).expect("the mark before the table");
    let (shown, after) = rest.split_once(END).expect("the mark after the table");
    if updating() {
        fs::write(place, format!("{before}{BEGIN}{}{END}{after}", table())).expect("README");
    } else {
        assert!(
            shown == table(),
            "the table of differences in the README is not the list's: HF_PARITY=update writes it"
        );
    }
}
