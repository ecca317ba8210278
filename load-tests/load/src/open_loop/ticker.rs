//! The timer that wakes a worker while it has something left to send: epoll's own timeout is too coarse, in whole ms.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// How late a message may leave for want of a wake-up.
pub(super) const TICK: Duration = Duration::from_micros(250);

/// Readable once a [`TICK`], while it is on.
pub(super) struct Ticker {
    timer: OwnedFd,
}

impl Ticker {
    /// A timer that is off.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Monotonic, flags)? })
    }

    pub(super) fn turn(&self, on: bool) -> io::Result<()> {
        let interval =
            if on { Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as _ } } else { Timespec::default() };
        let setting = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }

    /// Takes a tick. The kernel rearms a periodic timer only when it is read, edge-triggered or not.
    pub(super) fn take(&self) {
        // Not expired after all: nothing to take.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn ticks_again_after_each_tick() {
        let ticker = Ticker::new().expect("a timer");
        let awaited = |seconds| {
            let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
            poll(&mut [PollFd::new(&ticker, PollFlags::IN)], Some(&timeout)).expect("polled")
        };
        assert_eq!(awaited(0), 0);
        ticker.turn(true).expect("on");
        for _ in 0..3 {
            assert_eq!(awaited(10), 1);
            ticker.take();
        }
        ticker.turn(false).expect("off");
        ticker.take();
        assert_eq!(awaited(0), 0);
    }
}
