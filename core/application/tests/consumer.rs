//! One partition's reading, by what happens and what is to be done next.

use std::time::{Duration, Instant};

use ringside_application::consumer::{Consumer, Rules, Step};
use ringside_types::Offset;

const PAUSE: Duration = Duration::from_millis(50);
const RULES: Rules = Rules { commit_every: 10, pause: PAUSE, pause_max: Duration::from_millis(150) };

#[derive(Debug, Clone, Copy)]
enum Event {
    Opened(u64),
    /// Up to and with this record.
    Read(u64),
    ReadNothing,
    /// A restart may begin here.
    Handled(u64),
    Committed,
}

fn apply(consumer: &mut Consumer, event: Event) {
    match event {
        Event::Opened(from) => consumer.opened(Offset(from)),
        Event::Read(last) => consumer.read(Some(Offset(last))),
        Event::ReadNothing => consumer.read(None),
        Event::Handled(resume_from) => consumer.handled(Offset(resume_from)),
        Event::Committed => consumer.committed(),
    }
}

fn check(rules: Rules, table: &[(Event, Step)]) {
    let mut consumer = Consumer::new(rules);
    assert_eq!(consumer.poll(), Step::Open);
    for (number, (event, expected)) in table.iter().enumerate() {
        apply(&mut consumer, *event);
        assert_eq!(consumer.poll(), *expected, "after {event:?}, line {number}");
    }
}

#[test]
fn records_are_read_handled_and_seldom_committed() {
    use Event::{Committed, Handled, Opened, Read, ReadNothing};
    check(
        RULES,
        &[
            (Opened(5), Step::Read(Offset(5))),
            (ReadNothing, Step::Read(Offset(5))),
            (Read(9), Step::Handle),
            (Handled(10), Step::Read(Offset(10))),
            (Read(14), Step::Handle),
            (Handled(15), Step::Commit(Offset(15))),
            (Committed, Step::Read(Offset(15))),
            (Read(24), Step::Handle),
            (Handled(25), Step::Commit(Offset(25))),
        ],
    );
}

#[test]
fn what_has_to_be_seen_again_is_not_committed() {
    use Event::{Committed, Handled, Opened, Read};
    check(
        RULES,
        &[
            (Opened(0), Step::Read(Offset(0))),
            (Read(99), Step::Handle),
            // Something that began at record 4 is not over.
            (Handled(4), Step::Read(Offset(100))),
            (Read(199), Step::Handle),
            (Handled(150), Step::Commit(Offset(150))),
            (Committed, Step::Read(Offset(200))),
        ],
    );
}

#[test]
fn a_handler_that_commits_by_itself_is_not_asked_to() {
    use Event::{Handled, Opened, Read};
    let rules = Rules { commit_every: 0, ..RULES };
    check(
        rules,
        &[
            (Opened(0), Step::Read(Offset(0))),
            (Read(9_999), Step::Handle),
            (Handled(10_000), Step::Read(Offset(10_000))),
        ],
    );
}

#[test]
fn after_a_failure_it_is_opened_anew_and_pauses_grow_until_something_succeeds() {
    let now = Instant::now();
    let mut consumer = Consumer::new(RULES);
    for pause in [1, 2, 3, 3] {
        consumer.failed(now);
        let until = now + PAUSE * pause;
        assert_eq!(consumer.poll(), Step::Wait(until));
        consumer.handle_timeout(until - Duration::from_millis(1));
        assert_eq!(consumer.poll(), Step::Wait(until), "too early");
        consumer.handle_timeout(until);
        assert_eq!(consumer.poll(), Step::Open);
        consumer.opened(Offset(0));
    }
    consumer.read(Some(Offset(0)));
    consumer.handled(Offset(1));
    consumer.failed(now);
    assert_eq!(consumer.poll(), Step::Wait(now + PAUSE), "the first pause again");
    assert_eq!(consumer.position(), Offset(1));
}
