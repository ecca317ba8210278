//! The tasks of a role: they run until the stop, and one that ends before is a failure.

use std::error::Error;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::commands::Failure;

/// Tasks that were told to stop get this long, where nothing is lost without them.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

type TaskError = Box<dyn Error + Send + Sync>;

pub(super) struct Tasks {
    tasks: Mutex<JoinSet<Result<&'static str, TaskError>>>,
    runtime: Handle,
    stop: watch::Receiver<bool>,
}

impl Tasks {
    /// On the runtime that this is called on.
    pub(super) fn new(stop: &watch::Receiver<bool>) -> Self {
        Self::on(&Handle::current(), stop)
    }

    /// On this runtime.
    pub(super) fn on(runtime: &Handle, stop: &watch::Receiver<bool>) -> Self {
        Self { tasks: Mutex::default(), runtime: runtime.clone(), stop: stop.clone() }
    }

    /// Starts one; `name` is said where it ends by itself.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task = async move {
            task.await;
            Ok(name)
        };
        self.tasks.get_mut().spawn_on(task, &self.runtime);
    }

    /// Starts one that may fail.
    pub(super) fn spawn_fallible<E: Error + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = async move { task.await.map(|()| name).map_err(Into::into) };
        self.tasks.get_mut().spawn_on(task, &self.runtime);
    }

    /// Waits until one has ended before the stop; says which, or why. A panic is passed on.
    pub(super) async fn failed(&self) -> Failure {
        let mut tasks = self.tasks.lock().await;
        loop {
            let Some(ended) = tasks.join_next().await else { return std::future::pending().await };
            let failure: Failure = match ended {
                Ok(Ok(name)) => format!("{name} ended by itself").into(),
                Ok(Err(error)) => error,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            if !*self.stop.borrow() {
                return failure;
            }
        }
    }

    /// Waits until all have ended.
    pub(super) async fn ended(&self) {
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }

    /// Waits until all have ended, for [`STOP_TIMEOUT`] at the most.
    pub(super) async fn ended_in_time(&self) {
        let _ = timeout(STOP_TIMEOUT, self.ended()).await;
    }
}
