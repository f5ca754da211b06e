//! A table of every type.

/// Its columns, each with the text of a value in T-SQL.
pub(super) const COLUMNS: &[(&str, &str, &str)] = &[
    ("c_bit", "bit", "1"),
    ("c_tiny", "tinyint", "255"),
    ("c_small", "smallint", "-32768"),
    ("c_int", "int", "-2147483648"),
    ("c_big", "bigint", "9223372036854775807"),
    ("c_real", "real", "1.5"),
    ("c_float", "float", "-2.25e100"),
    ("c_smallmoney", "smallmoney", "-214748.3648"),
    ("c_money", "money", "-922337203685477.5808"),
    ("c_dec5", "decimal(5,2)", "-123.45"),
    ("c_dec18", "decimal(18,4)", "99999999999999.9999"),
    ("c_dec28", "decimal(28,0)", "1234567890123456789012345678"),
    ("c_dec38", "decimal(38,10)", "-1234567890123456789012345678.0123456789"),
    ("c_num", "numeric(9,3)", "0.001"),
    ("c_smalldt", "smalldatetime", "'2079-06-06 23:59'"),
    ("c_dt", "datetime", "'1753-01-01 00:00:00.003'"),
    ("c_date", "date", "'9999-12-31'"),
    ("c_time0", "time(0)", "'23:59:59'"),
    ("c_time7", "time(7)", "'12:34:56.1234567'"),
    ("c_dt2_0", "datetime2(0)", "'0001-01-01 00:00:01'"),
    ("c_dt2_3", "datetime2(3)", "'2026-11-28 09:08:07.123'"),
    ("c_dt2_7", "datetime2(7)", "'2026-02-28 23:59:59.9999999'"),
    ("c_dto", "datetimeoffset(7)", "'2026-11-28 01:30:00.5000000 +05:30'"),
    ("c_guid", "uniqueidentifier", "'0E984725-C51C-4BF4-9960-E1C80E27ABA0'"),
    ("c_char", "char(5)", "'ab'"),
    ("c_varchar", "varchar(20)", "N'Müller €'"),
    ("c_polish", "varchar(20) COLLATE Polish_CI_AS", "N'Zażółć'"),
    ("c_russian", "varchar(20) COLLATE Cyrillic_General_CI_AS", "N'Привет'"),
    ("c_japanese", "varchar(20) COLLATE Japanese_CI_AS", "N'日本'"),
    ("c_utf8", "varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8", "N'日本😀'"),
    ("c_nchar", "nchar(4)", "N'né'"),
    ("c_nvarchar", "nvarchar(20)", "N'日本😀'"),
    ("c_max", "varchar(max)", "REPLICATE(CAST('abc' AS varchar(max)), 10001)"),
    ("c_nmax", "nvarchar(max)", "REPLICATE(CAST(N'é' AS nvarchar(max)), 20000)"),
    ("c_binary", "binary(4)", "0x0102"),
    ("c_varbinary", "varbinary(10)", "0xFF00FF"),
    ("c_binmax", "varbinary(max)", "0x00112233"),
    ("c_xml", "xml", "N'<a b=\"1\">é</a>'"),
    ("c_text", "text", "'old text'"),
    ("c_ntext", "ntext", "N'öld'"),
    ("c_image", "image", "0xCAFE"),
];

/// The script of a table with these columns: row 1 has the values, row 2 NULLs, row 3 one NULL alone (`c_int`). The
/// columns of `filled` are never NULL.
pub(super) fn script() -> String {
    let declared: Vec<String> = COLUMNS.iter().map(|(name, declared, _)| format!("{name} {declared}")).collect();
    let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
    let values: Vec<&str> = COLUMNS.iter().map(|(.., value)| *value).collect();
    let but_one: Vec<&str> =
        COLUMNS.iter().map(|(name, _, value)| if *name == "c_int" { "NULL" } else { value }).collect();
    let filled: Vec<String> = declared.iter().map(|column| format!("{column} NOT NULL")).collect();
    format!(
        "CREATE TABLE dbo.kinds (id int NOT NULL PRIMARY KEY, {}, c_rv rowversion);\n\
         INSERT INTO dbo.kinds (id, {names}) VALUES (1, {values});\n\
         INSERT INTO dbo.kinds (id) VALUES (2);\n\
         INSERT INTO dbo.kinds (id, {names}) VALUES (3, {});\n\
         CREATE TABLE dbo.filled (id int NOT NULL PRIMARY KEY, {});\n\
         INSERT INTO dbo.filled (id, {names}) VALUES (1, {values});",
        declared.join(", "),
        but_one.join(", "),
        filled.join(", "),
        names = names.join(", "),
        values = values.join(", "),
    )
}
