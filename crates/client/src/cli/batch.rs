//! `batch`: many writes in one transaction.

use osnova_storage_client::api::batch::Apply;

use super::Session;
use super::arguments::BatchArguments;
use super::ask::{Record, show_record};
use super::failure::Failure;

pub(super) async fn run(session: &Session, arguments: BatchArguments) -> Result<(), Failure> {
    let operations = Record::read("operations", arguments.file).await?;
    show_record::<Apply>(session, operations, None, |applied| {
        let count = applied.results.len();
        let plural = if count == 1 { "" } else { "s" };
        session.output.line(&format!("{count} write{plural} applied"))
    })
    .await
}
