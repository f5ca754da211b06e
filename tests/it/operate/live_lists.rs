//! Lists that are read at a database: put together by groups, by beginnings of texts, and streamed page by page.

use std::time::Duration;

use serde_json::{Value, json};

use super::backends::SQL_SERVER;
use super::site::{ORDERS, Running, TABLES, new_key, with};
use crate::facade::client::{Answer, Connection, exchange, request};
use crate::support::tds_server::Settings;

const ROWS: &str = "insert into orders values ('1', 'OP', 10.5, 'ab'), ('2', 'CL', 20, 'aB1'), ('3', 'OP', 30, 'a%b'), \
    ('4', 'OP', 7.25, 'a_b'), ('6', 'OP', 40, 'a!b'), ('7', 'OP', 50, 'a*b'), ('8', 'OP', 60, 'a[b'), \
    ('9', 'CL', 70, 'Abc')";

const LINES: &str = "application/x-ndjson";

/// Read at the backend, with a text that is not translated.
fn mapping() -> String {
    let fields = ORDERS.replace("[fields]\n", "[fields]\nnote = { from = \"ref\", type = \"string\" }\n");
    format!("{fields}[serve]\nmode = \"live\"\nfilter = [\"status\", \"amount\", \"order_no\", \"note\"]\n")
}

/// The same at every kind of database.
fn everywhere() -> [(&'static str, Running); 4] {
    let plan = with("").mapping(&mapping());
    // Its usual collations take `a` for `A`.
    let binary = TABLES.replace("ref varchar(100)", "ref varchar(100) collate utf8mb4_bin");
    [
        ("SQLite", plan.sqlite(&format!("{TABLES}; {ROWS}"))),
        ("PostgreSQL", plan.postgres(&format!("{TABLES}; {ROWS}"))),
        ("MariaDB", plan.mariadb(&format!("{binary}; {ROWS}"))),
        ("SQL Server", plan.sql_server(Settings::default(), &format!("{SQL_SERVER}\nGO\n{ROWS}"))),
    ]
}

fn ask_as(site: &Running, key: &str, path: &str, accept: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    let fields = [("Authorization", bearer.as_str()), ("Accept", accept)];
    exchange(site.address(), &request("GET", path, &fields, b"")).expect("an answer")
}

fn ask(site: &Running, path: &str, accept: &str) -> Answer {
    ask_as(site, &site.key, path, accept)
}

/// The numbers of the orders on a page, and where it goes on.
#[track_caller]
fn numbers(site: &Running, path: &str) -> (Vec<String>, Option<String>) {
    let page = site.get(path).json();
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{path}: {page:#}"));
    let numbers = data.iter().map(|order| order["order_no"].as_str().unwrap().to_owned()).collect();
    (numbers, page["page"]["next"].as_str().map(str::to_owned))
}

#[test]
fn filters_are_put_together_by_groups() {
    for (name, site) in everywhere() {
        let check = |question: &str, expected: &[&str]| {
            assert_eq!(numbers(&site, &format!("/v1/orders?{question}")).0, expected, "{name}: {question}");
        };
        check("or=(status=closed,amount[gte]=60)", &["2", "8", "9"]);
        check("and=(status=open,or(amount[lt]=10,amount[gt]=40))", &["4", "7", "8"]);
        check("or=(status[in]=(closed),and(status=open,amount[lt]=10))&amount[ne]=20", &["4", "9"]);
        check("or=(order_no=1,order_no=7)&and=(amount[gt]=20,note[null]=false)", &["7"]);
        // What no record can have takes nothing from the others, and everything where all must hold.
        check("or=(amount=-1,status=closed)", &["2", "9"]);
        check("or=(amount=-1,amount=-2)", &[]);
        check("and=(amount=-1,status=closed)", &[]);
        check("or=(amount[ne]=-1)&order_no[in]=1,2", &["1", "2"]);
        // It goes on as it began.
        let (mut next, mut met) = (Some("/v1/orders?or=(status=closed,amount[gte]=50)&limit=1".to_owned()), Vec::new());
        while let Some(path) = next {
            let page = numbers(&site, &path);
            met.extend(page.0);
            next = page.1;
        }
        assert_eq!(met, ["2", "7", "8", "9"], "{name}");
        let page = site.get("/v1/orders?or=(status=closed)&limit=1").json();
        let (_, cursor) = page["page"]["next"].as_str().unwrap().split_once("cursor=").unwrap();
        site.get(&format!("/v1/orders?or=(status=open)&cursor={cursor}")).problem(400, "invalid-cursor");

        site.get("/v1/orders?or=(status=lost)").problem(400, "invalid-parameter");
        site.get("/v1/orders?or=(colour=red)").problem(400, "unknown-parameter");
        site.get("/v1/orders?or=(status[gt]=a,amount=1)").problem(400, "unknown-parameter");
        let some: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
        let terms = vec![format!("order_no[in]=({})", some.join(",")); 6].join(",");
        let said = site.get(&format!("/v1/orders?or=({terms})")).problem(400, "invalid-parameter");
        assert!(said.contains("1200 values") && said.contains("at most"), "{name}: {said}");
        let counted = site.get("/v1/orders?or=(status=open)&count=true").problem(400, "invalid-parameter");
        assert!(counted.contains("not counted") && counted.contains("page.complete"), "{name}: {counted}");
        let sorted = site.get("/v1/orders?sort=amount").problem(400, "unknown-parameter");
        assert!(sorted.contains("in the order of its key"), "{name}: {sorted}");
    }
}

#[test]
fn beginnings_of_texts_are_asked_for_where_the_database_takes_them_as_they_are() {
    for (name, site) in everywhere() {
        let asked = |beginning: &str| site.get(&format!("/v1/orders?note[prefix]={beginning}"));
        // Values that are listed are known here, wherever the data lie.
        assert_eq!(numbers(&site, "/v1/orders?status[prefix]=cl").0, ["2", "9"], "{name}");
        assert_eq!(numbers(&site, "/v1/orders?status[prefix]=x").0, Vec::<String>::new(), "{name}");
        if name == "SQL Server" {
            let said = asked("a").problem(400, "unknown-parameter");
            assert!(said.contains("`note` cannot be compared so at the backend") && said.contains("`in`"), "{said}");
            assert!(site.tds().report().of(" like ").is_empty());
            continue;
        }
        let check = |beginning: &str, expected: &[&str]| {
            let path = format!("/v1/orders?note[prefix]={beginning}");
            assert_eq!(numbers(&site, &path).0, expected, "{name}: {beginning}");
        };
        check("a", &["1", "2", "3", "4", "6", "7", "8"]);
        check("ab", &["1"]);
        check("aB", &["2"]);
        check("A", &["9"]);
        check("a%25", &["3"]);
        check("a_", &["4"]);
        check("a!", &["6"]);
        check("a*", &["7"]);
        check("a%5B", &["8"]);
        check("a%5Cb", &[]);
        check("a'%20or%20'1'='1", &[]);
        check("", &["1", "2", "3", "4", "6", "7", "8", "9"]);
        check("a&status=closed", &["2"]);
        check("a&or=(note[prefix]=ab,note[prefix]=a_)", &["1", "4"]);
    }
    // A number has no beginning.
    let site = with("").mapping(&mapping()).sqlite(TABLES);
    let said = site.get("/v1/orders?amount[prefix]=1").problem(400, "unknown-parameter");
    assert!(said.contains("operators of `amount` are ne, gt, gte, lt, lte, in, nin, null"), "{said}");
}

#[test]
fn all_forms_that_a_staged_list_has() {
    for (name, site) in everywhere() {
        let lines = ask(&site, "/v1/orders?fields=order_no,amount", LINES);
        assert_eq!((lines.status, lines.field("content-type")), (200, Some(LINES)), "{name}: {lines:?}");
        let expected: String = [("1", "10.50"), ("2", "20.00"), ("3", "30.00"), ("4", "7.25")]
            .iter()
            .map(|(no, amount)| format!("{{\"order_no\":\"{no}\",\"amount\":{amount}}}\n"))
            .collect();
        assert!(lines.text().starts_with(&expected) && lines.text().lines().count() == 8, "{name}: {}", lines.text());
        assert_eq!((lines.field("age"), lines.field("cache-status")), (Some("0"), Some("tollbridge; fwd=bypass")));
        assert!(lines.field("server-timing").unwrap().contains("backend;dur="), "{name}");
        let csv = ask(&site, "/v1/orders?status=closed", "text/csv");
        assert_eq!(csv.field("content-type"), Some("text/csv; charset=utf-8; header=present"));
        assert_eq!(csv.text(), "note,order_no,status,amount\r\naB1,2,closed,20.00\r\nAbc,9,closed,70.00\r\n", "{name}");
        // Items of a sequence are what single records are.
        let items = ask(&site, "/v1/orders?or=(order_no=1,order_no=2)", "application/cbor-seq");
        let single = |no: u32| ask(&site, &format!("/v1/orders/{no}"), "application/cbor").body;
        assert_eq!(items.body, [single(1), single(2)].concat(), "{name}");
        let page = ask(&site, "/v1/orders?limit=1", "application/cbor");
        assert_eq!((page.status, page.field("content-type")), (200, Some("application/cbor")));
        assert!(page.field("link").is_some() && page.field("etag").is_some_and(|tag| tag.starts_with("W/")));
        assert_eq!(ask(&site, "/v1/orders?limit=3", LINES).text().lines().count(), 3);
        ask(&site, "/v1/orders?count=true", LINES).problem(400, "invalid-parameter");
        ask(&site, "/v1/orders", "application/xml").problem(406, "not-acceptable");
    }
}

/// Orders `00001` to `count`, each with so many bytes beside it.
fn many(count: u32, bytes: u32) -> String {
    format!(
        "create table orders (no varchar(10) primary key, status varchar(2), amount numeric(9,2), ref text); \
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {count}) \
         insert into orders select printf('%05d', i), 'OP', i, hex(zeroblob({bytes} / 2)) from n"
    )
}

#[test]
fn a_stream_is_read_page_by_page_and_can_be_gone_on_with() {
    let site = with("").mapping(&mapping()).sqlite(&many(1203, 4));
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["order_no"].as_str().unwrap().to_owned();
    let all: Vec<String> = (1..=1203).map(|number| format!("{number:05}")).collect();
    let stream = ask(&site, "/v1/orders", LINES);
    assert_eq!(stream.text().lines().map(number).collect::<Vec<_>>(), all);
    let some = ask(&site, "/v1/orders?amount[gt]=100&limit=700", LINES);
    assert_eq!(some.text().lines().map(number).collect::<Vec<_>>(), all[100..800]);

    // Behind each page it says where to go on; whoever does has all of it, and nothing twice.
    let told = ask(&site, "/v1/orders?fields=order_no", "application/x-ndjson; cursors=true");
    let lines: Vec<Value> = told.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let asides: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].get("$next").is_some()).collect();
    assert_eq!((asides.len(), lines.len()), (3, 1206), "{asides:?}");
    assert_eq!(lines.last(), Some(&json!({ "$next": null })));
    let (at, next) = (asides[1], lines[asides[1]]["$next"].as_str().unwrap());
    let rest = ask(&site, next, LINES);
    let taken = lines[..at].iter().filter(|line| line.get("$next").is_none());
    let mut met: Vec<String> = taken.map(|line| line["order_no"].as_str().unwrap().to_owned()).collect();
    met.extend(rest.text().lines().map(number));
    assert_eq!(met, all);
    let limited = ask(&site, "/v1/orders?limit=900", "application/x-ndjson; cursors=true");
    let aside: Value = serde_json::from_str(limited.text().lines().nth(500).unwrap()).unwrap();
    let rest = ask(&site, aside["$next"].as_str().unwrap(), LINES);
    assert_eq!(rest.text().lines().map(number).collect::<Vec<_>>(), all[500..900]);
}

/// A rule of the mapping may leave out all rows of a page: that is no end.
#[test]
fn a_page_of_rows_that_are_left_out_is_not_the_last_one() {
    let mapping = mapping().replace("snapshot = true\n", "snapshot = true\nskip = \"status = 'CL'\"\n");
    let mut statements = many(1303, 4);
    statements.push_str("; update orders set status = 'CL' where no <= '00700' or no > '01300'");
    let site = with("").mapping(&mapping).sqlite(&statements);
    let shown: Vec<String> = (701..=1300).map(|number| format!("{number:05}")).collect();
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["order_no"].as_str().unwrap().to_owned();
    assert_eq!(ask(&site, "/v1/orders", LINES).text().lines().map(number).collect::<Vec<_>>(), shown);
    let (mut next, mut met) = (Some("/v1/orders?limit=150".to_owned()), Vec::new());
    while let Some(path) = next {
        let page = numbers(&site, &path);
        met.extend(page.0);
        next = page.1;
    }
    assert_eq!(met, shown);
}

#[test]
fn who_reads_slowly_holds_no_place_and_no_connection() {
    let gate = "max_in_flight = 1\nsettle = \"300ms\"\nqueue_timeout = \"20s\"";
    let plan = with("").gate(gate).mapping(&mapping()).sections("[server]\nwrite_timeout = \"10m\"");
    let site = plan.sqlite(&many(4000, 8000));
    let bearer = format!("Bearer {}", site.key);
    let stalled: Vec<Connection> = [LINES, "text/csv", "application/cbor-seq"]
        .iter()
        .map(|accept| {
            let mut connection = Connection::to(site.address());
            let fields = [("Authorization", bearer.as_str()), ("Accept", *accept)];
            connection.send(&request("GET", "/v1/orders", &fields, b""));
            assert_eq!(connection.receive(false).unwrap().status, 200);
            connection
        })
        .collect();
    // 32 MB lie in no buffers between us: each is stuck, and the only place is free.
    for number in 1..=30 {
        assert_eq!(site.get(&format!("/v1/orders/{number:05}")).status, 200);
    }
    let gate = || {
        let body = site.service.admin("GET", "/admin/v1/gates/erp").1;
        serde_json::from_str::<Value>(&body).unwrap()
    };
    site.service.until(|| {
        let gate = gate();
        (gate["interactive_in_flight"] == 0 && gate["lingering"] == 0).then_some(())
    });
    // They go on where they are, to the end.
    for mut connection in stalled {
        let mut bytes = 0;
        loop {
            match connection.chunk().expect("it does not break off") {
                chunk if chunk.is_empty() => break,
                chunk => bytes += chunk.len(),
            }
        }
        assert!(bytes > 32_000_000, "{bytes}");
    }
}

#[test]
fn a_record_that_breaks_the_mapping_is_not_left_out_in_silence() {
    let mut statements = many(1203, 4);
    statements.push_str("; update orders set status = 'XX' where no = '00007'");
    let site = with("").mapping(&mapping()).sqlite(&statements);
    for accept in [LINES, "text/csv", "application/cbor-seq"] {
        let said = ask(&site, "/v1/orders", accept);
        assert!(said.problem(502, "backend-answer").contains("page.rejected"), "{accept}: {said:?}");
        assert_eq!(said.json()["reason"], "rejected");
        assert_eq!(ask(&site, "/v1/orders?amount[gt]=7", accept).status, 200, "{accept}: what is asked for is sound");
    }
    let told = ask(&site, "/v1/orders", "application/x-ndjson; cursors=true");
    let lines: Vec<Value> = told.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let asides: Vec<&Value> = lines.iter().filter(|line| line.get("$next").is_some()).collect();
    assert_eq!((lines.len(), asides.len(), &asides[0]["$rejected"]), (1205, 3, &json!(1)));
    assert!(asides[1].get("$rejected").is_none() && asides[2].get("$rejected").is_none(), "{asides:?}");
    assert_eq!(site.get("/v1/orders?limit=10").json()["page"]["rejected"], 1);
    // Where it is met later the stream has no end.
    site.change(
        "update orders set status = 'OP' where no = '00007'; update orders set status = 'XX' where no = '01100'",
    );
    let mut connection = Connection::to(site.address());
    let bearer = format!("Bearer {}", site.key);
    connection.send(&request("GET", "/v1/orders", &[("Authorization", &bearer), ("Accept", LINES)], b""));
    assert_eq!(connection.receive(false).unwrap().status, 200);
    let mut lines = 0;
    let ended = loop {
        match connection.chunk() {
            Some(chunk) if !chunk.is_empty() => lines += chunk.iter().filter(|byte| **byte == b'\n').count(),
            ended => break ended,
        }
    };
    assert_eq!((lines, ended), (1000, None), "it broke off");
}

#[test]
fn a_stream_shows_what_its_reader_may_see() {
    let served = "mode = \"live\"\nfilter = [\"status\"]\nrows = { status = \"claims.state\" }\nmask = { amount = \"money:read\" }";
    let site = with("").mapping(&format!("{ORDERS}[serve]\n{served}\n")).sqlite(&format!("{TABLES}; {ROWS}"));
    site.change("insert into orders values ('5', 'XX', 1, null)");
    let made = site.site.json(&["keys", "create", "c", "--scope", "read", "--claim", "state=closed"]).0;
    let key = made[0]["key"].as_str().unwrap();
    let seen = "{\"order_no\":\"2\",\"status\":\"closed\"}\n{\"order_no\":\"9\",\"status\":\"closed\"}\n";
    assert_eq!(ask_as(&site, key, "/v1/orders", LINES).text(), seen);
    assert_eq!(ask_as(&site, key, "/v1/orders", "text/csv").text(), "order_no,status\r\n2,closed\r\n9,closed\r\n");
    assert_eq!(ask_as(&site, key, "/v1/orders?or=(status=open,status=closed)", LINES).text(), seen);
    assert_eq!(ask_as(&site, key, "/v1/orders?or=(status[prefix]=o,status[null]=true)", LINES).text(), "");
    ask_as(&site, key, "/v1/orders?or=(amount=20)", LINES).problem(400, "unknown-parameter");
    let bare = new_key(&site.site, "bare", &["read"]);
    ask_as(&site, &bare, "/v1/orders", LINES).problem(403, "insufficient-scope");
}

#[test]
fn a_stream_ends_when_its_key_is_revoked() {
    let site = with("").mapping(&mapping()).sqlite(&many(4000, 8000));
    let made = site.site.json(&["keys", "create", "c", "--scope", "read"]).0;
    let (key, id) = (made[0]["key"].as_str().unwrap(), made[0]["id"].as_str().unwrap());
    let mut connection = Connection::to(site.address());
    let bearer = format!("Bearer {key}");
    connection.send(&request("GET", "/v1/orders", &[("Authorization", &bearer), ("Accept", LINES)], b""));
    assert_eq!(connection.receive(false).unwrap().status, 200);
    assert!(!connection.chunk().unwrap().is_empty());
    assert!(site.site.run(&["keys", "revoke", id]).status.success());
    std::thread::sleep(Duration::from_secs(6));
    let ended = loop {
        match connection.chunk() {
            Some(chunk) if !chunk.is_empty() => {}
            ended => break ended,
        }
    };
    assert_eq!(ended, None, "it broke off");
}

#[test]
fn a_stream_takes_the_memory_of_a_page() {
    let own = |site: &Running| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", site.service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // The most that it has while all comes in these forms, one after the other.
    let most = |count: u32| {
        let site = with("").mapping(&mapping()).sqlite(&many(count, 200));
        let bearer = format!("Bearer {}", site.key);
        let mut most = own(&site);
        for accept in [LINES, "text/csv"] {
            let mut connection = Connection::to(site.address());
            connection.send(&request("GET", "/v1/orders", &[("Authorization", &bearer), ("Accept", accept)], b""));
            assert_eq!(connection.receive(false).unwrap().status, 200);
            let mut lines = 0;
            loop {
                match connection.chunk().expect("it does not break off") {
                    chunk if chunk.is_empty() => break,
                    chunk => lines += chunk.iter().filter(|byte| **byte == b'\n').count(),
                }
                most = most.max(own(&site));
            }
            assert_eq!(lines, count as usize + usize::from(accept == "text/csv"));
        }
        most
    };
    // Those that are more have above 40 MB; the allocators of service and driver keep some of what they have freed.
    let (few, many) = (most(20_000), most(200_000));
    assert!(many < few + 24 * 1024, "{few} kB for 20,000 records, {many} kB for 200,000");
}
