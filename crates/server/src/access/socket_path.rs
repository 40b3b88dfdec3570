//! Where the socket of a component lies.

use std::path::{Path, PathBuf};

use osnova_storage_api::wire::{ComponentId, SocketPath};
use osnova_storage_core::names;

/// The name of the socket, in a folder of its own: a sandbox is given the folder, in which the socket
/// comes back when the daemon starts anew.
const SOCKET_NAME: &str = "storage.sock";
/// The shortest name that every id can have.
const SHORTEST_NAME: usize = 41;

/// The path of a component's socket: as it was given, else in a folder named after the component.
pub(crate) fn socket_path(folder: &Path, id: &ComponentId, given: Option<&SocketPath>) -> PathBuf {
    if let Some(path) = given {
        return PathBuf::from(path.as_str());
    }
    // Two separators stand around the folder's name.
    let around = folder.as_os_str().len() + SOCKET_NAME.len() + 2;
    let room = SocketPath::MAX_CHARS.saturating_sub(around).max(SHORTEST_NAME);
    folder.join(names::file_name(id.as_str(), room)).join(SOCKET_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_and_stay_in_the_folder() {
        let folder = Path::new("/run/user/1000/osnova/components");
        let path = |id: &str| socket_path(folder, &id.parse().unwrap(), None);
        assert_eq!(path("org.example.weather"), folder.join("org.example.weather/storage.sock"));
        for id in ["../../x", "@a/b", &"x".repeat(256), &"É".repeat(256)] {
            let path = path(id);
            assert!(path.starts_with(folder) && path.components().count() == 8, "{path:?}");
            assert!(path.as_os_str().len() <= SocketPath::MAX_CHARS, "{path:?}");
        }
    }
}
