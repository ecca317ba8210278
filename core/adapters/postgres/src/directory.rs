//! The Directory: a handle over the connections.

use std::sync::Arc;

use crate::config::Config;
use crate::failure::OpenError;
use crate::pool::Pool;
use crate::schema;

/// The Directory. A clone is another handle to it; any number of processes may hold one of the same database.
#[derive(Clone, Debug)]
pub struct Directory {
    pool: Arc<Pool>,
}

impl Directory {
    /// Connects to the primary and looks whether the database is of this version; it changes nothing. [`init`](crate::init) makes and
    /// migrates the database.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let directory = Self { pool: Pool::new(config) };
        schema::check_version(&directory).await?;
        Ok(directory)
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Closes the connections. Calls under way end first with what they hold; new ones are `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
