//! What `check` says of real servers.

mod support;

use redis::cmd;
use ringside_redis::{Config, Mode, check};
use support::{Fresh, ask};

async fn says(config: &Config) -> Vec<String> {
    check(config).await.into_iter().map(|finding| finding.0).collect()
}

#[tokio::test]
async fn good_servers_have_no_findings() {
    for Fresh { config } in Fresh::both() {
        assert_eq!(says(&config).await, [""; 0], "{config:?}");
    }
}

#[tokio::test]
async fn one_taken_for_the_other_is_said() {
    let (single, cluster) = (Fresh::single().config, Fresh::cluster().config);
    let found = says(&Config { mode: Mode::Cluster, ..single }).await;
    assert!(found.len() == 1 && found[0].contains("configure a single Redis"), "{found:?}");
    let addresses = vec![cluster.addresses[0].clone()];
    let found = says(&Config { mode: Mode::Single, addresses, ..cluster }).await;
    assert!(found.iter().any(|it| it.contains("configure a cluster")), "{found:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said() {
    // Bound and closed again, so nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = format!("redis://{}", listener.local_addr().expect("bound"));
    drop(listener);
    for mode in [Mode::Single, Mode::Cluster] {
        let found = says(&Config { mode, addresses: vec![address.clone()], ..Config::default() }).await;
        assert!(found.len() == 1 && found[0].contains("correct the address"), "{found:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let fresh = Fresh::single();
    let (server, user) = (fresh.config.addresses[0].clone(), fresh.config.prefix.clone());
    ask(
        &server,
        cmd("ACL").arg("SETUSER").arg(&user).arg("on").arg(">right").arg("~*").arg("&*").arg("+@all"),
    )
    .await;
    let with = |password: &str| Config {
        username: Some(user.clone()),
        password: Some(password.into()),
        ..fresh.config.clone()
    };
    let (right, wrong) = (says(&with("right")).await, says(&with("hunter2")).await);
    ask(&server, cmd("ACL").arg("DELUSER").arg(&user)).await;
    assert_eq!(right, [""; 0]);
    assert!(wrong.len() == 1 && wrong[0].contains("password is wrong"), "{wrong:?}");
    assert!(!wrong[0].contains("hunter2"), "{wrong:?}");
}
