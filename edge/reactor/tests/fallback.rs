//! Where io_uring is forbidden or missing, `Auto` serves over poll and says so once.

mod support;

use ringside_reactor::{Backend, Config, spawn};
use support::{Echo, Rig, config, echo_once, forbid_io_uring};

#[test]
fn auto_serves_over_poll_where_io_uring_is_forbidden() {
    serves_over_poll(rustix::io::Errno::PERM);
}

#[test]
fn auto_serves_over_poll_where_io_uring_is_not_in_the_kernel() {
    serves_over_poll(rustix::io::Errno::NOSYS);
}

fn serves_over_poll(errno: rustix::io::Errno) {
    std::thread::spawn(move || {
        forbid_io_uring(errno);
        let rig = Rig::new(&config(Backend::Auto));
        assert_eq!(rig.shard.backend(), Backend::Poll);
        echo_once(&mut rig.connect(), b"all the same");
    })
    .join()
    .expect("it serves");
}

#[test]
fn asking_for_io_uring_where_it_is_forbidden_is_a_clear_error() {
    let error = std::thread::spawn(|| {
        forbid_io_uring(rustix::io::Errno::PERM);
        let (seen, _) = std::sync::mpsc::channel();
        spawn(&config(Backend::Uring), None, |_| Echo { seen, echo: true, goodbye: false, open: Vec::new() })
            .expect_err("it is forbidden")
    })
    .join()
    .expect("no panic");
    assert!(error.to_string().contains("forbidden"), "{error}");
}

#[test]
fn auto_takes_io_uring_where_it_may() {
    let rig = Rig::new(&config(Backend::Auto));
    assert_eq!(rig.shard.backend(), Backend::Uring);
}

#[test]
fn a_table_too_large_for_the_kernel_is_an_error_or_a_smaller_table() {
    // More than any RLIMIT_NOFILE of a test machine: the shard starts with what it gets.
    let rig = Rig::new(&Config { max_connections: 8_000_000, ..config(Backend::Uring) });
    echo_once(&mut rig.connect(), b"served");
}
