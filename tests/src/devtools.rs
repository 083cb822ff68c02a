//! A tab of Chromium, driven and watched by its tools' own protocol.
//!
//! In: commands. Out: their answers, and what the tab has told meanwhile: its
//! requests, its console, its errors. A password is given when it is asked for,
//! as a person would.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::evade::browser::Browser;

/// For the answer to a command.
const ANSWER: Duration = Duration::from_secs(30);
/// From one look for something to the next.
const STEP: Duration = Duration::from_millis(200);

/// A tab of its own.
pub struct Tab {
    socket: WebSocket<TcpStream>,
    calls: u64,
    told: Vec<Value>,
    login: Option<(String, String)>,
}

impl Tab {
    /// Opens an empty one, in which requests, console and errors are watched.
    ///
    /// # Panics
    ///
    /// When the browser does not answer.
    #[must_use]
    pub fn open(browser: &Browser) -> Self {
        let url = browser.new_tab();
        let (host, _) = url
            .strip_prefix("ws://")
            .and_then(|rest| rest.split_once('/'))
            .unwrap_or_else(|| panic!("{url} is no address of a tab"));
        let stream = TcpStream::connect(host).expect("the browser listens");
        stream.set_read_timeout(Some(STEP)).expect("a socket");
        let (socket, _) = tungstenite::client(&url, stream).expect("the browser speaks");
        let mut tab = Self {
            socket,
            calls: 0,
            told: Vec::new(),
            login: None,
        };
        for domain in ["Page", "Network", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), &json!({}));
        }
        tab
    }

    /// Gives a command and returns its answer.
    ///
    /// # Panics
    ///
    /// When there is none, or it is an error.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        let deadline = Instant::now() + ANSWER;
        while Instant::now() < deadline {
            if let Some(mut answer) = self.hear(|message| message["id"] == id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
        panic!("no answer to {method}");
    }

    /// Answers the question for a password.
    pub fn log_in(&mut self, user: &str, password: &str) {
        self.login = Some((user.to_owned(), password.to_owned()));
        let asks = json!({ "handleAuthRequests": true });
        self.call("Fetch.enable", &asks);
    }

    /// Opens an address in it.
    ///
    /// # Panics
    ///
    /// When it cannot be reached.
    pub fn go(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
    }

    /// What a script comes to.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub fn ask(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &params);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{script}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// Asks again and again until the answer is `true`.
    ///
    /// # Panics
    ///
    /// With what the page says, when `limit` is over.
    pub fn wait(&mut self, what: &str, limit: Duration, script: &str) {
        let deadline = Instant::now() + limit;
        while self.ask(script) != true {
            if Instant::now() >= deadline {
                let text = self.ask("document.body.innerText");
                panic!("{what}: not within {limit:?}: {text}");
            }
            std::thread::sleep(STEP);
        }
    }

    /// Looks at the page as on a screen of this width, in the dark or not.
    pub fn screen(&mut self, width: u32, dark: bool) {
        let screen = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", &screen);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// Keeps a picture of the whole page.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn picture(&mut self, path: &Path) {
        let whole = json!({ "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", &whole);
        let png = STANDARD.decode(answer["data"].as_str().unwrap_or_default());
        fs::write(path, png.expect("it is base64")).expect("room for a picture");
    }

    /// The addresses it has asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<&str> {
        let sent = self.told_of("Network.requestWillBeSent");
        sent.filter_map(|params| params["request"]["url"].as_str())
            .collect()
    }

    /// What went wrong: on its console, in its scripts, in its policy.
    #[must_use]
    pub fn errors(&self) -> Vec<&Value> {
        let thrown = self.told_of("Runtime.exceptionThrown");
        let logged = self.told_of("Log.entryAdded").filter(|params| {
            let level = params["entry"]["level"].as_str();
            matches!(level, Some("error" | "warning"))
        });
        let said = self
            .told_of("Runtime.consoleAPICalled")
            .filter(|params| params["type"] == "error");
        thrown.chain(logged).chain(said).collect()
    }

    fn told_of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        let told = self.told.iter();
        told.filter(move |message| message["method"] == method)
            .map(|message| &message["params"])
    }

    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.calls += 1;
        let message = json!({ "id": self.calls, "method": method, "params": params });
        let sent = self.socket.send(Message::text(message.to_string()));
        sent.expect("the browser listens");
        self.calls
    }

    /// Takes in one message, if one comes within [`STEP`]; returns it if it is
    /// the one that is waited for.
    fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let text = match self.socket.read() {
            Ok(message) => message.into_text().expect("it speaks text"),
            Err(tungstenite::Error::Io(_)) => return None,
            Err(error) => panic!("the tab is gone: {error}"),
        };
        let message: Value = serde_json::from_str(&text).expect("it speaks JSON");
        if wanted(&message) {
            return Some(message);
        }
        let request = message["params"]["requestId"].clone();
        match message["method"].as_str() {
            Some("Fetch.requestPaused") => {
                self.send("Fetch.continueRequest", &json!({ "requestId": request }));
            }
            Some("Fetch.authRequired") => {
                let (user, password) = self.login.clone().unwrap_or_default();
                let response = json!({
                    "response": "ProvideCredentials", "username": user, "password": password,
                });
                let answer = json!({ "requestId": request, "authChallengeResponse": response });
                self.send("Fetch.continueWithAuth", &answer);
            }
            _ => self.told.push(message),
        }
        None
    }
}
