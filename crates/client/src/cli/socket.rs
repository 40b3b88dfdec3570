//! `socket`: sockets on which whoever connects is a component.

use osnova_storage_client::api::auth::{
    self, CloseSocketParams, ComponentSockets, NoParams, OpenSocketParams,
};

use super::Session;
use super::arguments::SocketCommand;
use super::ask;
use super::failure::{Failure, complain};
use super::table::{Cell, Table};
use super::token::scope_list;

pub(super) async fn run(session: &Session, command: SocketCommand) -> Result<(), Failure> {
    match command {
        SocketCommand::Open { component_id, scopes, path } => {
            let params = OpenSocketParams { component_id, scopes: scopes.list(), path };
            ask::show::<auth::OpenSocket>(session, params, |socket| {
                // The path alone: a script that starts a component reads it.
                session.output.line(socket.path.as_str())?;
                if !socket.listening {
                    complain("the daemon does not listen there; its log says why");
                }
                Ok(())
            })
            .await
        }
        SocketCommand::Close { component_id, path } => {
            let params = CloseSocketParams { component_id, path };
            ask::show::<auth::CloseSocket>(session, params, |answer| {
                let was_there = answer.deleted;
                session.output.line(if was_there { "closed" } else { "there was nothing to close" })
            })
            .await
        }
        SocketCommand::Ls => {
            let show = |found: &ComponentSockets| session.output.table(&table(found));
            ask::show::<auth::ListSockets>(session, NoParams {}, show).await
        }
    }
}

fn table(sockets: &ComponentSockets) -> Table {
    let mut table = Table::new(&["component", "path", "scopes", "created", "state"]);
    for socket in &sockets.items {
        table.row(vec![
            Cell::from(socket.component_id.as_str()),
            Cell::from(socket.path.as_str()),
            Cell::from(scope_list(socket.scopes.as_deref())),
            Cell::time(socket.created_at.0),
            Cell::from(if socket.listening { "listening" } else { "not listening" }),
        ]);
    }
    table
}
