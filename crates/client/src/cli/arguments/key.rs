//! The grammar of `key`.

use clap::Subcommand;
use osnova_storage_client::ComponentId;
use osnova_storage_client::api::keys::KeyType;
use osnova_storage_client::api::wire::{PublicKey, Text};

use super::{Window, words};

const TYPES: &[&str] = &["ml_dsa", "ed25519", "secp256k1"];
/// The greatest derivation index of the contract.
const MAX_INDEX: i64 = 2_147_483_647;

#[derive(Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// List the keys that a component has derived, by index.
    Ls {
        /// Whose; the owner must say it.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
        #[command(flatten)]
        window: Window,
    },
    /// Show what is known of a key.
    Show {
        /// Its public part.
        #[arg(required_unless_present = "index", conflicts_with_all = ["index", "component"])]
        public_key: Option<PublicKey>,
        /// Its place in the derivation of the component.
        #[arg(long, value_parser = clap::value_parser!(u32).range(0..=MAX_INDEX))]
        index: Option<u32>,
        /// Whose index it is; the owner must say it.
        #[arg(long, value_name = "ID", requires = "index")]
        component: Option<ComponentId>,
    },
    /// Note a key that a component has derived, and print its index alone.
    Register {
        /// Its public part.
        public_key: PublicKey,
        /// By which algorithm it works.
        #[arg(long = "type", value_name = "TYPE", value_parser = words::<KeyType>(TYPES, KeyType::from_word))]
        key_type: KeyType,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        purpose: Option<Text>,
        /// Its place in the derivation of the component; the next one where left out.
        #[arg(long, value_parser = clap::value_parser!(u32).range(0..=MAX_INDEX))]
        index: Option<u32>,
        /// Whose; the owner must say it.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
    /// Forget a key; its index is never given again.
    Rm {
        /// Its public part.
        public_key: PublicKey,
        /// Only if this is its revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
    /// Take the next derivation index of a component, and print it alone.
    Reserve {
        /// Whose; the owner must say it.
        #[arg(long, value_name = "ID")]
        component: Option<ComponentId>,
    },
}
