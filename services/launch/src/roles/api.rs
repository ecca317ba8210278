//! The API's port: REST, the web client, and the way to the edge.

mod observe;

use std::sync::Arc;

use ringside_http::{AllowedHosts, EdgeAddress, Hosts, Server, WebSocketProxy};
use ringside_types::forwarded::TrustedProxies;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Roles;
use crate::config::Config;
pub(crate) use observe::Observer;

pub(crate) struct Api(JoinHandle<()>);

impl Api {
    /// Serves on a port that is taken, until `stop` turns true.
    pub(crate) fn start(
        config: &Config,
        port: Server,
        proxy: WebSocketProxy,
        roles: &Roles,
        observer: Arc<Observer>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let trusted = TrustedProxies::from(config.trusted_proxies.clone());
        let edge: EdgeAddress = roles.edge.found(config);
        let settings = ringside_api::Config {
            limits: config.limits.clone(),
            trusted_proxies: trusted.clone(),
            edge: edge.clone(),
        };
        let client = ringside_web::Pages::client(edge, trusted.clone()).routes();
        let router = ringside_api::router(services(roles), settings).fallback_service(client);
        let any = Hosts { allowed: AllowedHosts::Any, trusted };
        Self(port.serve(observe::observed(router, observer), any, Some(proxy), stop))
    }

    /// Waits until the requests under way have ended.
    pub(crate) async fn stopped(self) {
        // A panic of its loop is in the log.
        let _ = self.0.await;
    }
}

/// The services of the roles in this process.
fn services(roles: &Roles) -> impl ringside_api::Services + use<> {
    ringside_api::Composed {
        users: roles.user.service(),
        channels: roles.channel.service(),
        messages: roles.message.service(),
        receipts: roles.presence.receipts(),
        presence_views: roles.presence.presence_views(),
        limits: roles.presence.limits(),
    }
}
