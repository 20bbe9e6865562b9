//! Arrows point down only: faces → services → ports → core.
//!
//! A crate's layer is the folder it lies in. Dependencies of tests are free. That only the `capstan` binary names
//! adapters is a rule for readers so far: adapters are modules, and the graph does not show modules.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata};

use super::Fault;

/// The one core that the others may see: ids, times and sizes.
pub const IDS: &str = "capstan-ids";

/// A crate of the workspace, as far as the checks look at it.
#[derive(Debug, Clone)]
pub struct Crate {
    pub name: String,
    /// The folder of its manifest, relative to the root.
    pub folder: PathBuf,
    /// What it is built from, tests left out.
    pub needs: Vec<Need>,
}

/// One dependency that is not for tests only.
#[derive(Debug, Clone)]
pub struct Need {
    pub name: String,
    pub for_build_script: bool,
}

/// A shelf of the house. The order is the direction: a later one may see an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Core,
    Ports,
    Services,
    Faces,
    Dev,
    /// `bench` and `xtask`: nothing may depend on them.
    Tools,
}

impl Crate {
    /// The layer by folder; none where the folder is not part of the house.
    pub fn layer(&self) -> Option<Layer> {
        let mut parts = self.folder.iter().map(|part| part.to_str().unwrap_or_default());
        match (parts.next()?, parts.next()) {
            ("bench" | "xtask", _) => Some(Layer::Tools),
            ("crates", Some("core")) => Some(Layer::Core),
            ("crates", Some("ports")) => Some(Layer::Ports),
            ("crates", Some("services")) => Some(Layer::Services),
            ("crates", Some("faces")) => Some(Layer::Faces),
            ("crates", Some("dev")) => Some(Layer::Dev),
            _ => None,
        }
    }
}

/// The workspace's members out of what cargo says about them.
pub fn crates(metadata: &Metadata) -> Result<Vec<Crate>> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let folder = package.manifest_path.parent().context("a manifest has no folder")?;
            let folder =
                folder.strip_prefix(&metadata.workspace_root).context("a member lies outside the workspace")?;
            let needs = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
            let needs = needs.map(|dependency| Need {
                name: dependency.name.clone(),
                for_build_script: dependency.kind == DependencyKind::Build,
            });
            Ok(Crate { name: package.name.to_string(), folder: folder.into(), needs: needs.collect() })
        })
        .collect()
}

/// Every arrow that does not point down.
pub fn faults(crates: &[Crate]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for from in crates {
        let Some(upper) = from.layer() else {
            let said = format!(
                "{} is in no layer; put it under crates/core, ports, services, faces or dev",
                from.folder.display()
            );
            faults.push(Fault::new(&from.name, said));
            continue;
        };
        for need in &from.needs {
            let Some(to) = crates.iter().find(|other| other.name == need.name) else { continue };
            let Some(lower) = to.layer() else { continue };
            if !may_see(upper, lower, &to.name) {
                faults.push(Fault::new(&from.name, forbidden(upper, lower, &to.name)));
            }
        }
    }
    faults
}

fn may_see(from: Layer, to: Layer, name: &str) -> bool {
    use Layer::{Core, Dev, Faces, Ports, Services, Tools};
    match (from, to) {
        (Core, Core) => name == IDS,
        (Services, Services) => false,
        // An adapter lies beside its port, and the binary puts the faces together.
        (Ports, Ports) | (Faces, Faces) => true,
        // The demonstration shows generated data; nothing below the faces may.
        (Faces, Dev) => true,
        (Dev | Tools, to) => to != Tools,
        (from, to) => to < from,
    }
}

fn forbidden(from: Layer, to: Layer, name: &str) -> String {
    match (from, to) {
        (Layer::Core, Layer::Core) => format!("depends on {name}: cores never see one another, they meet in a service"),
        (Layer::Services, Layer::Services) => {
            format!("depends on {name}: services never see one another, they meet over a port")
        }
        _ => {
            format!("depends on {name}: {from:?} may not see {to:?}, arrows point down (faces, services, ports, core)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(folder: &str, needs: &[&str]) -> Crate {
        let name = format!("capstan-{}", folder.rsplit('/').next().unwrap());
        let needs = needs.iter().map(|name| Need { name: (*name).to_owned(), for_build_script: false }).collect();
        Crate { name, folder: folder.into(), needs }
    }

    fn house() -> Vec<Crate> {
        vec![
            member("crates/core/ids", &["thiserror"]),
            member("crates/core/work", &["capstan-ids"]),
            member("crates/core/migration", &["capstan-ids"]),
            member("crates/ports/journal", &["capstan-ids", "tokio"]),
            member("crates/ports/proto", &["prost"]),
            member("crates/services/coordinator", &["capstan-journal", "capstan-work", "capstan-migration"]),
            member("crates/services/worker", &["capstan-journal"]),
            member("crates/faces/api", &["capstan-coordinator", "capstan-proto"]),
            member("crates/faces/cli", &["capstan-api", "capstan-testkit", "capstan-worker"]),
            member("crates/dev/testkit", &["capstan-work"]),
            member("bench", &["capstan-testkit"]),
        ]
    }

    fn said(crates: &[Crate]) -> Vec<String> {
        faults(crates).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_house_whose_arrows_point_down_has_no_faults() {
        assert_eq!(said(&house()), Vec::<String>::new());
    }

    #[test]
    fn every_arrow_that_points_up_or_sideways_is_refused() {
        for (from, to) in [
            ("crates/core/work", "capstan-journal"),
            ("crates/core/work", "capstan-migration"),
            ("crates/core/ids", "capstan-work"),
            ("crates/ports/journal", "capstan-coordinator"),
            ("crates/services/coordinator", "capstan-api"),
            ("crates/services/coordinator", "capstan-worker"),
            ("crates/services/worker", "capstan-testkit"),
            ("crates/ports/journal", "capstan-testkit"),
            ("crates/faces/api", "capstan-bench"),
            ("crates/dev/testkit", "capstan-bench"),
        ] {
            let mut house = house();
            house.iter_mut().find(|member| member.folder == *from).unwrap().needs =
                vec![Need { name: to.to_owned(), for_build_script: false }];

            let said = said(&house);

            assert_eq!(said.len(), 1, "{from} → {to}: {said:?}");
            assert!(said[0].contains(to), "{said:?}");
        }
    }

    #[test]
    fn a_crate_outside_the_layers_is_refused() {
        let said = said(&[member("crates/misc/thing", &[])]);

        assert_eq!(said.len(), 1);
        assert!(said[0].contains("crates/misc/thing"), "{said:?}");
    }

    #[test]
    fn the_graph_is_read_from_cargo_without_the_dependencies_of_tests() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let metadata = cargo_metadata::MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();

        let crates = crates(&metadata).unwrap();

        let xtask = crates.iter().find(|member| member.name == "xtask").unwrap();
        assert_eq!(xtask.layer(), Some(Layer::Tools));
        assert!(xtask.needs.iter().any(|need| need.name == "clap"));
        assert!(!xtask.needs.iter().any(|need| need.name == "tempfile"), "tempfile is for tests only");
    }
}
