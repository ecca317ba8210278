//! The figures of the admin port: every line of `/metrics` is one that Prometheus reads, what they count is what was
//! done, and `/status` shows them under a policy of its own.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::{Server, ask, folder};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

const MESSAGES: usize = 12;
const READERS: usize = 3;

/// Names and values, in the order of the text.
type Labels = Vec<(String, String)>;
/// Upper bounds and counts.
type Buckets = Vec<(f64, f64)>;

/// A scrape, by OpenMetrics' grammar.
#[derive(Default)]
struct Scrape {
    /// Type and help of each family.
    families: BTreeMap<String, (String, String)>,
    /// Values by name and labels, in the order of the text.
    samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    /// Reads a scrape; anything that is not as the grammar has it panics.
    fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("it ends with its end");
        let mut scrape = Self::default();
        let mut helps = BTreeMap::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a name and its help");
                assert!(helps.insert(name, help).is_none(), "{name} is explained twice");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and its type");
                let help = helps.get(name).copied().unwrap_or_default();
                let before = scrape.families.insert(name.into(), (kind.into(), help.into()));
                assert!(before.is_none(), "{name} comes twice");
            } else {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// All values of a sample's name together.
    fn value(&self, name: &str) -> f64 {
        let values: Vec<f64> = self.of(name).map(|(_, value)| value).collect();
        assert!(!values.is_empty(), "{name} is not there");
        values.iter().sum()
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (&[(String, String)], f64)> {
        self.samples.iter().filter(move |it| it.0 == name).map(|(_, labels, value)| (&**labels, *value))
    }
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').expect("a value");
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
    let (name, labels) = match head.split_once('{') {
        None => (head, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("closed braces")),
    };
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
    assert!(!name.is_empty() && is_name(name), "{line}");
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (key, text) = label.split_once('=').expect("a label's value");
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("in quotes");
        assert!(is_name(key), "{line}");
        (key.to_owned(), text.to_owned())
    });
    (name.to_owned(), labels.collect(), value)
}

fn scrape(server: &Server) -> Scrape {
    let answer = ask(server.address("admin"), "GET", "/metrics", "", "");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    Scrape::read(std::str::from_utf8(&answer.body).expect("text"))
}

#[test]
fn every_family_is_explained_and_every_sample_belongs_to_one() {
    let data = folder();
    let server = Server::start(data.path(), &["--shards", "2"], &[]);
    let scrape = scrape(&server);
    let mut seen = BTreeSet::new();
    for (name, labels, value) in &scrape.samples {
        let suffixes = ["_total", "_bucket", "_sum", "_count"];
        let family = suffixes.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let (kind, help) =
            scrape.families.get(family).unwrap_or_else(|| panic!("{name} belongs to no family"));
        let suffix = &name[family.len()..];
        let fits = match kind.as_str() {
            "counter" => suffix == "_total",
            "gauge" => suffix.is_empty(),
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            _ => false,
        };
        assert!(fits, "{name} is no sample of a {kind}");
        let words = family.strip_prefix("ringside_").unwrap_or(family).replace('_', " ");
        assert!(help.contains(' ') && help.to_lowercase() != words, "{family}: {help:?} explains nothing");
        assert!(value.is_finite() && *value >= 0.0, "{name} is {value}");
        assert!(seen.insert((name.clone(), labels.clone())), "{name} {labels:?} comes twice");
        assert!(family.starts_with("ringside_") || family.starts_with("process_"), "{name}");
    }
    let shards: BTreeSet<_> = scrape.of("ringside_gateway_open").map(|(labels, _)| labels.to_vec()).collect();
    assert_eq!(shards.len(), 2, "{shards:?}");
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.value("ringside_start_resident_memory_bytes") > 1e6);
    assert!(scrape.value("process_start_time_seconds") > 1.7e9);
    assert_eq!((scrape.value("ringside_ready"), scrape.value("ringside_processor_waiting")), (1.0, 0.0));
    let units = ["_ms", "_us", "_ns", "_kib", "_mib", "_minutes"];
    let family = scrape.families.keys().find(|name| units.iter().any(|unit| name.ends_with(unit)));
    assert_eq!(family, None, "seconds and bytes alone");
}

#[test]
fn the_process_and_its_disk_are_measured() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let before = scrape(&server);
    let waiting: Vec<TcpStream> =
        (0..30).map(|_| TcpStream::connect(server.address("api")).expect("it listens")).collect();
    // A connection is held once it is answered for the first time, or counted.
    let held = |scrape: &Scrape| scrape.value("ringside_api_connections");
    let mut after = scrape(&server);
    while held(&after) < 30.0 {
        after = scrape(&server);
    }
    assert!(after.value("process_open_fds") >= before.value("process_open_fds") + 25.0);
    assert!(after.value("process_open_fds") < after.value("process_max_fds"));
    drop(waiting);
    let cpu = |scrape: &Scrape| scrape.value("process_cpu_seconds_total");
    assert!(cpu(&before) > 0.0 && cpu(&after) > cpu(&before));
    assert!(after.value("process_virtual_memory_bytes") >= after.value("process_resident_memory_bytes"));
    let [used, free, size] =
        ["used", "free", "size"].map(|what| after.value(&format!("ringside_data_{what}_bytes")));
    assert!(used > 10_000.0 && used < size && free < size, "{used} {free} {size}");
}

#[test]
fn requests_are_counted_by_the_routes_template_and_the_status() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let ada = server.register("ada");
    let token = ada["access_token"].as_str().expect("a token");
    for number in 0..20 {
        let path = format!("/api/v1/channels/{}", uuid::Uuid::from_u128(number));
        assert_eq!(server.get_api_as(&path, token).0, 404);
        assert_eq!(server.get_api(&format!("/api/v1/nonsense/{number}")).0, 404);
        assert_eq!(server.get_api(&format!("/nonsense/{number}")).0, 404);
    }
    assert_eq!(server.get_api_as("/api/v1/channels", token).0, 200);
    assert_eq!(server.get_api("/api/v1/channels").0, 401);
    assert_eq!(server.get_api("/").0, 200);
    let odd = ask(server.address("api"), "BREW", "/api/v1/channels", "", "");
    assert_eq!(odd.status, 405);
    let scrape = scrape(&server);
    let counted: BTreeMap<Vec<String>, f64> = scrape
        .of("ringside_http_requests_total")
        .map(|(labels, count)| {
            let keys: Vec<&str> = labels.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys, ["method", "route", "status"]);
            (labels.iter().map(|(_, text)| text.clone()).collect(), count)
        })
        .collect();
    let expected = [
        (["BREW", "/api/v1/channels", "405"], 1.0),
        (["GET", "/api/v1/channels", "200"], 1.0),
        (["GET", "/api/v1/channels", "401"], 1.0),
        (["GET", "/api/v1/channels/{id}", "404"], 20.0),
        (["GET", "other", "200"], 1.0),
        (["GET", "other", "404"], 40.0),
        (["POST", "/api/v1/auth/register", "201"], 1.0),
    ];
    let expected =
        expected.map(|(labels, count)| (labels.map(|label| label.replace("BREW", "other")).to_vec(), count));
    assert_eq!(counted, BTreeMap::from(expected), "no client makes up a series");
}

/// Counts of a histogram are cumulative, and its last bucket is its count.
fn assert_is_histogram(scrape: &Scrape, name: &str) -> f64 {
    assert_eq!(scrape.families[name].0, "histogram");
    let mut series: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for (labels, value) in scrape.of(&format!("{name}_bucket")) {
        let (le, others): (Vec<_>, Vec<_>) = labels.iter().cloned().partition(|(key, _)| key == "le");
        let bound = le.first().map(|(_, bound)| bound.replace("+Inf", "inf").parse().expect("a bound"));
        series.entry(others).or_default().push((bound.expect("a bucket has a bound"), value));
    }
    let counts: BTreeMap<_, _> =
        scrape.of(&format!("{name}_count")).map(|(labels, value)| (labels.to_vec(), value)).collect();
    assert_eq!(series.len(), counts.len(), "{name}");
    for (labels, buckets) in &series {
        assert!((10..=40).contains(&buckets.len()), "{name}: {} buckets", buckets.len());
        let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        assert!(rises, "{name} {labels:?}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, counts[labels])), "{name} {labels:?}");
    }
    let (sum, count) = (scrape.value(&format!("{name}_sum")), counts.values().sum::<f64>());
    assert!(sum <= count * 20.0, "{name}: {sum} s for {count}: nothing here takes so long");
    count
}

type Socket = WebSocket<TcpStream>;

fn connect(server: &Server, person: &Value) -> Socket {
    let mut request =
        format!("ws://{}/ws", server.address("edge")).into_client_request().expect("an address");
    let token = person["access_token"].as_str().expect("a token");
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let stream = TcpStream::connect(server.address("edge")).expect("it listens");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a socket");
    let (mut socket, _) = tungstenite::client(request, stream).expect("let in");
    next(&mut socket, "hello");
    socket
}

/// Reads on to the next frame of this type.
fn next(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let Message::Text(text) = socket.read().expect("a frame") else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == kind {
            return frame;
        }
    }
}

#[test]
fn the_histograms_count_what_was_sent_and_to_whom() {
    let data = folder();
    let server = Server::start(data.path(), &["--shards", "2"], &[]);
    let ada = server.register("ada");
    let readers: Vec<Value> = (0..READERS).map(|at| server.register(&format!("reader{at}"))).collect();
    let ids: Vec<&Value> = readers.iter().map(|reader| &reader["user"]["id"]).collect();
    let bearer = format!("Authorization: Bearer {}\r\n", ada["access_token"].as_str().expect("a token"));
    let body = json!({"type": "group", "name": "Corner", "member_ids": ids}).to_string();
    let (status, channel) = server.post_api("/api/v1/channels", &bearer, &body);
    assert_eq!(status, 201, "{channel}");
    let channel: Value = serde_json::from_str(&channel).expect("JSON");
    let mut sockets: Vec<Socket> =
        [&ada].into_iter().chain(&readers).map(|person| connect(&server, person)).collect();
    let before = scrape(&server);

    for at in 0..MESSAGES {
        let payload = json!({"channel_id": channel["id"], "content": format!("punch {at}")});
        let id = uuid::Uuid::from_u128(at as u128 + 1);
        let frame = json!({"type": "message.send", "id": id, "payload": payload}).to_string();
        sockets[0].send(Message::text(frame)).expect("it takes it");
        next(&mut sockets[0], "message.ack");
    }
    for socket in &mut sockets {
        let mut last = String::new();
        while last != format!("punch {}", MESSAGES - 1) {
            let frame = next(socket, "message.new");
            last = frame["payload"]["content"].as_str().expect("a message").to_owned();
        }
    }

    let after = scrape(&server);
    let came = |name: &str| assert_is_histogram(&after, name) - assert_is_histogram(&before, name);
    assert_eq!(came("ringside_gateway_ack_seconds"), MESSAGES as f64);
    let delivered =
        after.value("ringside_gateway_deliveries_total") - before.value("ringside_gateway_deliveries_total");
    assert_eq!(came("ringside_gateway_delivery_seconds"), delivered);
    assert!(delivered >= (MESSAGES * (READERS + 1)) as f64, "{delivered} deliveries");
    for name in [
        "ringside_processor_commit_seconds",
        "ringside_bridge_receive_seconds",
        "ringside_engine_write_seconds",
    ] {
        assert!(came(name) >= 1.0, "{name}");
    }
    assert!(came("ringside_processor_commit_seconds") >= MESSAGES as f64);
    assert_eq!(after.value("ringside_gateway_open"), (READERS + 1) as f64);
}

#[test]
fn the_status_page_is_served_beside_them() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let admin = server.address("admin");
    for (path, kind) in [
        ("/status", "text/html; charset=utf-8"),
        ("/status/status.js", "text/javascript; charset=utf-8"),
        ("/status/figures.js", "text/javascript; charset=utf-8"),
        ("/status/status.css", "text/css; charset=utf-8"),
        ("/status/icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(admin, "GET", path, "", "");
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path}: {policy}");
        assert!(policy.contains(" connect-src 'self';"), "it asks its own port alone: {policy}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let tag = format!("If-None-Match: {}\r\n", answer.header("etag"));
        assert_eq!(ask(admin, "GET", path, &tag, "").status, 304, "{path}");
    }
    for path in ["/", "/index.html", "/app.css", "/status/", "/status/../index.html", "/statusindex.html"] {
        let answer = ask(admin, "GET", path, "", "");
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
    }
    let metrics = ask(admin, "GET", "/metrics", "", "");
    assert_eq!(metrics.header("cache-control"), "no-store");
}
