//! Chromium without a window: its tabs, its renderers, and what pages say.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpgid};
use tempfile::TempDir;

use crate::Workload;
use crate::host::{eventually, schedstat_seconds};

/// How long the browser may take to start, and a page to begin.
const BEGIN: Duration = Duration::from_mins(1);

/// A browser with a profile of its own, ended when dropped.
pub struct Browser {
    /// The browser's main process, leader of the group that the others are in.
    pub process: Workload,
    home: TempDir,
    devtools: u16,
}

impl Browser {
    /// Starts it without a page.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        // The sandbox refuses to run as root. Pages' consoles go to stderr.
        let process = Workload::spawn(
            Command::new("/bin/sh")
                .args(["-c", r#"exec "$@" 2>&1"#, "sh", "chromium"])
                .args(["--headless=new", "--no-sandbox", "--no-first-run"])
                .args(["--disable-gpu", "--disable-breakpad"])
                // The pool's certificate is signed by no authority that it knows.
                .arg("--ignore-certificate-errors")
                .args(["--enable-logging=stderr", "--remote-debugging-port=0"])
                .arg(format!("--user-data-dir={}", home.path().display()))
                .arg("about:blank")
                .env("HOME", home.path()),
        );
        let port = home.path().join("DevToolsActivePort");
        let devtools = eventually("chromium serves its tools", BEGIN, || {
            let text = fs::read_to_string(&port).map_err(|error| error.to_string())?;
            let port = text.lines().next().and_then(|line| line.parse().ok());
            port.ok_or(text)
        });
        Self {
            process,
            home,
            devtools,
        }
    }

    /// Opens a page in a tab of its own and waits until its console says
    /// `word`.
    ///
    /// # Panics
    ///
    /// When the browser does not answer or the page says nothing.
    pub fn open(&self, name: &str, page: &str, word: &str) {
        let path = self.home.path().join(name);
        fs::write(&path, page).expect("room for a page");
        let opened = Instant::now();
        let url = format!("file://{}", path.display());
        let answer = self.put_tab(&url).expect("the browser answers");
        assert!(
            answer.split(' ').nth(1) == Some("200"),
            "no tab for {name}: {answer:?}"
        );
        self.wait_word(word, opened, BEGIN);
    }

    /// Opens an empty tab. Returns the address at which its tools listen.
    ///
    /// # Panics
    ///
    /// When the browser does not answer.
    #[must_use]
    pub fn new_tab(&self) -> String {
        let answer = self.put_tab("about:blank").expect("the browser answers");
        let found = answer
            .split('"')
            .find(|part| part.starts_with("ws://"))
            .unwrap_or_else(|| panic!("no tab: {answer:?}"));
        found.to_owned()
    }

    /// What the browser answers to the wish for a tab. It speaks HTTP/1.1 only
    /// and takes its time to hang up: the end of the answer is that of its JSON.
    fn put_tab(&self, url: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.devtools))?;
        stream.set_read_timeout(Some(BEGIN))?;
        let port = self.devtools;
        write!(
            stream,
            "PUT /json/new?{url} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        )?;
        let mut answer = String::new();
        let mut reader = BufReader::new(stream);
        while !answer.trim_end().ends_with('}') && reader.read_line(&mut answer)? > 0 {}
        Ok(answer)
    }

    /// Waits until a page's console says this, or has since then.
    ///
    /// # Panics
    ///
    /// When none has within the limit.
    pub fn wait_word(&self, word: &str, since: Instant, limit: Duration) {
        let said = |raw: &[u8]| {
            let line = String::from_utf8_lossy(raw);
            line.contains("CONSOLE") && line.contains(word)
        };
        let found = self
            .process
            .stdout
            .wait(limit, |line| line.at >= since && said(&line.raw));
        assert!(found.is_some(), "no page says {word:?} within {limit:?}");
    }

    /// Processes that draw pages and run their scripts, with the CPU seconds
    /// that each has used.
    ///
    /// # Panics
    ///
    /// When `/proc` is not mounted.
    #[must_use]
    pub fn renderers(&self) -> Vec<(u32, f64)> {
        let group = i32::try_from(self.process.pid())
            .ok()
            .and_then(Pid::from_raw);
        fs::read_dir("/proc")
            .expect("/proc is mounted")
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|&pid| {
                let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
                number.and_then(|number| getpgid(Some(number)).ok()) == group
                    && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                        line.split(|&byte| byte == 0 || byte == b' ')
                            .any(|word| word == b"--type=renderer")
                    })
            })
            .filter_map(|pid| Some((pid, schedstat_seconds(pid)?)))
            .collect()
    }
}
