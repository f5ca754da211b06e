//! What is remembered no longer than the configuration says: the running service forgets it by itself, and whoever comes
//! with a cursor from before is told to begin anew.

use std::time::Duration;

use super::site::{ORDERS, Running, TABLES, with};
use crate::facade::client::{Answer, exchange, request};

/// After so long what may be remembered for a second is over.
const LONGER: Duration = Duration::from_millis(1500);

/// A service that was started again long after 5 was changed and 2 was deleted.
struct Scene {
    site: Running,
    /// Who sees open orders alone.
    viewer: String,
    /// A cursor behind the first change, and one behind the last.
    early: String,
    late: String,
}

impl Scene {
    fn new(settings: &str) -> Scene {
        let rows: Vec<String> = (1..=20).map(|number| format!("('{number}', 'OP', {number}, null)")).collect();
        let mapping = format!("{ORDERS}[serve]\nrows = {{ status = \"claims.state\" }}\n");
        let plan = with("").mapping(&mapping).sections(&format!("[staging]\n{settings}"));
        let site = plan.sqlite(&format!("{TABLES}; insert into orders values {}", rows.join(", ")));
        let made = site.site.json(&["keys", "create", "viewer", "--scope", "read", "--claim", "state=open"]).0;
        let viewer = made[0]["key"].as_str().unwrap().to_owned();
        let sync = || {
            let synced = site.site.run(&["sync", "orders.v1"]);
            assert!(synced.status.success(), "{synced:?}");
        };
        let since = |question: &str| {
            let told = site.get(&format!("/v1/orders/changes?{question}")).json();
            told["since"].as_str().unwrap().to_owned()
        };
        sync();
        let early = since("limit=1");
        site.change("update orders set amount = 50 where no = '5'");
        sync();
        site.change("delete from orders where no = '2'");
        sync();
        let late = since("since=now");
        assert_eq!(versions(&site.get("/v1/orders/5/history")), [2, 1]);
        // Nothing is forgotten before its time, and it is remembered over restarts.
        assert_eq!(site.get(&format!("/v1/orders/changes?since={early}")).status, 200);
        std::thread::sleep(LONGER);
        Scene { site: site.kill_and_restart(), viewer, early, late }
    }

    fn follow(&self, cursor: &str, accept: &str) -> Answer {
        let bearer = format!("Bearer {}", self.site.key);
        let fields = [("Authorization", bearer.as_str()), ("Accept", accept)];
        let asked = request("GET", &format!("/v1/orders/changes?since={cursor}"), &fields, b"");
        exchange(self.site.address(), &asked).unwrap()
    }

    fn see(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.viewer);
        exchange(self.site.address(), &request("GET", path, &[("Authorization", &bearer)], b"")).unwrap()
    }

    /// Waits until the early cursor is too old, and holds what is told of that; the late one stays good.
    fn must_begin_anew(&self) {
        self.site.service.until(|| (self.follow(&self.early, "application/json").status == 410).then_some(()));
        for accept in ["application/json", "application/x-ndjson", "text/event-stream"] {
            let told = self.follow(&self.early, accept).problem(410, "feed-restarted");
            assert!(told.contains("forgotten") && told.contains("/v1/orders/changes?since=now"), "{accept}: {told}");
        }
        let bearer = format!("Bearer {}", self.site.key);
        let fields = [
            ("Authorization", bearer.as_str()),
            ("Accept", "text/event-stream"),
            ("Last-Event-ID", self.early.as_str()),
        ];
        let again = exchange(self.site.address(), &request("GET", "/v1/orders/changes", &fields, b"")).unwrap();
        again.problem(410, "feed-restarted");
        let described = self.site.get("/openapi.json").json();
        assert!(described["paths"]["/v1/orders/changes"]["get"]["responses"]["410"].is_object());

        // Whoever stands at the end has missed nothing, and hears of what comes.
        let told = |cursor: &str| self.follow(cursor, "application/json").json();
        assert_eq!(told(&self.late)["data"].as_array().map(Vec::len), Some(0));
        let anew = told("now")["since"].as_str().unwrap().to_owned();
        self.site.change("update orders set amount = 90 where no = '9'");
        assert!(self.site.site.run(&["sync", "orders.v1"]).status.success());
        for cursor in [&self.late, &anew] {
            let changes = told(cursor);
            assert_eq!((&changes["data"][0]["key"], &changes["data"][1]), (&"9".into(), &serde_json::Value::Null));
        }
        // From the beginning all that is there is told.
        let all = told("0");
        let mut keys: Vec<&str> =
            all["data"].as_array().unwrap().iter().map(|change| change["key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut there: Vec<String> = (1..=20).filter(|no| *no != 2).map(|no| no.to_string()).collect();
        there.sort_unstable();
        assert_eq!(keys.into_iter().filter(|key| *key != "2").collect::<Vec<_>>(), there);
    }
}

/// The versions that a record's history tells.
fn versions(answer: &Answer) -> Vec<u64> {
    let told = answer.json();
    let history = told["history"].as_array().unwrap_or_else(|| panic!("{told}"));
    history.iter().map(|entry| entry["version"].as_u64().unwrap()).collect()
}

#[test]
fn deleted_records_are_forgotten_in_their_time() {
    let scene = Scene::new("keep_deleted = \"1s\"");
    scene.must_begin_anew();
    let gone = scene.site.get("/v1/orders/2").problem(404, "no-such-record");
    assert!(!gone.contains("deleted"), "{gone}");
    scene.site.get("/v1/orders/2/history").problem(404, "no-such-record");
    // Of what is there all is remembered.
    assert_eq!(versions(&scene.site.get("/v1/orders/5/history")), [2, 1]);
    assert_eq!(versions(&scene.see("/v1/orders/5/history")), [2, 1]);
}

#[test]
fn overtaken_changes_are_forgotten_in_their_time() {
    let scene = Scene::new("keep_changes = \"1s\"");
    scene.must_begin_anew();
    // What a record is now stays known, whoever asks for it.
    assert_eq!(versions(&scene.site.get("/v1/orders/5/history")), [2]);
    assert_eq!(versions(&scene.see("/v1/orders/5/history")), [2]);
    assert_eq!(scene.see("/v1/orders/5/lineage").json()["lineage"].as_array().map(Vec::len), Some(1));
    let gone = scene.site.get("/v1/orders/2").problem(404, "no-such-record");
    assert!(gone.contains("it was deleted at"), "{gone}");
    assert_eq!(versions(&scene.site.get("/v1/orders/2/history")), [2]);
}

#[test]
fn nothing_is_forgotten_before_its_time() {
    let scene = Scene::new("keep_changes = \"1h\"\nkeep_deleted = \"1h\"");
    let told = scene.follow(&scene.early, "application/json").json();
    assert_eq!(told["data"].as_array().map(Vec::len), Some(21));
    assert_eq!(versions(&scene.site.get("/v1/orders/5/history")), [2, 1]);
    assert_eq!(versions(&scene.site.get("/v1/orders/2/history")), [2, 1]);
}
