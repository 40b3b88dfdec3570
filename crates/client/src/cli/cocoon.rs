//! `cocoon`: the sealed keys of users. Only their bytes are ever printed as they are, and those never to
//! a terminal.

use std::path::PathBuf;

use osnova_storage_client::api::identity::{
    CocoonInfo, Delete, GetCocoon, List, ListParams, MAX_COCOON_BYTES, PutCocoon, PutCocoonParams,
    RestorePrevious, UserParams,
};
use osnova_storage_client::api::wire::{Base64Data, UserId};

use super::Session;
use super::arguments::CocoonCommand;
use super::ask::{ask, show};
use super::failure::Failure;
use super::format;
use super::handover::NewFile;
use super::input::{Source, read_bytes};
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, command: CocoonCommand) -> Result<(), Failure> {
    match command {
        CocoonCommand::Put { user, file } => {
            let data = read_bytes(Source::of(file), MAX_COCOON_BYTES as u64).await?;
            let params = PutCocoonParams { user_id: user, data: Base64Data(data) };
            show::<PutCocoon>(session, params, |info| say(session, "stored", info)).await
        }
        CocoonCommand::Get { user, output } => get(session, user, output).await,
        CocoonCommand::Restore { user } => {
            let params = UserParams { user_id: user };
            show::<RestorePrevious>(session, params, |info| say(session, "restored", info)).await
        }
        CocoonCommand::Ls { window } => {
            let params = ListParams { limit: window.limit(), cursor: window.cursor };
            pages::<List>(
                session,
                params,
                window.all,
                |params| &mut params.cursor,
                |page| page.next_cursor.clone(),
                |page| session.output.table(&table(&page.items)),
            )
            .await
        }
        CocoonCommand::Rm { user } => {
            let params = UserParams { user_id: user };
            show::<Delete>(session, params, |answer| session.output.line(deleted(answer.deleted)))
                .await
        }
    }
}

async fn get(session: &Session, user: UserId, file: Option<PathBuf>) -> Result<(), Failure> {
    if file.is_none() && session.output.is_terminal() && !session.output.is_json() {
        return Err(Failure::usage("a cocoon is no text for a terminal: give --output FILE"));
    }
    // Made before the daemon is asked: a name that is taken is said at once.
    let file = file.map(NewFile::create).transpose()?;
    let answer = ask::<GetCocoon>(session, UserParams { user_id: user }).await?;
    match file {
        Some(file) => file.finish(&answer.read()?.data.0).map(drop),
        None if session.output.is_json() => session.output.raw(&answer.raw),
        None => session.output.bytes(&answer.read()?.data.0),
    }
}

fn say(session: &Session, done: &str, info: &CocoonInfo) -> Result<(), Failure> {
    let before = if info.has_previous { ", the one before it is kept" } else { "" };
    let size = format::size(info.size.0);
    session.output.line(&format!("{done}, {size}, SHA-256 {}{before}", info.sha256))
}

fn table(cocoons: &[CocoonInfo]) -> Table {
    let mut table = Table::new(&["user", "size", "updated", "previous", "sha256"]);
    for info in cocoons {
        table.row(vec![
            Cell::from(info.user_id.as_str()),
            Cell::size(info.size.0),
            Cell::time(info.updated_at.0),
            Cell::from(if info.has_previous { "yes" } else { "no" }),
            Cell::from(info.sha256.to_string()),
        ]);
    }
    table
}
