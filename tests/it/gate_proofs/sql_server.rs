//! The same before a SQL Server: by the server's own count, never more requests are at work than the cap lets in, whoever
//! leaves, whatever is killed, however late an attention is acknowledged.

use std::fmt::Write;
use std::time::Duration;

use crate::site::{Service, Site};
use crate::support::load::{Coming, Fate, Kind, Load, Outcome, Via};
use crate::support::seat;
use crate::support::tds_server::{Encryption, End, Report, Settings, TdsServer};

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
table = "dbo.orders"
snapshot = true
[fields]
order_no = { from = "no" }
amount = { from = "amount", type = "decimal(9,2)" }
[serve]
mode = "live"
"#;

/// The service before a server with an order for every caller.
struct Before {
    server: TdsServer,
    site: Site,
}

impl Before {
    /// `lingers` is how long the server goes on with what a client has left that is gone.
    fn new(lingers: Duration, callers: &[(&str, usize)], more: &str) -> Before {
        let mut script =
            "CREATE TABLE dbo.orders (no varchar(40) NOT NULL PRIMARY KEY, amount decimal(9,2))".to_owned();
        for (client, count) in callers {
            for number in 1..=*count {
                let _ = write!(script, ";\nINSERT INTO dbo.orders VALUES ('{client}-{number:07}', {number})");
            }
        }
        let server =
            TdsServer::with(Settings { encryption: Encryption::NotSupported, lingers, ..Settings::default() }, &script);
        let site = Site::new();
        site.write("password", b"Pa$$w0rd");
        let config = format!(
            "[backends.erp.mssql]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"erp\"\nusername = \"bridge\"\n\
             password = {{ file = \"password\" }}\nencryption = \"off\"\n{more}\n[backends.erp.gate]\n{GATE}\n\
             [backends.erp.gate.breaker]\nfailures = 0\n[telemetry]\nlog = \"text\"\nlevel = \"warn\"\n",
            server.port()
        );
        site.write("tollbridge.toml", config.as_bytes());
        site.write("mappings/orders.v1.toml", MAPPING.as_bytes());
        Before { server, site }
    }

    fn serve(&self) -> Service {
        let service = self.site.serve();
        self.ready(&service);
        service
    }

    fn ready(&self, service: &Service) {
        service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    }

    fn kind(&self, service: &Service, client: &'static str, coming: Coming) -> Kind {
        let (made, code) = self.site.json(&["keys", "create", client, "--scope", "read"]);
        assert_eq!(code, 0, "{made:?}");
        Kind::new(client, seat::address(service), Via::Rest(made[0]["key"].as_str().unwrap().to_owned()), coming)
    }

    /// Each question takes this long.
    fn slow(&self, each: Duration) {
        self.server.faults(|faults| {
            faults.only = Some("[dbo].[orders]".to_owned());
            faults.stall = each;
        });
    }

    /// What must be true after any story; answers what the server has done.
    #[track_caller]
    fn holds(&self, outcome: &Outcome) -> Report {
        let report = self.server.at_rest();
        assert!(report.most <= CAP, "{} requests were at work: {:?}", report.most, outcome.fates());
        // The same by the times of each.
        assert!(most_by_the_clock(&report) <= CAP);
        // Nobody has got what was meant for another, and everybody got something.
        let wrong = |fate: &Fate| matches!(fate, Fate::Unanswered | Fate::Broken(_));
        assert_eq!(outcome.count(wrong), 0, "{:?}", outcome.fates());
        report
    }
}

/// The most requests that were at work at a moment, by when each began and ended.
fn most_by_the_clock(report: &Report) -> usize {
    let mut moments: Vec<(Duration, i64)> = Vec::new();
    for statement in &report.statements {
        moments.push((statement.began, 1));
        moments.push((statement.ended.unwrap(), -1));
    }
    moments.sort_unstable();
    let (mut now, mut most) = (0i64, 0i64);
    for (_, change) in moments {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap()
}

#[test]
fn three_hundred_at_once() {
    let before = Before::new(Duration::ZERO, &[("burst", 300)], "");
    before.slow(Duration::from_millis(50));
    // Those that are let in first stay until all places are taken, however long the machine needs for that.
    before.server.faults(|faults| faults.gathers = Some(CAP));
    let service = before.serve();
    let burst = before.kind(&service, "burst", Coming::Once(300));
    let outcome = Load::start(vec![burst], seconds(0.5), 1).join();
    let report = before.holds(&outcome);
    drains(&service);
    let answered = outcome.count(|fate| matches!(fate, Fate::Good | Fate::Late));
    let refused = outcome.count(|fate| matches!(fate, Fate::Refused { .. }));
    assert_eq!(answered + refused, 300, "{:?}", outcome.fates());
    assert!(answered >= CAP && report.most == CAP, "{answered} {}", report.most);
    assert!(report.sessions.len() <= CAP, "{} sessions", report.sessions.len());
}

/// Half of the callers hang up. The statement is stopped by an attention, which the server acknowledges late: until then
/// its place is taken, and its connection is used by nobody.
#[test]
fn half_of_the_callers_leave_and_attentions_are_acknowledged_late() {
    let before = Before::new(Duration::ZERO, &[("storm", 1500)], "");
    before.slow(Duration::from_millis(120));
    before.server.faults(|faults| faults.attention_delay = Duration::from_millis(250));
    let service = before.serve();
    let storm = before.kind(&service, "storm", Coming::Open(150.0)).leaving(0.5, 0, 400);
    let outcome = Load::start(vec![storm], seconds(5.0), 2).join();
    let report = before.holds(&outcome);
    drains(&service);
    assert!(outcome.count(|fate| *fate == Fate::Left) > 100, "{:?}", outcome.fates());
    assert!(outcome.count(good) > 30, "{:?}", outcome.fates());
    assert!(report.sessions.len() <= CAP, "a connection that was stopped in order is used again");
}

/// The server takes no notice of attentions: the connection is closed, and the place comes back when the server must have
/// noticed that, not before.
#[test]
fn a_server_that_does_not_stop_keeps_its_places() {
    let before = Before::new(Duration::from_millis(700), &[("crowd", 3000)], "timeout = \"1s\"");
    before.slow(Duration::from_secs(20));
    before.server.faults(|faults| faults.ignore_attention = true);
    let service = before.serve();
    let crowd = before.kind(&service, "crowd", Coming::Closed(20, seconds(0.1)));
    let load = Load::start(vec![crowd], seconds(16.0), 3);
    // A call that was given up counts as lingering until the server must have noticed.
    service.until(|| (metric(&service, "gate_lingering", "") > 0).then_some(()));
    load.until(seconds(9.0));
    before.server.faults(|faults| *faults = Default::default());
    let outcome = load.join();
    let report = before.holds(&outcome);
    drains(&service);
    assert_eq!(metric(&service, "gate_lingering", ""), 0);
    let lost = report.statements.iter().filter(|statement| statement.end == End::Lost).count();
    assert!(lost >= CAP, "{lost} statements were left alone");
    assert!(outcome.count(good) > 0, "it comes back: {:?}", outcome.fates());
}

/// Sessions are killed under way, and connections cut in the midst of an answer.
#[test]
fn killed_sessions_and_cut_answers_poison_nothing() {
    let before = Before::new(Duration::from_millis(300), &[("crowd", 3000)], "");
    before.slow(Duration::from_millis(40));
    let service = before.serve();
    let crowd = before.kind(&service, "crowd", Coming::Closed(24, seconds(0.02)));
    let load = Load::start(vec![crowd], seconds(6.0), 4);
    for (age, cuts) in [(1.0, false), (2.0, true), (3.0, false), (3.5, true)] {
        load.until(seconds(age));
        match cuts {
            false => before.server.kill_all(),
            true => before.server.faults(|faults| {
                faults.trouble = (0..4).map(|place| (place, crate::support::tds_server::Trouble::Cut)).collect();
            }),
        }
    }
    let outcome = load.join();
    let report = before.holds(&outcome);
    drains(&service);
    assert!(outcome.good_rate(seconds(5.0), seconds(6.0)) > 5.0, "{:?}", outcome.fates());
    assert!(report.sessions.len() > CAP, "connections were replaced");
}

/// The process dies with calls at work, which the server goes on with: their places are held back.
#[test]
fn killed_and_started_again_at_once() {
    let before =
        Before::new(Duration::from_millis(700), &[("crowd", 4000)], "timeout = \"1s\"\nconnect_timeout = \"1s\"");
    before.slow(Duration::from_millis(600));
    let mut service = before.serve();
    let crowd = before.kind(&service, "crowd", Coming::Closed(30, seconds(0.05)));
    let load = Load::start(vec![crowd], seconds(8.0), 5);
    load.until(seconds(2.0));
    service.until(|| (before.server.report().at_work == CAP).then_some(()));
    let killed = load.age();
    service.signal("KILL");
    service.wait();
    service = before.site.serve_again(&service);
    before.ready(&service);
    let outage = killed..load.age();
    let outcome = load.join();
    let report = before.server.at_rest();
    assert!(report.most <= CAP && most_by_the_clock(&report) <= CAP, "{} {:?}", report.most, outcome.fates());
    let lost = report.statements.iter().filter(|statement| statement.end == End::Lost).count();
    assert!(lost >= 1, "the kill met no call");
    each_has_one_answer(&outcome, 0..1, &[outage]);
    drains(&service);
}
