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
