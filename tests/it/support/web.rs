//! A client of a running `posthorn serve`, as a portal's engineer writes one.

use std::cell::RefCell;

use reqwest::Method;
use serde_json::Value;

use crate::support::posthorn::{Posthorn, Running};

/// A running server, and where it listens.
pub struct Web {
    running: Running,
    base: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    token: RefCell<Option<String>>,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Web {
    /// Starts `serve` and waits until it listens.
    #[track_caller]
    pub fn start(posthorn: &Posthorn) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut running = posthorn.start(&["serve"]);
        let base = format!("http://{}", listening(&mut running, "listening"));
        let client = reqwest::Client::builder().no_proxy().build();
        Self {
            running,
            base,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be had"),
            client: client.expect("a client can be had"),
            token: RefCell::new(None),
        }
    }

    /// Returns what its addresses begin with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the server's process.
    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Sends this token with all later requests; `""` sends none.
    pub fn with_token(&self, token: &str) -> &Self {
        *self.token.borrow_mut() = (!token.is_empty()).then(|| token.to_owned());
        self
    }

    /// Returns the token that it sends; empty where it sends none.
    pub fn token(&self) -> String {
        self.token.borrow().clone().unwrap_or_default()
    }

    /// Asks for something.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// Asks for something that must be there, and returns its JSON.
    #[track_caller]
    pub fn get_json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// Posts a JSON value.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], Some(body.to_string()))
    }

    /// Puts a JSON value.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], Some(body.to_string()))
    }

    /// Sends any request.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let address = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, &address);
        if let Some(token) = &*self.token.borrow() {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answered = self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>(Answer {
                status,
                headers,
                text: String::from_utf8_lossy(&bytes).into_owned(),
                bytes,
            })
        });
        answered.unwrap_or_else(|error| panic!("{address}: {error:?}\n{}", self.running.stderr()))
    }

    /// Stops it, which must go well.
    #[track_caller]
    pub fn stop(mut self) {
        self.running.signal("TERM");
        let output = self.running.wait();
        assert_eq!(output.code, 0, "{output}");
    }
}

/// Waits until the log says that it listens, and returns where.
#[track_caller]
pub fn listening(running: &mut Running, message: &str) -> String {
    let log = running.stderr_path();
    let address = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let line = log.lines().find(|line| line.contains(&format!(" {message} address=")))?.to_owned();
        let (_, rest) = line.split_once("address=")?;
        Some(rest.split_whitespace().next().unwrap_or_default().to_owned())
    };
    running.until("the server listens", || address().is_some());
    address().expect("it was there a moment ago")
}

impl Answer {
    /// Demands a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Returns a header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Demands a problem (RFC 9457) of this status, and returns it.
    #[track_caller]
    pub fn problem(self, status: u16) -> Value {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }
}
