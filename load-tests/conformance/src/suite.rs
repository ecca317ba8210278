//! What the contract says of limits, slow readers, drain and bad input, tried one by one on servers started for it.
//!
//! Each check is an async function over a `TestServer`, with a time limit; one that fails says what was expected and what
//! came.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use clap::Args;
use ringside_test_client::server::ServerOptions;
use thiserror::Error;
use tokio::time::timeout;

use crate::attacks::{accounts, assignment, forged_tokens, refresh_tokens, rows};
use crate::bad_input::{bad_frames, bad_handshakes};
use crate::receipts::unread;
use crate::test_server::{Failed, TestServer};
// The names of checks are output, which people pass to `--only`: this module is `door` there.
use crate::websocket_proxy as door;
use crate::{amendments, channels, chat, drain, limits, mentions, presence, receipts, slow_reader, typing};

/// No check takes longer, the half-open handshakes of ten seconds included.
const CHECK_DEADLINE: Duration = Duration::from_secs(90);

/// `ringside-load check`.
#[derive(Clone, Debug, Args)]
pub struct CheckOptions {
    /// Which server is started, and how.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Only behaviours whose name contains one of these.
    #[arg(long)]
    pub only: Vec<String>,
    /// Print the names and do nothing.
    #[arg(long)]
    pub list: bool,
}

/// Why nothing could be tried.
#[derive(Debug, Error)]
pub enum CheckError {
    /// No check has such a name.
    #[error("no behaviour is called so; --list names them")]
    Nothing,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Failed>> + 'a>>;

/// A check: its name, and how it is done.
struct Check {
    name: &'static str,
    run: fn(&TestServer) -> Outcome<'_>,
}

macro_rules! checks {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$(Check {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |test_server| Box::pin($module::$name(test_server)),
        }),*]
    };
}

fn all() -> Vec<Check> {
    checks![
        chat::two_people_chat_through_a_public_client,
        chat::retries_make_one_message,
        amendments::changes_reach_members_history_and_sync,
        amendments::who_may_not_is_refused,
        amendments::replies_make_a_thread,
        amendments::one_id_names_each_request_that_has_it,
        amendments::a_sync_of_many_large_changes_ends,
        forged_tokens::no_forged_token_is_accepted,
        refresh_tokens::two_hundred_uses_at_once_are_one_session,
        refresh_tokens::none_outlives_its_session,
        assignment::what_is_not_theirs_has_no_effect,
        rows::none_of_channels_takes_what_is_not_theirs,
        rows::no_other_takes_what_is_not_theirs,
        accounts::a_wrong_password_and_nobody_are_answered_alike,
        accounts::addresses_are_not_shown,
        channels::settings_are_told_and_in_force,
        channels::roles_removals_and_the_end_are_told,
        channels::a_block_closes_the_dm_and_its_end_opens_it,
        receipts::what_is_read_reaches_members_and_the_list,
        receipts::at_most_one_a_second_and_the_newest_wins,
        receipts::who_hides_them_is_not_shown,
        receipts::large_channels_tell_own_devices_alone,
        receipts::bad_ones_are_refused,
        receipts::they_survive_a_restart,
        unread::unread_is_a_recount_after_any_interleaving,
        unread::who_has_just_joined_starts_at_the_head,
        typing::others_see_it_until_it_ends,
        typing::a_message_and_a_disconnect_end_it,
        typing::who_seems_offline_is_not_seen_to_type,
        presence::watchers_see_the_best_of_all_connections,
        presence::who_may_not_know_sees_nobody_there,
        presence::last_seen_survives_a_restart,
        presence::bad_wishes_are_refused,
        mentions::names_of_members_become_mentions,
        mentions::an_edit_reads_its_mentions_again,
        mentions::who_is_away_is_notified,
        limits::user_rate_has_a_burst_of_twenty,
        limits::channel_rate_is_kept,
        limits::sixth_connection_is_refused,
        limits::connections_that_do_not_answer_make_room,
        limits::oversize_content_is_refused,
        slow_reader::stalled_reader_is_let_go_and_syncs_to_completeness,
        drain::clients_are_told_and_nothing_acknowledged_is_lost,
        drain::second_start_on_one_data_folder_is_refused,
        door::answers_are_the_edges_own,
        door::connections_live_and_end_as_at_the_edge,
        door::a_kept_connection_of_a_proxy_may_turn_to_it,
        door::stalled_reader_is_let_go_there_as_well,
        door::clients_are_told_of_a_drain_there_as_well,
        bad_handshakes::malformed_requests_get_their_status,
        bad_handshakes::bad_tokens_are_refused,
        bad_handshakes::half_open_handshakes_time_out,
        bad_handshakes::slow_headers_time_out,
        bad_frames::a_header_of_one_tebibyte_is_refused_at_once,
        bad_frames::protocol_violations_close_with_their_code,
        bad_frames::bad_json_is_answered_and_the_connection_lives,
        bad_frames::invalid_commands_are_answered,
    ]
    .into()
}

/// Runs the checks that were asked for. True when none fails.
pub async fn run(options: &CheckOptions) -> Result<bool, CheckError> {
    let wanted = |check: &Check| {
        options.only.is_empty() || options.only.iter().any(|part| check.name.contains(part.as_str()))
    };
    let chosen: Vec<Check> = all().into_iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(CheckError::Nothing);
    }
    let mut failures = 0;
    for check in &chosen {
        if options.list {
            println!("{}", check.name);
            continue;
        }
        let since = Instant::now();
        let test_server = TestServer::new(options.server.clone());
        let outcome = match &test_server {
            Ok(test_server) => timeout(CHECK_DEADLINE, (check.run)(test_server)).await,
            Err(error) => Ok(Err(Failed(error.to_string()))),
        };
        let outcome = outcome.unwrap_or_else(|_| Err(Failed(format!("not done within {CHECK_DEADLINE:?}"))));
        let seconds = since.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok      {} ({seconds:.1} s)", check.name),
            Err(Failed(reason)) => {
                failures += 1;
                println!("FAILED  {} ({seconds:.1} s): {reason}", check.name);
            }
        }
    }
    if !options.list {
        println!("{} of {} behave", chosen.len() - failures, chosen.len());
    }
    Ok(failures == 0)
}
