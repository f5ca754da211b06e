//! FreeTDS: `tsql`, and its ODBC driver through `isql`.

use super::run;
use super::types;
use crate::support::tds_server::{Encryption, LoginTrouble, Settings, TdsServer};

/// `tsql` over a configuration that says how it encrypts.
fn tsql(server: &TdsServer, encryption: &str, input: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("freetds.conf");
    let port = server.port();
    let text = format!(
        "[erp]\nhost = 127.0.0.1\nport = {port}\ntds version = 7.4\nclient charset = UTF-8\nencryption = {encryption}\n"
    );
    std::fs::write(&path, text).unwrap();
    let arguments = ["-S", "erp", "-U", "bridge", "-P", "Pa$$w0rd", "-D", "erp", "-o", "fhq", "-t", "|"];
    run("tsql", &arguments, &[("FREETDSCONF", path.to_str().unwrap())], input)
}

/// `isql` over FreeTDS's ODBC driver.
fn isql(server: &TdsServer, input: &str) -> String {
    let target = format!(
        "DRIVER=FreeTDS;SERVER=127.0.0.1;PORT={};UID=bridge;PWD=Pa$$w0rd;DATABASE=erp;TDS_Version=7.4;ClientCharset=UTF-8",
        server.port()
    );
    run("isql", &["-k", &target, "-b", "-v", "-d|"], &[("LC_ALL", "C.UTF-8")], input).0
}

#[test]
fn tsql_logs_in_with_and_without_tls_and_reads_every_type() {
    for (server_side, client_side, all, login) in [
        (Encryption::NotSupported, "off", false, false),
        (Encryption::Off, "request", false, true),
        (Encryption::Off, "require", true, true),
        (Encryption::Required, "require", true, true),
    ] {
        let settings = Settings { encryption: server_side, ..Settings::default() };
        let server = TdsServer::with(settings, &types::script());
        let names: Vec<&str> = types::COLUMNS.iter().map(|(name, ..)| *name).collect();
        let (few, many): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| !name.contains("max"));
        let query = format!("SELECT {} FROM dbo.kinds ORDER BY id\ngo\nexit\n", few.join(", "));
        let (rows, _) = tsql(&server, client_side, &query);
        let lines: Vec<&str> = rows.lines().filter(|line| line.contains('|')).collect();
        // The seventeen digits that say -2.25e100 are FreeTDS's.
        let expected = "1|255|-32768|-2147483648|9223372036854775807|1.5|-2.2500000000000002e+100|-214748.3648|\
                        -922337203685477.5808|-123.45|99999999999999.9999|1234567890123456789012345678|\
                        -1234567890123456789012345678.0123456789|0.001|Jun  6 2079 11:59PM|Jan  1 1753 12:00AM|\
                        Dec 31 9999 12:00AM|";
        let first = lines[0];
        assert!(first.starts_with(expected), "{client_side}: {first}\n{rows}");
        for part in ["Zażółć", "Привет", "日本", "日本😀", "0e984725-c51c-4bf4-9960-e1c80e27aba0", "ff00ff", "old text"]
        {
            assert!(first.to_lowercase().contains(&part.to_lowercase()), "{part}: {first}");
        }
        assert_eq!(lines[1].matches("NULL").count(), few.len(), "{}", lines[1]);
        assert_eq!(lines[2].matches("NULL").count(), 1, "{}", lines[2]);
        let query = format!("SELECT {} FROM dbo.kinds WHERE id = 1\ngo\nexit\n", many.join(", "));
        assert!(tsql(&server, client_side, &query).0.contains(&"abc".repeat(1000)));
        let session = server.report().sessions[0].clone();
        assert_eq!((session.encrypted, session.login_encrypted), (all, login), "{client_side}");
    }
}

#[test]
fn tsql_is_told_what_is_wrong() {
    let server = TdsServer::start("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY)");
    let (_, told) =
        tsql(&server, "off", "SELECT nope FROM dbo.t\ngo\nRAISERROR('not today', 16, 1)\ngo\nPRINT 'said'\ngo\nexit\n");
    assert!(told.contains("Msg 207") && told.contains("Invalid column name 'nope'"), "{told}");
    assert!(told.contains("Msg 50000") && told.contains("not today") && told.contains("said"), "{told}");
}

#[test]
fn isql_reads_writes_and_calls() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount money, rv rowversion);
         INSERT INTO dbo.orders (id, name, amount) VALUES (1, N'Müller', 12.5), (2, NULL, -922337203685477.5808);",
    );
    server.execute("CREATE PROCEDURE dbo.twice @n int AS BEGIN SELECT @n * 2 AS twice RETURN 3 END");
    let said = isql(
        &server,
        "SELECT id, name, amount FROM dbo.orders ORDER BY id\nINSERT INTO dbo.orders (id, name) VALUES (3, 'x')\n\
         SELECT COUNT(*) FROM dbo.orders\nEXEC dbo.twice 21\n",
    );
    for line in ["1|Müller|12.5000", "-922337203685477.5808", "\n3\n", "\n42\n"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    server.faults(|faults| faults.login = Some(LoginTrouble::Refused));
}

#[test]
fn isql_sees_tables_and_columns_by_the_catalog() {
    let server = TdsServer::start(
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(11,2), at datetime2(3));",
    );
    let said = isql(
        &server,
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE FROM \
         INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'orders' ORDER BY ORDINAL_POSITION\n",
    );
    for line in ["id|int||10|0|NO", "name|nvarchar|20|||YES", "amount|decimal||11|2|YES", "at|datetime2||||YES"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
