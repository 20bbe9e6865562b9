//! Every crate takes its lints from the workspace.

use anyhow::Result;

use super::Fault;
use super::layers::Crate;
use crate::workspace::Workspace;

/// Every crate whose manifest does not say `[lints] workspace = true`.
pub fn faults(workspace: &Workspace, crates: &[Crate]) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for member in crates {
        let manifest = member.folder.join("Cargo.toml");
        if !inherits_lints(&workspace.read(&manifest)?) {
            let said = "has lints of its own; write `[lints]` and `workspace = true`";
            faults.push(Fault::new(manifest.display().to_string(), said));
        }
    }
    Ok(faults)
}

fn inherits_lints(manifest: &str) -> bool {
    let mut section = "";
    manifest.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let setting = line.split('#').next().unwrap_or_default().replace(' ', "");
        (section == "[lints]" && setting == "workspace=true") || setting == "lints.workspace=true"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_manifest_that_inherits_the_lints_passes() {
        assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
        assert!(inherits_lints("lints.workspace = true\n"));

        for manifest in [
            "[package]\nversion.workspace = true\n",
            "[lints]\n",
            "[lints]\n# workspace = true",
            "[other]\nworkspace = true",
        ] {
            assert!(!inherits_lints(manifest), "{manifest}");
        }
    }
}
