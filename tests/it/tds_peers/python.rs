//! pytds and pymssql: types, parameters, procedures, transactions, errors.

use super::python;
use super::types::{self, COLUMNS};
use crate::support::tds_server::TdsServer;

/// What the columns of `kinds` are in Python, by column; written from the values of the script by hand.
const EXPECTED: &str = r#"
from decimal import Decimal as D
from datetime import datetime, date, time, timedelta, timezone
from uuid import UUID
expected = dict(
    c_bit=True, c_tiny=255, c_small=-32768, c_int=-2147483648, c_big=9223372036854775807, c_real=1.5, c_float=-2.25e100,
    c_smallmoney=D('-214748.3648'), c_money=D('-922337203685477.5808'), c_dec5=D('-123.45'),
    c_dec18=D('99999999999999.9999'), c_dec28=D('1234567890123456789012345678'),
    c_dec38=D('-1234567890123456789012345678.0123456789'), c_num=D('0.001'),
    c_smalldt=datetime(2079, 6, 6, 23, 59), c_dt=datetime(1753, 1, 1, 0, 0, 0, 3000), c_date=date(9999, 12, 31),
    c_time0=time(23, 59, 59), c_time7=time(12, 34, 56, 123456), c_dt2_0=datetime(1, 1, 1, 0, 0, 1),
    c_dt2_3=datetime(2026, 11, 28, 9, 8, 7, 123000), c_dt2_7=datetime(2026, 2, 28, 23, 59, 59, 999999),
    c_dto=datetime(2026, 11, 28, 1, 30, 0, 500000, timezone(timedelta(hours=5, minutes=30))),
    c_guid=UUID('0e984725-c51c-4bf4-9960-e1c80e27aba0'), c_char='ab   ', c_varchar='Müller €', c_polish='Zażółć',
    c_russian='Привет', c_japanese='日本', c_nchar='né  ', c_nvarchar='日本😀', c_max='abc' * 10001, c_nmax='é' * 20000,
    c_binary=b'\x01\x02\0\0', c_varbinary=b'\xff\0\xff', c_binmax=b'\0\x11\x22\x33', c_xml='<a b="1">é</a>',
    c_text='old text', c_ntext='öld', c_image=b'\xca\xfe')
def check(table, id, description, row):
    for d, v in zip(description, row):
        name = d[0]
        wanted = None if id == 2 or (id == 3 and name == 'c_int') else expected[name]
        assert v == wanted and (type(v) == type(wanted)), (table, id, name, v, wanted)
"#;

/// The names of all columns but the one in UTF-8, which pytds does not know.
fn names() -> String {
    let known = COLUMNS.iter().map(|(name, ..)| *name).filter(|name| *name != "c_utf8");
    known.collect::<Vec<_>>().join(", ")
}

#[test]
fn pytds_reads_every_type() {
    let server = TdsServer::start(&types::script());
    let program = EXPECTED.to_owned()
        + &r#"
import sys, pytds
c = pytds.connect('127.0.0.1', 'erp', 'bridge', 'Pa$$w0rd', port=int(sys.argv[1]), autocommit=True)
cur = c.cursor()
for table, id in [('kinds', 1), ('kinds', 2), ('kinds', 3), ('filled', 1)]:
    cur.execute('SELECT NAMES FROM dbo.%s WHERE id = %d' % (table, id))
    check(table, id, cur.description, cur.fetchone())
    assert cur.fetchone() is None
print('read')
"#
        .replace("NAMES", &names());
    assert_eq!(python(&server, &program), "read\n");
}

#[test]
fn pymssql_reads_every_type() {
    let server = TdsServer::start(&types::script());
    // Its library has dates after 7.2 as text of its own form; they are compared by pytds above.
    let names: Vec<&str> = COLUMNS
        .iter()
        .map(|(name, ..)| *name)
        .filter(|name| !["c_time0", "c_time7", "c_dto", "c_guid", "c_date", "c_real", "c_xml"].contains(name))
        .filter(|name| !name.starts_with("c_dt2"))
        .collect();
    let program = EXPECTED.to_owned()
        + &r#"
import sys, pymssql
expected['c_utf8'] = '日本😀'
expected['c_dec38'] = D('-1234567890123456789012345678.0123456789')
c = pymssql.connect(server='127.0.0.1', port=sys.argv[1], user='bridge', password='Pa$$w0rd', database='erp',
                    tds_version='7.3', charset='UTF-8', conn_properties='SET TEXTSIZE 2147483647', autocommit=True)
cur = c.cursor()
for table, id in [('kinds', 1), ('kinds', 2), ('kinds', 3), ('filled', 1)]:
    cur.execute('SELECT NAMES FROM dbo.%s WHERE id = %d' % (table, id))
    check(table, id, cur.description, cur.fetchone())
print('read')
"#
        .replace("NAMES", &names.join(", "));
    assert_eq!(python(&server, &program), "read\n");
}

#[test]
fn pytds_binds_every_type_of_parameter() {
    let server = TdsServer::start("");
    let program = r#"
import sys, pytds
from decimal import Decimal as D
from datetime import datetime, date, time
from uuid import UUID
c = pytds.connect('127.0.0.1', 'erp', 'bridge', 'Pa$$w0rd', port=int(sys.argv[1]), autocommit=True)
cur = c.cursor()
for v in [1, -5, 2**40, True, 1.25, D('-12.3400'), D('12345678901234567890123456789012345678'), 'Müller', '日本😀', 'x' * 9000,
          date(2026, 11, 28), time(23, 59, 59, 999999), datetime(2026, 11, 28, 1, 2, 3, 456000), None,
          UUID('0e984725-c51c-4bf4-9960-e1c80e27aba0')]:
    cur.execute('SELECT %s', (v,))
    got = cur.fetchone()[0]
    assert got == v, (v, got)
cur.execute('SELECT %s', (pytds.Binary(b'\x00\xff'),))
assert cur.fetchone()[0] == b'\x00\xff'
print('bound')
"#;
    assert_eq!(python(&server, program), "bound\n");
}

const PROCEDURES: &str =
    "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, name nvarchar(20), amount decimal(11,2));
    INSERT INTO dbo.orders VALUES (1, N'Müller', 12.5), (2, NULL, -0.01);";

/// A procedure with OUT parameters, two results and a return code. It stands alone: its body is all that follows.
const PROCEDURE: &str =
    "CREATE PROCEDURE dbo.totals @least int, @sum decimal(11,2) OUTPUT, @said nvarchar(50) = N'none' OUTPUT AS
    BEGIN
        SET NOCOUNT ON
        SELECT @sum = SUM(amount) FROM dbo.orders WHERE id >= @least
        SET @said = @said + N' ' + CAST(@least AS nvarchar(10))
        SELECT id, name FROM dbo.orders WHERE id >= @least ORDER BY id
        SELECT COUNT(*) AS n FROM dbo.orders
        IF @least > 1 RETURN 7
        RETURN 0
    END";

#[test]
fn pytds_calls_procedures() {
    let server = TdsServer::start(PROCEDURES);
    server.execute(PROCEDURE);
    let program = r#"
import sys, pytds
from decimal import Decimal as D
c = pytds.connect('127.0.0.1', 'erp', 'bridge', 'Pa$$w0rd', port=int(sys.argv[1]), autocommit=True)
cur = c.cursor()
for least, code, total, rows in [(1, 0, D('12.49'), [(1, 'Müller'), (2, None)]), (2, 7, D('-0.01'), [(2, None)])]:
    out = cur.callproc('dbo.totals', [least, pytds.output(value=None, param_type='decimal(11, 2)'),
                                      pytds.output(value='from', param_type='nvarchar(50)')])
    assert [tuple(r) for r in cur.fetchall()] == rows
    assert cur.nextset() and [tuple(r) for r in cur.fetchall()] == [(2,)]
    assert not cur.nextset()
    assert cur.get_proc_return_status() == code
    assert list(cur.get_proc_outputs()) == [total, 'from %d' % least], cur.get_proc_outputs()
# In a batch, with its code and what comes out.
cur.execute("DECLARE @s decimal(11,2), @r int; EXEC @r = dbo.totals 2, @s OUTPUT; SELECT @r AS r, @s AS s")
sets = [cur.fetchall()]
while cur.nextset():
    sets.append(cur.fetchall())
assert [tuple(r) for r in sets[-1]] == [(7, D('-0.01'))], sets
try:
    cur.callproc('dbo.nothing', [])
    assert False
except pytds.Error as e:
    assert 'dbo.nothing' in str(e) and e.msg_no == 2812, e
print('called')
"#;
    assert_eq!(python(&server, program), "called\n");
}

#[test]
fn pytds_commits_and_rolls_back() {
    let server = TdsServer::start(PROCEDURES);
    let program = r#"
import sys, pytds
connect = lambda auto: pytds.connect('127.0.0.1', 'erp', 'bridge', 'Pa$$w0rd', port=int(sys.argv[1]), autocommit=auto)
a, b = connect(False), connect(True)
count = lambda: (lambda cur: (cur.execute('SELECT COUNT(*) FROM dbo.orders'), cur.fetchone()[0])[1])(b.cursor())
cur = a.cursor()
cur.execute("INSERT INTO dbo.orders VALUES (3, 'c', 1)")
assert cur.rowcount == 1
assert count() == 2
a.rollback()
cur.execute('SELECT COUNT(*) FROM dbo.orders'); assert cur.fetchone()[0] == 2
cur.execute("INSERT INTO dbo.orders VALUES (3, 'c', 1)")
a.commit()
assert count() == 3
try:
    cur.execute("INSERT INTO dbo.orders VALUES (3, 'c', 1)"); assert False
except pytds.IntegrityError as e:
    assert e.msg_no == 2627, e
cur.execute('SELECT @@TRANCOUNT'); assert cur.fetchone()[0] == 1
cur.execute("UPDATE dbo.orders SET amount = amount + 1"); assert cur.rowcount == 3
a.rollback()
bc = b.cursor()
for sql, no in [('SELECT nope FROM dbo.orders', 207), ('SELECT 1 FROM dbo.nope', 208), ('SELEC 1', 2812), ('SELECT (1', 102),
                ("SELECT CAST('x' AS int)", 245), ('SELECT nope(1)', 195), ("INSERT INTO dbo.orders (id) VALUES (NULL)", 515),
                ('SELECT @x', 137), ('ROLLBACK', 3903)]:
    try:
        bc.execute(sql); bc.fetchall(); assert False, sql
    except pytds.Error as e:
        assert getattr(e, 'msg_no', None) == no, (sql, no, e)
    bc.execute('SELECT 1'); assert bc.fetchone()[0] == 1
print('done')
"#;
    assert_eq!(python(&server, program), "done\n");
}

#[test]
fn pytds_reads_a_million_rows_and_cancels() {
    let server = TdsServer::start("");
    server.generates("dbo.big", &[("id", "int"), ("amount", "decimal(11,2)")], 200_000, |number, cells| {
        cells.push(rusqlite::types::Value::Integer(number as i64));
        cells.push(rusqlite::types::Value::Text(format!("{number}.25")));
    });
    let program = r#"
import sys, pytds
from decimal import Decimal as D
c = pytds.connect('127.0.0.1', 'erp', 'bridge', 'Pa$$w0rd', port=int(sys.argv[1]), autocommit=True, blocksize=512)
cur = c.cursor()
cur.execute('SELECT TOP 20000 id, amount FROM dbo.big')
n = 0
for row in cur:
    assert tuple(row) == (n, D('%d.25' % n)), row
    n += 1
assert n == 20000, n
cur.execute('SELECT id, amount FROM dbo.big')
cur.fetchone()
cur.cancel()
cur.execute('SELECT 42')
assert cur.fetchone()[0] == 42
print('cancelled')
"#;
    assert_eq!(python(&server, program), "cancelled\n");
    let report = server.at_rest();
    assert!(report.sessions[0].attentions >= 1);
    assert_eq!(report.sessions[0].packet_size, 512);
}
