//! Calls over one WebSocket, against the server half of the library that the daemon is built on.

use std::net::SocketAddr;
use std::time::Duration;

use jsonrpsee::server::{RpcModule, ServerBuilder, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use osnova_storage_client::api::events::SubscribeParams;
use osnova_storage_client::api::preferences::{Get, GetParams};
use osnova_storage_client::{Client, ClientError, ErrorCode, Repeat};
use serde_json::json;

async fn serve(address: &str) -> (SocketAddr, ServerHandle) {
    let server = ServerBuilder::default().build(address).await.unwrap();
    let address = server.local_addr().unwrap();
    let mut module = RpcModule::new(());
    module
        .register_method("preferences.get", |params: Params<'_>, (), _| {
            let params: serde_json::Value = params.parse()?;
            if params["key"] == "absent" {
                let data = json!({ "code": "not_found" });
                return Err(ErrorObjectOwned::owned(-32001, "no such preference", Some(data)));
            }
            Ok(json!({ "key": params["key"], "value": [1.0], "updatedAt": 1, "revision": 7 }))
        })
        .unwrap();
    module.register_async_method("status.get", |_, _, _| std::future::pending::<u8>()).unwrap();
    (address, server.start(module))
}

fn client(address: SocketAddr) -> Client {
    let repeat = Repeat { first_delay: Duration::from_millis(20), ..Repeat::default() };
    Client::builder()
        .endpoint(format!("ws://{address}"))
        .request_timeout(Duration::from_secs(2))
        .repeat(repeat)
        .build()
        .unwrap()
}

fn get(key: &str) -> GetParams {
    GetParams { key: key.parse().unwrap() }
}

#[tokio::test]
async fn calls_share_a_socket_and_errors_come_typed() {
    let (address, server) = serve("127.0.0.1:0").await;
    let client = client(address);
    let calls = (0..100).map(|index| {
        let client = client.clone();
        async move { client.call::<Get>(get(&format!("k{index}"))).await.unwrap().key.to_string() }
    });
    let keys = futures_util::future::join_all(calls).await;
    assert_eq!(keys[42], "k42");
    let error = client.call::<Get>(get("absent")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound));
    let error = client.call_raw("no.such", None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MethodNotFound));
    let error = client.call_raw("status.get", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    server.stop().unwrap();
}

#[tokio::test]
async fn a_lost_socket_is_made_anew() {
    let (address, server) = serve("127.0.0.1:0").await;
    let client = client(address);
    client.call::<Get>(get("a")).await.unwrap();
    server.stop().unwrap();
    server.stopped().await;
    let again = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        serve(&address.to_string()).await
    };
    let (found, (_, server)) = tokio::join!(client.call::<Get>(get("b")), again);
    assert_eq!(found.unwrap().key.as_str(), "b");
    server.stop().unwrap();
}

/// What follows or calls can be given to a task of its own.
#[test]
fn calls_and_followers_can_be_spawned() {
    fn can_be_spawned<F: Future + Send + 'static>(_: F) {}
    let address = "127.0.0.1:1".parse().unwrap();
    can_be_spawned(async move { client(address).call::<Get>(get("a")).await });
    can_be_spawned(async move {
        let mut events = client(address).events(SubscribeParams::default()).await?;
        events.next().await
    });
}

#[tokio::test]
async fn nobody_listens() {
    let (address, server) = serve("127.0.0.1:0").await;
    server.stop().unwrap();
    server.stopped().await;
    let client = Client::builder().endpoint(format!("ws://{address}")).repeat(Repeat::never());
    let client = client.build().unwrap();
    let error = client.events(SubscribeParams::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    let client = Client::builder().endpoint(format!("ws://{address}")).repeat(Repeat::never());
    let error = client.connect().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}
