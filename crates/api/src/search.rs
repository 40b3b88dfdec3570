//! What the searches of records share.

use crate::method::no_request_id;
use crate::wire::{Limit, SearchText, wire_object};

wire_object! {
    /// What a search of records takes.
    pub struct SearchParams {
        /// What is looked for, as a person types it: words, all of which a record must have, whatever
        /// their case and marks; of the last one the beginning is enough. There is no syntax. Without a
        /// word in it nothing is found.
        pub query: SearchText,
        /// At most this many items; 20 where left out.
        pub limit: Option<Limit>,
    }
}
no_request_id!(SearchParams);
