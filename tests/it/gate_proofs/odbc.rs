//! A crowd before a database behind an ODBC driver, whose callers leave: by the database's own count, never more statements
//! are at work than the cap lets in, whoever hangs up, and what nobody waits for is stopped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::facade::client::{exchange, request};
use crate::site::{Service, Site};
use crate::support::load::{Coming, Fate, Kind, Load, Via};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::seat;

use super::{drains, each_has_one_answer, good, metric, seconds};

const CAP: usize = 6;

const GATE: &str = "max_in_flight = 6\nqueue = 2000\nqueue_timeout = \"500ms\"\nsettle = \"1s\"";

const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.table]
table = "orders"
snapshot = true
[fields]
order_no = { from = "no" }
at_work = { from = "at_work", type = "integer" }
[serve]
mode = "live"
"#;

/// Each row is work. While it is done a lock of its transaction is held, beside those of the others; how many hold it is
/// counted when one more does, in sequences, since what these have counted is not undone with the statement.
const SCHEMA: &str = r"
create table base (no text primary key);
do $$ begin for n in 1..60 loop
  execute format('create sequence seen_%s', n);
  execute format('create sequence runs_%s', n);
end loop; end $$;
create sequence stopped;
create function locks(kind int) returns int volatile language sql as $$
  select count(*)::int from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'advisory' and l.classid = 7 and l.objid = kind and l.granted
$$;
create function work(takes float8) returns int volatile language plpgsql as $$
declare n int;
begin
  perform pg_advisory_xact_lock_shared(7, 1);
  n := locks(1);
  perform nextval(('seen_' || n)::regclass);
  begin
    perform pg_sleep(takes);
  exception when query_canceled then
    perform nextval('stopped');
    raise;
  end;
  return n;
end $$;
create function run() returns int volatile language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(7, 2);
  perform nextval(('runs_' || locks(2))::regclass);
  return work(0.03);
end $$;
create view orders as select no, work(0.1 + 0.4 * random()) as at_work from base;
create view items as select i::text as no, run() as at_work from generate_series(1, 40) i;
create function watched(lasts float8) returns int language plpgsql as $$
declare most int := 0; n int; over timestamptz := clock_timestamp() + make_interval(secs => lasts);
begin
  while clock_timestamp() < over loop
    perform pg_stat_clear_snapshot();
    select count(*) into n from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' and query ~ 'orders';
    most := greatest(most, n);
    perform pg_sleep(0.005);
  end loop;
  return most;
end $$;
";

/// The service before a database of its own, with an order for every caller.
struct Before {
    server: Arc<Postgres>,
    database: String,
    site: Site,
}

impl Before {
    /// `port` is where the service finds the server, which may be another place than where it is.
    fn new(database: &str, callers: &[(&str, usize)], port: impl Fn(u16) -> u16, more: &str) -> Before {
        let server = Postgres::shared();
        let database = server.database(database, "");
        let mut schema = SCHEMA.to_owned();
        for (client, count) in callers {
            let _ = write!(
                schema,
                "insert into base select '{client}-' || lpad(n::text, 7, '0') from generate_series(1, {count}) n;"
            );
        }
        server.sql(&database, &schema);
        let found_at = format!("Port={}", port(server.port));
        let connection = server.connection(&database).replace(&format!("Port={}", server.port), &found_at);
        let site = Site::new();
        let config = format!(
            "[backends.erp.odbc]\nconnection = '{connection}'\n{more}\n[backends.erp.gate]\n{GATE}\n\
             [telemetry]\nlog = \"text\"\nlevel = \"warn\"\n"
        );
        site.write("tollbridge.toml", config.as_bytes());
        site.write("mappings/orders.v1.toml", MAPPING.as_bytes());
        Before { server, database, site }
    }

    fn serve(&self) -> Service {
        let service = self.site.serve();
        service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
        service
    }

    fn key(&self, client: &str) -> String {
        let (made, code) = self.site.json(&["keys", "create", client, "--scope", "read"]);
        assert_eq!(code, 0, "{made:?}");
        made[0]["key"].as_str().unwrap().to_owned()
    }

    fn kind(&self, service: &Service, client: &'static str, coming: Coming) -> Kind {
        Kind::new(client, seat::address(service), Via::Rest(self.key(client)), coming)
    }

    /// A number that the database answers.
    fn number(&self, sql: &str) -> usize {
        self.server.sql(&self.database, sql).parse().unwrap()
    }

    /// The most that were at work at once, and how often something was done, by these sequences.
    fn counted(&self, sequences: &str) -> (usize, usize) {
        let counts = (1..=60).map(|n| format!("select {n}, last_value, is_called from {sequences}_{n}"));
        let all = counts.collect::<Vec<_>>().join(" union all ");
        let (most, done) = ("max(n) filter (where is_called)", "sum(last_value) filter (where is_called)");
        let said = self.server.sql(
            &self.database,
            &format!("select coalesce({most}, 0), coalesce({done}, 0) from ({all}) s (n, last_value, is_called)"),
        );
        let (most, done) = said.split_once('|').unwrap();
        (most.parse().unwrap(), done.parse().unwrap())
    }

    /// How often work was stopped.
    fn stopped(&self) -> usize {
        self.number("select case when is_called then last_value else 0 end from stopped")
    }

    /// Connections of others than the one who asks, of which something is so.
    fn connections(&self, so: &str) -> usize {
        self.number(&format!(
            "select count(*) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid() and {so}"
        ))
    }
}

/// Most of them hang up, at any age: while they wait, while the driver sends, while the database works.
#[test]
fn most_of_the_callers_leave_and_what_they_asked_for_is_stopped() {
    let before = Before::new("leaving", &[("storm", 3000), ("later", 60)], |port| port, "");
    let service = before.serve();
    let storm = before.kind(&service, "storm", Coming::Open(150.0)).leaving(0.7, 0, 800);
    let watcher = std::thread::spawn({
        let (server, database) = (Arc::clone(&before.server), before.database.clone());
        move || -> usize { server.sql(&database, "select watched(6)").parse().unwrap() }
    });
    let outcome = Load::start(vec![storm], seconds(5.0), 7).join();
    let watched = watcher.join().unwrap();
    drains(&service);
    // The database counts for itself, and looks at itself from outside.
    let (most, done) = before.counted("seen");
    let fates = outcome.fates();
    assert_eq!(most, CAP, "{done} were done: {fates:?}");
    assert!((1..=CAP).contains(&watched), "{watched} were at work: {fates:?}");
    let (left, stopped) = (outcome.count(|fate| *fate == Fate::Left), before.stopped());
    assert!(left > 50 && stopped >= 3, "{stopped} of {done} were stopped: {fates:?}");
    let wrong = |fate: &Fate| matches!(fate, Fate::Unanswered | Fate::Broken(_) | Fate::Failed(_));
    assert_eq!((outcome.count(wrong), outcome.surplus), (0, 0), "{fates:?}");
    assert!(outcome.count(good) >= 5, "{fates:?}");
    // What was stopped is no failure of the database, and is not tried again.
    assert_eq!(metric(&service, "breaker_state", ""), 0);
    assert!(done <= outcome.shots.len(), "{done} for {} callers", outcome.shots.len());

    // Nothing is at work or open; the connections are there, and as many calls as the cap go at once.
    assert_eq!((before.connections("state <> 'idle'"), before.number("select locks(1)")), (0, 0));
    assert!(before.connections("true") <= CAP, "{} connections", before.connections("true"));
    let later = before.kind(&service, "later", Coming::Once(CAP));
    let outcome = Load::start(vec![later], seconds(0.1), 8).join();
    assert_eq!(outcome.count(good), CAP, "{:?}", outcome.fates());
    each_has_one_answer(&outcome, 0..1, &[]);
    assert_eq!(before.counted("seen"), (CAP, done + CAP));
    drains(&service);
}

/// Five runs would read at once, again and again: half of the places are theirs at most, and people are served beside them.
#[test]
fn runs_have_half_of_the_places_and_people_the_rest() {
    let before = Before::new("sharing", &[("people", 3000)], |port| port, "");
    for number in 1..=5 {
        let mapping = format!(
            "resource = \"items{number}\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n\
             schedule = \"every 100ms\"\n[source.table]\ntable = \"items\"\nsnapshot = true\n\
             isolation = \"read-committed\"\n[fields]\nno = {{ from = \"no\" }}\nat_work = {{ from = \"at_work\", type = \"integer\" }}\n"
        );
        before.site.write(&format!("mappings/items{number}.v1.toml"), mapping.as_bytes());
    }
    let service = before.serve();
    service.until(|| (before.counted("runs").0 >= CAP / 2).then_some(()));
    let people = before.kind(&service, "people", Coming::Closed(20, seconds(0.1)));
    let outcome = Load::start(vec![people], seconds(6.0), 9).join();
    let ((most, _), (runs, read)) = (before.counted("seen"), before.counted("runs"));
    let fates = outcome.fates();
    assert_eq!((most, runs), (CAP, CAP / 2), "{fates:?}");
    each_has_one_answer(&outcome, 0..1, &[]);
    for second in 1..6 {
        let served = outcome.shots.iter().filter(|shot| good(&shot.fate) && shot.ended.as_secs() == second).count();
        assert!(served > 0, "nobody was served in second {second}: {fates:?}");
    }
    // Runs go on when people have gone, and have not more places then.
    service.until(|| (before.counted("runs").1 > read + 400).then_some(()));
    assert_eq!(before.counted("runs").0, CAP / 2);
}

/// The server does not answer any more, neither the question nor its cancellation: the call lingers until it does.
#[test]
fn a_cancellation_that_is_not_answered_lingers() {
    let proxy = std::cell::OnceCell::new();
    let before = Before::new(
        "unanswered",
        &[("one", 10)],
        |port| proxy.get_or_init(|| Proxy::before(port)).port(),
        "timeout = \"1s\"",
    );
    let proxy = proxy.get().unwrap();
    let service = before.serve();
    let bearer = format!("Bearer {}", before.key("one"));
    let get = |n: u32| request("GET", &format!("/v1/orders/one-{n:07}"), &[("Authorization", &bearer)], b"");
    assert_eq!(exchange(seat::address(&service), &get(1)).unwrap().status, 200);
    assert_eq!(metric(&service, "gate_lingering", ""), 0);
    proxy.stop();
    // One waits for its answer, the other leaves.
    let mut leaves = TcpStream::connect(seat::address(&service)).unwrap();
    leaves.write_all(&get(2)).unwrap();
    service.until(|| (metric(&service, "gate_in_flight", ",lane=\"interactive\"") == 1).then_some(()));
    drop(leaves);
    let answer = exchange(seat::address(&service), &get(3)).unwrap();
    answer.problem(504, "backend-timeout");
    service.until(|| (metric(&service, "gate_lingering", "") == 2).then_some(()));
    assert_eq!(metric(&service, "gate_in_flight", ",lane=\"interactive\""), 0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(metric(&service, "gate_lingering", ""), 2, "longer than `settle`: nobody knows of an end");
    proxy.go_on();
    service.until(|| (metric(&service, "gate_lingering", "") == 0).then_some(()));
    drains(&service);
    assert_eq!(exchange(seat::address(&service), &get(4)).unwrap().status, 200);
    assert!(before.counted("seen").0 <= 2);
}
