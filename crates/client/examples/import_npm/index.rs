//! The index of a directory of packages, and the component id that each package gets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nodejs_semver::Version;
use serde::Deserialize;

use crate::AnyError;

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
    tarball: PathBuf,
    manifest: PathBuf,
    /// An index of before these were extracted has neither.
    #[serde(default)]
    readme: Option<PathBuf>,
    #[serde(default)]
    notices: Vec<PathBuf>,
}

/// A package, ready to be imported.
pub(crate) struct Package {
    pub(crate) component_id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) tarball: PathBuf,
    /// The text of its package.json, without white space around it, which is no part of a JSON value.
    pub(crate) manifest: String,
    /// Its readme, where it has one.
    pub(crate) readme: Option<PathBuf>,
    /// Its change log and its license, as far as it has them.
    pub(crate) notices: Vec<PathBuf>,
}

impl Package {
    /// Whether it is the one that its name finds, as the packages directly in `node_modules` are.
    pub(crate) fn is_top_level(&self) -> bool {
        self.component_id == self.name
    }
}

/// Reads `index.json` and every manifest.
pub(crate) fn read(directory: &Path) -> Result<Vec<Package>, AnyError> {
    let entries: Vec<Entry> =
        serde_json::from_str(&std::fs::read_to_string(directory.join("index.json"))?)?;
    let mut greatest: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in &entries {
        let known = greatest.entry(&entry.name).or_insert(&entry.version);
        if order(&entry.version) > order(known) {
            *known = &entry.version;
        }
    }
    let read = |entry: &Entry| -> Result<Package, AnyError> {
        let component_id = match greatest.get(entry.name.as_str()) {
            Some(version) if *version == entry.version => entry.name.clone(),
            _ => format!("{}@{}", entry.name, entry.version),
        };
        let text = std::fs::read_to_string(directory.join(&entry.manifest))?;
        Ok(Package {
            component_id,
            name: entry.name.clone(),
            version: entry.version.clone(),
            tarball: directory.join(&entry.tarball),
            manifest: text.trim_matches([' ', '\t', '\r', '\n']).to_owned(),
            readme: entry.readme.as_ref().map(|file| directory.join(file)),
            notices: entry.notices.iter().map(|file| directory.join(file)).collect(),
        })
    };
    entries.iter().map(read).collect()
}

/// The version in semver's order; what is not one comes before all that are.
fn order(version: &str) -> Option<Version> {
    Version::parse(version).ok()
}
