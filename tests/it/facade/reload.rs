//! A catalog is swapped while requests are under way.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::app::{TestApp, orders, stock};

#[test]
fn no_request_is_dropped_while_catalogs_change() {
    let app = TestApp::start();
    app.stage_orders(20);
    let (done, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(app.get("/v1/orders/0007").status, 200);
                    assert_eq!(app.get("/v1/orders?limit=5").status, 200);
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        let _end = Ended(&done);
        while answered.load(Ordering::Relaxed) < 100 {
            app.facade.publish(vec![orders()]);
            app.facade.publish(vec![orders(), stock()]);
        }
    });
}

/// Tells the readers to end, also when a test fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_no_longer_published_is_gone_and_comes_back() {
    let app = TestApp::start();
    app.stage_orders(1);
    app.facade.publish(vec![stock()]);
    app.get("/v1/orders/0001").problem(404, "no-such-resource");
    assert!(app.get("/openapi.json").json()["paths"].get("/v1/orders").is_none());
    app.facade.publish(vec![orders()]);
    assert_eq!(app.get("/v1/orders/0001").status, 200);
}
