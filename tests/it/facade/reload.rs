//! A catalog is swapped while requests are under way.

use std::sync::atomic::{AtomicBool, Ordering};

use super::app::{TestApp, orders, stock};

#[test]
fn no_request_is_dropped_while_catalogs_change() {
    let app = TestApp::start();
    app.stage_orders(20);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(app.get("/v1/orders/0007").status, 200);
                        assert_eq!(app.get("/v1/orders?limit=5").status, 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..200 {
            app.facade.publish(if round % 2 == 0 { vec![orders()] } else { vec![orders(), stock()] });
        }
        while app.metrics.render().unwrap().contains("status=\"200\"} 1\n") {}
        done.store(true, Ordering::Relaxed);
        let counts: Vec<u32> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert!(counts.iter().sum::<u32>() > 0, "{counts:?}");
    });
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
