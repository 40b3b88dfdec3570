//! The methods that are served: one file a namespace, each a list of which operation of the core
//! serves which method of the contract.

mod application_config;
mod applications;
mod auth;
mod batch;
mod blobs;
mod cache;
mod component_data;
mod components;
mod events;
mod identity;
mod jobs;
mod keys;
mod logs;
mod maintenance;
mod messages;
mod preferences;
mod registry;
mod rpc;
mod schema;
mod status;
mod storage;
mod system;
mod transactions;
mod uploads;
mod vault;

use crate::rpc::Registry;

/// All methods.
///
/// # Errors
/// The names that are defined in the contract and not served, or the reverse.
pub(crate) fn registry() -> Result<Registry, String> {
    let mut registry = Registry::default();
    components::register(&mut registry);
    applications::register(&mut registry);
    application_config::register(&mut registry);
    registry::register(&mut registry);
    keys::register(&mut registry);
    transactions::register(&mut registry);
    cache::register(&mut registry);
    preferences::register(&mut registry);
    messages::register(&mut registry);
    storage::register(&mut registry);
    identity::register(&mut registry);
    component_data::register(&mut registry);
    logs::register(&mut registry);
    blobs::register(&mut registry);
    uploads::register(&mut registry);
    batch::register(&mut registry);
    events::register(&mut registry);
    vault::register(&mut registry);
    auth::register(&mut registry);
    jobs::register(&mut registry);
    maintenance::register(&mut registry);
    schema::register(&mut registry);
    status::register(&mut registry);
    system::register(&mut registry);
    rpc::register(&mut registry);
    registry.complete()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_method_of_the_contract_is_served_and_no_other() {
        if let Err(names) = super::registry() {
            panic!("defined and not served, or the reverse: {names}");
        }
    }
}
