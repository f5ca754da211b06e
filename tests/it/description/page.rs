//! `/docs` in a browser: all that is described, and calls from the page by keyboard alone.

use serde_json::{Value, json};

use super::browser::Browser;
use super::site::Described;

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";

#[test]
fn the_page_shows_all_and_sends_what_is_filled_in() {
    let described = Described::start();
    let url = format!("http://{}/docs", described.service.address());
    let document: Value =
        serde_json::from_str(&described.service.get("/openapi.json", &described.key).unwrap()).unwrap();
    let browser = Browser::open(&url);

    // Every operation, schema, status and example of the document.
    let methods =
        document["paths"].as_object().unwrap().values().flat_map(|methods| methods.as_object().unwrap().values());
    let operations: Vec<&str> = methods.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let schemas: Vec<String> =
        document["components"]["schemas"].as_object().unwrap().keys().map(|name| format!("schema-{name}")).collect();
    assert!(operations.len() > 50 && schemas.len() > 30, "{} {}", operations.len(), schemas.len());
    let ids: Vec<&str> = operations.into_iter().chain(schemas.iter().map(String::as_str)).collect();
    let absent = browser.run(&format!("return {}.filter((id) => !document.getElementById(id))", json!(ids)));
    assert_eq!(absent, json!([]));
    let dangling = "return [...document.querySelectorAll('a[href^=\"#\"]')].map((a) => decodeURIComponent(a.hash.slice(1)))\
         .filter((id) => !document.getElementById(id))";
    assert_eq!(browser.run(dangling), json!([]));
    let text = browser.run("return document.body.textContent").as_str().unwrap().to_owned();
    for part in [
        "MIREILLE MÜLLER",
        "amounts.gross[gte]",
        "If-None-Match",
        "Only for whoever has the scope money:read",
        "deprecated",
    ] {
        assert!(text.contains(part), "{part}");
    }

    // A link opens what it leads to.
    browser.run("location.hash = '#schema-orders.v2'");
    browser.until("return document.getElementById('schema-orders.v2').open");

    // By keyboard alone: the key, an operation, a parameter, and off it goes.
    browser.run("document.getElementById('key').focus()");
    browser.press(&described.key);
    browser.run("document.querySelector('#getOrdersV2 > summary').focus()");
    browser.press(ENTER);
    assert_eq!(browser.run("return document.getElementById('getOrdersV2').open"), true);
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.dataset.name"), "key");
    assert_eq!(browser.run("return document.activeElement.value"), "2026000609");
    browser.press(TAB);
    browser.press("order_no,amounts.net");
    browser.press(ENTER);
    let answered = |id: &str| {
        browser.until(&format!(
            "const text = document.querySelector('#{id} .answer').textContent; return text.trim().endsWith('}}') && text"
        ))
    };
    let answer = answered("getOrdersV2");
    let answer = answer.as_str().unwrap();
    assert!(answer.starts_with("200 ") && answer.contains("etag: \""), "{answer}");
    // Its digits are those of the service.
    assert!(answer.contains("\"order_no\": \"2026000609\"") && answer.contains("\"net\": 5344.56"), "{answer}");
    let curl = browser.run("return document.querySelector('#getOrdersV2 .curl').textContent");
    let expected = "curl -i -g -H 'Accept: application/json' -H \"Authorization: Bearer $KEY\" \"$URL\"'/v2/orders/2026000609?fields=order_no%2Camounts.net'";
    assert_eq!(curl, expected);

    // A body, and a problem.
    browser.run("document.getElementById('createArticlesV1').open = true; document.querySelector('#createArticlesV1 button').focus()");
    browser.press(ENTER);
    let answer = answered("createArticlesV1");
    assert!(answer.as_str().unwrap().starts_with("409 "), "{answer}");

    // Each Send is a write of its own: a second one is no replay of the first, unless its key is filled in.
    let articles = "const d = document.getElementById('createArticlesV1'); ";
    let key_of_write = "d.querySelector('input[data-name=\"Idempotency-Key\"]')";
    assert_eq!(browser.run(&format!("{articles} return {key_of_write}.value")), "");
    let send = |body: &str| {
        browser.run(&format!(
            "{articles} d.querySelector('textarea').value = {}; d.querySelector('.answer').textContent = ''; \
             d.querySelector('button').click()",
            json!(body)
        ));
        answered("createArticlesV1").as_str().unwrap().to_owned()
    };
    let new = r#"{"article_no":"4799","name":"Vice","price":1.5}"#;
    assert!(send(new).starts_with("201 "));
    let command = browser.run(&format!("{articles} return d.querySelector('.curl').textContent"));
    let again = send(new);
    assert!(again.starts_with("409 ") && !again.contains("idempotent-replayed"), "{again}");
    let other = send(r#"{"article_no":"4798","name":"File","price":2.5}"#);
    assert!(other.starts_with("201 "), "{other}");
    let (_, key) = command.as_str().unwrap().split_once("Idempotency-Key: \"").unwrap();
    let (key, _) = key.split_once('"').unwrap();
    assert!(key.len() == 36 && key.matches('-').count() == 4, "{key}");
    browser.run(&format!("{articles} {key_of_write}.value = '\"{key}\"'"));
    let replayed = send(new);
    assert!(replayed.starts_with("201 ") && replayed.contains("idempotent-replayed: true"), "{replayed}");
    browser.run(&format!("{articles} {key_of_write}.value = ''"));

    // Nobody answers: a read is given up soon, a write late, with what may be.
    browser.run(
        "window.kept = [window.fetch, window.setTimeout].map((of) => of.bind(window)); window.waited = []; \
         window.fetch = (_, { signal }) => new Promise((_, refuse) => \
             signal.addEventListener('abort', () => refuse(new DOMException('gone', 'AbortError')))); \
         window.setTimeout = (then, time) => { window.waited.push(time); return window.kept[1](then, 0); }",
    );
    browser.run(&format!("{articles} d.querySelector('button').click()"));
    let doubtful = browser.until(
        "const t = document.querySelector('#createArticlesV1 .answer').textContent; return t.includes('no answer') && t",
    );
    let doubtful = doubtful.as_str().unwrap();
    for part in ["no answer came within 120 seconds", "It may be done all the same", "Fill in Idempotency-Key \""] {
        assert!(doubtful.contains(part), "{part}: {doubtful}");
    }
    browser.run("document.querySelector('#getOrdersV2 button').click()");
    let given_up = browser.until(
        "const t = document.querySelector('#getOrdersV2 .answer').textContent; return t.includes('no answer') && t",
    );
    assert_eq!(given_up, "There was no answer: no answer came within 10 seconds");
    assert_eq!(browser.run("return window.waited"), json!([120_000, 10_000]));
    browser.run("[window.fetch, window.setTimeout] = window.kept");

    // A stream that does not end is shown as far as it has come.
    browser.run(
        "const d = document.getElementById('listOrdersV2Changes'); d.open = true; \
         d.querySelector('select[data-in=Accept]').value = 'text/event-stream'; d.querySelector('button').focus()",
    );
    browser.press(ENTER);
    let answer = browser.until(
        "const t = document.querySelector('#listOrdersV2Changes .answer').textContent; return t.includes('[...]') && t",
    );
    assert!(answer.as_str().unwrap().contains("text/event-stream"), "{answer}");

    // Whatever has the focus can be seen, and every field has a name.
    let nameless = "return [...document.querySelectorAll('input, select, textarea, button')].filter((e) => \
         !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim()).length";
    assert_eq!(browser.run(nameless), 0);
    browser.run("document.querySelector('nav a').focus()");
    assert_eq!(browser.focus(), "A");

    // Nothing was loaded from elsewhere, and the policy has not stopped the page.
    let loaded = "return performance.getEntriesByType('resource').map((e) => e.name).filter((name) => !name.startsWith(location.origin))";
    assert_eq!(browser.run(loaded), json!([]));
    let complaints: Vec<String> =
        browser.log().into_iter().filter(|line| !line.contains("favicon") && !line.contains("status of 409")).collect();
    assert_eq!(complaints, Vec::<String>::new());
    // What is not ours does not run.
    browser
        .run("const s = document.createElement('script'); s.textContent = 'window.bad = 1'; document.body.append(s)");
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.bad = 1\">')");
    assert_eq!(browser.run("return window.bad ?? null"), Value::Null);
    assert!(browser.log().iter().any(|line| line.contains("Content Security Policy")));
}
