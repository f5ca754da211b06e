//! What is wrong with a file of a mapping, or with an outbox of the configuration, is said where it stands.

use super::{FOLDERS, ORDERS, site};

/// What `check` says, and its exit code.
fn check(backend: &str, mapping: &str) -> (String, i32) {
    let output = site(backend, mapping).run(&["check"]);
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

#[track_caller]
fn refused(backend: &str, mapping: &str, words: &[&str]) {
    let (said, code) = check(backend, mapping);
    assert_eq!(code, 2, "{said}");
    for words in words {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
}

#[test]
fn of_a_mapping() {
    let with = |from: &str, to: &str| ORDERS.replace(from, to);
    let record = "record = { NO = \"{order_no}\", STATUS = \"{status}\", AMOUNT = \"{amount}\" }";
    let file = |said: &str| with(&format!("name = \"new-{{operation_id}}.csv\", {record}"), said);
    refused(
        FOLDERS,
        &file("recrod = {}"),
        &["unknown key `recrod`", "did you mean `record`", "one of `record`, `records`"],
    );
    refused(FOLDERS, &file("record = []"), &["`record` is one record, found an array", "write `records`"]);
    refused(FOLDERS, &file("records = []"), &["there is no record"]);
    refused(FOLDERS, &file("records = [1]"), &["each record is a table"]);
    refused(
        FOLDERS,
        &file("record = { NO = \"{oder_no}\" }"),
        &["`{oder_no}` is nothing", "did you mean `{order_no}`"],
    );
    refused(FOLDERS, &file("record = { NO = \"{order_no\" }"), &["a brace that belongs to no place"]);
    let each = "record = { NO = { each = \"lines\", item = \"x\" } }";
    refused(FOLDERS, &file(each), &["there is no array `lines` at the top level of the body"]);
    refused(
        FOLDERS,
        &file("record = { NO = \"{order_no}\" }"),
        &["`/status` is taken from callers, but nothing uses it"],
    );
    let excel = format!("{record}, excel = {{ }}");
    refused(FOLDERS, &file(&excel), &["unknown key `excel`"]);
    let two = format!("{record}, csv = {{}}, xml = {{ record_path = \"/a/b\" }}");
    refused(FOLDERS, &file(&two), &["takes only one of"]);
    let reading = format!("{record}, csv = {{ files = \"x\" }}");
    refused(FOLDERS, &file(&reading), &["unknown key `files` in `operations.NAME.file.csv`"]);
    let done = format!("name = \"x-{{operation_id}}\", done_file = \"x.done\", {record}");
    refused(FOLDERS, &file(&done), &["two writes would have one done file"]);
    for key in [
        "expect = 1",
        "transaction = false",
        "commit_after = 1",
        "read_back = true",
        "reconcile = { sql = \"select 1\" }",
    ] {
        let name = key.split(' ').next().unwrap();
        let words = format!("`{name}` has no meaning for a file");
        refused(FOLDERS, &with("[operations.create]", &format!("[operations.create]\n{key}")), &[&words]);
    }
    let record_answer = with("answer = { order_no = \":order_no\", file = \"file\" }", "answer = \"record\"");
    refused(FOLDERS, &record_answer, &["its record cannot be answered"]);
    let both = with("[operations.create]", "[operations.create]\nsql = \"select 1\"");
    refused(FOLDERS, &both, &["takes only one of `sql`, `procedure`, `soap`, `file`"]);
    // A source that is no file has no layout to lend.
    let table = with(
        "[source.csv]\nfiles = \"ord*.csv\"\ndelimiter = \";\"\ncolumns = [\"NO\", \"STATUS\", \"AMOUNT\"]",
        "[source.table]\ntable = \"orders\"\nsnapshot = true",
    );
    let erp =
        "[backends.out.files]\noutbox = \"outbox\"\n[backends.erp.odbc]\nconnection = \"Driver=SQLite3;Database=x\"\n";
    let table = table.replace("[operations.create]", "[operations.create]\nbackend = \"out\"");
    refused(erp, &table, &["`operations.NAME.file` has no layout", "`csv`, `fixed_width`"]);
}

#[test]
fn of_the_configuration() {
    refused("[backends.erp.files]\npoll = \"5s\"\n", ORDERS, &["has neither `inbox` nor `outbox`"]);
    let same = "[backends.erp.files]\ninbox = \"inbox\"\noutbox = \"inbox\"\n";
    refused(same, ORDERS, &["`outbox` must lie outside of the inbox"]);
    let below = "[backends.erp.files]\ninbox = \"inbox\"\noutbox = \"inbox/out\"\nrecursive = true\n";
    refused(below, ORDERS, &["`outbox` must lie outside of the inbox"]);
    let itself = format!("{FOLDERS}outbox_work = \"outbox\"\n");
    refused(&itself, ORDERS, &["files would appear before they are whole"]);
    let shared = format!("{FOLDERS}outbox_work = \"archive\"\n");
    refused(&shared, ORDERS, &["`outbox_work` is a folder that has files of its own"]);
    let mode = format!("{FOLDERS}outbox_mode = \"0240\"\n");
    refused(&mode, ORDERS, &["expected rights like \"0640\""]);
    let without = "[backends.erp.files]\ninbox = \"inbox\"\noutbox_work = \"w\"\n";
    refused(without, ORDERS, &["this belongs to an `outbox`"]);
    let plain = "[backends.erp.files]\ninbox = \"inbox\"\n";
    refused(plain, ORDERS, &["writes to backend `erp`, which has no outbox (`files`)", "say `outbox` of that backend"]);
    refused(
        "[backends.erp.files]\noutbox = \"outbox\"\n",
        ORDERS,
        &["backend `erp` has no files: it has an outbox and no `inbox`"],
    );
    let shared = format!("{FOLDERS}[backends.out.files]\noutbox = \"outbox\"\n");
    refused(&shared, ORDERS, &["backend `erp` has the same folder"]);
    let server = "[backends.erp.sftp]\nhost = \"h\"\nusername = \"u\"\npassword = { env = \"P\" }\ninbox = \"in\"\noutbox = \"in/\"\n";
    refused(server, ORDERS, &["`outbox` must lie outside of the inbox"]);
}

/// What no body could make right is said before the first one comes.
#[test]
fn a_record_that_the_layout_cannot_hold_is_told_beforehand() {
    let layout = "cobol = { copybook = \"o.cpy\" }";
    let mapping = ORDERS.replace(
        "record = { NO = \"{order_no}\", STATUS = \"{status}\", AMOUNT = \"{amount}\" }",
        &format!("record = {{ NO = \"{{order_no}}\", STAT = \"{{status}}\", AMOUNT = \"{{amount}}\", KIND = \"TOO LONG\" }}, {layout}"),
    );
    let site = site(FOLDERS, &mapping);
    let copybook = "       01 O.\n          05 NO PIC 9(6).\n          05 STATUS PIC X(2).\n          05 AMOUNT PIC 9(5)V99.\n          05 KIND PIC X(3).\n";
    site.write("mappings/o.cpy", copybook.as_bytes());
    let output = site.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in
        ["the file of `operations.create` cannot be written as it is", "at /STAT: expected a member", "at /STATUS: "]
    {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let mapping = mapping.replace("STAT =", "STATUS =");
    site.write("mappings/orders.v1.toml", mapping.as_bytes());
    let said = String::from_utf8_lossy(&site.run(&["check"]).stderr).into_owned();
    assert!(said.contains("at /KIND: expected PIC X(3), found \"TOO LONG\""), "{said}");
    site.write("mappings/orders.v1.toml", mapping.replace("TOO LONG", "NEW").as_bytes());
    let output = site.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("cannot be written"), "{said}");
}
