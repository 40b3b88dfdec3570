//! Whether an installed version is in the range that a manifest asks for.
//!
//! Ranges are npm's (`^1.2`, `~2`, `1.x || >=3`, `1.0 - 2.0`), in which a bare version means exactly
//! itself: manifests come from that world, and the `semver` crate reads Cargo's dialect instead.

use nodejs_semver::{Range, Version};

/// Whether `installed` is in the range `requirement`; no requirement takes any version. False where
/// nothing is installed, or either can't be read.
pub(crate) fn satisfies(installed: Option<&str>, requirement: Option<&str>) -> bool {
    let Some(version) = installed else { return false };
    let requirement = requirement.map_or("", str::trim);
    if matches!(requirement, "" | "*") {
        return true;
    }
    match (Version::parse(version), Range::parse(requirement)) {
        (Ok(version), Ok(range)) => version.satisfies(&range),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::satisfies;

    #[test]
    fn ranges_are_npms() {
        for (version, requirement, expected) in [
            ("1.2.3", "^1.2", true),
            ("2.0.0", "^1.2", false),
            ("1.2.4", "1.2.3", false),
            ("1.2.3", "1.2.3", true),
            ("3.1.0", "1.x || >=3", true),
            ("1.5.0", "1.0 - 2.0", true),
            ("0.2.9", "~0.2.1", true),
            ("1.0.0-beta.1", "*", true),
            ("not a version", "^1", false),
            ("1.0.0", "git+https://example.org/x.git", false),
        ] {
            assert_eq!(
                satisfies(Some(version), Some(requirement)),
                expected,
                "{version} in {requirement}"
            );
        }
        assert!(satisfies(Some("not a version"), None));
        assert!(!satisfies(None, None));
    }
}
