//! Starts the binary on free ports, and speaks just enough HTTP to look at it.

#![allow(dead_code)] // Each test file uses its part.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The binary, without anything of our own environment that it would read.
fn binary(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringside"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGSIDE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    binary(arguments, environment).output().expect("it runs")
}

fn up(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    on_free_ports(&["up"], data, arguments, environment)
}

fn on_free_ports(start: &[&str], data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = binary(start, environment);
    command.arg("--data-dir").arg(data);
    let any_port = "127.0.0.1:0";
    let defaults =
        [("--api-addr", any_port), ("--edge-addr", any_port), ("--admin-addr", any_port), ("--shards", "1")];
    for (flag, value) in defaults.iter().filter(|(flag, _)| !arguments.contains(flag)) {
        command.args([flag, value]);
    }
    command.args(arguments);
    command
}

/// What it said when it would not start.
#[derive(Debug)]
pub struct Refusal(String);

impl Refusal {
    pub fn says(&self, part: &str) -> bool {
        self.0.contains(part)
    }
}

/// A start that must fail: with an exit code of its own and one sentence, not with a panic.
pub fn refused(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Refusal {
    let mut child = up(data, arguments, environment)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if since.elapsed() > PATIENCE {
            child.kill().expect("it ends");
            panic!("it started with {arguments:?} {environment:?}");
        }
        std::thread::sleep(POLL);
    };
    let mut words = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut words).expect("text");
    assert_eq!(status.code(), Some(2), "{words}");
    assert!(!words.contains("panicked"), "{words}");
    Refusal(words)
}

/// Threads that this one starts, and their processes, are refused io_uring.
pub fn without_io_uring<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    const IO_URING_SETUP: i64 = 425;
    std::thread::scope(|scope| {
        let filtered = scope.spawn(|| {
            let arch: TargetArch = std::env::consts::ARCH.try_into().expect("a known machine");
            let filter = SeccompFilter::new(
                BTreeMap::from([(IO_URING_SETUP, Vec::new())]),
                SeccompAction::Allow,
                SeccompAction::Errno(rustix::io::Errno::PERM.raw_os_error() as u32),
                arch,
            );
            let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
            seccompiler::apply_filter(&program).expect("the kernel filters system calls");
            act()
        });
        filtered.join().expect("no panic")
    })
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Keeps the log's folder.
    _folder: TempDir,
    up: Value,
}

impl Server {
    /// Starts it on free ports and waits until it is ready.
    pub fn start(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::started(up(data, arguments, environment))
    }

    /// The same, by another command than `up`.
    pub fn start_by(command: &[&str], data: &Path) -> Self {
        Self::started(on_free_ports(command, data, &[], &[]))
    }

    fn started(mut command: Command) -> Self {
        let folder = folder();
        let log = folder.path().join("log");
        let stderr = std::fs::File::create(&log).expect("a log");
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("it runs");
        let mut server = Self { child, log, _folder: folder, up: Value::Null };
        server.wait("is up", |server| {
            let log = server.log();
            let line = log.lines().find(|line| line.contains("ringside is up"));
            line.map(|line| server.up = serde_json::from_str(line).expect("a line of JSON")).is_some()
        });
        server.wait("is ready", |server| server.get_admin("/ready").0 == 200);
        server
    }

    fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended before it {what}: {}", self.log());
            assert!(since.elapsed() < PATIENCE, "it {what} not in time: {}", self.log());
            std::thread::sleep(POLL);
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    fn field(&self, name: &str) -> &str {
        self.up["fields"][name].as_str().expect("a field of the line")
    }

    pub fn backend(&self) -> &str {
        self.field("backend")
    }

    pub fn address(&self, of: &str) -> SocketAddr {
        self.field(of).parse().expect("an address")
    }

    pub fn get_admin(&self, path: &str) -> (u16, String) {
        get(self.address("admin"), path, "")
    }

    pub fn get_api(&self, path: &str) -> (u16, String) {
        get(self.address("api"), path, "")
    }

    pub fn get_api_as(&self, path: &str, token: &str) -> (u16, String) {
        get(self.address("api"), path, &format!("Authorization: Bearer {token}\r\n"))
    }

    /// Registers an account; the whole answer.
    pub fn register(&self, username: &str) -> Value {
        let body = format!(
            r#"{{"email":"{username}@example.org","username":"{username}","password":"a long enough phrase"}}"#
        );
        let (status, answer) = self.post_api("/api/v1/auth/register", "", &body);
        assert_eq!(status, 201, "{answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// `headers` are whole lines.
    pub fn post_api(&self, path: &str, headers: &str, body: &str) -> (u16, String) {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        request(self.address("api"), "POST", path, &headers, body)
    }

    /// An upgrade at the edge with this token; the status of the answer.
    pub fn knock(&self, token: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address("edge")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it takes it");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        String::from_utf8_lossy(&head[9..]).parse().expect("a status")
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it ends");
        self.child.wait().expect("a child");
    }

    /// SIGTERM, to the end.
    pub fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(pid, Signal::TERM).expect("it lives");
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not stop: {}", self.log());
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended can't be killed, and needs not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    request(address, "GET", path, headers, "")
}

/// One request, its answer's status and body.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let answer = ask(address, method, path, headers, body);
    (answer.status, String::from_utf8(answer.body).expect("text"))
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty: it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// One request, its whole answer.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("bytes");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&answer[..end]).expect("text");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: answer[end + 4..].to_vec() }
}
