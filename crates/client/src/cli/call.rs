//! `call` and `methods`: the contract as it is.

use osnova_storage_client::ErrorCode;
use osnova_storage_client::api::all_methods;

use super::Session;
use super::failure::Failure;
use super::input;
use super::output::Output;
use super::refusal::explain;
use super::table::{Cell, Table};

/// The longest params that are read from a file or from standard input; the daemon takes 16 MiB unless configured.
pub(super) const MAX_PARAMS_BYTES: u64 = 64 << 20;
/// A name less like the wrong one than this (Jaro-Winkler, 0 to 1) is not offered.
const MIN_LIKENESS: f64 = 0.8;

/// Calls a method with params as JSON, and prints the answer.
pub(super) async fn call(
    session: &Session,
    method: &str,
    params: Option<&str>,
) -> Result<(), Failure> {
    let params = match params {
        Some(argument) => Some(json_argument(argument).await?),
        None => None,
    };
    let answer = session.client.call_raw(method, params.as_deref()).await.map_err(|error| {
        let unknown = error.code() == Some(ErrorCode::MethodNotFound);
        if let Some(name) = nearest(method).filter(|_| unknown) {
            return Failure::from(error).with_hint(&format!("did you mean {name}?"));
        }
        match all_methods().find(|spec| spec.name == method) {
            // Whoever writes params himself is told of params, not of flags.
            Some(spec) if error.code() != Some(ErrorCode::ValidationError) => {
                explain(session, error, spec)
            }
            _ => error.into(),
        }
    })?;
    match session.output.is_json() {
        true => session.output.raw(&answer),
        false => session.output.pretty(answer.get()),
    }
}

/// The method of the contract whose name is most like this one.
fn nearest(method: &str) -> Option<&'static str> {
    let likeness = |name: &'static str| (strsim::jaro_winkler(method, name), name);
    let best = all_methods().map(|spec| likeness(spec.name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= MIN_LIKENESS).then_some(best.1)
}

/// JSON from an argument, or from standard input where that is `-`.
pub(super) async fn json_argument(argument: &str) -> Result<String, Failure> {
    match argument {
        "-" => input::read_text(input::Source::Standard, MAX_PARAMS_BYTES).await,
        text => Ok(text.to_owned()),
    }
}

/// Lists the methods of the contract.
pub(super) fn methods(output: &Output, prefix: Option<&str>) -> Result<(), Failure> {
    let wanted = all_methods().filter(|spec| spec.name.starts_with(prefix.unwrap_or_default()));
    if output.is_json() {
        for spec in wanted {
            let line = serde_json::json!({
                "name": spec.name,
                "scope": spec.scope(),
                "visibility": spec.visibility.as_str(),
                "idempotent": spec.idempotent,
                "params": spec.param_names,
                "summary": spec.summary(),
            });
            output.bytes(format!("{line}\n").as_bytes())?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["method", "scope", "summary"]);
    for spec in wanted {
        let scope = spec.scope().unwrap_or_else(|| "-".to_owned());
        table.row(vec![Cell::from(spec.name), Cell::from(scope), Cell::from(spec.summary())]);
    }
    output.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        assert_eq!(nearest("component.put"), Some("components.put"));
        assert_eq!(nearest("blobs.lst"), Some("blobs.list"));
        assert_eq!(nearest("xyzzy"), None);
    }
}
