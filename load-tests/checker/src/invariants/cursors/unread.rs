//! Unread counts: in the end exactly what a recount of the whole history finds behind the member's own cursor, and at any
//! time within what is known of the cursor then.

use ringside_test_client::cursor::Unread;

use super::evidence::{Evidence, Member};
use super::violation;
use crate::history::{ChannelHistory, ClientHistory, Event, FinalCursors};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

pub(super) fn check(index: &Index<'_>, evidence: &Evidence, verdict: &mut Verdict) {
    for client in &index.history.clients {
        check_client(client, evidence, verdict);
    }
    for channel in &index.history.channels {
        for end in &channel.final_cursors {
            check_end(channel, end, evidence, verdict);
        }
    }
}

/// When something was asked for, and when it was answered.
#[derive(Clone, Copy)]
struct Span {
    asked_us: u64,
    answered_us: u64,
}

fn check_client(client: &ClientHistory, evidence: &Evidence, verdict: &mut Verdict) {
    let mut sync_asked_us = 0;
    for record in &client.records {
        let (asked_us, told): (u64, Vec<Unread>) = match &record.event {
            Event::SyncSent { .. } => {
                sync_asked_us = record.at_us;
                continue;
            }
            Event::SyncDone { channels, unread, .. } => {
                let told = unread.iter().filter_map(|&(channel, count)| {
                    let (_, last_seq) = channels.iter().find(|(named, _)| *named == channel)?;
                    Some(Unread { channel, last_seq: *last_seq, count })
                });
                (sync_asked_us, told.collect())
            }
            Event::Listed { asked_us, channels } => (*asked_us, channels.clone()),
            _ => continue,
        };
        let span = Span { asked_us, answered_us: record.at_us };
        for told in told {
            if let Some(detail) = find_fault(evidence, (told.channel, client.user_id), told, span) {
                verdict.add(violation(told.channel, Fault::UnreadWrong, Some((client, record)), detail));
            }
        }
    }
}

/// Between the two times the cursor lay between what had been told and what had been said.
fn find_fault(evidence: &Evidence, member: Member, told: Unread, span: Span) -> Option<String> {
    let seq = |id: Option<u64>| id.map_or(Some(0), |id| evidence.seq(member.0, id));
    let least = seq(evidence.least(member, span.asked_us).read)?;
    let most = seq(evidence.most_read(member, span.answered_us))?.max(least);
    let (fewest, most_unread) = (told.last_seq.saturating_sub(most), told.last_seq.saturating_sub(least));
    let fits = (fewest..=most_unread).contains(&told.count);
    (!fits).then(|| {
        format!(
            "{} of {} are unread to {}, who had read up to {least} before and to {most} at the most",
            told.count, told.last_seq, member.1
        )
    })
}

fn check_end(channel: &ChannelHistory, end: &FinalCursors, evidence: &Evidence, verdict: &mut Verdict) {
    let id = channel.channel_id;
    if !evidence.is_read(id) {
        return;
    }
    let own = end.cursors.iter().find(|cursor| cursor.user_id == end.reader);
    let read = own.and_then(|own| own.read);
    let wanted = Unread {
        channel: id,
        last_seq: evidence.count_above(id, None),
        count: evidence.count_above(id, read),
    };
    for (answer, told) in [("the list of channels", end.listed), ("sync.done", end.synced)] {
        if told != Some(wanted) {
            let detail =
                format!("{} has read up to {read:?}: {answer} says {told:?}, it is {wanted:?}", end.reader);
            verdict.add(violation(id, Fault::UnreadWrong, None, detail));
        }
    }
}

/// How many unread counts the histories hold.
pub(crate) fn count(index: &Index<'_>) -> u64 {
    let of_records =
        index.history.clients.iter().flat_map(|client| &client.records).map(|record| match &record.event {
            Event::SyncDone { unread, .. } => unread.len(),
            Event::Listed { channels, .. } => channels.len(),
            _ => 0,
        });
    let of_ends = index.history.channels.iter().flat_map(|channel| &channel.final_cursors);
    let of_ends = of_ends.map(|end| usize::from(end.listed.is_some()) + usize::from(end.synced.is_some()));
    of_records.chain(of_ends).sum::<usize>() as u64
}
