//! The methods that are served: one file a namespace, each a list of which operation of the core
//! serves which method of the contract.

mod auth;
mod batch;
mod blobs;
mod components;
mod jobs;
mod maintenance;
mod preferences;
mod rpc;
mod schema;
mod status;
mod system;
mod vault;

use crate::rpc::Registry;

/// All methods.
///
/// # Errors
/// The names that are defined in the contract and not served, or the reverse.
pub(crate) fn registry() -> Result<Registry, String> {
    let mut registry = Registry::default();
    components::register(&mut registry);
    preferences::register(&mut registry);
    blobs::register(&mut registry);
    batch::register(&mut registry);
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
