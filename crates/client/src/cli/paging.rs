//! Lists: one page, or all of them.

use osnova_storage_client::Method;
use osnova_storage_client::api::wire::Cursor;

use super::Session;
use super::ask::ask;
use super::failure::{Failure, complain};

/// Calls a list method, and prints its page; with `all`, each page until the last. As JSON, each page
/// is one line.
pub(super) async fn pages<M: Method>(
    session: &Session,
    mut params: M::Params,
    all: bool,
    cursor_of: impl Fn(&mut M::Params) -> &mut Option<Cursor>,
    next_of: impl Fn(&M::Result) -> Option<Cursor>,
    show: impl Fn(&M::Result) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let answer = ask::<M>(session, params.clone()).await?;
        let page = answer.read()?;
        match session.output.is_json() {
            true => session.output.raw(&answer.raw)?,
            false => show(&page)?,
        }
        let Some(next) = next_of(&page) else { return Ok(()) };
        if !all {
            // In JSON it stands in the answer; a program that reads columns is not disturbed.
            if !session.output.is_json() && session.output.is_terminal() {
                complain(&format!("there are more; --all lists them, --cursor {next} goes on"));
            }
            return Ok(());
        }
        *cursor_of(&mut params) = Some(next);
    }
}
