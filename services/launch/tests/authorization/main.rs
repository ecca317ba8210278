//! Every cell of the table of authorization, tried against the running server: operation × kind of channel × role, and
//! those who are outside or were removed; on objects that are there and on deleted ones; over REST and, where the
//! operation exists there, over WebSocket.

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod context;

use std::time::Instant;

use ringside_types::authorization::{ChannelKind, Operation, allowed};

use context::{Actor, TestContext, World};

/// What a cell came to: `ok`, or the code of the refusal.
type Answer = String;

/// What the table says of a cell.
fn expected(operation: Operation, kind: ChannelKind, actor: Actor) -> Answer {
    if operation == Operation::Leave && actor == Actor::Owner {
        return "owner_stays".into();
    }
    match allowed(operation, kind, actor.role_in(kind)) {
        Ok(()) => "ok".into(),
        Err(refusal) => refusal.code().name().into(),
    }
}

/// The same over WebSocket, which tells who is not in a channel no more than that.
fn expected_of_socket(operation: Operation, kind: ChannelKind, actor: Actor) -> Answer {
    match actor.role_in(kind) {
        Some(_) => expected(operation, kind, actor),
        None => "not_a_member".into(),
    }
}

/// The same of a message that has been deleted: members find it gone, and deleting it again is no error.
fn expected_of_deleted(operation: Operation, kind: ChannelKind, actor: Actor) -> Answer {
    match (actor.role_in(kind), operation) {
        (None, _) => expected(operation, kind, actor),
        (Some(_), Operation::DeleteOwn | Operation::DeleteForeign) => "ok".into(),
        (Some(_), _) => "not_found".into(),
    }
}

/// Cells that no request can ask for.
fn is_reachable(operation: Operation, kind: ChannelKind, actor: Actor) -> bool {
    let is_dm = kind == ChannelKind::Dm;
    match operation {
        // A DM has no owner, no admins, and no settings.
        Operation::SendAmongAdmins
        | Operation::RemoveAdmin
        | Operation::RemoveOwner
        | Operation::SetOwner => {
            let removes_themselves = operation == Operation::RemoveOwner && actor == Actor::Owner;
            !is_dm && !removes_themselves
        }
        // Only a DM is ever closed.
        Operation::WriteClosed => is_dm,
        _ => true,
    }
}

#[derive(Default)]
struct Score {
    cells: usize,
    mismatches: Vec<String>,
}

impl Score {
    fn count(
        &mut self,
        what: &str,
        operation: Operation,
        context: &TestContext,
        actor: Actor,
        wanted: &str,
        got: &str,
    ) {
        self.cells += 1;
        if wanted != got {
            let kind = context.kind;
            self.mismatches
                .push(format!("{what}: {operation:?} in {kind:?} by {actor:?}: {got}, not {wanted}"));
        }
    }
}

#[test]
fn every_cell_is_as_the_table_says() {
    let since = Instant::now();
    let mut world = World::new();
    let mut score = Score::default();
    for kind in ChannelKind::ALL {
        let mut context = world.context(kind);
        for operation in Operation::ALL {
            for actor in Actor::of(kind) {
                if is_reachable(operation, kind, actor) {
                    try_cell(&mut world, &mut context, &mut score, operation, actor);
                }
            }
        }
        if kind != ChannelKind::Dm {
            after_the_end(&world, &context, &mut score);
        }
    }
    println!(
        "{} cells tested, {} mismatches, {:.1} s",
        score.cells,
        score.mismatches.len(),
        since.elapsed().as_secs_f64()
    );
    assert!(score.mismatches.is_empty(), "{:#?}", score.mismatches);
    assert!(score.cells > 500, "{} cells are too few", score.cells);
}

fn try_cell(
    world: &mut World,
    context: &mut TestContext,
    score: &mut Score,
    operation: Operation,
    actor: Actor,
) {
    let kind = context.kind;
    let wanted = expected(operation, kind, actor);
    if attempts::is_of_socket(operation) {
        let wanted = expected_of_socket(operation, kind, actor);
        let got = attempts::by_socket(world, context, operation, actor);
        score.count("WebSocket", operation, context, actor, &wanted, &got);
    }
    let got = attempts::by_rest(world, context, operation, actor);
    score.count("REST", operation, context, actor, &wanted, &got);
    if attempts::is_of_message(operation) {
        let got = attempts::on_deleted(world, context, operation, actor);
        let wanted = expected_of_deleted(operation, kind, actor);
        score.count("REST, deleted message", operation, context, actor, &wanted, &got);
    }
    if attempts::changes_the_scene(operation) && wanted == "ok" {
        *context = world.context(kind);
    }
}

/// A deleted channel is to everyone what a private one is to an outsider.
fn after_the_end(world: &World, context: &TestContext, score: &mut Score) {
    let delete = world.ask(Actor::Owner, "DELETE", &context.at(""), None);
    assert_eq!(delete.0, 204, "{delete:?}");
    for operation in Operation::ALL {
        for actor in Actor::of(context.kind) {
            if operation == Operation::SendAmongAdmins || !is_reachable(operation, context.kind, actor) {
                continue;
            }
            let wanted = expected(operation, ChannelKind::Private, Actor::Outsider);
            let got = attempts::once(world, context, operation, actor);
            score.count("deleted channel", operation, context, actor, &wanted, &got);
        }
    }
}
