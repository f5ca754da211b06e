//! What the gate costs when there is room: a place taken and given back, and the way of a request.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tollbridge::gate::{Config, Gate, Lane};

use crate::support::erp::{Erp, Settings};
use crate::support::load::{Coming, Fate, Kind, Load, Via};
use crate::support::seat::Seat;

pub(crate) fn run(time: f64) {
    println!("\ncost of a place, uncontended: taken, a call begun and answered, given back   (wanted: < 1 us)");
    let config = Config { max_in_flight: 8, ..Config::default() };
    let folder = tempfile::tempdir().unwrap();
    let shared = Gate::shared("erp", config.clone(), None, folder.path()).unwrap();
    for (name, gate, rounds) in
        [("of one process", Gate::new("erp", config, None), 1_000_000), ("shared over processes", shared, 100_000)]
    {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut figures: Vec<f64> = (0..7).map(|_| runtime.block_on(places(&gate, rounds))).collect();
        figures.sort_by(f64::total_cmp);
        println!("  {name:24}{:6.0} ns, best {:.0}", figures[figures.len() / 2], figures[0]);
    }
    println!(
        "\ncost of a request that is let through at once, CPU of the server's process   (wanted: < 60 us over bare)"
    );
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..3 {
        bare.push(bare_request(time / 2.0));
        ours.push(our_request(time / 2.0));
    }
    for figures in [&mut bare, &mut ours] {
        figures.sort_by(f64::total_cmp);
    }
    let (bare, ours) = (bare[1], ours[1]);
    println!("  bare relay  {bare:6.1} us\n  ours        {ours:6.1} us\n  over it     {:6.1} us", ours - bare);
}

/// Nanoseconds a place.
async fn places(gate: &Arc<Gate>, rounds: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..rounds {
        let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
        permit.begin().answered();
        drop(permit);
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
}

/// An ERP that answers at once.
fn quick() -> Erp {
    Erp::start(Settings { alone: Duration::ZERO, bears: 1000, ..Settings::default() })
}

fn our_request(time: f64) -> f64 {
    let erp = quick();
    let seat = Seat::before(&erp, "max_in_flight = 8");
    let service = seat.serve();
    let kind = seat.kind(&service, "c", Coming::Closed(4, Duration::ZERO));
    let stat = format!("/proc/{}/stat", service.id());
    per_request(kind, time, || {
        let stat = std::fs::read_to_string(&stat).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    })
}

/// The least that answers: the path's last part in an envelope, the record's fields found in the text, JSON.
fn bare_request(time: f64) -> f64 {
    let erp = quick();
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("bare").enable_all().build().unwrap();
    let address = runtime.block_on(start_bare(erp.address()));
    per_request(Kind::new("c", address, Via::Rest("none".to_owned()), Coming::Closed(4, Duration::ZERO)), time, || {
        let mut total = 0;
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let task = task.unwrap().path();
            let matches = std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == "bare");
            if matches && let Ok(stat) = std::fs::read_to_string(task.join("schedstat")) {
                total += stat.split(' ').next().unwrap().parse::<u64>().unwrap();
            }
        }
        Duration::from_nanos(total)
    })
}

/// Microseconds of CPU a good answer.
fn per_request(kind: Kind, time: f64, cpu: impl Fn() -> Duration) -> f64 {
    Load::start(vec![kind.clone()], Duration::from_secs_f64(0.5), 1).join();
    let before = cpu();
    let outcome = Load::start(vec![kind], Duration::from_secs_f64(time), 2).join();
    let spent = cpu() - before;
    let good = outcome.count(|fate| *fate == Fate::Good);
    assert_eq!(good, outcome.shots.len(), "{:?}", outcome.fates());
    spent.as_secs_f64() * 1e6 / good as f64
}

type Line = SendRequest<Full<Bytes>>;

async fn start_bare(erp: SocketAddr) -> SocketAddr {
    let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
    let router = Router::new().fallback(move |request: Request| {
        let lines = Arc::clone(&lines);
        async move { Ok::<_, Infallible>(relay(&lines, erp, request.uri().path()).await) }
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn relay(lines: &Mutex<Vec<Line>>, erp: SocketAddr, path: &str) -> Response {
    let key = path.rsplit('/').next().unwrap_or_default();
    let envelope = format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>\
         <GetOrder xmlns=\"urn:erp\"><OrderNo>{key}</OrderNo></GetOrder></soap:Body></soap:Envelope>"
    );
    let kept = lines.lock().pop();
    let mut line = match kept {
        Some(line) => line,
        None => {
            let stream = TcpStream::connect(erp).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (line, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            line
        }
    };
    line.ready().await.unwrap();
    let request = hyper::Request::post("/soap/orders").header(HOST, "erp").header(CONTENT_TYPE, "text/xml");
    let answer = line.send_request(request.body(Full::new(Bytes::from(envelope))).unwrap()).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    lines.lock().push(line);
    let text = std::str::from_utf8(&body).unwrap();
    let field = |name: &str| {
        let start = text.find(&format!("<{name}>")).unwrap() + name.len() + 2;
        text[start..].split('<').next().unwrap()
    };
    let json = format!(
        "{{\"order_no\":\"{}\",\"status\":\"{}\",\"amount\":{},\"note\":\"{}\"}}",
        field("OrderNo"),
        field("Status"),
        field("Amount"),
        field("Note")
    );
    Response::builder().header(CONTENT_TYPE, "application/json").body(Body::from(json)).unwrap()
}
