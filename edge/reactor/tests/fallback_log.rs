//! The fallback to poll is told in one line of the log.

#![expect(clippy::disallowed_types, reason = "tests are no shards")]

mod support;

use std::sync::{Arc, Mutex};

use ringside_reactor::Backend;
use support::{Rig, config, echo_once, forbid_io_uring};

/// A log's bytes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_fallback_is_one_logged_line() {
    let log = Log::default();
    let writer = log.clone();
    std::thread::spawn(move || {
        forbid_io_uring(rustix::io::Errno::PERM);
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::set_global_default(subscriber).expect("set once");
        let rig = Rig::new(&config(Backend::Auto));
        echo_once(&mut rig.connect(), b"x");
    })
    .join()
    .expect("it serves");
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("io_uring is forbidden"), "{text}");
    assert!(text.contains("using the poll backend"), "{text}");
}
