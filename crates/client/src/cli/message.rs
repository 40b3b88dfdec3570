//! `message`: what was said on channels, with contents that hang on it.

use std::path::{Path, PathBuf};

use osnova_storage_client::PutBlob;
use osnova_storage_client::api::auth;
use osnova_storage_client::api::messages::{
    self, DeleteParams, GetParams, ListParams, Message, MessageInput, MessagePage, PutParams,
};
use osnova_storage_client::api::wire::{BlobHash, Name, Revision, Text, Timestamp};

use super::Session;
use super::arguments::{MessageCommand, SendArguments};
use super::ask::{self, ask};
use super::blob::upload;
use super::failure::Failure;
use super::input::{self, Source};
use super::moment;
use super::paging::pages;
use super::records::deleted;
use super::table::{Cell, Table};

/// A text of the most characters that a body may have takes no more bytes in UTF-8.
const MAX_BODY_BYTES: u64 = 4 * Text::MAX_CHARS as u64;

pub(super) async fn run(session: &Session, command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::Ls { channel, component, since, until, page } => {
            let params = ListParams {
                channel,
                from: since,
                to: until,
                component_id: component,
                direction: page.direction(),
                limit: page.window.limit(),
                cursor: page.window.cursor,
            };
            pages::<messages::List>(
                session,
                params,
                page.window.all,
                |params| &mut params.cursor,
                |found| found.next_cursor.clone(),
                |found| session.output.table(&table(found)),
            )
            .await
        }
        MessageCommand::Show { id } => {
            let params = GetParams { message_id: id };
            ask::show::<messages::Get>(session, params, |found| show(session, found)).await
        }
        MessageCommand::Send(arguments) => send(session, arguments).await,
        MessageCommand::Rm { id, if_revision } => {
            let params = DeleteParams {
                message_id: id,
                if_revision: if_revision.map(Revision),
                request_id: None,
            };
            ask::show::<messages::Delete>(session, params, |answer| {
                session.output.line(deleted(answer.deleted))
            })
            .await
        }
    }
}

fn table(page: &MessagePage) -> Table {
    let mut table = Table::new(&["time", "channel", "sender", "body", "attachments", "message"]);
    for message in &page.items {
        table.row(vec![
            Cell::time(message.timestamp.0),
            Cell::from(message.channel.as_str()),
            Cell::from(message.sender.as_str()),
            Cell::maybe(message.body.as_ref()),
            Cell::from(message.attachments.len().to_string()),
            Cell::from(message.message_id.as_str()),
        ]);
    }
    table
}

fn show(session: &Session, message: &Message) -> Result<(), Failure> {
    let mut table = Table::pairs();
    table.pair("message", message.message_id.as_str());
    table.pair("channel", message.channel.as_str());
    table.pair("sender", message.sender.as_str());
    table.pair("time", Cell::time(message.timestamp.0));
    if let Some(component) = &message.component_id {
        table.pair("component", component.as_str());
    }
    for hash in &message.attachments {
        table.pair("attachment", hash.to_string());
    }
    table.pair("revision", message.revision.0.to_string());
    let body = message.body.as_ref().map(|body| body.as_str());
    // A person reads it with its line breaks; for a program a row is a line.
    let read = body.filter(|_| session.output.is_terminal());
    if let (Some(body), None) = (body, read) {
        table.pair("body", body);
    }
    session.output.table(&table)?;
    if let Some(metadata) = &message.metadata {
        session.output.pretty(metadata.get())?;
    }
    match read {
        Some(body) => session.output.lines(&format!("\n{}", body.trim_end())),
        None => Ok(()),
    }
}

async fn send(session: &Session, arguments: SendArguments) -> Result<(), Failure> {
    let SendArguments { channel, body, sender, attach } = arguments;
    if attach.iter().any(|path| path == Path::new("-")) && (body == "-" || attach.len() > 1) {
        return Err(Failure::usage("standard input can be read only once"));
    }
    let body = body_argument(body).await?;
    let sender = match sender {
        Some(sender) => sender,
        None => own_name(session).await?,
    };
    let attachments = attachments(session, attach).await?;
    let message = MessageInput {
        message_id: None,
        channel,
        sender,
        timestamp: Timestamp(moment::now()),
        body: Some(body),
        metadata: None,
        attachments: Some(attachments).filter(|hashes| !hashes.is_empty()),
        component_id: None,
    };
    let params = PutParams { message, if_revision: None, request_id: None };
    ask::show::<messages::Put>(session, params, |stored| {
        session.output.line(stored.message_id.as_str())
    })
    .await
}

async fn body_argument(argument: String) -> Result<Text, Failure> {
    let text = match argument.as_str() {
        "-" => input::read_text(Source::Standard, MAX_BODY_BYTES).await?,
        _ => argument,
    };
    Text::try_from(text).map_err(|why| Failure::usage(format!("the body {why}")))
}

/// What the daemon takes the caller for, as a sender.
async fn own_name(session: &Session) -> Result<Name, Failure> {
    let identity = ask::<auth::Whoami>(session, auth::NoParams {}).await?.read()?;
    let name = match &identity.component_id {
        Some(component) => component.as_str(),
        None => identity.caller.as_str(),
    };
    name.parse().map_err(|why| Failure::failed(format!("the sender {why}; use --sender")))
}

/// Stores the files, each as it is read. None is pinned: the message that names them keeps them, and
/// where it can't be stored they go by themselves.
async fn attachments(session: &Session, files: Vec<PathBuf>) -> Result<Vec<BlobHash>, Failure> {
    let mut hashes = Vec::new();
    for file in files {
        let about = PutBlob { pin: Some(false), ..PutBlob::default() };
        let stored = upload(session, &file, about).await?;
        // The same content is named once, by whatever names its files go.
        if !hashes.contains(&stored.hash) {
            hashes.push(stored.hash);
        }
    }
    Ok(hashes)
}
