//! Asking the daemon: an answer that can be printed as it came, or read by its type.

use std::path::PathBuf;

use osnova_storage_client::api::wire::JsonText;
use osnova_storage_client::{ClientError, Method};
use serde_json::value::RawValue;

use super::Session;
use super::call::MAX_PARAMS_BYTES;
use super::failure::Failure;
use super::input::{self, Source};
use super::refusal::explain;

/// An answer, still as its text.
pub(super) struct Answer<M: Method> {
    pub(super) raw: Box<RawValue>,
    method: std::marker::PhantomData<M>,
}

impl<M: Method> Answer<M> {
    /// The answer by its type.
    pub(super) fn read(&self) -> Result<M::Result, Failure> {
        serde_json::from_str(self.raw.get()).map_err(|error| {
            Failure::failed(format!("the answer to {} can't be read: {error}", M::SPEC.name))
        })
    }
}

/// Calls a method, keeping the text of the answer.
pub(super) async fn ask<M: Method>(
    session: &Session,
    params: M::Params,
) -> Result<Answer<M>, Failure> {
    attempt(session, params).await.map_err(|error| explain(session, error, &M::SPEC))
}

/// The same, for whoever does something about an error.
pub(super) async fn attempt<M: Method>(
    session: &Session,
    params: M::Params,
) -> Result<Answer<M>, ClientError> {
    let text =
        serde_json::to_string(&params).map_err(|error| ClientError::Params(error.to_string()))?;
    drop(params);
    attempt_text(session, &text).await
}

/// The same, with params that are JSON already.
async fn attempt_text<M: Method>(session: &Session, text: &str) -> Result<Answer<M>, ClientError> {
    let raw = session.client.call_raw(M::SPEC.name, Some(text)).await?;
    Ok(Answer { raw, method: std::marker::PhantomData })
}

/// Calls a method, and prints the answer: as JSON where that was asked for, else by `show`.
pub(super) async fn show<M: Method>(
    session: &Session,
    params: M::Params,
    show: impl FnOnce(&M::Result) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let answer = ask::<M>(session, params).await?;
    match session.output.is_json() {
        true => session.output.raw(&answer.raw),
        false => show(&answer.read()?),
    }
}

/// A record as a person wrote it, to be sent as it is: the daemon says what is wrong with it, field by
/// field.
pub(super) struct Record {
    /// The param that it is.
    param: &'static str,
    json: JsonText,
}

impl Record {
    /// Reads the record that is this param from a file, or from standard input where that is `-`.
    pub(super) async fn read(param: &'static str, file: PathBuf) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let text = input::read_text(Source::of(file), MAX_PARAMS_BYTES).await?;
        let json =
            JsonText::parse(text).map_err(|why| Failure::usage(format!("{name}: it {why}")))?;
        Ok(Self { param, json })
    }
}

/// Calls a method that takes a record, and a revision that it must have, and prints the answer as
/// [`show`] does.
pub(super) async fn show_record<M: Method>(
    session: &Session,
    record: Record,
    if_revision: Option<u64>,
    show: impl FnOnce(&M::Result) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let revision = if_revision.map(|revision| format!(r#","ifRevision":{revision}"#));
    let Record { param, json } = record;
    let text = format!(r#"{{"{param}":{}{}}}"#, json.get(), revision.unwrap_or_default());
    drop(json);
    let answer = attempt_text::<M>(session, &text).await;
    let answer = answer.map_err(|error| explain(session, error, &M::SPEC))?;
    match session.output.is_json() {
        true => session.output.raw(&answer.raw),
        false => show(&answer.read()?),
    }
}
