//! A real browser, steered by what the W3C's WebDriver says: pages are read, keys are pressed, and what a page may not do is
//! heard of.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// The name under which elements stand in JSON (WebDriver, section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when it is dropped.
pub(super) struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    pub(super) fn open(url: &str) -> Browser {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().expect("chromedriver is installed: scripts/setup test");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.split_once("started successfully on port ").map(|(_, rest)| rest.trim_end_matches('.').to_owned())
        });
        let driver_url = format!("http://127.0.0.1:{}/session", port.expect("chromedriver starts"));
        let mut browser = Browser { driver, session: driver_url };
        let options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let made = browser.ask("", json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().unwrap());
        browser.ask("/url", json!({ "url": url }));
        browser
    }

    fn ask(&self, path: &str, body: Value) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.post(format!("{}{path}", self.session)).send_json(&body).unwrap();
        let status = answer.status();
        let mut found: Value = answer.body_mut().read_json().unwrap();
        assert!(status.is_success(), "{path} {body}: {found}");
        found["value"].take()
    }

    /// What a function's body returns in the page.
    pub(super) fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Asks until the function's body returns something that is not false or null.
    pub(super) fn until(&self, script: &str) -> Value {
        for _ in 0..600 {
            let found = self.run(script);
            if !found.is_null() && found != json!(false) && found != json!("") {
                return found;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it does not come to be: {script}");
    }

    /// Presses keys, wherever the focus is. `\u{E004}` is Tab, `\u{E007}` Enter.
    pub(super) fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.ask("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] }));
    }

    /// What the page has said in the browser's log, refused actions among it.
    pub(super) fn log(&self) -> Vec<String> {
        let entries = self.ask("/se/log", json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The element that has the focus, as its id or tag.
    pub(super) fn focus(&self) -> String {
        self.run("const e = document.activeElement; return e.id || e.tagName").as_str().unwrap().to_owned()
    }

    /// The picture of the window, as base64 of PNG.
    #[allow(dead_code, reason = "for people who look at the page")]
    pub(super) fn picture(&self, selector: &str) -> String {
        let found = self.ask("/element", json!({ "using": "css selector", "value": selector }));
        let url = format!("{}/element/{}/screenshot", self.session, found[ELEMENT].as_str().unwrap());
        let mut answer = ureq::get(url).call().unwrap();
        let found: Value = answer.body_mut().read_json().unwrap();
        found["value"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser goes with its session; the driver alone would leave it.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
