//! Each limit of the configuration, set small and passed by one: the answer is typed, what is within
//! the limit goes on, and so do the others.

mod calls;
mod connections;
mod crowd;
mod late_readers;
mod memory;
mod quota;
mod sizes;
mod streams;
mod timeouts;
mod unlock;
