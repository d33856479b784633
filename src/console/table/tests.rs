use serde_json::json;

use super::*;

type Write<'a> = fn(&Table<'a>, &mut dyn io::Write) -> io::Result<()>;

fn written<'a>(table: &Table<'a>, write: Write<'a>) -> String {
    let mut out = Vec::new();
    write(table, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json_text(table: &Table<'_>) -> String {
    let mut out = Vec::new();
    super::super::json::write(&mut out, table).unwrap();
    String::from_utf8(out).unwrap()
}

fn table() -> Table<'static> {
    let mut table = Table::new(&["id", "size", "none", "refs"]);
    table.push(vec![
        json!("model/gpt2"),
        json!("1.0K"),
        Value::Null,
        json!(["main", "v1"]),
    ]);
    table.push(vec![
        json!("model/a\u{1b}b"),
        json!("10.0"),
        Value::Null,
        json!([]),
    ]);
    table
}

#[test]
fn human() {
    let text = written(&table(), Table::write_human);
    assert_eq!(
        text,
        "ID          SIZE REFS    \n\
         ----------- ---- --------\n\
         model/gpt2  1.0K main, v1\n\
         model/a\\x1bb 10.0         \n"
            .replace("ID          SIZE", "ID           SIZE")
            .replace("----------- ----", "------------ ----")
            .replace("model/gpt2  1.0K", "model/gpt2   1.0K")
    );
}

#[test]
fn columns_for_json_alone_and_columns_to_the_right() {
    let mut table = Table::new(&["id", "secret", "size"])
        .only_in_json(&["secret"])
        .right_aligned("size");
    table.push(vec![json!("a"), json!("x"), json!("1.0")]);
    assert_eq!(written(&table, Table::write_tsv), "id\tsize\na\t1.0\n");
    assert_eq!(
        written(&table, Table::write_human),
        "ID SIZE\n-- ----\na   1.0\n"
    );
    assert_eq!(
        json_text(&table),
        r#"[{"id": "a", "secret": "x", "size": "1.0"}]"#
    );
}

#[test]
fn the_legacy_table_ends_every_cell_with_a_blank() {
    let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
    assert_eq!(
        legacy_table(&["NAME", "N"], &[row(["a", "10"]), row(["b", "1"])], "N"),
        "NAME N  \n---- -- \na    10 \nb     1 "
    );
    assert_eq!(legacy_table(&["NAME"], &[], "N"), "NAME \n---- ");
}

#[test]
fn machine_formats() {
    let nothing = Table::new(&["id"]);
    for (table, write, expected) in [
        (
            &table(),
            Table::write_tsv as Write<'_>,
            "id\tsize\trefs\nmodel/gpt2\t1.0K\t['main', 'v1']\nmodel/a\\x1bb\t10.0\t[]\n",
        ),
        (&table(), Table::write_ids, "model/gpt2\nmodel/a\\x1bb\n"),
        (&nothing, Table::write_ids, ""),
        (&nothing, Table::write_tsv, "No results found.\n"),
        (&nothing, Table::write_human, "No results found.\n"),
    ] {
        assert_eq!(written(table, write), expected);
    }
    assert_eq!(json_text(&nothing), "[]");
    assert!(json_text(&table()).starts_with(
        r#"[{"id": "model/gpt2", "size": "1.0K", "none": null, "refs": ["main", "v1"]}, {"#
    ));
}

#[test]
fn a_further_key_takes_the_place_of_its_column() {
    let mut table = Table::new(&["id", "storage"]);
    let extra = vec![("expired", json!(false)), ("storage", json!("keyring"))];
    table.push_with(vec![json!("a"), json!("file")], extra);
    assert_eq!(
        json_text(&table),
        r#"[{"id": "a", "storage": "keyring", "expired": false}]"#
    );
}

/// The table in every format.
fn formats<'a>(table: &Table<'a>) -> Vec<String> {
    let writes: [Write<'a>; 3] = [Table::write_human, Table::write_tsv, Table::write_ids];
    let texts = writes.map(|write| written(table, write));
    let mut terminal = Vec::new();
    table.write_terminal(20, &mut terminal).unwrap();
    let terminal = String::from_utf8(terminal).unwrap();
    texts
        .into_iter()
        .chain([json_text(table), terminal])
        .collect()
}

#[test]
fn made_rows_are_printed_like_kept_ones() {
    let cells = |n: usize| vec![json!(format!("name-{n}")), json!(n * 1000)];
    let made = Table::new(&["id", "size"]).with_rows(|| {
        (0..3).map(|n| Row {
            cells: cells(n),
            extra: Vec::new(),
        })
    });
    let mut kept = Table::new(&["id", "size"]);
    for n in 0..3 {
        kept.push(cells(n));
    }
    assert_eq!(formats(&made), formats(&kept));
}
