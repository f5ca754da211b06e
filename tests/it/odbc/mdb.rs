//! Files of Microsoft Access through the driver of mdbtools: a legacy engine, and a driver that can do little.

use std::io::Read;

use tollbridge::adapters::sql::{Certainty, Database, Dialect, SqlErrorKind, TableName, Value};
use tollbridge::decode::rows::ColumnKind;

use super::{Cell, Site, text};

/// A file of Access 2000 (`files/README.md`). What is in it was read with another reader, access-parser 0.0.6.
fn file() -> (tempfile::TempDir, String) {
    let packed = include_bytes!("files/merchant_taylors.mdb.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("merchant_taylors.mdb");
    std::fs::write(&path, bytes).unwrap();
    let connection = format!("Driver=MDBTools;DBQ={}", path.display());
    (folder, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_access_is_read() {
    let (_folder, connection) = file();
    let site = Site::new(&connection, "");
    let answer = site.ask("select * from merchant_taylors", &[]).await.unwrap();
    assert_eq!(site.source.dialect(), Dialect::Generic);
    let free = ColumnKind::Text { max_chars: None };
    let kinds: Vec<_> = answer.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("Id No", ColumnKind::Integer),
            ("Surname", free),
            ("Forenames", free),
            ("How Admitted", free),
            ("Forenames_Master_or_Father", free),
            ("Surname_Master_or_Father", free),
            ("Notes", free),
            ("Date of order of Court", ColumnKind::DateTime),
            ("Freedom", ColumnKind::DateTime),
            ("Livery", ColumnKind::DateTime),
            ("Remarks", free),
            ("Source Ref", free),
        ]
    );
    assert_eq!(answer.rows.len(), 20);
    let some =
        |row: usize, cells: &[usize]| cells.iter().map(|cell| answer.rows[row][*cell].clone()).collect::<Vec<_>>();
    let named = [0, 1, 2, 3, 6, 11];
    assert_eq!(some(0, &named), ["1", "Aaron", "William", "Redn.", "Order of Court", "MF 324"].map(text));
    assert_eq!(some(3, &[0, 1, 2, 3, 4, 11]), ["4", "Abbis", "Thomas", "Serv.", "William George", "MF 324"].map(text));
    assert_eq!(some(1, &[4, 5, 6, 7, 9, 10]), vec![Cell::Null; 6]);
    let ids: Vec<_> = answer.rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!((&ids[0], &ids[19]), (&text("1"), &text("25491")));
    // Its dates are of centuries that the library cannot say: it makes the day 0 of them, and no other day is made of that.
    assert_eq!(answer.rows[0][7], Cell::Fault(3, b"1900-01-00 00:00:00".to_vec()));
    assert_eq!((&answer.rows[9][0], &answer.rows[9][8]), (&text("22"), &text("1911-11-07T00:00:00")));
    let chosen = site.ask("select Surname from merchant_taylors where Forenames = 'Richard' ", &[]).await.unwrap();
    assert!(chosen.rows.len() > 1 && chosen.rows.contains(&vec![text("Abbey")]), "{:?}", chosen.rows);
    site.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_driver_cannot_do_is_said() {
    let (_folder, connection) = file();
    let site = Site::new(&connection, "");
    let bound = [Value::Integer(1)];
    let error = site.ask("select * from merchant_taylors where Surname = ?", &bound).await.unwrap_err();
    assert_eq!((error.kind, error.certainty), (SqlErrorKind::Statement, Certainty::NotBegun), "{error}");
    assert!(error.message.contains("binds no values"), "{error}");
    let error = site.ask("select * from nothing", &[]).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::NotBegun, "{error}");
    assert!(site.source.doubts().iter().any(|doubt| doubt.contains("reads only")), "{:?}", site.source.doubts());
    let tables = site.source.tables(site.permit().await).await.unwrap();
    assert_eq!(tables.iter().map(|table| table.table.as_str()).collect::<Vec<_>>(), ["merchant_taylors"]);
    let name = TableName { catalog: None, schema: None, table: "merchant_taylors".to_owned() };
    let info = site.source.table(site.permit().await, name).await.unwrap();
    assert_eq!(info.columns.len(), 12);
    let findings = site.source.diagnose(site.permit().await).await;
    assert!(findings.iter().all(|finding| finding.is_well), "{findings:?}");
    let missing = Site::new("Driver=MDBTools;DBQ=/nowhere/x.mdb", "");
    let error = missing.ask("select 1", &[]).await.unwrap_err();
    assert_eq!(error.certainty, Certainty::NotBegun, "{error}");
}
