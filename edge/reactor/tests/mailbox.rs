//! Mail from other threads arrives, once and in order, whether the shard sleeps or not.

mod support;

use ringside_reactor::{Backend, Config, Full};
use support::{Order, Rig, Seen, config};

over_both_backends!(
    a_sleeping_shard_wakes_for_each_mail,
    mail_of_many_threads_all_arrives,
    a_full_mailbox_is_an_answer,
    stop_wakes_a_sleeping_shard,
    stopping_tells_every_open_connection,
);

fn a_sleeping_shard_wakes_for_each_mail(backend: Backend) {
    let rig = Rig::new(&config(backend));
    for n in 0..2000 {
        rig.order(Order::Note(n));
        rig.wait_for(|seen| (seen == Seen::Mail(n)).then_some(()));
    }
}

fn mail_of_many_threads_all_arrives(backend: Backend) {
    const THREADS: u64 = 4;
    const MAILS: u64 = 20_000;
    let rig = Rig::new(&Config { mailbox_capacity: 128, mail_per_turn: 16, ..config(backend) });
    let senders: Vec<_> = (0..THREADS)
        .map(|thread| {
            let mailbox = rig.shard.mailbox().clone();
            std::thread::spawn(move || {
                for n in 0..MAILS {
                    let mut mail = Order::Note(thread * MAILS + n);
                    while let Err(Full(back)) = mailbox.try_send(mail) {
                        mail = back;
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * MAILS {
        let note = rig.wait_for(|seen| match seen {
            Seen::Mail(note) => Some(note),
            _ => None,
        });
        let thread = (note / MAILS) as usize;
        assert_eq!(note % MAILS, next[thread], "mails of one sender keep their order");
        next[thread] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
}

fn a_full_mailbox_is_an_answer(backend: Backend) {
    let rig = Rig::new(&Config { mailbox_capacity: 2, mail_per_turn: 2, ..config(backend) });
    // Hold the shard in its handler: it answers on a channel without room.
    let (answer, asked) = std::sync::mpsc::channel();
    let mut refused = 0;
    for n in 0..1_000_000 {
        if rig.shard.mailbox().try_send(Order::Note(n)).is_err() {
            refused += 1;
            break;
        }
    }
    assert_eq!(refused, 1, "a million mails did not fill two places");
    // And it goes on.
    let mut order = Order::Address(ringside_reactor::ConnectionId::from_u64(0), answer);
    while let Err(Full(back)) = rig.shard.mailbox().try_send(order) {
        order = back;
        std::thread::yield_now();
    }
    assert_eq!(asked.recv_timeout(support::PATIENCE), Ok(None));
}

fn stop_wakes_a_sleeping_shard(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let address = rig.address();
    rig.settle();
    rig.shard.stop();
    rig.shard.join().expect("it ends well");
    // The port is free again at once, or within the time that binding retries.
    let again = Rig::new(&Config { listen: Some(address), ..config(backend) });
    assert_eq!(again.address(), address);
}

fn stopping_tells_every_open_connection(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut streams: Vec<_> = (0..10).map(|_| rig.connect()).collect();
    for _ in 0..10 {
        rig.opened();
    }
    rig.order(Order::Stop);
    for _ in 0..10 {
        assert_eq!(rig.closed().1, ringside_reactor::CloseReason::Stopping);
    }
    rig.shard.join().expect("it ends well");
    for stream in &mut streams {
        assert!(support::read_to_end(stream).is_empty());
    }
}
