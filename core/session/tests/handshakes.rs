//! Who gets in: every answer to a request.

mod support;

use ringside_session::delivery::{AdmitRefusal, Delivery};
use ringside_session::handshake::REFUSAL_REASONS;
use ringside_session::output::Output;
use ringside_session::token::Claims;
use ringside_types::UnixMillis;
use ringside_types::security::SECURITY_HEADERS;
use serde_json::{Value, json};
use support::{ORIGIN, SESSION, START, TestSession, USER, bearer, request, signed, token};

/// The body, where there is one, says what the status says.
fn check_problem(answer: &str, status: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    if body.is_empty() {
        return;
    }
    let problem: Value = serde_json::from_str(body).expect("JSON");
    let code = match status {
        "400" => "bad_request",
        "401" => "unauthorized",
        "403" => "forbidden",
        "404" => "not_found",
        "405" => "method_not_allowed",
        "408" => "request_timeout",
        "426" => "upgrade_required",
        "429" => "rate_limited",
        "431" => "headers_too_large",
        _ => "unavailable",
    };
    assert_eq!(problem["type"], format!("urn:ringside:problem:{code}"), "{answer}");
    assert_eq!((&problem["code"], problem["status"].to_string()), (&json!(code), status.to_owned()));
    let title = problem["title"].as_str().expect("a title");
    assert_eq!(head.lines().next(), Some(&*format!("HTTP/1.1 {status} {title}")));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{answer}");
}

/// The refusal with this status is the answer; returns it.
fn check_answer(one: &mut TestSession, outputs: &[Output], reason: &str, status: &str) -> String {
    let [before @ .., Output::HandshakeRefused { reason: said, .. }, Output::CloseAfterAnswer] = outputs
    else {
        panic!("{reason}: {outputs:?}")
    };
    assert!(before.is_empty() || before == [Output::Gone], "{before:?}");
    assert_eq!(*said, reason);
    assert!(REFUSAL_REASONS.contains(said));
    let answer = String::from_utf8(std::mem::take(&mut one.host.queue)).expect("text");
    assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    for (name, value) in SECURITY_HEADERS {
        assert!(answer.contains(&format!("\r\n{name}: {value}\r\n")), "{name} is missing: {answer}");
    }
    let of_status = match status {
        "401" => Some("WWW-Authenticate: Bearer"),
        "405" => Some("Allow: GET"),
        "426" => Some("Sec-WebSocket-Version: 13"),
        _ => None,
    };
    for line in ["WWW-Authenticate: Bearer", "Allow: GET", "Sec-WebSocket-Version: 13"] {
        assert_eq!(answer.contains(&format!("\r\n{line}\r\n")), of_status == Some(line), "{line}: {answer}");
    }
    check_problem(&answer, status);
    assert_eq!(one.timeout(), [Output::CloseNow], "what still comes is discarded");
    assert_eq!((one.bytes(b"GET /ws"), one.admit(), one.closed()), (vec![], vec![], vec![]));
    answer
}

#[test]
fn every_bad_request_gets_its_status() {
    let good = bearer(&token());
    let refresh = Claims { typ: "refresh".into(), ..Claims::access(USER, SESSION, START, 900) };
    let past = Claims::access(USER, SESSION, UnixMillis(START.0 - 3_600_000), 900);
    let origin = |of: &str| request(&[&good, &format!("Origin: {of}")]);
    for (text, reason, status) in [
        (request(&[]), "no_token", "401"),
        (request(&["Authorization: Basic eDp5"]), "no_token", "401"),
        (request(&[&bearer("")]), "no_token", "401"),
        (request(&[&bearer("a.b.c")]), "invalid_token", "401"),
        (request(&[&bearer(&signed(&refresh))]), "invalid_token", "401"),
        (request(&[&bearer(&signed(&past))]), "expired_token", "401"),
        (request(&[&good, "Content-Length: 1"]), "bad_request", "400"),
        (request(&[&good, &format!("X-Long: {}", "x".repeat(17_000))]), "headers_too_large", "431"),
        (request(&[&good]).replace("GET /ws ", "GET /other "), "wrong_path", "404"),
        (request(&[&good]).replace("GET /ws ", "POST /ws "), "wrong_method", "405"),
        (request(&[&good]).replace("GET /ws ", "HEAD /ws "), "wrong_method", "405"),
        (request(&[]).replace("Version: 13", "Version: 12"), "wrong_version", "426"),
        (origin("null"), "origin", "403"),
        (origin("https://chat.example.org.evil"), "origin", "403"),
        (origin("http://chat.example.org"), "origin", "403"),
    ] {
        let mut one = TestSession::accepted();
        let outputs = one.bytes(text.as_bytes());
        let answer = check_answer(&mut one, &outputs, reason, status);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert_eq!(body.is_empty(), text.starts_with("HEAD "), "{text}\n{answer}");
    }
}

#[test]
fn an_edge_without_room_refuses_good_requests_alone() {
    type Change = fn(&mut TestSession);
    let cases: [(Change, &str); 3] = [
        (|one| one.is_draining = true, "draining"),
        (|one| one.is_full = true, "full"),
        (|one| one.node_room = 0, "unavailable"),
    ];
    for (state, reason) in cases {
        let mut one = TestSession::accepted();
        state(&mut one);
        let outputs = one.bytes(request(&[&bearer(&token())]).as_bytes());
        let answer = check_answer(&mut one, &outputs, reason, "503");
        assert!(answer.contains("\r\nRetry-After: 2\r\n"), "{answer}");
        let mut one = TestSession::accepted();
        state(&mut one);
        let outputs = one.bytes(request(&[]).as_bytes());
        check_answer(&mut one, &outputs, "no_token", "401");
    }
}

#[test]
fn the_node_may_refuse_or_the_edge_may_stop_meanwhile() {
    for (refusal, reason, status, retry_after) in [
        (AdmitRefusal::TooManyConnections, "too_many_connections", "429", Some("30")),
        (AdmitRefusal::RateLimited { retry_after_ms: 6_001 }, "rate_limited", "429", Some("7")),
        (AdmitRefusal::SessionEnded, "session_ended", "401", None),
        (AdmitRefusal::Unavailable, "unavailable", "503", Some("2")),
    ] {
        let mut one = TestSession::admitting();
        let outputs = one.tell(Delivery::Refused(refusal));
        assert_eq!(outputs[0], Output::Gone);
        let answer = check_answer(&mut one, &outputs, reason, status);
        let header = retry_after.map(|seconds| format!("\r\nRetry-After: {seconds}\r\n"));
        assert_eq!(answer.contains("Retry-After"), header.is_some(), "{answer}");
        assert!(header.is_none_or(|header| answer.contains(&header)), "{answer}");
    }
    let mut draining = TestSession::admitting();
    draining.is_draining = true;
    let outputs = draining.admit();
    check_answer(&mut draining, &outputs, "draining", "503");
    let mut fenced = TestSession::admitting();
    let outputs = fenced.tell(Delivery::Fenced);
    check_answer(&mut fenced, &outputs, "unavailable", "503");
}

#[test]
fn a_handshake_has_its_time_and_its_bytes() {
    let mut slow = TestSession::accepted();
    slow.bytes(b"GET /ws HTTP/1.1\r\n");
    let outputs = slow.timeout();
    check_answer(&mut slow, &outputs, "timeout", "408");
    let mut forgotten = TestSession::admitting();
    let outputs = forgotten.timeout();
    check_answer(&mut forgotten, &outputs, "unavailable", "503");
    let mut early = TestSession::admitting();
    assert_eq!(early.bytes(&[0; 4_096]), []);
    let outputs = early.bytes(&[0]);
    check_answer(&mut early, &outputs, "early_frames", "400");
    // As many in one piece with the request.
    let mut bytes = request(&[&bearer(&token())]).into_bytes();
    bytes.extend([0; 4_097]);
    let mut early = TestSession::accepted();
    let outputs = early.bytes(&bytes);
    assert_eq!(outputs[0], Output::Admit { user_id: USER, session_id: SESSION });
    check_answer(&mut early, &outputs[1..], "early_frames", "400");
}

#[test]
fn a_browser_brings_its_token_as_a_protocol() {
    let (as_header, as_protocol) = (bearer(&token()), format!("bearer.{}", token()));
    let origin = format!("Origin: {ORIGIN}");
    for (offered, header, is_selected) in [
        (format!("ringside.v1, {as_protocol}"), &origin, true),
        (format!("{as_protocol}, other.v1, ringside.v1"), &origin, true),
        ("ringside.v1".into(), &as_header, true),
        ("other.v1".into(), &as_header, false),
    ] {
        let mut one = TestSession::accepted();
        let offer = format!("Sec-WebSocket-Protocol: {offered}");
        let asked = one.bytes(request(&[&offer, header]).as_bytes());
        assert_eq!(asked, [Output::Admit { user_id: USER, session_id: SESSION }], "{offered}");
        one.admit();
        let head = one.head();
        assert_eq!(head.contains("Sec-WebSocket-Protocol"), is_selected, "{offered}: {head}");
        assert_eq!(head.contains("\r\nSec-WebSocket-Protocol: ringside.v1\r\n"), is_selected, "{offered}");
    }
    // A token counts only beside the protocol that is then selected.
    let mut one = TestSession::accepted();
    let offer = format!("Sec-WebSocket-Protocol: {as_protocol}, other.v1");
    let outputs = one.bytes(request(&[&offer, &origin]).as_bytes());
    check_answer(&mut one, &outputs, "no_token", "401");
}

#[test]
fn a_trusted_proxy_says_whom_a_request_is_from() {
    let lines =
        ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: chat.example.net", "X-Forwarded-Proto: https"];
    let origin = "Origin: https://chat.example.net";
    let good = bearer(&token());
    for (peer, trusts, is_admitted) in
        [("10.0.0.1", true, true), ("10.0.0.2", true, false), ("10.0.0.1", false, false)]
    {
        let mut one = TestSession::accepted();
        one.host.peer = peer.parse().ok();
        if trusts {
            one.settings.trusted_proxies = vec!["10.0.0.1".parse().expect("an address")].into();
        }
        let outputs = one.bytes(request(&[&good, lines[0], lines[1], lines[2], origin]).as_bytes());
        if is_admitted {
            assert_eq!(outputs, [Output::Admit { user_id: USER, session_id: SESSION }]);
            let refused = one.tell(Delivery::Refused(AdmitRefusal::Unavailable));
            let client = "1.1.1.1".parse().ok();
            assert_eq!(refused[1], Output::HandshakeRefused { reason: "unavailable", client });
        } else {
            let client = one.host.peer.filter(|_| trusts);
            assert_eq!(outputs[0], Output::HandshakeRefused { reason: "origin", client });
        }
    }
}
