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
