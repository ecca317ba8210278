//! The mailbox's sleep protocol under loom: every interleaving the memory model allows, on the
//! very source that the reactor uses.

#[path = "../src/mailbox/asleep.rs"]
#[allow(unreachable_pub, dead_code)]
mod asleep;

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};
}

use std::sync::Arc;

use asleep::Asleep;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// The queue and the doorbell as one number each. Their accesses are relaxed, so that only the
/// flag's fences can order them.
#[derive(Default)]
struct Model {
    queued: AtomicUsize,
    rung: AtomicUsize,
}

fn push(model: &Model, asleep: &Asleep) {
    model.queued.fetch_add(1, Ordering::Relaxed);
    if asleep.must_ring() {
        model.rung.fetch_add(1, Ordering::Release);
    }
}

#[test]
fn no_mail_waits_for_a_sleeper_that_nobody_woke() {
    check(1);
}

#[test]
fn of_two_senders_at_least_one_rings() {
    check(2);
}

fn check(senders: usize) {
    let mut explorer = loom::model::Builder::new();
    // All interleavings with up to three preemptions: more take minutes and find no more.
    explorer.preemption_bound = Some(3);
    explorer.check(move || {
        let asleep = Arc::new(Asleep::new());
        let model = Arc::new(Model::default());
        let threads: Vec<_> = (0..senders)
            .map(|_| {
                let (model, asleep) = (Arc::clone(&model), Arc::clone(&asleep));
                loom::thread::spawn(move || push(&model, &asleep))
            })
            .collect();
        // One turn of the receiver: it decides to sleep or not.
        let seen = model.queued.load(Ordering::Relaxed);
        let sleeps = asleep.may_sleep(|| model.queued.load(Ordering::Relaxed) > 0);
        for thread in threads {
            thread.join().expect("no panic");
        }
        let rung = model.rung.load(Ordering::Acquire);
        if sleeps {
            assert!(rung >= 1, "asleep for ever with {senders} mails (saw {seen})");
        }
        // Rung once while it slept: one ring per batch.
        assert!(rung <= 1, "more than one ring for one sleep");
    });
}
