//! What is peculiar to a driver, in one table. Nothing else in this door asks which driver it is.
//!
//! Most of it keeps memory flat: left alone, drivers read a whole result before they give its first row.

use super::super::sql::Dialect;

/// How text is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextWidth {
    /// UTF-16 (`SQL_C_WCHAR`).
    Wide,
    /// Bytes of a code page (`SQL_C_CHAR`).
    Narrow,
}

/// What `SQLCancel` from another thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The statement ends with an error, and the connection can be used again after it has answered a question.
    Works,
    /// The statement ends, and the connection is not trusted any more.
    Breaks,
    /// Nothing that could be relied on: the driver is told a timeout instead, and a late call is abandoned.
    Never,
}

/// The peculiarities of a driver.
#[derive(Debug)]
pub struct Quirks {
    /// The word for it in the configuration.
    pub name: &'static str,
    /// Parts of a driver's name or file by which it is known, in lower case.
    pub known_by: &'static [&'static str],
    /// Options of the connection that are set where the user does not set them.
    pub options: &'static [(&'static str, &'static str)],
    /// An option made of bits, by all its names, and the bits that are set besides those that the user sets.
    pub bits: Option<(&'static [&'static str], u64)>,
    /// How text is asked for where the user does not say.
    pub text: TextWidth,
    /// What `SQLCancel` does.
    pub cancel: Cancel,
    /// Whether another statement of the connection is cancelled, which stops them all: the driver frees what belongs to the
    /// one that it cancels, while its thread may be using it.
    pub cancels_beside: bool,
    /// Whether the driver can be told a timeout (`SQL_ATTR_QUERY_TIMEOUT`) and keeps it.
    pub keeps_timeout: bool,
    /// Whether it reads the connection string up to a NUL, whatever length it is told.
    pub reads_to_nul: bool,
    /// Whether it can be told how long logging in may take (`SQL_ATTR_LOGIN_TIMEOUT`).
    pub takes_login_timeout: bool,
    /// Whether connections may be used by several threads at a time. Else one call at a time is made in the process.
    pub is_thread_safe: bool,
    /// Whether a value is never longer than the column's type says.
    pub keeps_widths: bool,
    /// Whether many rows can be asked for at a time.
    pub fetches_blocks: bool,
    /// Whether it may read a whole result into memory before it gives the first row, whatever it is told.
    pub holds_results: bool,
    /// Whether closing a result that is not read to its end reads the rest of it.
    pub reads_rest: bool,
    /// Whether `SQLCancel` reaches nobody while the driver fetches from a cursor of its own ([`super::portal`]).
    pub fetches_deaf: bool,
    /// Whether 64-bit integers can be bound.
    pub binds_bigint: bool,
    /// Whether it gives whole numbers as numbers of 64 bits, each exactly and for less than as text.
    pub gives_longs: bool,
    /// Whether it gives booleans as bits.
    pub gives_bits: bool,
    /// Whether its text of a floating-point number is the database's own, with all digits, and for less than as a number.
    pub gives_digits: bool,
    /// Whether it gives a value of a fetched block once more (`SQLSetPos`, `SQLGetData`): cells need not be as wide as the
    /// longest value.
    pub gives_again: bool,
    /// Whether it makes other values of those that it does not understand. The database is asked for their text instead.
    pub bends_values: bool,
    /// Whether it writes years before 1000 without their leading zeros: `1-01-01`.
    pub writes_short_years: bool,
    /// Whether values can be bound to `?` at all.
    pub binds: bool,
    /// Whether what comes out of a procedure's arguments comes as a last result, too.
    pub gives_out_as_rows: bool,
    /// Options that name a section of a file of the driver's own, in which host and port stand.
    pub sections: &'static [&'static str],
    /// The option that names a file, whose relative path starts at the configuration's folder.
    pub file: &'static [&'static str],
    /// The dialect, where it does not depend on what is behind the driver.
    pub dialect: Option<Dialect>,
    /// What a person should know of it.
    pub doubt: Option<&'static str>,
}

const USUAL: Quirks = Quirks {
    name: "generic",
    known_by: &[],
    options: &[],
    bits: None,
    text: TextWidth::Wide,
    cancel: Cancel::Breaks,
    cancels_beside: false,
    keeps_timeout: true,
    reads_to_nul: false,
    takes_login_timeout: true,
    is_thread_safe: true,
    keeps_widths: false,
    fetches_blocks: true,
    holds_results: true,
    reads_rest: true,
    fetches_deaf: false,
    binds_bigint: true,
    gives_longs: false,
    gives_bits: false,
    gives_digits: false,
    gives_again: false,
    bends_values: false,
    writes_short_years: false,
    binds: true,
    gives_out_as_rows: false,
    sections: &[],
    file: &[],
    dialect: None,
    doubt: None,
};

/// The table. The last row is for drivers that nobody knows.
pub(super) static QUIRKS: &[Quirks] = &[
    // Declared fetch reads through a cursor of the server; `BoolsAsChar=0` gives booleans as bits instead of text. What has
    // no width it says to be as wide as `MaxVarcharSize` and `MaxLongVarcharSize`: one more than PostgreSQL's widest
    // `varchar(n)` tells it from those that have one. It holds what it fetches at a time: `Fetch` rows, or as many as a block
    // has where these are more, so that `Fetch` is what is fetched before anything was seen. Of the time `infinity` it makes
    // the end of the year 9999 or today, of the year 10000 the year 1000, and of dates before Christ dates after.
    Quirks {
        name: "psqlodbc",
        known_by: &["psqlodbc", "postgresql", "postgres"],
        options: &[
            ("UseDeclareFetch", "1"),
            ("Fetch", "16"),
            ("BoolsAsChar", "0"),
            ("MaxVarcharSize", "10485761"),
            ("MaxLongVarcharSize", "10485761"),
            ("LFConversion", "0"),
            ("KeepaliveTime", "60"),
            ("KeepaliveInterval", "10"),
        ],
        text: TextWidth::Narrow,
        cancel: Cancel::Works,
        keeps_widths: true,
        gives_longs: true,
        gives_bits: true,
        gives_digits: true,
        gives_again: true,
        bends_values: true,
        holds_results: false,
        reads_rest: false,
        fetches_deaf: true,
        dialect: Some(Dialect::Postgres),
        ..USUAL
    },
    // StepAPI reads row by row, except inside a transaction, where the driver ignores it. Without NoCreat a wrong path
    // makes an empty database. It says nothing true of widths: SQLite keeps none. Its timeout is none of statements.
    Quirks {
        name: "sqlite",
        holds_results: false,
        known_by: &["sqlite"],
        options: &[
            ("StepAPI", "1"),
            ("NoCreat", "1"),
            ("NoWCHAR", "1"),
            ("BigInt", "1"),
            ("LongNames", "0"),
            ("Timeout", "10000"),
        ],
        text: TextWidth::Narrow,
        cancel: Cancel::Works,
        cancels_beside: true,
        keeps_timeout: false,
        reads_rest: false,
        bends_values: true,
        file: &["Database"],
        dialect: Some(Dialect::Sqlite),
        doubt: Some(
            "the driver of SQLite gives very large and very small floating-point numbers now and then with another last digit",
        ),
        ..USUAL
    },
    // FORWARDONLY and NO_CACHE read row by row from version 3.1.17 on (its release notes, "Result-set streaming"); those before
    // read whole results whatever they are told. Where rows stream, what is left of a result must be read before the next
    // statement: a connection with a half-read result is closed. Bit 2 of OPTION (`MYSQL_OPTION_FOUND_ROWS`) counts the rows
    // that an UPDATE finds, as all others do, and not those alone that it makes different.
    Quirks {
        name: "mariadb",
        known_by: &["mariadb", "maodbc", "myodbc", "mysql"],
        options: &[("FORWARDONLY", "1"), ("NO_CACHE", "1"), ("CHARSET", "utf8mb4"), ("AUTO_RECONNECT", "0")],
        bits: Some((&["OPTION", "OPTIONS"], 2)),
        text: TextWidth::Narrow,
        cancel: Cancel::Breaks,
        keeps_widths: true,
        gives_out_as_rows: true,
        doubt: Some(
            "MariaDB's driver before 3.1.17 reads whole results into memory: tables with a key are read in statements of \
             `batch_rows` rows at most, queries and tables without one whole",
        ),
        dialect: Some(Dialect::MySql),
        ..USUAL
    },
    // One connection reads row by row by the nature of the protocol. After a timeout of its own the link is dead.
    Quirks {
        name: "freetds",
        holds_results: false,
        known_by: &["freetds", "tdsodbc"],
        options: &[("ClientCharset", "UTF-8"), ("TDS_Version", "7.4")],
        sections: &["Servername"],
        text: TextWidth::Narrow,
        cancel: Cancel::Breaks,
        keeps_widths: true,
        writes_short_years: true,
        dialect: Some(Dialect::SqlServer),
        ..USUAL
    },
    // Files of Microsoft Access, read only. The library below it keeps state of the process.
    Quirks {
        name: "mdbtools",
        holds_results: false,
        known_by: &["mdbtools", "mdbodbc"],
        text: TextWidth::Narrow,
        cancel: Cancel::Never,
        keeps_timeout: false,
        reads_to_nul: true,
        is_thread_safe: false,
        fetches_blocks: false,
        reads_rest: false,
        binds: false,
        file: &["DBQ", "Database"],
        dialect: Some(Dialect::Generic),
        doubt: Some("the driver of MDB files reads only, binds no values and cannot be cancelled"),
        ..USUAL
    },
    // Microsoft's own driver; text in UTF-16, since its narrow text depends on the process's locale.
    Quirks {
        name: "msodbcsql",
        holds_results: false,
        known_by: &["msodbcsql", "odbc driver 17 for sql server", "odbc driver 18 for sql server", "sql server native"],
        cancel: Cancel::Works,
        keeps_widths: true,
        dialect: Some(Dialect::SqlServer),
        ..USUAL
    },
    // CMT=1 is *CS, committed reads: its default, 2, is *CHG and reads what is not committed. CCSID=1208 makes narrow text
    // UTF-8. BLOCKFETCH and a bounded BLOCKSIZE (KiB) read in blocks, and are the defaults of later versions; 5.4 has 32
    // KiB. TRANSLATE=0 leaves columns of CCSID 65535 bytes. (IBM i documentation, "Connection string keywords": server,
    // performance and translation properties.)
    Quirks {
        name: "ibmi",
        holds_results: false,
        known_by: &["iseries", "ibm i access", "cwbodbc", "client access"],
        options: &[("CMT", "1"), ("CCSID", "1208"), ("BLOCKFETCH", "1"), ("BLOCKSIZE", "256"), ("TRANSLATE", "0")],
        text: TextWidth::Narrow,
        cancel: Cancel::Breaks,
        keeps_widths: true,
        dialect: Some(Dialect::Db2),
        ..USUAL
    },
    // Cursors do not outlive a commit, which costs the server less; TxnIsolation=2 is cursor stability, the default. (IBM
    // Db2 documentation, CLI/ODBC configuration keywords `CursorHold` and `TxnIsolation`.)
    Quirks {
        name: "db2",
        holds_results: false,
        known_by: &["db2", "libdb2"],
        options: &[("CursorHold", "0"), ("TxnIsolation", "2")],
        cancel: Cancel::Works,
        keeps_widths: true,
        dialect: Some(Dialect::Db2),
        ..USUAL
    },
    // FBS is how much is fetched at a time, in bytes; 60 000 by default. MTS=T turns the support of Microsoft's transaction
    // server off. It binds no 64-bit integers and takes no login timeout. (Oracle, "ODBC Developer's Guide": table of
    // keywords of the connection string; "Features Not Supported" by the driver.)
    Quirks {
        name: "oracle",
        holds_results: false,
        known_by: &["oracle", "sqora"],
        options: &[("FBS", "262144"), ("MTS", "T")],
        cancel: Cancel::Works,
        takes_login_timeout: false,
        keeps_widths: true,
        binds_bigint: false,
        dialect: Some(Dialect::Oracle),
        ..USUAL
    },
    // Text in UTF-8, types of the database's own as those of ODBC, cursors closed by a commit. (HCL and IBM Informix, "ODBC
    // Driver Programmer's Manual": connection string keywords, data-source specification.)
    Quirks {
        name: "informix",
        holds_results: false,
        known_by: &["informix", "iclit", "libifcli"],
        options: &[("CLIENT_LOCALE", "en_us.utf8"), ("NEEDODBCTYPESONLY", "1"), ("CURSORBEHAVIOR", "0")],
        text: TextWidth::Narrow,
        cancel: Cancel::Breaks,
        keeps_widths: true,
        dialect: Some(Dialect::Informix),
        ..USUAL
    },
    // Values in its tables are often longer than the width that the schema shows, hence no trust. `DIL=1` is READ
    // COMMITTED, the default; it fetches 50 rows at a time by default. `SQLCancel` ends a `select` from OpenEdge 12.4 on.
    // (Progress DataDirect, "Connection Option Descriptions for OpenEdge Wire Protocol"; "Driver specifications".)
    Quirks {
        name: "progress",
        holds_results: false,
        known_by: &["progress", "openedge"],
        options: &[("DIL", "1"), ("ArraySize", "200")],
        cancel: Cancel::Breaks,
        dialect: Some(Dialect::Progress),
        doubt: Some("OpenEdge keeps values longer than a column's SQL width; run DBTOOL where reads fail for it"),
        ..USUAL
    },
    Quirks {
        name: "firebird",
        holds_results: false,
        known_by: &["firebird", "odbcfb"],
        options: &[("CHARSET", "UTF8"), ("NOWAIT", "N")],
        text: TextWidth::Narrow,
        cancel: Cancel::Never,
        keeps_widths: true,
        dialect: Some(Dialect::Firebird),
        ..USUAL
    },
    USUAL,
];

impl Quirks {
    /// The row of a driver's name or file.
    pub fn of_driver(driver: &str) -> &'static Quirks {
        let driver = driver.to_lowercase();
        let known = QUIRKS.iter().find(|quirks| quirks.known_by.iter().any(|part| driver.contains(part)));
        known.unwrap_or(&USUAL_ROW)
    }

    /// The row with this name.
    pub fn named(name: &str) -> Option<&'static Quirks> {
        QUIRKS.iter().find(|quirks| quirks.name == name)
    }
}

static USUAL_ROW: Quirks = USUAL;

/// The dialect of what calls itself so (`SQL_DBMS_NAME`).
pub(super) fn dialect_of(product: &str) -> Dialect {
    const KNOWN: [(&str, Dialect); 14] = [
        ("postgres", Dialect::Postgres),
        ("mariadb", Dialect::MySql),
        ("mysql", Dialect::MySql),
        ("sqlite", Dialect::Sqlite),
        ("microsoft sql server", Dialect::SqlServer),
        ("sql server", Dialect::SqlServer),
        ("adaptive server", Dialect::SqlServer),
        ("oracle", Dialect::Oracle),
        ("db2", Dialect::Db2),
        ("as/400", Dialect::Db2),
        ("informix", Dialect::Informix),
        ("openedge", Dialect::Progress),
        ("progress", Dialect::Progress),
        ("firebird", Dialect::Firebird),
    ];
    let product = product.to_lowercase();
    KNOWN.iter().find(|(part, _)| product.contains(part)).map_or(Dialect::Generic, |(_, dialect)| *dialect)
}

/// The dialects by their words in the configuration.
pub(super) const DIALECTS: &[(&str, Dialect)] = &[
    ("sql-server", Dialect::SqlServer),
    ("postgres", Dialect::Postgres),
    ("mysql", Dialect::MySql),
    ("sqlite", Dialect::Sqlite),
    ("oracle", Dialect::Oracle),
    ("db2", Dialect::Db2),
    ("informix", Dialect::Informix),
    ("progress", Dialect::Progress),
    ("firebird", Dialect::Firebird),
    ("generic", Dialect::Generic),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_known_by_name_and_by_file() {
        for (driver, name) in [
            ("PostgreSQL Unicode", "psqlodbc"),
            ("/usr/lib/x86_64-linux-gnu/odbc/psqlodbca.so", "psqlodbc"),
            ("SQLite3", "sqlite"),
            ("MariaDB Unicode", "mariadb"),
            ("libtdsodbc.so", "freetds"),
            ("MDBTools", "mdbtools"),
            ("ODBC Driver 18 for SQL Server", "msodbcsql"),
            ("IBM i Access ODBC Driver 64-bit", "ibmi"),
            ("IBM DB2 ODBC DRIVER", "db2"),
            ("Oracle 19 ODBC driver", "oracle"),
            ("Progress OpenEdge 11.7 driver", "progress"),
            ("something else", "generic"),
        ] {
            assert_eq!(Quirks::of_driver(driver).name, name, "{driver}");
        }
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        for (index, quirks) in QUIRKS.iter().enumerate() {
            assert!(QUIRKS[..index].iter().all(|other| other.name != quirks.name), "{}", quirks.name);
            assert!(Quirks::named(quirks.name).is_some_and(|found| found.name == quirks.name));
        }
        assert_eq!(dialect_of("Microsoft SQL Server"), Dialect::SqlServer);
        assert_eq!(dialect_of("DB2/400 SQL"), Dialect::Db2);
        assert_eq!(dialect_of("EXCEL"), Dialect::Generic);
    }
}
