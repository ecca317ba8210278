//! The web client as the binary serves it: every file as it is in the folder and nothing else, under a policy that its
//! own sources keep to.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{Answer, Server, ask, folder};

/// All that a browser loads before it shows a stranger the first page, uncompressed. The aim is 100,000; this is a little more
/// than what it weighs, so that it only gets lighter.
const FIRST_PAGE_BYTES_MAX: usize = 45_000;
/// All that it ever loads.
const CLIENT_BYTES_MAX: usize = 380_000;

const TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webmanifest", "application/manifest+json"),
];
/// The status page's, which the admin port serves.
const STATUS: &str = "status/";

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/assets")
}

/// Every file below `services/web/assets`, by its path from there.
fn files() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![web()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(web()).expect("it is below");
                names.insert(name.to_str().expect("names are text").to_owned());
            }
        }
    }
    assert!(names.contains("index.html"), "{names:?}");
    names
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(web().join(name)).expect("a file")
}

fn text(name: &str) -> String {
    String::from_utf8(bytes(name)).expect("sources are UTF-8")
}

fn kind(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == end).map(|(_, kind)| *kind)
}

fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "", "")
}

/// What stands on every file.
fn assert_dressed(name: &str, answer: &Answer) {
    for (header, value) in [
        ("cache-control", "no-cache"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(header), value, "{name}: {header}");
    }
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'; "), "{name}");
    let tag = answer.header("etag");
    assert!(tag.len() == 36 && tag.starts_with("W/\"") && tag.ends_with('"'), "{name}: {tag}");
}

#[test]
fn every_file_is_served_as_it_is_and_nothing_else_is() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let api = server.address("api");
    let mut tags = BTreeSet::new();
    for name in files() {
        let path = format!("/{name}");
        let answer = get(api, &path);
        let Some(kind) = kind(&name).filter(|_| !name.starts_with(STATUS)) else {
            assert_eq!(answer.status, 404, "{name} is there for its readers");
            continue;
        };
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{name}");
        assert_eq!(answer.body, bytes(&name), "{name} is not what is in the folder");
        assert_dressed(&name, &answer);
        let tag = answer.header("etag").to_owned();
        tags.insert((tag.clone(), answer.body.len()));

        let head = ask(api, "HEAD", &path, "", "");
        assert_eq!((head.status, head.body.len()), (200, 0), "{name}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string(), "{name}");
        assert_dressed(&name, &head);

        for held in [tag.clone(), format!("\"other\", {tag}"), tag.replace("W/", ""), "*".into()] {
            let known = ask(api, "GET", &path, &format!("If-None-Match: {held}\r\n"), "");
            assert_eq!((known.status, known.body.len()), (304, 0), "{name}: {held}");
            assert_dressed(&name, &known);
        }
        let other = ask(api, "GET", &path, "If-None-Match: \"other\"\r\n", "");
        assert_eq!(other.status, 200, "{name}");
        let posted = ask(api, "POST", &path, "", "");
        assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"), "{name}");
    }
    let different: BTreeSet<_> = files().iter().map(|name| bytes(name)).collect();
    assert!(tags.len() > 5 && tags.len() <= different.len(), "files that differ have tags that differ");
    let index = get(api, "/");
    assert_eq!((index.status, index.body), (200, bytes("index.html")));
    assert_eq!(get(api, "/?from=a-link").status, 200);
}

#[test]
fn files_travel_compressed_where_the_browser_takes_it() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let ask_for = |coding: &str| {
        ask(server.address("api"), "GET", "/app.css", &format!("Accept-Encoding: {coding}\r\n"), "")
    };
    let whole = bytes("app.css");
    let compressed = ask_for("gzip, deflate, br, zstd");
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert!(compressed.body.len() < whole.len() / 2, "{} bytes", compressed.body.len());
    assert_dressed("app.css", &compressed);
    for coding in ["identity", "gzip;q=0", "br"] {
        let plain = ask_for(coding);
        assert_eq!((&plain.body, plain.headers.get("content-encoding")), (&whole, None), "{coding}");
        assert_eq!(plain.header("vary"), "accept-encoding", "a cache between keeps the two apart");
        assert_eq!(plain.header("etag"), compressed.header("etag"), "both are the same file");
    }
}

#[test]
fn a_path_that_is_no_name_of_a_file_is_a_problem() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    for path in [
        "/..%2fCargo.toml",
        "/%2e%2e/Cargo.toml",
        "/../Cargo.toml",
        "/vendor/../Cargo.toml",
        "/vendor/../index.html",
        "/./index.html",
        "//index.html",
        "/index.html/",
        "/vendor",
        "/vendor/",
        "/vendor\\preact.js",
        "/index.html%00.js",
        "/INDEX.HTML",
        "/.git/config",
        "/README.md",
        "/status/status.js",
        "/status",
        "/favicon.ico",
        "/nonsense.js",
    ] {
        let answer = get(server.address("api"), path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(problem["code"], "not_found", "{path}");
    }
    for path in ["/api/v1/nonsense", "/openapi.json", "/docs"] {
        let answer = get(server.address("api"), path);
        let default = if path == "/docs" { "default-src 'none'" } else { "default-src 'self'" };
        assert!(answer.header("content-security-policy").starts_with(default), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path} keeps the headers of the API");
    }
}

/// One directive of a policy.
fn directive<'a>(policy: &'a str, name: &str) -> Vec<&'a str> {
    let found = policy.split(';').map(str::trim).find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    found.map(|sources| sources.split(' ').collect()).unwrap_or_default()
}

#[test]
fn the_policy_lets_the_page_reach_its_own_server_and_nothing_else() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let answer = get(server.address("api"), "/");
    let policy = answer.header("content-security-policy");
    for name in ["default-src", "base-uri", "form-action", "frame-ancestors"] {
        assert_eq!(directive(policy, name), ["'none'"], "{name}");
    }
    for name in ["script-src", "style-src", "manifest-src", "worker-src"] {
        assert_eq!(directive(policy, name), ["'self'"], "{name}");
    }
    assert_eq!(directive(policy, "img-src"), ["'self'", "data:"], "pictures of elsewhere tell who looks");
    assert_eq!(directive(policy, "require-trusted-types-for"), ["'script'"]);
    assert!(!["-inline", "-eval", "*", "https:"].iter().any(|word| policy.contains(word)), "{policy}");

    let ada = server.register("ada");
    let (_, edge) = server.get_api_as("/api/v1/edge", ada["access_token"].as_str().expect("a token"));
    let edge: serde_json::Value = serde_json::from_str(&edge).expect("JSON");
    let origin = edge["url"].as_str().and_then(|url| url.strip_suffix("/ws")).expect("an address");
    let local = origin.replace("127.0.0.1", "localhost");
    assert_eq!(directive(policy, "connect-src"), ["'self'", origin, &local]);
}

#[test]
fn the_policy_names_the_edge_where_the_operator_says_it_is() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[("RINGSIDE_EDGE_URL", "wss://chat.example.org/ws")]);
    let answer = get(server.address("api"), "/");
    let policy = answer.header("content-security-policy");
    assert_eq!(directive(policy, "connect-src"), ["'self'", "wss://chat.example.org"]);
}

/// The status of an upgrade at this port that a page of this origin asks for.
fn knock(address: SocketAddr, origin: &str, token: &str) -> u16 {
    knock_under(address, &address.to_string(), origin, token)
}

/// The same, where the browser knows the address by another name.
fn knock_under(address: SocketAddr, host: &str, origin: &str, token: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let request = format!(
        "GET /ws?access_token={token} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Origin: {origin}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it takes it");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    String::from_utf8_lossy(&head[9..]).parse().expect("a status")
}

#[test]
fn a_page_of_this_server_may_connect_by_either_of_its_names() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let ada = server.register("ada");
    let token = ada["access_token"].as_str().expect("a token");
    let port = server.address("api").port();
    for door in ["edge", "api"] {
        for host in ["127.0.0.1", "localhost"] {
            let origin = format!("http://{host}:{port}");
            assert_eq!(knock(server.address(door), &origin, token), 101, "{origin} at the {door}'s port");
        }
        for origin in [&format!("https://127.0.0.1:{port}"), "http://127.0.0.1:1", "https://evil.example"] {
            assert_eq!(knock(server.address(door), origin, token), 403, "{origin} at the {door}'s port");
        }
    }
}

#[test]
fn under_another_name_the_page_and_its_edge_are_found_as_well() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let ada = server.register("ada");
    let token = ada["access_token"].as_str().expect("a token");
    let ask_as = |host: &str, path: &str| {
        let mut stream = TcpStream::connect(server.address("api")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    };
    // The edge listens on the loopback alone: whoever comes by another name is led through the API's own port.
    for host in ["chat.example.org", "192.0.2.7:8080"] {
        let answer = ask_as(host, "/api/v1/edge");
        let (_, edge) = answer.split_once("\r\n\r\n").expect("an answer");
        let edge: serde_json::Value = serde_json::from_str(edge).expect("JSON");
        assert_eq!(edge["url"], format!("ws://{host}/ws"));
        let page = ask_as(host, "/");
        let policy =
            page.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).expect("a policy");
        assert_eq!(directive(policy, "connect-src"), ["'self'", &format!("ws://{host}")]);
        let origin = format!("http://{host}");
        let knock_as = |host: &str| knock_under(server.address("api"), host, &origin, token);
        assert_eq!(knock_as(host), 101, "a page of {host} at {host}");
        assert_eq!(knock_as("elsewhere.example"), 403, "a page of {host} elsewhere");
    }
}

/// The tags of a page, each without its brackets.
fn tags(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split('<').skip(1).filter_map(|rest| rest.split_once('>'))
}

/// The value of a tag's attribute.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

fn assert_no_inline_code(name: &str, page: &str) {
    for (tag, after) in tags(page) {
        let is_script = tag.starts_with("script");
        assert!(!is_script || attribute(tag, "src").is_some() && after.is_empty(), "{name}: <{tag}>{after}");
        assert!(!tag.starts_with("style"), "{name}: <{tag}>");
        for attribute in tag.split_whitespace().skip(1) {
            let is_handler = attribute.starts_with("on") && attribute.contains('=');
            assert!(!is_handler && !attribute.starts_with("style="), "{name}: <{tag}>");
        }
        for address in ["src", "href"].iter().filter_map(|name| attribute(tag, name)) {
            assert!(!address.contains(':') && !address.starts_with("//"), "{name}: <{tag}>");
        }
    }
}

/// A script without its comments. (A string may hold what looks like one: then less is looked at, never more.)
fn code(script: &str) -> String {
    let mut parts = script.split("/*");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str(part.split_once("*/").map_or("", |(_, after)| after));
    }
    let line = |line: &str| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") { String::new() } else { line.split(" // ").next().unwrap_or("").into() }
    };
    whole.lines().map(line).collect::<Vec<String>>().join("\n")
}

/// Addresses of elsewhere. Names of XML's vocabularies and of examples are read, never fetched.
fn addresses(text: &str) -> Vec<&str> {
    let found = text.match_indices("://").map(|(at, _)| {
        let rest = &text[at + 3..];
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c)).unwrap_or(rest.len())]
    });
    let is_name = |host: &&str| *host == "www.w3.org" || host.ends_with("example.org") || host.is_empty();
    found.filter(|host| !is_name(host)).collect()
}

#[test]
fn no_source_holds_inline_code_or_an_address_of_elsewhere() {
    for name in files() {
        match name.rsplit_once('.').map(|(_, end)| end) {
            Some("html" | "svg") => {
                let page = text(&name);
                assert_no_inline_code(&name, &page);
                assert_eq!(addresses(&page), Vec::<&str>::new(), "{name}");
            }
            Some("css" | "webmanifest") => {
                let style = code(&text(&name));
                assert_eq!(addresses(&style), Vec::<&str>::new(), "{name}");
                assert!(!style.contains("@import") && !style.contains("url(//"), "{name}");
            }
            Some("js") => {
                let script = code(&text(&name));
                assert_eq!(addresses(&script), Vec::<&str>::new(), "{name}");
                let words = ["eval(", "new Function", "document.write", "insertAdjacentHTML", "outerHTML"];
                assert!(!words.iter().any(|word| script.contains(word)), "{name}");
                let own = ["innerHTML", "dangerouslySetInnerHTML", "setAttribute(\"style\"", " style=\""];
                let is_own = !name.starts_with("vendor/");
                let used: Vec<_> = own.iter().filter(|word| is_own && script.contains(**word)).collect();
                assert!(
                    used.is_empty(),
                    "{name}: {used:?}: text is never HTML, and a style attribute is inline"
                );
            }
            _ => {}
        }
    }
}

/// What a file needs before it runs: as paths from there.
fn needs(name: &str) -> Vec<String> {
    let source = text(name);
    let from_root = |path: &str| path.strip_prefix('/').map(str::to_owned);
    if name.ends_with(".html") {
        let referred = tags(&source).filter_map(|(tag, _)| {
            attribute(tag, if tag.starts_with("script") { "src" } else { "href" }).and_then(from_root)
        });
        return referred.collect();
    }
    let script = code(&source);
    let imports = script.split("import ").skip(1).chain(script.split("export ").skip(1));
    let modules = imports.filter_map(|rest| {
        let statement = rest.split([';', '\n']).find(|it| it.contains('"'))?;
        let is_import = rest.starts_with('"') || rest.split('"').next()?.trim_end().ends_with("from");
        is_import.then(|| statement.split('"').nth(1).map(str::to_owned))?
    });
    modules.filter(|path| path.starts_with(['.', '/'])).map(|path| resolved(name, &path)).collect()
}

/// A module's path, seen from the file that names it.
fn resolved(from: &str, path: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if path.starts_with('/') {
        parts.clear();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn the_first_page_is_light_and_whole() {
    let files = files();
    let mut first = BTreeSet::new();
    let mut next = vec!["index.html".to_owned()];
    while let Some(name) = next.pop() {
        assert!(files.contains(&name), "{name} is needed and not there");
        if first.insert(name.clone()) && (name.ends_with(".html") || name.ends_with(".js")) {
            next.extend(needs(&name));
        }
    }
    let size = |names: &mut dyn Iterator<Item = &String>| names.map(|name| bytes(name).len()).sum::<usize>();
    let is_client = |name: &&String| kind(name).is_some() && !name.starts_with(STATUS);
    let page = size(&mut first.iter());
    let client = size(&mut files.iter().filter(is_client));
    println!("the first page: {page} bytes in {} files; the client: {client} bytes", first.len());
    for name in &first {
        println!("{:8} {name}", bytes(name).len());
    }
    assert!(first.len() > 5, "{first:?}");
    assert!(page <= FIRST_PAGE_BYTES_MAX, "{page} bytes are more than {FIRST_PAGE_BYTES_MAX}");
    assert!(client <= CLIENT_BYTES_MAX, "{client} bytes are more than {CLIENT_BYTES_MAX}");
}
