//! The calls of one question to the servers, and what is still open of them.

use bytes::Bytes;
use redis::{Pipeline, Value};

use crate::config::Address;
use crate::scripts::Script;

/// A script over one key.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) script: &'static Script,
    pub(crate) key: String,
    pub(crate) arguments: Vec<Bytes>,
}

/// Whether a call may be sent again that may have been done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeat {
    /// Doing it twice is as good as once, or a little stricter.
    Harmless,
    /// Doing it twice would be another thing, or would hide what the first time changed.
    Never,
}

/// A call that has no answer yet.
#[derive(Debug)]
pub(crate) struct Open {
    /// Its place among the calls.
    pub(crate) at: usize,
    /// Another server than the slot's owner, for this one time.
    pub(crate) ask: Option<Address>,
    /// The server has not seen the script.
    pub(crate) loads: bool,
}

/// All calls, and how far they have come.
pub(crate) struct Sending<'a> {
    pub(crate) calls: &'a [Call],
    pub(crate) repeat: Repeat,
    pub(crate) answers: Vec<Value>,
    pub(crate) open: Vec<Open>,
    /// Servers that have failed once.
    pub(crate) failed: Vec<Address>,
    /// Why something is open still.
    pub(crate) cause: String,
    pub(crate) needs_map: bool,
    pub(crate) needs_pause: bool,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(calls: &'a [Call], repeat: Repeat) -> Self {
        Self {
            calls,
            repeat,
            answers: vec![Value::Nil; calls.len()],
            open: (0..calls.len()).map(|at| Open { at, ask: None, loads: false }).collect(),
            failed: Vec::new(),
            cause: String::new(),
            needs_map: false,
            needs_pause: false,
        }
    }

    /// What is sent to one server, and where the reply to each call will stand.
    pub(crate) fn pipeline(&self, group: &[Open]) -> (Pipeline, Vec<usize>) {
        let mut pipeline = Pipeline::with_capacity(group.len());
        let mut loaded: Vec<&str> = Vec::new();
        let mut places = Vec::with_capacity(group.len());
        for open in group {
            let Call { script, key, arguments } = &self.calls[open.at];
            if open.loads && !loaded.contains(&script.hash.as_str()) {
                loaded.push(&script.hash);
                pipeline.cmd("SCRIPT").arg("LOAD").arg(&script.text);
            }
            if open.ask.is_some() {
                pipeline.cmd("ASKING");
            }
            places.push(pipeline.len());
            pipeline.cmd("EVALSHA").arg(&script.hash).arg(1).arg(key);
            for argument in arguments {
                pipeline.arg(argument.as_ref());
            }
        }
        (pipeline, places)
    }

    pub(crate) fn into_answers(self) -> Vec<Value> {
        self.answers
    }
}
