//! `deps`: what a component needs, and what needs it.

use osnova_storage_client::api::components::{
    Dependencies, DependenciesParams, Dependents, DependentsParams,
};

use super::Session;
use super::arguments::DepsArguments;
use super::ask;
use super::failure::Failure;
use super::table::{Cell, Table};

pub(super) async fn run(session: &Session, what: DepsArguments) -> Result<(), Failure> {
    let transitive = what.transitive.then_some(true);
    if what.reverse {
        let params = DependentsParams { component_id: what.id, transitive };
        return ask::show::<Dependents>(session, params, |found| {
            let mut table = Table::new(&["component", "version", "requires", "state", "through"]);
            for dependent in &found.items {
                table.row(vec![
                    Cell::from(dependent.component_id.as_str()),
                    Cell::from(dependent.version.as_str()),
                    Cell::maybe(dependent.requirement.as_ref()),
                    Cell::from(if dependent.satisfied { "satisfied" } else { "unsatisfied" }),
                    Cell::from(dependent.via.as_str()),
                ]);
            }
            session.output.table(&table)
        })
        .await;
    }
    let params = DependenciesParams { component_id: what.id, transitive };
    ask::show::<Dependencies>(session, params, |found| {
        let mut table = Table::new(&["component", "requires", "installed", "state", "asked by"]);
        for dependency in &found.items {
            let state = match (dependency.missing, dependency.satisfied) {
                (true, _) => "missing",
                (false, true) => "satisfied",
                (false, false) => "unsatisfied",
            };
            table.row(vec![
                Cell::from(dependency.component_id.as_str()),
                Cell::maybe(dependency.requirement.as_ref()),
                Cell::maybe(dependency.installed_version.as_ref()),
                Cell::from(state),
                Cell::from(dependency.via.as_str()),
            ]);
        }
        session.output.table(&table)
    })
    .await
}
